package script

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/profile"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// feedName is the feed of the script's own inbox.
const feedName = "script"

// world is what steps act on: the transmitter's API, and a receiver of its SETs.
type world struct {
	script    *Script
	http      *http.Client
	discovery *wellknown.Client
	api       *client.Client
	token     func(context.Context) (string, error)
	receiver  *receiver.Receiver
	inbox     *sqliteinbox.Inbox
	vars      variables
	owed      owed
	pushed    arrivals

	dir    string
	stop   context.CancelFunc
	ended  sync.WaitGroup
	server *http.Server
}

// open builds the world and begins to listen.
func (s *Script) open(ctx context.Context, logger *slog.Logger) (_ *world, err error) {
	w := &world{script: s, vars: variables{}, stop: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	for name, value := range s.Variables {
		w.vars[name] = value
	}
	w.vars["issuer"], w.vars["audience"] = s.Issuer.Issuer, s.Issuer.Audience[0]
	if w.http, err = s.Issuer.HTTPClient(s.InsecureLoopback); err != nil {
		return w, err
	}
	source, err := s.Issuer.Credential(w.http)
	if err != nil {
		return w, err
	}
	cfg := client.Config{Issuer: s.Issuer.Issuer, Audience: s.Issuer.Audience, HTTP: w.http}
	if source != nil {
		w.token, cfg.Token, cfg.Refused = source.Token, source.Token, source.Refused
	}
	found := wellknown.Config{HTTP: w.http}
	if s.Issuer.MetadataURL != "" {
		found.MetadataURLs = map[string]string{s.Issuer.Issuer: s.Issuer.MetadataURL}
	}
	w.discovery = wellknown.NewClient(found)
	cfg.Discovery = w.discovery
	if err := w.receive(ctx, logger, &cfg); err != nil {
		return w, err
	}
	if w.api, err = client.New(cfg); err != nil {
		return w, err
	}
	return w, w.listen(ctx)
}

// receive builds the receiver, whose inbox is forgotten at the end.
func (w *world) receive(ctx context.Context, logger *slog.Logger, api *client.Config) (err error) {
	is := w.script.Issuer
	if w.dir, err = os.MkdirTemp("", "tocsin-script-"); err != nil {
		return err
	}
	if w.inbox, err = sqliteinbox.Open(ctx, sqliteinbox.Config{Path: filepath.Join(w.dir, "inbox.db")}); err != nil {
		return err
	}
	rc := receiver.Config{
		Issuer: is.Issuer, Audience: is.Audience, Algorithms: is.Algorithms, Inbox: w.inbox, Feed: feedName,
		Mux: receiver.NewMux(), Authorization: is.Delivery.Authorization, Logger: logger,
	}
	if rc.Tolerances, err = set.ParseTolerances(is.Tolerances); err != nil {
		return err
	}
	if is.Profile != "" {
		p, err := profile.Lookup(is.Profile)
		if err != nil {
			return err
		}
		rc = p.Apply(rc)
	}
	api.LegacyDeliveryURI = rc.Tolerances.LegacyDeliveryURI
	rc.Keys = w.discovery.Keys(is.Issuer)
	if is.JWKSURL != "" {
		rc.Keys = w.discovery.KeysAt(map[string]string{is.Issuer: is.JWKSURL})
	}
	rc.Mux.Default(func(_ context.Context, d receiver.Delivery) error {
		w.pushed.add(d)
		return nil
	})
	w.receiver, err = receiver.New(rc)
	return err
}

// pushPath is where pushes come to.
const pushPath = "/push"

// maxHeaders bounds the header of a push.
const maxHeaders = 32 << 10

// listen serves the push endpoint and runs what is behind it.
func (w *world) listen(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	w.ended.Go(func() { _ = w.receiver.Run(running) }) // it ends with nil or a closed inbox
	if w.script.Listen == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", w.script.Listen)
	if err != nil {
		return fmt.Errorf("listening for pushes: %w", err)
	}
	address := w.script.PublicURL
	if address == "" {
		address = "http://" + l.Addr().String()
	}
	w.vars["push_url"] = address + pushPath
	mux := http.NewServeMux()
	mux.Handle(pushPath, w.receiver.Handler())
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: maxHeaders}
	w.ended.Go(func() { _ = w.server.Serve(l) }) // it ends when it is closed
	return nil
}

func (w *world) close() error {
	var errs []error
	if w.server != nil {
		errs = append(errs, w.server.Close())
	}
	w.stop()
	w.ended.Wait()
	if w.inbox != nil {
		errs = append(errs, w.inbox.Close())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// stream returns the stream that a step means: the one it names, else the script's.
func (w *world) stream(id string) (string, error) {
	if id == "" {
		id = w.vars["stream_id"]
	}
	if id == "" {
		return "", errors.New("there is no stream: no step before this one has created or read one, and stream_id is not given")
	}
	return id, nil
}

// owed is what was polled and is neither acknowledged nor refused yet.
type owed struct {
	acks     []string
	refusals map[string]delivery.Failure
}

// arrivals are events that were pushed.
type arrivals struct {
	mu    sync.Mutex
	all   []receiver.Delivery
	wake  chan struct{}
	taken map[string]bool // jtis that a step has had
}

func (a *arrivals) add(d receiver.Delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, d)
	if a.wake != nil {
		close(a.wake)
		a.wake = nil
	}
}

// take waits for n events that fit, and hands each out once.
func (a *arrivals) take(ctx context.Context, n int, fits func(receiver.Delivery) bool) ([]receiver.Delivery, error) {
	for {
		found, wake := a.find(n, fits)
		if len(found) == n {
			return found, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return found, fmt.Errorf("%d of %d came", len(found), n)
		}
	}
}

func (a *arrivals) find(n int, fits func(receiver.Delivery) bool) ([]receiver.Delivery, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []receiver.Delivery
	for _, d := range a.all {
		if len(found) < n && !a.taken[d.ID] && fits(d) {
			found = append(found, d)
		}
	}
	if len(found) == n {
		if a.taken == nil {
			a.taken = map[string]bool{}
		}
		for _, d := range found {
			a.taken[d.ID] = true
		}
	}
	if a.wake == nil {
		a.wake = make(chan struct{})
	}
	return found, a.wake
}

// same compares states in constant time: some are secrets.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
