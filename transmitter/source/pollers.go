package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// retryStore is the pause after the sources could not be read.
const retryStore = 5 * time.Second

// Store is what is asked of the store of sources (auth.Store).
type Store interface {
	// CalledSources returns the sources whose API is called.
	CalledSources(ctx context.Context) ([]auth.CalledSource, error)
	// SavePlace keeps a source's place durably. Error: auth.ErrNotFound if it
	// was removed.
	SavePlace(ctx context.Context, name, registration string, place auth.VendorPlace) error
	// VendorsChanged returns a channel that is closed at the next change.
	VendorsChanged() <-chan struct{}
}

// Config is what [Pollers] are made of.
type Config struct {
	// Store of sources; required.
	Store Store
	// Accept keeps records of a source durably; required. An error means that
	// none may have been kept, and that they are offered again.
	Accept func(ctx context.Context, v *auth.VendorSource, records []json.RawMessage) error
	// HTTP makes the calls; required. It should be guarded: the addresses are
	// what somebody configured.
	HTTP *http.Client
	// Observe is told of each page, with the error that kept it from being
	// read or kept, or nil; nil: nobody is.
	Observe func(source string, err error, place auth.VendorPlace)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Crash is called at the named points of the work (tests); nil: nobody.
	Crash func(point string)
	// Logger: nil is slog.Default.
	Logger *slog.Logger
}

// Pollers poll the sources that are configured for it.
type Pollers struct{ cfg Config }

// NewPollers returns pollers that start nothing. The error names what of cfg is
// missing.
func NewPollers(cfg Config) (*Pollers, error) {
	if cfg.Store == nil || cfg.Accept == nil || cfg.HTTP == nil {
		return nil, errors.New("source: Config: Store, Accept and HTTP are required")
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, error, auth.VendorPlace) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Crash == nil {
		cfg.Crash = func(string) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Pollers{cfg: cfg}, nil
}

// running is a poller at work.
type running struct {
	stop context.CancelFunc
	done chan struct{}
}

// Run polls every source that is to be polled, each on its own, until ctx
// ends; sources that are added or removed meanwhile begin and end at once. It
// returns nil after the last poller has ended.
func (p *Pollers) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	at := map[string]running{} // by registration
	for {
		changed := p.cfg.Store.VendorsChanged()
		sources, err := p.cfg.Store.CalledSources(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			p.cfg.Logger.ErrorContext(ctx, "could not read the sources to poll", "err", fmt.Errorf("source: %w", err))
			if !wait(ctx, retryStore) {
				return nil
			}
			continue
		}
		p.reconcile(ctx, &group, at, sources)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// reconcile starts a poller for each source that has none, and ends those whose
// source is gone.
func (p *Pollers) reconcile(ctx context.Context, group *sync.WaitGroup, at map[string]running, sources []auth.CalledSource) {
	wanted := make(map[string]bool, len(sources))
	for _, s := range sources {
		list := listOf(s.Kind, s.API, p.cfg.HTTP)
		if s.API.Every == 0 || list == nil {
			continue
		}
		wanted[s.Registration] = true
		if _, ok := at[s.Registration]; ok {
			continue
		}
		inner, stop := context.WithCancel(ctx)
		one := running{stop, make(chan struct{})}
		at[s.Registration] = one
		group.Go(func() {
			defer close(one.done)
			defer stop()
			newPoller(p, s, list).run(inner)
		})
	}
	for registration, one := range at {
		if !wanted[registration] {
			one.stop()
			<-one.done
			delete(at, registration)
		}
	}
}
