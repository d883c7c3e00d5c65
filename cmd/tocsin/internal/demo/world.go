package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// world is the stage: a transmitter and two relying parties, each on a port of
// its own, that know each other by HTTP alone.
type world struct {
	cfg    Config
	issuer string
	source string // access token of the source of events
	node   *node.Node
	shop   *party // by push
	mail   *party // by poll
	client *http.Client
	stop   context.CancelFunc // ends the parts
	kim    string             // the cookie of the one whose session goes on

	group   sync.WaitGroup
	mu      sync.Mutex
	failed  []error
	servers []*http.Server
}

const shutdownTime = 5 * time.Second

func newWorld(ctx context.Context, dir string, cfg Config) (*world, error) {
	ctx, stop := context.WithCancel(ctx)
	w := &world{cfg: cfg, stop: stop, client: guard.NewClient(guard.Policy{InsecureLoopback: true, Timeout: cfg.Patience})}
	listener, err := w.listen(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	w.issuer = "http://" + listener.Addr().String()
	w.node, err = node.Open(ctx, node.Config{Dir: filepath.Join(dir, "transmitter"), Transmitter: transmitter.Config{
		Issuer: w.issuer, InsecureLoopback: true, Logger: cfg.Logger, LongPoll: 5 * time.Second,
	}})
	if err != nil {
		stop()
		return nil, errors.Join(err, listener.Close())
	}
	w.serve(listener, w.node.Transmitter.Handler())
	w.run(ctx, w.node.Transmitter.Run)
	if w.source, err = w.register(ctx, "identity-provider", auth.ScopeEventsWrite); err != nil {
		return nil, errors.Join(err, w.close())
	}
	for _, p := range []struct {
		party **party
		name  string
		push  bool
	}{{&w.shop, "shop", true}, {&w.mail, "mail", false}} {
		if *p.party, err = w.newParty(ctx, dir, p.name, p.push); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

func (*world) listen(ctx context.Context) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
}

// register adds a client of an application of its own and returns its token.
func (w *world) register(ctx context.Context, name string, scopes ...auth.Scope) (string, error) {
	app, err := w.node.Applications.AddApplication(ctx, auth.Application{
		ID: name, Audience: []string{audience(name)}, SubjectFormat: "email",
	})
	if err != nil {
		return "", err
	}
	made, err := w.node.Applications.AddClient(ctx, auth.Client{ID: name, Application: app.ID, Scopes: scopes, Static: true})
	return made.AccessToken, err
}

func audience(name string) string { return "https://" + name + ".example" }

// serve serves h on l until close.
func (w *world) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: shutdownTime}
	w.servers = append(w.servers, server)
	w.group.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			w.fail(err)
		}
	})
}

// run runs a part until ctx ends.
func (w *world) run(ctx context.Context, part func(context.Context) error) {
	w.group.Go(func() {
		if err := part(ctx); err != nil {
			w.fail(err)
		}
	})
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = append(w.failed, err)
}

// close ends all parts and waits for them.
func (w *world) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	w.node.Transmitter.Refuse()
	w.stop()
	var errs []error
	for _, s := range w.servers {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, s.Close())
		}
	}
	w.group.Wait()
	for _, p := range []*party{w.shop, w.mail} {
		if p != nil {
			errs = append(errs, p.inbox.Close())
		}
	}
	errs = append(errs, w.node.Close())
	if err := errors.Join(append(errs, w.failed...)...); err != nil {
		return fmt.Errorf("clearing the stage: %w", err)
	}
	return nil
}
