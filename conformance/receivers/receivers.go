// Package receivers is the conformance suite for SSF receivers: it serves them a
// transmitter that keeps to the specifications, and then one that does not, and sees what
// they make of it.
//
// [Run] runs it. What a receiver does is judged by its requests, by what it answers,
// acknowledges and refuses, and, where [Config.Observe] can tell, by what it did.
package receivers

import (
	"context"
	"crypto/rsa"
	_ "embed" // what cannot be tested is part of the program
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
)

// Defaults of [Config].
const (
	DefaultWait   = 10 * time.Second
	DefaultQuiet  = 2 * time.Second
	DefaultArrive = 5 * time.Minute
	DefaultAud    = "https://receiver.example"

	rotation = 30 * time.Second // that a receiver may take to find a new key
)

// Config says which receiver is tested, and how. Listener, Base and HTTP are required.
type Config struct {
	// Listener is where the suite's transmitters are reached, Base its URL without a
	// path. Run closes it.
	Listener net.Listener
	Base     string
	// Untrusted has another listener of https with a certificate that no receiver can
	// trust, and its URL; nil: what is about certificates is skipped. Run closes it.
	Untrusted     net.Listener
	UntrustedBase string
	// HTTP makes the pushes. It must bound times and follow no redirects.
	HTTP *http.Client
	// Push and Poll choose the methods of delivery; at least one.
	Push, Poll bool
	// Key signs SETs; nil: a new one of 2,048 bits is made.
	Key *rsa.PrivateKey
	// Audience is the aud of the receiver's streams; "": DefaultAud.
	Audience string

	// Start starts a receiver as the invitation says; nil: one comes by itself, within
	// Arrive, and what needs a fresh one is skipped.
	Start func(ctx context.Context, i Invitation) (Process, error)
	// Invite is told of what a receiver that comes by itself is to be configured with;
	// nil: nobody.
	Invite func(Invitation)
	// Endpoint takes pushes of a receiver that does not use the API; "": it does. Then
	// Authorization is the Authorization header that it wants.
	Endpoint, Authorization string

	// Observe returns how often the receiver of a scenario acted upon the SET with this
	// jti; nil: nobody can tell, and what is about that is skipped.
	Observe func(ctx context.Context, scenario, jti string) (times int, err error)

	// Wait is how long an answer, a request or an acknowledgement that is due may take;
	// 0: DefaultWait. Quiet is how long nothing must come where nothing may; 0:
	// DefaultQuiet. Arrive is how long the receiver may take to come; 0: DefaultArrive.
	Wait, Quiet, Arrive time.Duration
}

// Invitation is what a receiver needs to know of a transmitter.
type Invitation struct {
	// Scenario is its name: push or poll, or that of what needs a receiver of its own.
	Scenario string `json:"scenario"`
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
	// Delivery is push or poll.
	Delivery string `json:"delivery"`
	// Token is an access token that never ends; ClientID and ClientSecret get others at
	// TokenURL.
	Token        string `json:"access_token"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	TokenURL     string `json:"token_url"`
}

// Process is a receiver that was started.
type Process interface {
	// Stop ends it; kill: at once, as a power cut would. It returns when it has ended.
	Stop(kill bool) error
}

//go:embed untestable.txt
var untestable string

// Untestable returns the requirements that bind receivers and that nobody can see from
// outside, with why.
func Untestable() (map[string]string, error) { return conformance.ReadReasons(untestable) }

// Decided returns the ids of the requirements that the suite decides.
func Decided() []string {
	var ids []string
	for _, c := range newSuite(Config{Push: true, Poll: true}).checks() {
		ids = append(ids, c.Decides...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Checks returns the names of the checks with the requirements that they decide.
func Checks() map[string][]string {
	all := map[string][]string{}
	for _, c := range newSuite(Config{Push: true, Poll: true}).checks() {
		all[c.Name] = c.Decides
	}
	return all
}

// Run runs the suite. The report is also there if ctx ends.
//
// Errors: a Config that lacks something, options that are wrong in themselves.
func Run(ctx context.Context, cfg Config, o conformance.Options) (*conformance.Report, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	reasons, err := Untestable()
	if err != nil {
		return nil, err
	}
	s := newSuite(cfg)
	stop := s.serve()
	defer stop()
	if err := s.invite(); err != nil {
		return nil, err
	}
	name := cfg.Endpoint
	if name == "" {
		name = "the receiver of " + cfg.Base
	}
	return conformance.Run(ctx, conformance.Suite{
		Role: conformance.Receiver, Peer: name, Checks: s.checks(), Untestable: reasons, Mask: &s.mask, Clean: s.clean,
	}, o)
}

func (c *Config) complete() error {
	switch {
	case c.Listener == nil || c.Base == "":
		return errors.New("no Listener or no Base is given")
	case c.HTTP == nil:
		return errors.New("no HTTP client is given")
	case !c.Push && !c.Poll:
		return errors.New("neither Push nor Poll is chosen")
	case c.Endpoint != "" && c.Poll:
		return errors.New("an Endpoint is for push alone")
	case c.Endpoint != "" && c.Start != nil:
		return errors.New("an Endpoint is of a receiver that runs already, Start starts one")
	}
	for field, value := range map[*time.Duration]time.Duration{&c.Wait: DefaultWait, &c.Quiet: DefaultQuiet, &c.Arrive: DefaultArrive} {
		if *field <= 0 {
			*field = value
		}
	}
	if c.Audience == "" {
		c.Audience = DefaultAud
	}
	return nil
}

// methods returns those of delivery that are tested.
func (c Config) methods() (list []string) {
	if c.Push {
		list = append(list, push)
	}
	if c.Poll {
		list = append(list, poll)
	}
	return list
}

// Methods of delivery.
const (
	push = "push"
	poll = "poll"
)
