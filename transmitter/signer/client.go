package signer

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

const (
	// askEvery is how often a signer that answers is asked which keys it has.
	askEvery = 5 * time.Second
	// firstPause and mostPause are the pauses between tries while it is away.
	firstPause = 100 * time.Millisecond
	mostPause  = time.Second
	// DefaultTimeout is what Config.Timeout's zero value stands for.
	DefaultTimeout = 5 * time.Second
)

// Config says where a [Client] finds its signer.
type Config struct {
	// Path of the socket; required.
	Path string
	// Timeout bounds one question with its answer; 0: [DefaultTimeout].
	Timeout time.Duration
	// Logger is told when the signer goes away and comes back; nil: nobody is.
	Logger *slog.Logger
}

// Client asks a signer. While the signer is away, as far as is known, it refuses at once to
// sign, and [Client.Run] looks when it is back. Safe for concurrent use.
type Client struct {
	cfg   Config
	pool  *pool
	state atomic.Pointer[state]

	turn   sync.Mutex    // one change of state at a time
	failed chan struct{} // a signature failed
	signed atomic.Bool   // one did not, since Run looked

	stats counters
}

// state is what is known of the signer. Immutable.
type state struct {
	why     error        // it is away because; nil: it is not, or nobody has asked
	since   time.Time    // when it went away
	keys    *jose.KeySet // that it announced last; nil: none ever
	list    []byte       // the same, as JSON
	changed chan struct{}
}

// New returns a client that has not asked yet.
func New(cfg Config) (*Client, error) {
	if cfg.Path == "" || len(cfg.Path) > maxPath {
		return nil, fmt.Errorf("signer: a path of %d bytes, want 1 to %d", len(cfg.Path), maxPath)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	c := &Client{cfg: cfg, pool: newPool(cfg.Path), failed: make(chan struct{}, 1)}
	c.state.Store(&state{changed: make(chan struct{})})
	return c, nil
}

// Run asks the signer for its keys now and then, and looks for it while it is away, until
// ctx ends; then it closes the connections and returns nil.
func (c *Client) Run(ctx context.Context) error {
	defer c.pool.close()
	pause := firstPause
	for {
		if c.Ask(ctx) == nil {
			if !c.wait(ctx, askEvery, c.failed) {
				return nil
			}
			if c.state.Load().why == nil {
				continue
			}
		}
		// One that answers and does not sign shall not be asked without a pause either.
		if c.signed.Swap(false) {
			pause = firstPause
		}
		if !c.wait(ctx, pause, nil) {
			return nil
		}
		pause = min(2*pause, mostPause)
	}
}

// wait waits so long, or until early is there; false if ctx has ended.
func (c *Client) wait(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-early:
	}
	return true
}

// Close closes the connections of a client that is not run, or not any more.
func (c *Client) Close() { c.pool.close() }

// Ask asks the signer which keys it has, and so whether it is there. Errors: ctx's, or why
// it is away.
func (c *Client) Ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	said, err := c.pool.call(ctx, request{Op: opList})
	var keys *jose.KeySet
	var list []byte
	if err == nil {
		keys, list, err = announced(said)
	}
	if err != nil {
		c.away(ctx, fmt.Errorf("asking for its keys: %w", err))
		return err
	}
	c.change(func(s *state) {
		s.why, s.since = nil, time.Time{}
		if !bytes.Equal(list, s.list) { // else the pointer stays
			s.keys, s.list = keys, list
		}
	})
	return nil
}

func announced(said heard) (*jose.KeySet, []byte, error) {
	if len(said.Keys) == 0 || len(said.Keys) > MaxKeys {
		return nil, nil, fmt.Errorf("%w: %d keys", errFrame, len(said.Keys))
	}
	list, err := json.Marshal(said)
	if err != nil {
		return nil, nil, fmt.Errorf("signer: %w", err)
	}
	keys, err := jose.ParseKeySet(list)
	return keys, list, err
}

// Announced returns the keys that the signer has, in its order, as far as is known; nil if
// it never answered. The pointer is the same until they change.
func (c *Client) Announced() *jose.KeySet { return c.state.Load().keys }

// ErrNotHeld: the signer does not have the key.
var ErrNotHeld = errors.New("signer: it does not have this key")

// Away returns nil while the signer answers and has the key, as far as is known; else why
// not, and a channel that is closed when that may have changed.
func (c *Client) Away(kid string) (<-chan struct{}, error) {
	s := c.state.Load()
	if s.why != nil {
		return s.changed, s.why
	}
	if s.keys != nil && !has(s.keys, kid) {
		return s.changed, fmt.Errorf("%w: %s", ErrNotHeld, kid)
	}
	return nil, nil
}

func has(keys *jose.KeySet, kid string) bool {
	for _, key := range keys.Keys() {
		if key.ID() == kid {
			return true
		}
	}
	return false
}

// Sign signs with a key of the signer as [crypto.Signer] does: a SHA-256 digest, or the
// message itself for EdDSA. It takes Config.Timeout at most, and no time while the signer is away.
func (c *Client) Sign(key *jose.PublicKey, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, err := c.Away(key.ID()); err != nil {
		return nil, err
	}
	r, err := ask(key, input, opts)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Timeout)
	defer cancel()
	said, err := c.pool.call(ctx, r)
	if err == nil && !verify(key, input, said.Signature) {
		err = errors.New("signer: what it gave is no signature of the key")
	}
	c.stats.observe(err, time.Since(began))
	if err != nil {
		c.away(ctx, fmt.Errorf("asking for a signature: %w", err))
		select {
		case c.failed <- struct{}{}:
		default:
		}
		return nil, err
	}
	c.signed.Store(true)
	return said.Signature, nil
}

// away notes that the signer does not do what it is there for.
func (c *Client) away(ctx context.Context, why error) {
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return // it is we who gave up
	}
	c.change(func(s *state) {
		if s.why == nil {
			s.since = time.Now()
		}
		s.why = why
	})
}

// change makes another state of the one that is.
func (c *Client) change(edit func(*state)) {
	c.turn.Lock()
	defer c.turn.Unlock()
	was := c.state.Load()
	is := *was
	edit(&is)
	if is.keys == was.keys && (is.why == nil) == (was.why == nil) {
		if is.why != nil { // the newest reason; nobody who waits is to look for that
			c.state.Store(&is)
		}
		return
	}
	is.changed = make(chan struct{})
	c.state.Store(&is)
	close(was.changed)
	switch {
	case is.why != nil && was.why == nil:
		c.cfg.Logger.Warn("the signer is away: events are taken, SETs wait", slog.String("socket", c.cfg.Path), slog.Any("err", is.why))
	case is.why == nil && was.why != nil:
		c.cfg.Logger.Info("the signer is back", slog.String("socket", c.cfg.Path), slog.Duration("after", time.Since(was.since)))
	}
}
