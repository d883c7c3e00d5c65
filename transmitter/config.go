package transmitter

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// Config is what a transmitter is made of. Issuer, Log, Streams, Applications
// and Keys are required; the zero value of every other field is a good choice.
type Config struct {
	// Issuer is the iss of all SETs and the base of all URLs: https, without
	// query or fragment (SSF-7.1-01). With InsecureLoopback also http to a
	// loopback host.
	Issuer string
	// Log is the event log, Streams the store of streams and queues,
	// Applications those who may call, Keys the signing keys. The caller
	// opens them and closes them after Run has returned.
	Log          eventlog.Log
	Streams      streams.Store
	Applications *auth.Store
	Keys         *keys.Ring
	// Node is what this process is called in the log where it acts by itself; "": tocsin.
	Node string
	// Once runs what one process at a time is to do of those that share the
	// stores (Streams is a streams.Shared then), until ctx ends: it may run it
	// late, end it, and run it again. nil: there is one process. It is called
	// once; the work on streams is divided by Streams itself.
	Once func(ctx context.Context, run func(ctx context.Context) error) error
	// Beside is what the stores need to have run beside; Run runs it until ctx ends.
	Beside []func(ctx context.Context) error
	// Index finds events of the log; nil: there is no search. Run runs it, the
	// caller closes it. CursorKey seals the cursors of searches, so that they
	// outlive the process; zero: they do not.
	Index     eventlog.Index
	CursorKey [eventapi.CursorKeySize]byte
	// SearchTime bounds one search; 0: 2 s.
	SearchTime time.Duration
	// AnnotateFor is how long after its recording an event may be annotated;
	// 0: 31 days.
	AnnotateFor time.Duration

	// Checkpoints signs the log's heads; nil: it is not signed, and no proofs
	// are offered.
	Checkpoints *checkpoint.Keeper
	// PublicLog opens the log's checkpoint and tiles to anybody. They tell how
	// many records there are, and nothing of what they say.
	PublicLog bool

	// FormerMetadata serves the metadata under the paths of the drafts, too
	// (wellknown.FormerPaths), for receivers that look there.
	FormerMetadata bool

	// EventsSupported are the event types that receivers may ask for; nil:
	// all of CAEP and RISC but what is deprecated.
	EventsSupported []string
	// DefaultSubjects of new streams; "": ALL (U7).
	DefaultSubjects streams.DefaultSubjects
	// MinVerificationInterval between two verification requests of a stream,
	// whole seconds; 0: none is enforced.
	MinVerificationInterval time.Duration
	// InactivityTimeout pauses streams without activity, whole seconds; 0: never.
	InactivityTimeout time.Duration
	// OneStream answers 409 to a second stream of an application.
	OneStream bool
	// MaxStreams bounds the streams of an application; 0: 100.
	MaxStreams int
	// MaxSubjects bounds the subjects of a stream; 0: 1,000,000.
	MaxSubjects int
	// TokenLifetime of access tokens, at most 60 minutes; 0: 60 minutes.
	TokenLifetime time.Duration

	// Mapping says how account events and vendors' records become security
	// events; the zero value is a good choice.
	Mapping mapping.Config
	// Backup copies the live stores into a new folder (admin API); nil: not offered.
	Backup func(ctx context.Context, dir string) error

	// Figures answers what the process keeps of its own past (admin API), as JSON, in a
	// range of a name, "" being the usual one; false if there is none of that name.
	// nil: not offered.
	Figures func(of string) (answer any, ok bool)

	// Rewrap encrypts what private keys are encrypted with under another secret (admin
	// API); nil: not offered.
	Rewrap func(ctx context.Context, from, to vault.Secret) error

	// Push says where SETs may be pushed to; the zero value: to public
	// addresses by https, and as many connections to one host as SETs may be
	// in flight (2048).
	Push guard.Policy
	// Sources says which addresses of vendors' APIs may be called; the zero
	// value: public addresses by https.
	Sources guard.Policy
	// Tokens says which addresses may be called for tokens: those where clients publish
	// their keys, and those of the TokenIssuer. The zero value: public addresses by https.
	Tokens guard.Policy
	// TokenIssuer is an authorization server whose access tokens are taken in place of
	// ours: then there is no token endpoint here. Its Keys are filled in, and of its
	// Introspection HTTP, and URL if it is nil. nil: tokens are ours.
	TokenIssuer *auth.External
	// Certificates says that clients may come with certificates (mutual TLS, RFC 8705):
	// the server asks for them, or a proxy in front of it does. Metadata says so.
	Certificates bool
	// ClientCAs returns the authorities that vouch for certificates of clients by name;
	// nil, and what it returns nil: there are none.
	ClientCAs func() *x509.CertPool
	// CertificateURL is where the OAuth endpoints are reached with a certificate, if it is
	// another place than the Issuer: a URL in the place of that (RFC 8705 §5). "": the same.
	CertificateURL string
	// InsecureLoopback allows plain http, for loopback alone.
	InsecureLoopback bool
	// PushWindow is the most SETs in flight per stream; 0: 32.
	PushWindow int
	// PushTimeout bounds one push; 0: 15 s.
	PushTimeout time.Duration
	// PushSchedule are the pauses after failures; nil: contracts.md §5.
	PushSchedule []time.Duration
	// PushGiveUp pauses a stream without one success for so long; 0: 5 days.
	PushGiveUp time.Duration
	// PushRefusals pauses a stream after so many refused SETs in a row; 0: 20.
	PushRefusals int
	// LongPoll is how long a poll waits for SETs; 0: 30 s.
	LongPoll time.Duration
	// Redeliver is after how long an unacknowledged SET is polled again; 0: 60 s.
	Redeliver time.Duration
	// Expiry is after how long an undelivered SET becomes a dead letter; 0: 7 days.
	Expiry time.Duration

	// RateClient is how many requests a second of one client are let in, RateAddress
	// how many of one address that fail or that nobody answers for: metadata, the token
	// endpoint, wrong tokens. Ten seconds' worth may come at once; beyond it is 429 with
	// Retry-After. 0: any number. The address is that of edge.Address.
	RateClient, RateAddress float64

	// Retention is the age at which events are erased; 0: never. It needs Index.
	Retention time.Duration
	// RetainEvery is how often that is looked for; 0: every hour.
	RetainEvery time.Duration

	// Authorize decides whether an application may hear of the n-th security
	// event of a record (SSF-9.2-01); nil: it may.
	Authorize func(ctx context.Context, owner string, rec *eventlog.Record, n uint32) bool
	// FilterPayload may change a payload before it leaves for an application,
	// always in the same way (SSF-10.3.2-01); nil: payloads leave as mapped.
	// It is for SETs: an event that an application reads, or that its webhooks
	// get, is whole. Give events.read and webhooks.manage accordingly.
	FilterPayload func(owner, eventType string, payload []byte) []byte

	// Conformance is how long after a stream has acknowledged a verification that
	// it asked for it gets a made-up event of each type it delivers, for conformance
	// suites that cannot make events happen (docs/conformance.md); 0: never, and
	// never where accounts are real.
	Conformance time.Duration

	// Traces makes spans of an event's way (docs/observability.md); nil: there are none.
	Traces trace.TracerProvider

	Logger *slog.Logger       // nil: slog.Default
	Now    func() time.Time   // nil: time.Now
	Crash  func(point string) // called at the named points of the work (tests); nil: nobody
}

