package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Bounds of a [VendorAPI].
const (
	MinPollEvery = time.Second
	MaxPollEvery = 24 * time.Hour
	// DefaultOverlap is how much of what was read is read again, for records
	// that arrive late.
	DefaultOverlap = 5 * time.Minute
	// MaxOverlap stays well below the time for which the log remembers source
	// ids (contracts.md §2).
	MaxOverlap = 24 * time.Hour

	maxAPIURL    = 2048
	maxAPISecret = 4 << 10
)

// VendorAPI is how a vendor's own API is called: to poll it, and to look up a
// single event.
type VendorAPI struct {
	// URL is the base of the API; package transmitter/source says what is
	// below it.
	URL string `json:"url"`
	// ClientID is the client that gets access tokens with the secret
	// (OneLogin); empty: the secret is the token itself.
	ClientID string `json:"client_id,omitempty"`
	// Secret is the vendor's: a token, a key or a client's secret. It is
	// needed as it is and kept as the signing keys are; only
	// [Store.CalledSources] and [Store.CalledSource] return it.
	Secret string `json:"-"`
	// Every is how often the API is polled, MinPollEvery to MaxPollEvery; zero:
	// never.
	Every time.Duration `json:"every"`
	// Overlap is how much is read again; zero: DefaultOverlap.
	Overlap time.Duration `json:"overlap"`
	// Since is where polling begins; zero: when the source is added, less
	// DefaultOverlap, since the vendor's clock is not ours.
	Since time.Time `json:"since"`
}

// VendorPlace is how far a source has been polled, and how that went.
type VendorPlace struct {
	// Since: records of before and at this time are done with.
	Since time.Time `json:"since"`
	// Cursor is the vendor's, of the next page after Since; empty: the first.
	Cursor string `json:"cursor,omitempty"`
	// Newest is the latest time of a record since then; zero: none yet.
	Newest time.Time `json:"newest,omitzero"`
	// Last is the latest time of all records that were kept; zero: none yet.
	Last time.Time `json:"last,omitzero"`
	// Restarts counts how often the vendor refused the cursor since then.
	Restarts int `json:"restarts,omitempty"`
	// Success is when a page was last read and kept; zero: never.
	Success time.Time `json:"success,omitzero"`
	// Failed is when the last of Failures in a row was, and Error why.
	Failed   time.Time `json:"failed,omitzero"`
	Failures int       `json:"failures,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// CalledSource is a source whose vendor's API is called.
type CalledSource struct {
	VendorSource
	// Registration tells it from an earlier source of its name.
	Registration string
	Place        VendorPlace
}

// String hides the secret.
func (c CalledSource) String() string { return "source " + c.Name }

// LogValue hides the secret.
func (c CalledSource) LogValue() slog.Value { return slog.StringValue(c.Name) }

func (v *VendorSource) validateAPI() error {
	api := v.API
	if api == nil {
		if v.Auth == VendorOff {
			return &InvalidError{"auth", "must not be off for a source whose API is not polled: nothing would ever come in"}
		}
		return nil
	}
	switch {
	case api.URL == "" || len(api.URL) > maxAPIURL:
		return &InvalidError{"api.url", "is missing or longer than 2048 bytes"}
	case api.ClientID != "" && v.Kind != KindOneLogin:
		return &InvalidError{"api.client_id", "goes with kind onelogin alone"}
	case len(api.ClientID) > MaxIDBytes || !isVisible(api.ClientID):
		return &InvalidError{"api.client_id", "must be up to 128 visible ASCII characters"}
	case api.Every != 0 && v.Kind == KindIDme:
		return &InvalidError{"api.poll_seconds", "goes with a vendor that lists events; ID.me does not"}
	case api.Every != 0 && (api.Every < MinPollEvery || api.Every > MaxPollEvery):
		return &InvalidError{"api.poll_seconds", "must be a second to a day"}
	case api.Overlap < 0 || api.Overlap > MaxOverlap:
		return &InvalidError{"api.overlap_seconds", "must not exceed a day"}
	case v.Auth == VendorOff && api.Every == 0:
		return &InvalidError{"auth", "must not be off for a source that is not polled: nothing would ever come in"}
	}
	return checkAPISecret(api.Secret)
}

func checkAPISecret(secret string) error { return checkSecret("api.secret", secret) }

// checkSecret accepts a vendor's secret.
func checkSecret(member, secret string) error {
	if secret == "" || len(secret) > maxAPISecret || !isVisible(secret) {
		return &InvalidError{member, "must be 1 to 4096 visible ASCII characters"}
	}
	return nil
}

// isVisible reports whether s can stand in a header as it is, without spaces.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// filled returns the API with what its zero values stand for, or nil for none.
func (v *VendorSource) filled() *VendorAPI {
	if v.API == nil {
		return nil
	}
	api := *v.API
	if api.Since.IsZero() {
		api.Since = v.Created.Add(-DefaultOverlap)
	}
	if api.Overlap == 0 {
		api.Overlap = DefaultOverlap
	}
	api.Since = created(api.Since)
	return &api
}

// CalledSources returns the sources whose API is called, with their secrets, in
// order of creation.
func (s *Store) CalledSources(ctx context.Context) ([]CalledSource, error) {
	found, err := list(ctx, s, inVendors, All, "")
	if err != nil {
		return nil, err
	}
	var called []CalledSource
	for i := range found {
		if found[i].API == nil {
			continue
		}
		c, err := found[i].called()
		if err != nil {
			return nil, err
		}
		called = append(called, c)
	}
	return called, nil
}

// CalledSource returns the source of that name, with its secret. Error:
// [ErrNotFound], also for one whose API is not called.
func (s *Store) CalledSource(ctx context.Context, name string) (CalledSource, error) {
	v, err := get(ctx, s, inVendors, name)
	if err == nil && v.API == nil {
		err = ErrNotFound
	}
	if err != nil {
		return CalledSource{}, err
	}
	return v.called()
}

// called is what a poller knows of a source, the secret of its API among it.
func (v *Vendor) called() (CalledSource, error) {
	c := CalledSource{VendorSource: v.shown(), Registration: v.Registration}
	c.API.Secret = v.API.Secret
	if v.Place == nil {
		c.Place.Since = c.API.Since
	} else if json.Unmarshal(v.Place, &c.Place) != nil {
		return CalledSource{}, errors.New("auth: a source's place cannot be read")
	}
	return c, nil
}

// SavePlace keeps how far the source with this name and registration has been
// polled, durably. Error: [ErrNotFound] if it was removed.
func (s *Store) SavePlace(ctx context.Context, name, registration string, place VendorPlace) error {
	text, err := json.Marshal(place)
	if err != nil {
		return fmt.Errorf("auth: place: %w", err)
	}
	return s.backend.SavePlace(ctx, name, registration, text)
}

// VendorsChanged returns a channel that is closed at the next time a vendor's
// source is added or removed, or the secret of its API is replaced; by another
// process within a second, while [Store.Run] runs.
func (s *Store) VendorsChanged() <-chan struct{} {
	s.vendors.mu.Lock()
	defer s.vendors.mu.Unlock()
	if s.vendors.changed == nil {
		s.vendors.changed = make(chan struct{})
	}
	return s.vendors.changed
}

func (s *Store) vendorsChange() {
	s.vendors.mu.Lock()
	defer s.vendors.mu.Unlock()
	if s.vendors.changed != nil {
		close(s.vendors.changed)
		s.vendors.changed = nil
	}
}
