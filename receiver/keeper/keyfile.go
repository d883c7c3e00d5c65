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

	mu     sync.Mutex
	looked time.Time
	state  os.FileInfo // of what was read last
	keys   *jose.KeySet
	bare   []*jose.PublicKey // those without a kid
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
	if len(f.bare) == 0 {
		return f.keys.Find(kid, alg)
	}
	err := fmt.Errorf("%w: the key file has none for it", jose.ErrAlgorithm)
	for _, key := range f.bare {
		if found, findErr := f.keys.Find(key.ID(), alg); findErr == nil {
			return found, nil
		}
	}
	return nil, err
}

// State tells how it stands with the keys, after a look at the file.
func (f *keyFile) State() wellknown.KeysState {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look()
	s := wellknown.KeysState{Fetched: f.read, Err: f.err}
	if f.keys != nil {
		s.Count = len(f.keys.Keys())
	}
	return s
}

// look reads the file if it has changed since it was read.
func (f *keyFile) look() {
	if !f.looked.IsZero() && time.Since(f.looked) < keyFileLook {
		return
	}
	f.looked = time.Now()
	state, err := os.Stat(f.path)
	if err == nil && f.err == nil && f.state != nil &&
		state.ModTime().Equal(f.state.ModTime()) && state.Size() == f.state.Size() && os.SameFile(state, f.state) {
		return
	}
	var keys *jose.KeySet
	var bare []*jose.PublicKey
	if err == nil {
		keys, bare, err = readKeys(f.path)
	}
	if f.err = err; err == nil {
		f.state, f.keys, f.bare, f.read = state, keys, bare, time.Now()
	}
}

// readKeys reads a JWKS or PEM file. Keys of a PEM file are also returned as bare.
func readKeys(path string) (*jose.KeySet, []*jose.PublicKey, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close() }()
	raw, err := guard.ReadBody(file, jose.MaxKeySetBytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if !bytes.Contains(raw, []byte("-----BEGIN ")) {
		keys, err := jose.ParseKeySet(raw)
		if err == nil && len(keys.Keys()) == 0 {
			err = fmt.Errorf("%w: no usable key", jose.ErrMalformed)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		return keys, nil, nil
	}
	bare, err := jose.ParsePEM(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	seen := map[jose.Algorithm]bool{}
	for _, key := range bare {
		if seen[key.Algorithm()] {
			return nil, nil, fmt.Errorf("%s: %w: two keys of one kind, and PEM has no kid to tell them apart: give a JWKS", path, jose.ErrMalformed)
		}
		seen[key.Algorithm()] = true
	}
	return jose.NewKeySet(bare...), bare, nil
}
