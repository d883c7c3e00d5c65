package receivers

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

const (
	keyBits  = 2048
	clientID = "receiver"

	readHeaders = 10 * time.Second
	redeliver   = 300 * time.Millisecond // after that a polled SET comes again
	retry       = 100 * time.Millisecond // before a push is tried again
	attempts    = 4
	longPoll    = 5 * time.Second

	// critical is a member of complex subjects that no receiver can know.
	critical = "spaceship"
)

// suite is what the checks share.
type suite struct {
	cfg  Config
	mask conformance.Mask
	key  func() (*rsa.PrivateKey, error) // of all transmitters

	tried atomic.Int64 // connections to Config.Untrusted

	mu    sync.Mutex
	sites map[string]*site // by name, which is the path of the issuer
	good  map[string]bool  // SETs without a fault, by jti
	mains map[string]error // methods whose main site has come to be, or not
}

func newSuite(cfg Config) *suite {
	return &suite{
		cfg: cfg, sites: map[string]*site{}, good: map[string]bool{}, mains: map[string]error{},
		key: sync.OnceValues(func() (*rsa.PrivateKey, error) {
			if cfg.Key != nil {
				return cfg.Key, nil
			}
			return rsa.GenerateKey(rand.Reader, keyBits)
		}),
	}
}

// serve serves all sites until the returned function is called.
func (s *suite) serve() (stop func()) {
	server := &http.Server{
		Handler: http.HandlerFunc(s.route), ReadHeaderTimeout: readHeaders,
		ErrorLog: log.New(io.Discard, "", 0), // handshakes that fail, as some are to
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(s.cfg.Listener) }) // it ends with the listener
	if s.cfg.Untrusted != nil {
		serving.Go(func() { _ = server.Serve(&counted{s.cfg.Untrusted, &s.tried}) })
	}
	return func() {
		_ = server.Close()
		serving.Wait()
	}
}

// counted counts the connections of a listener.
type counted struct {
	net.Listener
	n *atomic.Int64
}

// Accept counts.
func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// route finds the site by a part of the path: issuers are told apart by their path, which
// stands behind the name of a well-known document.
func (s *suite) route(w http.ResponseWriter, r *http.Request) {
	for part := range strings.SplitSeq(r.URL.Path, "/") {
		s.mu.Lock()
		at := s.sites[part]
		s.mu.Unlock()
		if at != nil {
			at.peer.Handler().ServeHTTP(w, r)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

// site is a transmitter of the suite and the receiver that uses it.
type site struct {
	*suite
	method     string
	invitation Invitation
	peer       *peer.Transmitter
	process    Process // nil: the receiver came by itself
	end        func()  // of the transmitter's work
	stream     string  // once it is known
}

// open makes a transmitter; it does not start a receiver.
func (s *suite) open(name, method string, change ...func(*peer.TransmitterConfig)) (*site, error) {
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	at := &site{suite: s, method: method, invitation: Invitation{
		Scenario: name, Issuer: s.cfg.Base + "/" + name, Audience: s.cfg.Audience, Delivery: method,
		Token: rand.Text(), ClientID: clientID, ClientSecret: rand.Text(), TokenURL: s.cfg.Base + "/" + name + "/token",
	}}
	s.mask.Hide(at.invitation.Token, at.invitation.ClientSecret, s.cfg.Authorization)
	cfg := peer.TransmitterConfig{
		Issuer: at.invitation.Issuer, Key: key, HTTP: s.cfg.HTTP, CriticalMembers: []string{critical},
		Clients:  []peer.Client{{ID: clientID, Secret: at.invitation.ClientSecret, Token: at.invitation.Token, Audience: s.cfg.Audience}},
		LongPoll: min(longPoll, s.cfg.Wait/3), Redeliver: redeliver, Retry: retry, Attempts: attempts, FinalRefusals: true,
	}
	for _, f := range change {
		f(&cfg)
	}
	if at.peer, err = peer.NewTransmitter(cfg); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = at.peer.Run(ctx) }()
	at.end = func() { cancel(); <-done }
	s.mu.Lock()
	s.sites[name] = at
	s.mu.Unlock()
	return at, nil
}

// start starts the receiver of a site.
func (at *site) start(ctx context.Context) (err error) {
	at.process, err = at.cfg.Start(ctx, at.invitation)
	return err
}

// observe returns how often the receiver acted upon a SET.
func (at *site) observe(ctx context.Context, jti string) (int, error) {
	return at.cfg.Observe(ctx, at.invitation.Scenario, jti)
}

// close ends the receiver and the transmitter.
func (at *site) close() error {
	var err error
	if at.process != nil {
		err = at.process.Stop(false)
		at.process = nil
	}
	at.mu.Lock()
	delete(at.sites, at.invitation.Scenario)
	at.mu.Unlock()
	at.end()
	return err
}

// clean ends all sites.
func (s *suite) clean(context.Context) error {
	s.mu.Lock()
	var all []*site
	for _, at := range s.sites {
		all = append(all, at)
	}
	s.mu.Unlock()
	var errs []error
	for _, at := range all {
		errs = append(errs, at.close())
	}
	return errors.Join(errs...)
}

// invite makes the sites that a receiver uses which comes by itself.
func (s *suite) invite() error {
	for _, method := range s.cfg.methods() {
		at, err := s.open(method, method)
		if err != nil {
			return err
		}
		if s.cfg.Endpoint != "" {
			at.stream, err = at.peer.AddStream(clientID, peer.Stream{
				Method: delivery.MethodPush, EndpointURL: s.cfg.Endpoint, Requested: caep.Types(),
			}, s.cfg.Authorization)
			if err != nil {
				return err
			}
		}
		if s.cfg.Start == nil && s.cfg.Invite != nil {
			s.cfg.Invite(at.invitation)
		}
	}
	return nil
}

// main returns the site of a method whose receiver has a stream. It is started when it is
// first asked for; what came of that is remembered.
func (s *suite) main(ctx context.Context, method string) (*site, error) {
	s.mu.Lock()
	at := s.sites[method]
	err, known := s.mains[method]
	s.mu.Unlock()
	if at == nil || known {
		return at, err
	}
	arrive := s.cfg.Arrive
	if s.cfg.Start != nil {
		arrive = s.cfg.Wait
		err = at.start(ctx)
	}
	if err == nil {
		err = at.ready(ctx, arrive)
	}
	if ctx.Err() == nil {
		s.mu.Lock()
		s.mains[method] = err
		s.mu.Unlock()
	}
	return at, err
}

// ready waits until the receiver has a stream and takes a SET.
func (at *site) ready(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for n := 0; !at.look(); {
		var err error
		if _, n, err = at.peer.Await(ctx, n, func(peer.Exchange) bool { return true }); err != nil {
			return fmt.Errorf("the receiver made no stream of %s in %v", at.method, within)
		}
	}
	for {
		at.look() // there may be a newer one
		v, err := at.send(ctx, event())
		switch {
		case err != nil || ctx.Err() != nil:
			return fmt.Errorf("the receiver took no SET in %v", within)
		case v.Accepted:
			return nil
		}
		if wait(ctx, retry) != nil {
			return fmt.Errorf("the receiver took no SET in %v: %s", within, told(v))
		}
	}
}

// look finds the newest stream of the site's method.
func (at *site) look() (found bool) {
	for _, s := range at.peer.Streams() {
		if (s.Method == delivery.MethodPoll) == (at.method == poll) {
			at.stream = s.ID
		}
	}
	return at.stream != ""
}

// wait waits for d; its error is ctx's.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
