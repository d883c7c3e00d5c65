// Package transmitters is the conformance suite for SSF transmitters: it speaks to one
// over HTTP as a receiver would, and sees what of the checklist it keeps.
//
// [Run] runs it. It makes streams of its own, which it deletes, and touches no other.
package transmitters

import (
	"context"
	"crypto/rand"
	_ "embed" // what cannot be tested is part of the program
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
)

// Defaults of [Config].
const (
	DefaultWait  = 10 * time.Second
	DefaultQuiet = 2 * time.Second
)

// Config says which transmitter is tested, and how. Issuer, HTTP and Token are
// required.
type Config struct {
	// Issuer is the transmitter's issuer URL, as it is in its metadata.
	Issuer string
	// MetadataURL is where its metadata is; "": where SSF §7.2 says.
	MetadataURL string
	// HTTP calls the transmitter. It must bound times and follow no redirects.
	HTTP *http.Client
	// Token returns an access token for all that a receiver may do.
	Token func(ctx context.Context) (string, error)
	// Scoped returns a token of these scopes alone; nil: none can be had, and what is
	// about scopes is skipped.
	Scoped func(ctx context.Context, scopes string) (string, error)
	// Other returns a token of another receiver; nil: there is none, and what is about
	// the isolation of receivers is skipped.
	Other func(ctx context.Context) (string, error)

	// Push and Poll choose the methods of delivery; at least one.
	Push, Poll bool
	// Listener takes pushes, required with Push. Run closes it.
	Listener net.Listener
	// PublicURL is the listener's address as the transmitter reaches it, by https unless
	// it may be http; required with Push.
	PublicURL string

	// Trigger makes the transmitter tell of an event; nil: nothing does, and what is about
	// events is skipped.
	Trigger func(ctx context.Context, e Event) error

	// Wait is how long a SET may take until it is there, or an answer that is due;
	// 0: [DefaultWait].
	Wait time.Duration
	// Quiet is how long nothing must come where nothing may come; 0: [DefaultQuiet].
	Quiet time.Duration
	// DeleteStale deletes the streams that the receiver has before the suite begins.
	DeleteStale bool
	// InsecureLoopback allows plain http.
	InsecureLoopback bool
}

// Event is what a trigger is asked for.
type Event struct {
	Type    string          // event type URI
	Subject json.RawMessage // subject identifier
	Data    json.RawMessage // an event's members, as an example of what to tell
}

//go:embed untestable.txt
var untestable string

// Untestable returns the requirements that bind transmitters and that nobody can see
// from outside, with why.
func Untestable() (map[string]string, error) { return conformance.ReadReasons(untestable) }

// Decided returns the ids of the requirements that the suite decides.
func Decided() []string {
	var ids []string
	for _, c := range newSuite(Config{}).checks() {
		ids = append(ids, c.Decides...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Run runs the suite. The report is also there if ctx ends; the streams that the suite
// made are deleted then, too.
//
// Errors: a Config that lacks something, options that are wrong in themselves.
func Run(ctx context.Context, cfg Config, o conformance.Options) (*conformance.Report, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	reasons, err := Untestable()
	if err != nil {
		return nil, err
	}
	s := newSuite(cfg)
	if cfg.Push {
		stop := s.sink.serve(cfg.Listener)
		defer stop()
	}
	return conformance.Run(ctx, conformance.Suite{
		Role: conformance.Transmitter, Peer: cfg.Issuer, Checks: s.checks(), Untestable: reasons, Mask: &s.mask, Clean: s.clean,
	}, o)
}

func (c Config) check() error {
	switch {
	case c.Issuer == "":
		return errors.New("no Issuer is given")
	case c.HTTP == nil:
		return errors.New("no HTTP client is given")
	case c.Token == nil:
		return errors.New("no Token is given")
	case !c.Push && !c.Poll:
		return errors.New("neither Push nor Poll is chosen")
	case c.Push && (c.Listener == nil || c.PublicURL == ""):
		return errors.New("for Push a Listener and a PublicURL are needed")
	}
	return nil
}

// suite is what the checks share.
type suite struct {
	cfg  Config
	mask conformance.Mask
	sink *sink
	mark string // in the description of each stream that is ours

	meta    *metadata
	metaErr error
	stale   bool // the streams of before are dealt with
	made    []string
	seen    []*token // SETs, the first maxSeen
}

// maxSeen bounds the SETs that are kept for the checks of SETs.
const maxSeen = 1000

// marker begins the description of the suite's streams.
const marker = "tocsin conformance "

func newSuite(cfg Config) *suite {
	if cfg.Wait <= 0 {
		cfg.Wait = DefaultWait
	}
	if cfg.Quiet <= 0 {
		cfg.Quiet = DefaultQuiet
	}
	s := &suite{cfg: cfg, mark: marker + rand.Text()}
	s.sink = newSink(strings.TrimSuffix(cfg.PublicURL, "/"), &s.mask)
	return s
}

// checks are all checks, in the order in which they run: what needs little first. The
// SETs that others have seen are judged last.
func (s *suite) checks() []conformance.Check {
	return slices.Concat(
		s.metadataChecks(),
		s.authChecks(),
		s.createChecks(),
		s.readChecks(),
		s.updateChecks(),
		s.statusChecks(),
		s.subjectChecks(),
		s.verificationChecks(),
		s.pushChecks(),
		s.pollChecks(),
		s.eventChecks(),
		s.admissionChecks(),
		s.identifierChecks(),
		s.inactivityChecks(),
		s.setChecks(),
	)
}

// token returns the receiver's access token.
func (s *suite) token(ctx context.Context) (string, error) {
	token, err := s.cfg.Token(ctx)
	s.mask.Hide(token)
	return token, err
}
