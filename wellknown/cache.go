package wellknown

import (
	"context"
	"errors"
	"sync"
	"time"
)

// How long a fetch is waited for.
const (
	renewalWait = 2 * time.Second // while there is a document that can be used
	forGood     = time.Hour       // longer than any fetch takes
)

// cache keeps documents that are fetched by key, each for the lifetime that came with
// it. For each key at most one fetch runs at a time, shared by all who wait, and at
// most one begins per interval, whatever it brings. A waiter may leave; the fetch goes
// on for the others and ends by its own limits.
//
// A document that is to be renewed and can still be used is waited for briefly, and not
// at all while fetches fail: a server that hangs holds nobody up.
//
// A document whose renewal fails is used for another staleLimit; one whose renewal
// brings an [ErrDocument] is dropped at once (SSF §7.2.4).
type cache[T any] struct {
	fetch    func(ctx context.Context, key string) (document[T], error)
	interval time.Duration

	mu      sync.Mutex
	entries map[string]*entry[T]
}

// document is what a fetch brings.
type document[T any] struct {
	value    T
	lifetime time.Duration
}

type entry[T any] struct {
	value   T
	version int       // how often value has been set; 0 means there is none
	fresh   time.Time // until when value is used without asking
	usable  time.Time // until when value is used although asking failed
	begun   time.Time // when the last fetch began
	fetched time.Time // when value came; zero if there is none
	err     error     // what the last fetch ended with
	flight  chan struct{}
}

// load returns the document of key and its version, fetched if need be. There is an
// error only if there is no document.
func (c *cache[T]) load(ctx context.Context, key string) (T, int, error) {
	value, version, err := c.get(ctx, key, func(e *entry[T]) bool {
		return e.version > 0 && time.Now().Before(e.fresh)
	}, renewalWait)
	if version > 0 {
		err = nil
	}
	return value, version, err
}

// renew returns a version of the document other than seen, if one has come already or
// can be fetched now. If it is still the same, the error says why the last fetch
// failed; nil if it did not.
func (c *cache[T]) renew(ctx context.Context, key string, seen int) (T, int, error) {
	value, version, err := c.get(ctx, key, func(e *entry[T]) bool {
		return e.version > seen && time.Now().Before(e.usable)
	}, forGood)
	if version > seen {
		err = nil
	}
	return value, version, err
}

// expire makes the next load of key ask again, if its interval allows it.
func (c *cache[T]) expire(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		e.fresh = time.Time{}
	}
}

func (c *cache[T]) get(ctx context.Context, key string, good func(*entry[T]) bool, patience time.Duration) (T, int, error) {
	c.mu.Lock()
	e := c.entry(key)
	if good(e) {
		defer c.mu.Unlock()
		return e.value, e.version, nil
	}
	if e.flight == nil && (e.begun.IsZero() || time.Since(e.begun) >= c.interval) {
		e.flight, e.begun = make(chan struct{}), time.Now()
		go c.fly(context.WithoutCancel(ctx), key, e)
	}
	flight, limit := e.flight, e.patience(patience)
	c.mu.Unlock()
	if flight != nil && limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-flight:
		case <-timer.C: // what there is will do
		case <-ctx.Done():
			var none T
			return none, 0, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return e.result()
}

// patience is how much longer the fetch that runs is waited for, by who would wait for
// limit since it began where there is a document to use meanwhile.
func (e *entry[T]) patience(limit time.Duration) time.Duration {
	switch {
	case limit == forGood, e.version == 0, !time.Now().Before(e.usable):
		return forGood
	case e.err != nil:
		return 0
	}
	return limit - time.Since(e.begun)
}

// result returns the value while it is usable, and the error of the last fetch.
func (e *entry[T]) result() (T, int, error) {
	if e.version > 0 && time.Now().Before(e.usable) {
		return e.value, e.version, e.err
	}
	var none T
	if e.err == nil {
		return none, 0, errStale
	}
	return none, 0, e.err
}

var errStale = errors.New("document too old to be used")

// fly fetches and stores; it ends with the fetch.
func (c *cache[T]) fly(ctx context.Context, key string, e *entry[T]) {
	doc, err := c.fetch(ctx, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	e.err = err
	switch {
	case err == nil:
		e.value = doc.value
		e.version++
		e.fetched = time.Now()
		e.fresh = e.fetched.Add(doc.lifetime)
		e.usable = e.fresh.Add(staleLimit)
	case errors.Is(err, ErrDocument):
		var none T
		e.value, e.fetched, e.fresh, e.usable = none, time.Time{}, time.Time{}, time.Time{}
	}
	close(e.flight)
	e.flight = nil
}

// peek returns what is kept under key without asking for anything: the value while it
// is usable, when it came, and how the last fetch ended.
func (c *cache[T]) peek(key string) (value T, fetched time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return value, time.Time{}, nil
	}
	if e.version > 0 && time.Now().Before(e.usable) {
		return e.value, e.fetched, e.err
	}
	return value, time.Time{}, e.err
}

// entry returns the entry of key, made if need be. A full cache forgets one that
// nobody is waiting for.
func (c *cache[T]) entry(key string) *entry[T] {
	if e := c.entries[key]; e != nil {
		return e
	}
	if len(c.entries) >= maxEntries {
		for k, e := range c.entries {
			if e.flight == nil {
				delete(c.entries, k)
				break
			}
		}
	}
	e := new(entry[T])
	c.entries[key] = e
	return e
}
