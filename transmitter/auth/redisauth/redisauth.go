// Package redisauth keeps what package auth decides on in Redis (7.0 or later), for
// several processes: applications, clients, revoked tokens, vendors' sources, webhooks.
// What one of them changes the others see with their next request.
//
// All is in one slot of a cluster. A change is a script that is carried out if nothing
// has changed since its reasons were read; who was faster makes the other read again.
// Secrets and static tokens are digests; what is needed as it is (the secrets of
// vendors' APIs, of signatures and of webhooks) is in clear: docs/operations/redis.md.
package redisauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
	"github.com/tocsin-ssf/tocsin/transmitter/vault/redisvault"
)

// Bounds.
const (
	// lookEvery is how often Watch looks for what other processes changed.
	lookEvery = 400 * time.Millisecond
	// skew is for how long after its token a revocation is kept: the clocks of the
	// processes may differ by it.
	skew = 10 * time.Minute
	// turns is how often a change is begun anew because others were faster, and pause
	// the longest pause before it.
	turns = 100
	pause = 20 * time.Millisecond
	// answerLife is how long a script's answer is kept for a call that is repeated.
	answerLife = time.Minute
	// page is how many records are asked for at once.
	page = 256
)

// ErrBusy: others change so much that a change of this process did not get its turn.
var ErrBusy = errors.New("redisauth: too many changes at once")

// Backend is an [auth.Backend] on Redis. Safe for concurrent use, also by several
// processes.
type Backend struct {
	db      *redisdb.DB
	keys    keys
	vault   string // the key of what is there when secrets are to be sealed
	scripts scripts
	turn    chan struct{} // one change of this process at a time
}

var _ auth.Importer = (*Backend)(nil)

// New returns the backend in db, which it does not close.
func New(db *redisdb.DB) *Backend {
	return &Backend{db: db, keys: keysOf(db.Prefix()), vault: redisvault.Key(db), scripts: newScripts(), turn: make(chan struct{}, 1)}
}

// Close does nothing: db is the caller's.
func (b *Backend) Close() error { return nil }

// Read runs fn, each of whose questions is one exchange with the server.
func (b *Backend) Read(ctx context.Context, fn func(*auth.Tx) error) error {
	return fn((&tx{ctx: ctx, b: b, reading: true}).tables())
}

// Write runs fn and carries out what it changed, if nobody changed anything since it
// began; else it runs it again. Errors: also [ErrBusy], and redisdb.ErrReplicas: the
// change was made, but not acknowledged.
func (b *Backend) Write(ctx context.Context, fn func(*auth.Tx) error) error {
	return b.write(ctx, func(t *tx) error { return fn(t.tables()) })
}

// ImportRemovals notes applications that were removed elsewhere.
func (b *Backend) ImportRemovals(ctx context.Context, list []auth.Removal) error {
	return b.write(ctx, func(t *tx) error {
		for _, r := range list {
			t.change("set", keyRemoved, r.Application, r.At.UnixMilli())
		}
		return nil
	})
}

func (b *Backend) write(ctx context.Context, fn func(*tx) error) error {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.turn }()
	for range turns {
		done, err := b.attempt(ctx, fn)
		if done || err != nil {
			return err
		}
		select {
		case <-time.After(mathrand.N(pause)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ErrBusy
}

// attempt reports whether the change was made, or there was none to make.
func (b *Backend) attempt(ctx context.Context, fn func(*tx) error) (done bool, err error) {
	version, err := b.state(ctx, "version") // before anything else is read
	if err != nil {
		return false, err
	}
	t := &tx{ctx: ctx, b: b}
	if err := fn(t); err != nil {
		return false, err
	}
	if len(t.changes) == 0 {
		return true, nil
	}
	call := make([]byte, 16)
	_, _ = rand.Read(call) // never fails (crypto/rand)
	names := append(b.keys.all(), b.vault, b.keys.answer+base64.RawURLEncoding.EncodeToString(call))
	clear := ""
	if t.clear {
		clear = "clear"
	}
	args := append([]any{version, answerLife.Milliseconds(), clear}, t.changes...)
	// Once begun it is done whole: who waits would not know.
	answer, err := b.db.Write(context.WithoutCancel(ctx), b.scripts.commit, names, args...)
	if err != nil {
		return false, fmt.Errorf("redisauth: %w", err)
	}
	if answer == "sealed" {
		return false, vault.ErrSealed
	}
	return answer == "ok", nil
}

// state returns a number of the state; "" at first.
func (b *Backend) state(ctx context.Context, name string) (string, error) {
	n, err := b.db.Client().HGet(ctx, b.keys.state, name).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("redisauth: %w", err)
	}
	return n, nil
}

// Holder returns who has a credential.
func (b *Backend) Holder(ctx context.Context, c auth.Credential, known uint64) (auth.Holder, error) {
	names := []string{b.keys.clients, b.keys.applications, b.keys.statics, b.keys.revoked + c.TokenID}
	answer, err := b.db.Run(ctx, b.scripts.holder, names, c.Client, c.Static, known, c.TokenID)
	if err != nil {
		return auth.Holder{}, fmt.Errorf("redisauth: %w", err)
	}
	switch answer := answer.(type) {
	case string:
		if answer == "same" {
			return auth.Holder{Same: true}, nil
		}
		return auth.Holder{}, auth.ErrNotFound
	case []any:
		return decodeHolder(answer)
	}
	return auth.Holder{}, fmt.Errorf("redisauth: the server answered %T", answer)
}

// Revoke remembers the jti until its token expires, and a little longer.
func (b *Backend) Revoke(ctx context.Context, jti string, expires, now time.Time) error {
	life := max(expires.Sub(now), 0) + skew
	if _, err := b.db.Write(ctx, b.scripts.revoke, []string{b.keys.revoked + jti}, life.Milliseconds()); err != nil {
		return fmt.Errorf("redisauth: %w", err)
	}
	return nil
}

// UseAssertion remembers until the assertion expires, and a little longer.
func (b *Backend) UseAssertion(ctx context.Context, client string, assertion []byte, expires, now time.Time) error {
	good := max(expires.Sub(now), 0)
	names := []string{b.keys.assertions + client, b.keys.assertion + client + ":" + base64.RawURLEncoding.EncodeToString(assertion)}
	call := rand.Text()
	answer, err := b.db.Write(ctx, b.scripts.assertion, names, assertion, good.Milliseconds(), (good + skew).Milliseconds(), auth.MaxAssertions, call)
	switch {
	case err != nil:
		return fmt.Errorf("redisauth: %w", err)
	case answer == "used":
		return auth.ErrUsed
	case answer == "full":
		return auth.ErrTooMany
	}
	return nil
}

// SavePlace keeps the place of a vendor's source.
func (b *Backend) SavePlace(ctx context.Context, name, registration string, place []byte) error {
	answer, err := b.db.Write(ctx, b.scripts.place, []string{b.keys.vendors, b.keys.places}, name, registration, place)
	if err != nil {
		return fmt.Errorf("redisauth: %w", err)
	}
	if answer != "ok" {
		return auth.ErrNotFound
	}
	return nil
}

// Watch looks for changes of the vendors' sources. While the server is away it knows of
// none, and catches up when it is back.
func (b *Backend) Watch(ctx context.Context, changed func()) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := ""
	for {
		if now, err := b.state(ctx, "vendors"); err == nil && now != last {
			last = now
			changed()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