// pathCharacters are those that an issuer's path may have: they stand for
// themselves in every URL that is made of it.
const pathCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"

const (
	maxStreams  = 100
	maxSubjects = 1_000_000
	expiry      = 7 * 24 * time.Hour
	nodeName    = "tocsin"
	// sourceTimeout bounds one call of a vendor's API: a page of a search may
	// take its time.
	sourceTimeout = 30 * time.Second
	// tokensTimeout bounds one call for what tokens need: a request waits for it.
	tokensTimeout = 5 * time.Second
)

// Check names every field that cannot be used, before the stores are open: it does not look
// at Log, Streams, Applications and Keys.
func (c Config) Check() error { return errors.Join(c.wrong()...) }

func (c *Config) wrong() (errs []error) {
	bad := func(field, why string) { errs = append(errs, fieldError(field, why)) }
	if err := c.checkIssuer(); err != nil {
		bad("Issuer", err.Error())
	}
	if c.DefaultSubjects != "" && c.DefaultSubjects != streams.SubjectsAll && c.DefaultSubjects != streams.SubjectsNone {
		bad("DefaultSubjects", "is neither ALL nor NONE")
	}
	for _, seconds := range []struct {
		field string
		value time.Duration
	}{{"MinVerificationInterval", c.MinVerificationInterval}, {"InactivityTimeout", c.InactivityTimeout}} {
		if seconds.value < 0 || seconds.value%time.Second != 0 {
			bad(seconds.field, "is not a whole number of seconds")
		}
	}
	if u, err := url.Parse(c.CertificateURL); c.CertificateURL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || !c.Certificates) {
		bad("CertificateURL", "is not https without query and fragment, or there are no Certificates")
	}
	for _, field := range c.tooSmall() {
		bad(field, "is too small")
	}
	return errs
}

