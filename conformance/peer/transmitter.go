package peer

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Defaults of [TransmitterConfig].
const (
	DefaultLongPoll  = 10 * time.Second
	DefaultRedeliver = 2 * time.Second
	DefaultRetry     = 200 * time.Millisecond
	DefaultAttempts  = 8
	DefaultBatch     = 100

	tokenLife = time.Hour
	maxRetry  = 30 * time.Second
)

// TransmitterConfig says what a [Transmitter] is. Only Issuer and Clients are required.
type TransmitterConfig struct {
	// Issuer is its URL; Handler serves what is below its host.
	Issuer string
	// Clients are the receivers that it knows; at least one.
	Clients []Client
	// Break are the breaks with which it begins, see [TransmitterBreaks].
	Break []string
	// DefaultSubjects is ALL or NONE; empty: ALL.
	DefaultSubjects string
	// Events are the event types that it supports; nil: all of CAEP and RISC.
	Events []string
	// OneStream answers 409 to a receiver's second stream.
	OneStream bool
	// MinVerificationInterval and InactivityTimeout are members of streams, in whole
	// seconds; zero: absent.
	MinVerificationInterval, InactivityTimeout time.Duration

	// CriticalMembers are critical_subject_members of the metadata; nil: absent.
	CriticalMembers []string
	// ResourceScopes are the scopes to read and to manage, in this order, which the
	// metadata of its resources (RFC 9728) tells; nil: ssf.read and ssf.manage.
	ResourceScopes []string
	// FinalRefusals takes every 400 to a push as the last word on its SET.
	FinalRefusals bool

	// Key signs; nil: a new one of 2048 bits is made, which takes a moment.
	Key *rsa.PrivateKey
	// HTTP makes the pushes; nil: a guarded client for public https addresses.
	HTTP *http.Client
	// LongPoll is how long a poll waits, Redeliver after how long a polled SET that was
	// not acknowledged comes again, Retry the first pause after a failed push, which
	// doubles, and Attempts how many pushes of one SET are tried; zero: the defaults.
	LongPoll, Redeliver, Retry time.Duration
	Attempts                   int
	// Batch is the most SETs of one poll; zero: DefaultBatch.
	Batch int
	// Observe is told of every exchange, from several goroutines; nil: nobody.
	Observe func(Exchange)
}

// Client is a receiver that a transmitter knows.
type Client struct {
	ID, Secret string
	// Token is an access token that never ends; empty: there is none.
	Token string
	// Audience is the aud of its streams; required.
	Audience string
	// Scopes are what it may ask for; nil: ssf.read and ssf.manage.
	Scopes []string
}

// Transmitter is an SSF transmitter in memory. Safe for concurrent use.
type Transmitter struct {
	cfg  TransmitterConfig
	base *url.URL
	journal

	state   struct{ sync.Mutex } // guards what follows
	key     *key
	former  []*key // published still
	small   *key   // one of former, of few bits; nil: there is none
	tokens  map[string]grant
	streams []*stream // in order of creation
	made    int       // SETs and streams, for their ids
	conduct *conduct
	wake    chan struct{} // closed when there is work
	asked   []Verification
	sent    map[string]string // SETs of Send, by jti
	gone    []*stream         // that were deleted and are polled still, see conduct
}

// grant is an access token.
type grant struct {
	client  *Client
	scopes  []string
	expires time.Time // zero: never
}

