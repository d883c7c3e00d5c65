package bench

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Paths of a receiver process.
const (
	pathReceive = "/receive" // the receiver's push endpoint
	pathBare    = "/bare"    // reads the body and answers 202
)

// receiveCall opens a receiver in a new folder.
type receiveCall struct {
	Dir       string         `json:"dir"`
	Issuer    string         `json:"issuer"` // "": the process' own transmitter, whose keys it has
	Algorithm jose.Algorithm `json:"algorithm"`
	Run       bool           `json:"run,omitempty"` // its hooks, too, which count
}

// acceptCall takes SETs of the process' own transmitter, without HTTP, by workers at
// once. The answer is a Round of µs of CPU per SET; the floor is the bare RSA check.
type acceptCall struct {
	Workers int `json:"workers"`
	SETs    int `json:"sets"`
}

// receiving is a receiver with its inbox.
type receiving struct {
	receiver *receiver.Receiver
	own      *transmitter // nil: SETs come from another process
	url      string
	handled  atomic.Int64
	closers  []func() error
}

func (s *receiving) role() role {
	return role{
		"open":    with(func(ctx context.Context, c receiveCall) (any, error) { return s.url, s.open(ctx, c) }),
		"url":     with(func(context.Context, any) (any, error) { return s.url, nil }),
		"accept":  with(func(ctx context.Context, c acceptCall) (any, error) { return s.accept(ctx, c) }),
		"handled": with(func(context.Context, any) (any, error) { return s.handled.Load(), nil }),
	}
}

func (s *receiving) open(ctx context.Context, c receiveCall) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	in, err := sqliteinbox.Open(ctx, sqliteinbox.Config{Path: filepath.Join(c.Dir, "inbox.db")})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, in.Close)
	mux := receiver.NewMux()
	mux.Default(func(context.Context, receiver.Delivery) error { s.handled.Add(1); return nil })
	cfg := receiver.Config{
		Issuer: c.Issuer, Audience: []string{audience}, Inbox: in, Mux: mux,
		HTTP:       guard.NewClient(guard.Policy{InsecureLoopback: true}),
		Algorithms: []jose.Algorithm{c.Algorithm}, Logger: slog.New(slog.DiscardHandler),
	}
	if c.Issuer == "" {
		if s.own, err = newTransmitter(ctx, c.Algorithm); err != nil {
			return err
		}
		s.closers = append(s.closers, func() error { s.own.close(); return nil })
		cfg.Issuer, cfg.Keys = s.own.issuer, keySource{jose.NewKeySet(s.own.key.Public())}
	}
	if s.receiver, err = receiver.New(cfg); err != nil {
		return err
	}
	if c.Run {
		s.run(ctx)
	}
	return s.listen(ctx)
}

func (s *receiving) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.receiver.Run(ctx) }()
	s.closers = append(s.closers, func() error { cancel(); return <-ended })
}

func (s *receiving) listen(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(pathReceive, s.receiver.Handler())
	mux.HandleFunc(pathBare, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: callTime}
	go func() { _ = server.Serve(l) }()
	s.url = "http://" + l.Addr().String()
	s.closers = append(s.closers, server.Close)
	return nil
}

func (s *receiving) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// accept makes the SETs before the clocks start.
func (s *receiving) accept(ctx context.Context, c acceptCall) (Round, error) {
	if err := s.own.mint(c.SETs); err != nil {
		return Round{}, err
	}
	sets, err := s.own.take(c.SETs)
	if err != nil {
		return Round{}, err
	}
	check, err := rsaCheck(sets[0], s.own.key.Public())
	if err != nil {
		return Round{}, err
	}
	cores := &floor{cores: runtime.GOMAXPROCS(0), seen: map[string][]float64{}}
	raw, err := cores.cpu("", c.SETs, cores.cores, check.check)
	if err != nil {
		return Round{}, err
	}
	runtime.GC() // of what was made before
	var next atomic.Int64
	us, err := cores.cpu("", c.SETs, c.Workers, func() error {
		repeat, err := s.receiver.Accept(ctx, sets[next.Add(1)-1])
		if repeat {
			err = errors.New("the inbox has the SET already")
		}
		return err
	})
	return Round{us, raw}, err
}