func fieldError(field, why string) error { return fmt.Errorf("transmitter: Config.%s %s", field, why) }

// setDefaults fills in what zero stands for and names every field that cannot be used.
func (c *Config) setDefaults() error {
	errs := c.wrong()
	for _, required := range []struct {
		field   string
		missing bool
	}{
		{"Log", c.Log == nil},
		{"Streams", c.Streams == nil},
		{"Applications", c.Applications == nil},
		{"Keys", c.Keys == nil},
	} {
		if required.missing {
			errs = append(errs, fieldError(required.field, "is required"))
		}
	}
	if c.DefaultSubjects == "" {
		c.DefaultSubjects = streams.SubjectsAll
	}
	if c.EventsSupported == nil {
		c.EventsSupported = slices.DeleteFunc(append(caep.Types(), risc.Types()...), risc.Deprecated) // RISC-2.11-01
	}
	c.MaxStreams = orElse(c.MaxStreams, maxStreams)
	c.MaxSubjects = orElse(c.MaxSubjects, maxSubjects)
	c.Node = orElse(c.Node, nodeName)
	c.Expiry = orElse(c.Expiry, expiry)
	c.Push.InsecureLoopback = c.Push.InsecureLoopback || c.InsecureLoopback
	c.Sources.InsecureLoopback = c.Sources.InsecureLoopback || c.InsecureLoopback
	c.Tokens.InsecureLoopback = c.Tokens.InsecureLoopback || c.InsecureLoopback
	c.Tokens.Timeout = orElse(c.Tokens.Timeout, tokensTimeout)
	c.Sources.Timeout = orElse(c.Sources.Timeout, sourceTimeout)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return errors.Join(errs...)
}

// tooSmall returns the fields with a value that would bound nothing or end
// everything at once.
func (c *Config) tooSmall() (fields []string) {
	for _, f := range []struct {
		field string
		is    bool
	}{
		{"MaxStreams", c.MaxStreams < 0},
		{"MaxSubjects", c.MaxSubjects < 0},
		{"PushWindow", c.PushWindow < 0},
		{"PushTimeout", c.PushTimeout < 0},
		{"PushSchedule", slices.ContainsFunc(c.PushSchedule, func(pause time.Duration) bool { return pause <= 0 })},
		{"PushGiveUp", c.PushGiveUp < 0},
		{"PushRefusals", c.PushRefusals < 0},
		{"LongPoll", c.LongPoll < 0},
		{"Redeliver", c.Redeliver < 0},
		{"Expiry", c.Expiry < 0},
		{"Retention", c.Retention < 0},
		{"RetainEvery", c.RetainEvery < 0},
		{"SearchTime", c.SearchTime < 0},
		{"AnnotateFor", c.AnnotateFor < 0},
	} {
		if f.is {
			fields = append(fields, f.field)
		}
	}
	return fields
}

func (c *Config) checkIssuer() error {
	u, err := url.Parse(c.Issuer)
	switch {
	case c.Issuer == "":
		return errors.New("is required")
	case err != nil, u.Host == "":
		return errors.New("is not a URL with a host")
	case u.RawQuery != "", u.ForceQuery, strings.Contains(c.Issuer, "#"), u.User != nil:
		return errors.New("has a query, a fragment or user information")
	}
	if strings.ContainsFunc(u.EscapedPath(), func(r rune) bool { return !strings.ContainsRune(pathCharacters, r) }) || strings.Contains(u.Path, "//") {
		return errors.New("has a path with other characters than letters, digits, -._~ and single slashes")
	}
	if u.Scheme == "http" && c.InsecureLoopback {
		if _, err := guard.CheckURL(c.Issuer, guard.Policy{InsecureLoopback: true}); err != nil {
			return errors.New("is plain http to a host that is not loopback")
		}
		return nil
	}
	if u.Scheme != "https" {
		return errors.New("is not https (plain http is for loopback alone, with InsecureLoopback)")
	}
	return nil
}

// orElse returns v, or d if v is zero.
func orElse[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
