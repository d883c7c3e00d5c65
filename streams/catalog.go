package streams

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// Owner is the application on whose behalf a call is made.
type Owner struct {
	// ID is the application's id. Streams of others do not exist for it.
	ID string
	// Audience is the application's, from its registration: the aud of the
	// streams it creates.
	Audience []string
	// Profile is given to the streams it creates.
	Profile string
	// Encryption is given to the streams it creates.
	Encryption string
	// FormerDelivery also takes the delivery methods' URIs of the RISC drafts and
	// endpoint_url_token from it.
	FormerDelivery bool
}

// CatalogConfig says how a transmitter manages its streams.
type CatalogConfig struct {
	// Store keeps streams and subjects. Required.
	Store interface {
		Registry
		Subjects
	}
	// Issuer is the iss of every stream. Required.
	Issuer string
	// PollEndpoint makes the address at which a stream is polled, one for
	// each stream id (SSF-6.1.2-01). Required if Methods has poll.
	PollEndpoint func(id string) string
	// EventsSupported are the event types that may be asked for. A stream
	// learns of a change when it is next updated.
	EventsSupported []string
	// Methods are the delivery methods on offer. Required: one or both of
	// delivery.MethodPush and delivery.MethodPoll.
	Methods []string
	// DefaultSubjects is what new streams begin with; empty means ALL (U7).
	DefaultSubjects DefaultSubjects
	// MinVerificationInterval and InactivityTimeout are given to new streams;
	// whole seconds, zero for none.
	MinVerificationInterval, InactivityTimeout time.Duration
	// ActivityLag is how late the store may tell of activity that another process saw: so
	// much later streams are paused. Zero: there is no other (see [ActivityLag]).
	ActivityLag time.Duration
	// MaxStreams bounds the streams of one owner; zero sets no bound.
	MaxStreams int
	// OneStream allows each owner one stream (SSF-8.1.1.1-03).
	OneStream bool
	// MaxSubjects bounds the subjects of one stream; zero sets no bound.
	MaxSubjects int
	// AllWhenNotRequested delivers every supported event type to a stream
	// without events_requested, instead of none (U11).
	AllWhenNotRequested bool
	// IgnoreUnverified makes adding a subject with verified false a success
	// without effect (SSF-8.1.3.2-02).
	IgnoreUnverified bool
	// CheckEndpoint judges the URL of a push receiver before it is stored: it
	// must refuse all but https. Its error's text is shown to the receiver.
	// Required if Methods has push.
	CheckEndpoint func(url string) error
	// Asked is told of each verification that a receiver asked for; nil: nobody is.
	Asked func(it Item)
	// Head returns the head of the event log. Required.
	Head func(ctx context.Context) (uint64, error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// NewID makes stream ids and the jtis of control events: unreserved
	// characters, never the same twice, not to be guessed. Nil is 128 random
	// bits in base64url.
	NewID func() string
}

// Catalog holds the rules of SSF §8: who may see and change which stream, and
// what a change does. The management API, the console and the transmitter
// itself call the same methods. Safe for concurrent use.
//
// Methods with an [Owner] act for a receiver: each counts as activity of the
// streams it names (SSF-8.1.1-04), and a stream of another owner is
// [ErrNotFound]. Refusals by a rule are *[RuleError]; then nothing was changed.
// Any other error is a failure of the store and safe to retry.
type Catalog struct{ cfg CatalogConfig }

// NewCatalog checks the configuration, all fields at once, and returns a
// catalog of the streams in cfg.Store.
func NewCatalog(cfg CatalogConfig) (*Catalog, error) {
	if cfg.DefaultSubjects == "" {
		cfg.DefaultSubjects = SubjectsAll
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = randomID
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Methods = slices.Clone(cfg.Methods)
	cfg.EventsSupported = slices.Clone(cfg.EventsSupported)
	return &Catalog{cfg: cfg}, nil
}

func (cfg CatalogConfig) check() error {
	var wrong []error
	demand := func(ok bool, text string) {
		if !ok {
			wrong = append(wrong, errors.New(text))
		}
	}
	demand(cfg.Store != nil, "Store is missing")
	demand(cfg.Issuer != "", "Issuer is missing")
	demand(cfg.Head != nil, "Head is missing")
	demand(len(cfg.Methods) > 0, "Methods is empty")
	for _, m := range cfg.Methods {
		demand(m == delivery.MethodPush || m == delivery.MethodPoll, "Methods has an unknown method")
	}
	demand(!cfg.offers(delivery.MethodPoll) || cfg.PollEndpoint != nil, "PollEndpoint is missing")
	demand(!cfg.offers(delivery.MethodPush) || cfg.CheckEndpoint != nil, "CheckEndpoint is missing")
	demand(cfg.DefaultSubjects == SubjectsAll || cfg.DefaultSubjects == SubjectsNone, "DefaultSubjects is neither ALL nor NONE")
	demand(wholeSeconds(cfg.MinVerificationInterval), "MinVerificationInterval is not in whole seconds")
	demand(wholeSeconds(cfg.InactivityTimeout), "InactivityTimeout is not in whole seconds")
	demand(cfg.MaxStreams >= 0, "MaxStreams is negative")
	demand(cfg.MaxSubjects >= 0, "MaxSubjects is negative")
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("streams: catalog configuration: %w", errors.Join(wrong...))
}

func wholeSeconds(d time.Duration) bool { return d >= 0 && d%time.Second == 0 }

func (cfg CatalogConfig) offers(method string) bool { return slices.Contains(cfg.Methods, method) }

// Create makes a stream for owner (SSF §8.1.1.1). It is enabled, and its
// events are those after the log's head of now. What req repeats of the
// transmitter's members is ignored (U15).
//
// Errors: *RuleError; ErrConflict if the owner has as many streams as it may.
func (c *Catalog) Create(ctx context.Context, owner Owner, req Request) (Stream, error) {
	if len(owner.Audience) == 0 {
		return Stream{}, &RuleError{Kind: Forbidden, Description: "the application has no audience"}
	}
	now := c.cfg.Now()
	former := owner.former(&req)
	s := Stream{
		ID: c.cfg.NewID(), Owner: owner.ID, Issuer: c.cfg.Issuer, Audience: slices.Clone(owner.Audience), Profile: owner.Profile, Encryption: owner.Encryption,
		EventsSupported:         slices.Clone(c.cfg.EventsSupported),
		MinVerificationInterval: c.cfg.MinVerificationInterval,
		InactivityTimeout:       c.cfg.InactivityTimeout,
		DefaultSubjects:         c.cfg.DefaultSubjects,
		Status:                  Enabled, StatusBy: ByReceiver,
		Created: now, Active: now,
	}
	if req.Delivery != nil && req.Delivery.Method == delivery.MethodPoll {
		// What it says of the endpoint is ignored (SSF-8.1.1.1-04).
		req.Delivery = &DeliveryRequest{Method: delivery.MethodPoll}
	}
	if err := c.replace(&s, req); err != nil {
		return Stream{}, err
	}
	s.Delivery.FormerMethod = former
	head, err := c.cfg.Head(ctx)
	if err != nil {
		return Stream{}, fmt.Errorf("head of the event log: %w", err)
	}
	s.From = head
	limit := c.cfg.MaxStreams
	if c.cfg.OneStream {
		limit = 1
	}
	if err := c.cfg.Store.Create(ctx, s, limit); err != nil {
		return Stream{}, err
	}
	return s.Clone(), nil
}

// Stream returns the stream (SSF §8.1.1.2). Error: ErrNotFound.
func (c *Catalog) Stream(ctx context.Context, owner Owner, id string) (Stream, error) {
	s, err := c.cfg.Store.Stream(ctx, id)
	if err != nil {
		return Stream{}, err
	}
	if s.Owner != owner.ID {
		return Stream{}, ErrNotFound
	}
	c.cfg.Store.Touch(ctx, id, c.cfg.Now())
	return s, nil
}

// Streams returns all streams of owner in order of creation, possibly none
// (SSF-8.1.1.2-02). It counts as activity of each (U9).
func (c *Catalog) Streams(ctx context.Context, owner Owner) ([]Stream, error) {
	list, err := c.cfg.Store.Streams(ctx, owner.ID)
	if err != nil {
		return nil, err
	}
	now := c.cfg.Now()
	for _, s := range list {
		c.cfg.Store.Touch(ctx, s.ID, now)
	}
	return list, nil
}

// Update changes the members that req has and leaves the others (SSF §8.1.1.3),
// all or nothing. What req repeats of the transmitter's members must be as it
// is now (SSF-8.1.1.3-03).
func (c *Catalog) Update(ctx context.Context, owner Owner, req Request) (Stream, error) {
	return c.change(ctx, owner, req, c.patch)
}

// Replace sets the receiver's members to those of req and deletes the others
// (SSF §8.1.1.4). Status and subjects stay (U13). The transmitter's members are
// compared as by Update.
func (c *Catalog) Replace(ctx context.Context, owner Owner, req Request) (Stream, error) {
	return c.change(ctx, owner, req, c.replace)
}

func (c *Catalog) change(ctx context.Context, owner Owner, req Request, apply func(*Stream, Request) error) (Stream, error) {
	if req.StreamID == "" {
		return Stream{}, invalid("stream_id", "missing")
	}
	if _, err := c.Stream(ctx, owner, req.StreamID); err != nil {
		return Stream{}, err
	}
	former := owner.former(&req)
	return c.cfg.Store.Update(ctx, req.StreamID, func(s *Stream) ([]Item, error) {
		if err := c.compare(*s, req); err != nil {
			return nil, err
		}
		s.EventsSupported = slices.Clone(c.cfg.EventsSupported)
		before := s.Delivery
		if err := apply(s, req); err != nil {
			return nil, err
		}
		if s.Delivery.Method == before.Method && req.Delivery == nil {
			former = before.FormerMethod // nothing was said of it
		}
		s.Delivery.FormerMethod = former
		return nil, nil
	})
}

// Delete erases the stream with everything that belongs to it (SSF §8.1.1.5).
// Error: ErrNotFound, also for a stream deleted before.
func (c *Catalog) Delete(ctx context.Context, owner Owner, id string) error {
	if _, err := c.Stream(ctx, owner, id); err != nil {
		return err
	}
	return c.cfg.Store.Delete(ctx, id)
}

// randomID returns 128 random bits in base64url, but none that a command line
// would take for a flag.
func randomID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// control makes an item of the control lane (contracts.md §4).
func (c *Catalog) control(stream, eventType string, payload []byte) Item {
	return Item{
		Stream: stream, Lane: LaneControl, ID: c.cfg.NewID(), Type: eventType,
		Payload: payload, Added: c.cfg.Now(),
	}
}

// headerValue reports whether v can be sent as a field value unchanged: no
// control characters, ASCII, no space at its ends (SEC-07, U8).
func headerValue(v string) bool {
	for i := range len(v) {
		if v[i] < 0x20 || v[i] > 0x7e {
			return false
		}
	}
	return strings.TrimSpace(v) == v
}
