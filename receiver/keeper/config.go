package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Defaults of [Config].
const (
	DefaultInterval       = 5 * time.Minute
	DefaultVerifyInterval = time.Hour
	DefaultVerifyTimeout  = 5 * time.Minute
	DefaultMaxBackoff     = 5 * time.Minute

	// CallTimeout bounds one call of the management API: some transmitters try the
	// push endpoint before they answer.
	CallTimeout = 90 * time.Second
)

// Credential gives access tokens; a credential.Source is one.
type Credential interface {
	// Token returns an access token without a scheme.
	Token(ctx context.Context) (string, error)
	// Refused is told of a token that was answered 401.
	Refused(token string)
}

// Config says which transmitter is trusted, for what, and how its stream shall be.
type Config struct {
	// Receiver says what is accepted and what is done with it. Issuer, Audience, Inbox
	// and Mux are required as in [receiver.New]. The keeper fills in Keys (unless they
	// are given), and with a Stream also StreamID, Authorization, PushURL,
	// Poll.Endpoint, Poll.Token and CriticalMembers; Client stays nil.
	Receiver receiver.Config

	// Dialect makes the receiver's dialect of the keys that it gets, for a transmitter
	// whose notifications are no SETs, such as receiver/siwa; nil: SETs. It is for a
	// static registration.
	Dialect func(keys set.KeySource) (receiver.Dialect, error)

	// MetadataURL is where the transmitter's metadata is, if not where its issuer says
	// (SSF §7.2).
	MetadataURL string
	// FormerMetadata looks for it also where drafts had it, at risc-configuration and
	// sse-configuration.
	FormerMetadata bool
	// JWKSURL is where the transmitter's keys are, at any path; KeyFile is a file with
	// them, a JWKS or PEM, which is read again when it changes. At most one of them;
	// neither: as the metadata says.
	JWKSURL, KeyFile string
	// KeyRefresh is the shortest time between two requests for keys or metadata,
	// however many SETs have an unknown kid; zero: wellknown.DefaultMinRefresh.
	KeyRefresh time.Duration

	// Events are the URIs of the event types that may reach the Mux, besides
	// verification and stream-updated; others are acknowledged, counted and left. They
	// are also what a stream is asked for. Nil: every type may, and a stream is asked
	// for all types of CAEP and RISC.
	Events []string
	// SubjectIssuers are the issuers about whose subjects the transmitter may speak:
	// an event that names a subject of another issuer is acknowledged, counted and
	// left. Subjects that name no issuer, such as e-mail addresses, are not judged.
	// Nil: all.
	SubjectIssuers []string

	// Stream is the stream that is kept. Nil: a static registration, made by other
	// means; the transmitter's API is not called.
	Stream *Stream
	// Credential gets the tokens for the API and for polls; nil: none are sent.
	Credential Credential
	// HTTP makes all requests; nil: a guarded client for public https addresses. Its
	// Timeout, if it has one, must be longer than CallTimeout and a long poll.
	HTTP *http.Client
	// State is the path of a small file in which the stream's id is kept, and what the
	// transmitter told of its status. Required with a Stream, unless Shared is given.
	State string
	// Shared, if set, is what several processes have together that receive from the
	// transmitter: one at a time keeps the stream, verifies it and polls. The state is
	// kept there in place of State.
	Shared Shared

	// Interval is the time between two looks at the stream, less some jitter, and no
	// more than half of its inactivity_timeout; zero: DefaultInterval.
	Interval time.Duration
	// VerifyInterval is the time between two verifications; the first is asked for as
	// soon as there is a stream. Zero: DefaultVerifyInterval; negative: none.
	VerifyInterval time.Duration
	// VerifyTimeout is how long a verification event is waited for before the stream
	// counts as failing; zero: DefaultVerifyTimeout.
	VerifyTimeout time.Duration
	// MaxBackoff bounds the pause after failures, which begins at a second and
	// doubles; zero: DefaultMaxBackoff.
	MaxBackoff time.Duration
}

// Stream says how a stream shall be.
type Stream struct {
	// ID is the stream_id of a stream that was made by other means and is to be
	// adopted when none is known yet; empty: one is looked for, else created.
	ID string
	// Delivery is how SETs shall come. Method is required; a push needs EndpointURL,
	// the address of the receiver's handler as the transmitter sees it, and should
	// have an AuthorizationHeader. A secret.
	Delivery streams.Delivery
	// Description is for people; empty: none is sent.
	Description string
	// Status is the state in which the stream is kept; empty: enabled. A state that
	// the transmitter has told by stream-updated is its own decision and not changed.
	Status streams.Status
	// LeaveStatus leaves the state as it is found.
	LeaveStatus bool
	// Resume lifts a pause that the transmitter has told, once for each that it tells
	// and at most once a day: after a long outage on our side deliveries begin again
	// by themselves. A stream that the transmitter disabled stays so.
	Resume bool
}

