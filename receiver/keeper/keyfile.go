package keeper

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// keyFileLook is the shortest time between two looks at a key file.
const keyFileLook = 2 * time.Second

// keyFile finds keys in a file, which is read again when it has changed. As long as it
// cannot be read its former keys serve. It is a set.KeySource for one issuer.
//
// In a JWKS a key is found by its kid. A PEM file knows no kid: its key serves whatever
// kid a SET has.
type keyFile struct {
	path string
	now  func() time.Time

	mu     sync.Mutex
	looked time.Time
	state  os.FileInfo // of what was read last
	keys   *jose.KeySet
	pem    bool // the file knows no kid
	read   time.Time
	err    error
}

// Key returns the key for kid and alg. Errors: those of [jose.KeySet.Find]; another
// one if there are no keys.
func (f *keyFile) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look()
	if f.keys == nil {
		return nil, f.err
	}
	if f.pem {
		return f.keys.Sole(alg)
	}
	return f.keys.Find(kid, alg)
}

// SoleKey returns the one key for alg (see set.SoleKeySource). A key that was refused
// is looked for anew no sooner than any other.
func (f *keyFile) SoleKey(_ context.Context, _ string, alg jose.Algorithm, _ *jose.PublicKey) (*jose.PublicKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look()
	if f.keys == nil {
		return nil, f.err
	}
	return f.keys.Sole(alg)
}

// Fetch reports whether there are keys.
func (f *keyFile) Fetch(context.Context, string) error {
	return f.State("").Err
}

// State tells how it stands with the keys, after a look at the file.
func (f *keyFile) State(string) wellknown.KeysState {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look()
	s := wellknown.KeysState{Fetched: f.read, Err: f.err}
	if f.keys != nil {
		s.Count = f.keys.Len()
	}
	return s
}

// look reads the file if it has changed since it was read.
func (f *keyFile) look() {
	if !f.looked.IsZero() && f.now().Sub(f.looked) < keyFileLook {
		return
	}
	f.looked = f.now()
	state, err := os.Stat(f.path)
	if err == nil && f.err == nil && f.state != nil &&
		state.ModTime().Equal(f.state.ModTime()) && state.Size() == f.state.Size() && os.SameFile(state, f.state) {
		return
	}
	var keys *jose.KeySet
	var pem bool
	if err == nil {
		keys, pem, err = readKeys(f.path)
	}
	if f.err = err; err == nil {
		f.state, f.keys, f.pem, f.read = state, keys, pem, f.now()
	}
}

// readKeys reads a JWKS or PEM file and tells which it is.
func readKeys(path string) (keys *jose.KeySet, pem bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = file.Close() }()
	raw, err := guard.ReadBody(file, jose.MaxKeySetBytes)
	if err == nil {
		if pem = bytes.Contains(raw, []byte("-----BEGIN ")); pem {
			keys, err = parsePEM(raw)
		} else if keys, err = jose.ParseKeySet(raw); err == nil && keys.Len() == 0 {
			err = fmt.Errorf("%w: no usable key", jose.ErrMalformed)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	return keys, pem, nil
}

// parsePEM reads keys that can be told apart by what they are alone.
func parsePEM(raw []byte) (*jose.KeySet, error) {
	keys, err := jose.ParsePEM(raw)
	if err != nil {
		return nil, err
	}
	seen := map[jose.Algorithm]bool{}
	for _, key := range keys {
		if seen[key.Algorithm()] {
			return nil, fmt.Errorf("%w: two keys of one kind, and PEM has no kid to tell them apart: give a JWKS", jose.ErrMalformed)
		}
		seen[key.Algorithm()] = true
	}
	return jose.NewKeySet(keys...), nil
}
