package receiver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Defaults of [Config].
const (
	DefaultWorkers       = 16
	DefaultHookTimeout   = 30 * time.Second
	DefaultGrace         = 10 * time.Second
	DefaultSkew          = 5 * time.Second
	DefaultReadTimeout   = 10 * time.Second
	DefaultMaxConcurrent = 1024
)

// Config says what a receiver accepts, from whom, and what it does with it.
type Config struct {
	// Issuer is the iss of the transmitter, byte for byte. Required, from trusted
	// configuration.
	Issuer string
	// Audience are the values of aud that mean this receiver. At least one.
	Audience []string
	// Keys finds the transmitter's keys; nil: through its metadata (SSF §7).
	Keys set.KeySource
	// HTTP fetches metadata and keys where Keys is nil; nil: a guarded client for
	// public https addresses.
	HTTP *http.Client
	// Algorithms are the signatures accepted; nil: RS256 alone.
	Algorithms []jose.Algorithm
	// Decryption opens SETs that come encrypted; nil: they are refused. RequireEncryption
	// refuses those that do not, and needs it. What is kept in the inbox is the signed
	// SET: keys that nobody encrypts to any more may go.
	Decryption        *jose.DecryptionKeys
	RequireEncryption bool
	// PushURL is the URL at which SETs are pushed to this receiver, for
	// Tolerances.AudIsURLOfPush alone, which adds it to Audience.
	PushURL string
	// Tolerances names departures of this issuer that are let pass, see
	// set.ParseTolerances and receiver/profile; zero: strict. The verifier reads all of
	// them but these: EmptyEventBody lets required members of an event be absent here;
	// LegacyDeliveryURI is for Client, by its own configuration; EventsAsString is for
	// a Dialect (receiver/siwa); LegacyErrorCodes is for a transmitter.
	Tolerances set.Tolerances
	// Dialect reads what a transmitter sends that is no SET, by push alone; nil: SETs.
	// Audience, Keys, HTTP, Algorithms, Decryption, RequireEncryption, PushURL and
	// Tolerances are then the dialect's own and not read here, except Tolerances.EmptyEventBody.
	Dialect Dialect
	// StreamID is the stream_id that control events must name; empty: not known
	// yet, any is taken (see SetStreamID).
	StreamID string
	// SubjectMembers are the members of complex subjects that the hooks act on;
	// nil: the seven of SSF §3.3. CriticalMembers is the transmitter's
	// critical_subject_members: an event whose subject has one of these that is
	// not among SubjectMembers is acknowledged and discarded (SSF §3.6).
	SubjectMembers, CriticalMembers []string

	// Inbox keeps what was accepted; required. It outlives the receiver, which
	// does not close it.
	Inbox inbox.Inbox
	// Feed names the receiver's part of a shared inbox; empty: Issuer. It must
	// stay the same across restarts, and be another for each receiver of an inbox.
	Feed string
	// Mux has the hooks; required. It must not be changed after New.
	Mux *Mux

	// Client is the transmitter's management API, for RequestVerification and to keep
	// a stream with an inactivity timeout alive; nil: neither.
	Client *client.Client
	// StateLifetime is how long a requested verification is expected; zero:
	// DefaultStateLifetime.
	StateLifetime time.Duration

	// Authorization is the whole value of the Authorization header that each push
	// must have; empty: none is expected. A secret.
	Authorization string
	// Challenge answers a wrong Authorization with 401 instead of 400 (U21).
	Challenge bool
	// ReadTimeout bounds the reading of a request body; zero: DefaultReadTimeout.
	ReadTimeout time.Duration
	// MaxConcurrent bounds the requests handled at once, more get 503; zero:
	// DefaultMaxConcurrent.
	MaxConcurrent int

	// Poll says how to poll; nil: not at all.
	Poll *Poll

	// Workers is how many hooks run at once; zero: DefaultWorkers.
	Workers int
	// HookTimeout bounds one run of a hook; zero: DefaultHookTimeout.
	HookTimeout time.Duration
	// Grace is how long hooks may go on when Run ends; zero: DefaultGrace.
	Grace time.Duration
	// Retry are the delays after failures of a hook; nil: inbox.DefaultSchedule.
	Retry inbox.Schedule
	// Skew is added to the time of every event, for clocks that differ; zero:
	// DefaultSkew; negative: none.
	Skew time.Duration

	// Observer is told what happens, for metrics; its zero value tells nobody.
	Observer Observer
	// Traces makes spans of an event's way (docs/observability.md); nil: there are none.
	Traces trace.TracerProvider
	// Crash is called at the named points of the work (tests); nil: nobody.
	Crash func(point string)

	// Logger gets what happens; nil: slog.Default.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// complete returns cfg with its defaults, or an error that names every wrong field.
func (cfg Config) complete() (Config, error) {
	if err := cfg.check(); err != nil {
		return cfg, err
	}
	if cfg.Keys == nil && cfg.Dialect == nil {
		cfg.Keys = wellknown.NewClient(wellknown.Config{HTTP: cfg.HTTP}).Keys(cfg.Issuer)
	}
	if cfg.SubjectMembers == nil {
		cfg.SubjectMembers = []string{"user", "device", "session", "application", "tenant", "org_unit", "group"}
	}
	if cfg.Retry == nil {
		cfg.Retry = inbox.DefaultSchedule()
	}
	if cfg.Skew == 0 {
		cfg.Skew = DefaultSkew
	}
	cfg.Skew = max(cfg.Skew, 0)
	orDefault(&cfg.Feed, cfg.Issuer)
	orDefault(&cfg.StateLifetime, DefaultStateLifetime)
	orDefault(&cfg.ReadTimeout, DefaultReadTimeout)
	orDefault(&cfg.MaxConcurrent, DefaultMaxConcurrent)
	orDefault(&cfg.Workers, DefaultWorkers)
	orDefault(&cfg.HookTimeout, DefaultHookTimeout)
	orDefault(&cfg.Grace, DefaultGrace)
	orDefault(&cfg.Logger, slog.Default())
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Observer = cfg.Observer.complete()
	if cfg.Crash == nil {
		cfg.Crash = func(string) {}
	}
	return cfg, nil
}

func (cfg Config) check() error {
	var wrong []error
	missing := func(name string, absent bool) {
		if absent {
			wrong = append(wrong, fmt.Errorf("receiver: Config.%s is missing", name))
		}
	}
	missing("Issuer", cfg.Issuer == "")
	missing("Audience", cfg.Dialect == nil && len(cfg.Audience) == 0 && !cfg.Tolerances.AudIsURLOfPush)
	missing("Inbox", cfg.Inbox == nil)
	missing("Mux", cfg.Mux == nil)
	if cfg.Tolerances.EventsAsString && cfg.Dialect == nil {
		wrong = append(wrong, errors.New("receiver: Config.Tolerances: events_as_string is no form of a SET; it needs a Dialect, that of receiver/siwa"))
	}
	if cfg.Dialect != nil && cfg.Poll != nil {
		wrong = append(wrong, errors.New("receiver: Config.Poll: a Dialect is pushed alone"))
	}
	negative := func(name string, n int64) {
		if n < 0 {
			wrong = append(wrong, fmt.Errorf("receiver: Config.%s must not be negative", name))
		}
	}
	negative("ReadTimeout", int64(cfg.ReadTimeout))
	negative("MaxConcurrent", int64(cfg.MaxConcurrent))
	negative("StateLifetime", int64(cfg.StateLifetime))
	negative("Workers", int64(cfg.Workers))
	negative("HookTimeout", int64(cfg.HookTimeout))
	negative("Grace", int64(cfg.Grace))
	if cfg.Poll != nil {
		wrong = append(wrong, cfg.Poll.check())
	}
	return errors.Join(wrong...)
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