// complete returns cfg with its defaults, or an error that names every wrong field.
func (cfg Config) complete() (Config, error) {
	if err := cfg.check(); err != nil {
		return cfg, err
	}
	orDefault(&cfg.Interval, DefaultInterval)
	orDefault(&cfg.VerifyInterval, DefaultVerifyInterval)
	orDefault(&cfg.VerifyTimeout, DefaultVerifyTimeout)
	orDefault(&cfg.MaxBackoff, DefaultMaxBackoff)
	orDefault(&cfg.Receiver.Logger, slog.Default())
	if cfg.Receiver.Now == nil {
		cfg.Receiver.Now = time.Now
	}
	if cfg.HTTP == nil {
		cfg.HTTP = guard.NewClient(guard.Policy{Timeout: max(CallTimeout, receiver.DefaultPollTimeout)})
	}
	if cfg.Stream != nil {
		stream := *cfg.Stream
		orDefault(&stream.Status, streams.Enabled)
		cfg.Stream = &stream
	}
	return cfg, nil
}

func (cfg Config) check() error {
	var wrong []error
	fail := func(text string, args ...any) { wrong = append(wrong, fmt.Errorf("keeper: "+text, args...)) }
	if cfg.Receiver.Mux == nil {
		fail("Config.Receiver.Mux is missing")
	}
	if cfg.JWKSURL != "" && cfg.KeyFile != "" {
		fail("give at most one of Config.JWKSURL and Config.KeyFile")
	}
	for name, value := range map[string]string{"MetadataURL": cfg.MetadataURL, "JWKSURL": cfg.JWKSURL} {
		if value != "" && !isURL(value) {
			fail("Config.%s is not a URL", name)
		}
	}
	for name, list := range map[string][]string{"Events": cfg.Events, "SubjectIssuers": cfg.SubjectIssuers} {
		if slices.Contains(list, "") || list != nil && len(list) == 0 {
			fail("Config.%s is empty or has an empty value", name)
		}
	}
	if cfg.KeyRefresh < 0 || cfg.Interval < 0 || cfg.VerifyTimeout < 0 || cfg.MaxBackoff < 0 {
		fail("times of Config must not be negative")
	}
	if cfg.Stream != nil {
		wrong = append(wrong, cfg.checkStream())
		if cfg.Dialect != nil {
			fail("Config.Dialect is for a static registration, and there is a Config.Stream")
		}
	}
	return errors.Join(wrong...)
}

func (cfg Config) checkStream() error {
	var wrong []error
	fail := func(text string, args ...any) { wrong = append(wrong, fmt.Errorf("keeper: "+text, args...)) }
	s := cfg.Stream
	switch s.Delivery.Method {
	case delivery.MethodPush:
		if !isURL(s.Delivery.EndpointURL) {
			fail("Config.Stream.Delivery.EndpointURL is not a URL")
		}
		if cfg.Receiver.Poll != nil {
			fail("Config.Receiver.Poll is set, but the stream's delivery is push")
		}
	case delivery.MethodPoll:
		if s.Delivery.EndpointURL != "" || s.Delivery.AuthorizationHeader != "" {
			fail("Config.Stream.Delivery is poll: the transmitter names the endpoint")
		}
	default:
		fail("Config.Stream.Delivery.Method must be %s or %s", delivery.MethodPush, delivery.MethodPoll)
	}
	if cfg.Receiver.Authorization != "" && cfg.Receiver.Authorization != s.Delivery.AuthorizationHeader {
		fail("Config.Receiver.Authorization is not that of Config.Stream.Delivery")
	}
	if len(s.Delivery.AuthorizationHeader) > streams.MaxAuthorizationBytes {
		fail("Config.Stream.Delivery.AuthorizationHeader is longer than %d bytes", streams.MaxAuthorizationBytes)
	}
	if s.Status != "" && !s.Status.Valid() {
		fail("Config.Stream.Status must be enabled, paused or disabled")
	}
	if cfg.State == "" && cfg.Shared == nil {
		fail("Config.State is missing")
	}
	if cfg.State != "" && cfg.Shared != nil {
		fail("give Config.State or Config.Shared")
	}
	return errors.Join(wrong...)
}

// wanted returns the event types that a stream is asked for.
func (cfg Config) wanted() []string {
	if cfg.Events != nil {
		return cfg.Events
	}
	return append(caep.Types(), risc.Types()...)
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