// NewTransmitter checks cfg as a whole and returns a transmitter that has started
// nothing; see [Transmitter.Handler] and [Transmitter.Run].
func NewTransmitter(cfg TransmitterConfig) (*Transmitter, error) {
	base, err := url.Parse(cfg.Issuer)
	switch {
	case err != nil || base.Host == "" || wellknown.Path(cfg.Issuer) == "":
		return nil, errors.New("peer: TransmitterConfig.Issuer is no URL of an issuer")
	case len(cfg.Clients) == 0:
		return nil, errors.New("peer: TransmitterConfig.Clients is missing")
	case slices.ContainsFunc(cfg.Clients, func(c Client) bool { return c.Audience == "" }):
		return nil, errors.New("peer: TransmitterConfig.Clients: one has no Audience")
	}
	if cfg.DefaultSubjects == "" {
		cfg.DefaultSubjects = wellknown.SubjectsAll
	}
	if cfg.Events == nil {
		cfg.Events = slices.Concat(caep.Types(), risc.Types())
	}
	if cfg.HTTP == nil {
		cfg.HTTP = guard.NewClient(guard.Policy{})
	}
	if cfg.ResourceScopes == nil {
		cfg.ResourceScopes = []string{"ssf.read", "ssf.manage"}
	}
	orDefault(&cfg.LongPoll, DefaultLongPoll)
	orDefault(&cfg.Redeliver, DefaultRedeliver)
	orDefault(&cfg.Retry, DefaultRetry)
	orDefault(&cfg.Attempts, DefaultAttempts)
	orDefault(&cfg.Batch, DefaultBatch)
	t := &Transmitter{
		cfg: cfg, base: base, journal: journal{observe: cfg.Observe},
		tokens: map[string]grant{}, wake: make(chan struct{}), sent: map[string]string{},
	}
	if t.conduct, err = conductOf(cfg.Break); err != nil {
		return nil, err
	}
	if t.key, err = newKey(cfg.Key); err != nil {
		return nil, err
	}
	for i := range cfg.Clients {
		c := &t.cfg.Clients[i]
		if c.Scopes == nil {
			c.Scopes = cfg.ResourceScopes
		}
		if c.Token != "" {
			t.tokens[c.Token] = grant{client: c, scopes: c.Scopes}
		}
	}
	return t, nil
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Misbehave replaces the breaks that are in force; none: it behaves.
func (t *Transmitter) Misbehave(ids ...string) error {
	c, err := conductOf(ids)
	if err != nil {
		return err
	}
	t.state.Lock()
	defer t.state.Unlock()
	t.conduct = c
	t.nudge()
	return nil
}

// Exchanges returns what passed since the nth exchange, the number of the next, and a
// channel that is closed when there is one.
func (t *Transmitter) Exchanges(n int) (list []Exchange, next int, changed <-chan struct{}) {
	return t.since(n)
}

// Await returns the first exchange from the nth on that is as wanted, and the number of
// the one after it. Its error is ctx's.
func (t *Transmitter) Await(ctx context.Context, n int, wanted func(Exchange) bool) (Exchange, int, error) {
	for {
		list, next, changed := t.since(n)
		for i, e := range list {
			if wanted(e) {
				return e, next - len(list) + i + 1, nil
			}
		}
		n = next
		select {
		case <-changed:
		case <-ctx.Done():
			return Exchange{}, n, ctx.Err()
		}
	}
}

// RotateKey signs with a new key from now on; the former one stays published.
func (t *Transmitter) RotateKey() error {
	next, err := newKey(nil)
	if err != nil {
		return err
	}
	t.state.Lock()
	defer t.state.Unlock()
	t.former, t.key = append(t.former, t.key), next
	return nil
}

// RetireKeys publishes the key that signs alone.
func (t *Transmitter) RetireKeys() {
	t.state.Lock()
	defer t.state.Unlock()
	t.former, t.small = nil, nil
}

// Revoke ends all access tokens but those that never end.
func (t *Transmitter) Revoke() {
	t.state.Lock()
	defer t.state.Unlock()
	maps.DeleteFunc(t.tokens, func(_ string, g grant) bool { return !g.expires.IsZero() })
}

// Streams returns the streams that there are, in order of creation.
func (t *Transmitter) Streams() []Stream {
	t.state.Lock()
	defer t.state.Unlock()
	var list []Stream
	for _, s := range t.streams {
		list = append(list, t.public(s))
	}
	return list
}

// at is the URL of one of its paths.
func (t *Transmitter) at(path string) string { return strings.TrimSuffix(t.cfg.Issuer, "/") + path }

// nudge wakes who waits for work; under state.
func (t *Transmitter) nudge() {
	close(t.wake)
	t.wake = make(chan struct{})
}

// id makes an id of SETs and streams; under state.
func (t *Transmitter) id(prefix string) string {
	t.made++
	return fmt.Sprintf("%s-%d-%s", prefix, t.made, rand.Text()[:8])
}
