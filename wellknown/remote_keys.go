package wellknown

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

var (
	// ErrIssuer says that keys were asked for of an issuer that is not trusted.
	ErrIssuer = errors.New("issuer not trusted")
	// ErrNoKeySet says that an issuer publishes no jwks_uri.
	ErrNoKeySet = errors.New("issuer publishes no jwks_uri")
)

// RemoteKeys finds the public keys of trusted issuers in the key sets that they
// publish. It is a set.KeySource.
//
// Keys are kept by issuer, so that no issuer can speak with the key of another, and
// for as long as the answer allowed (see [Client]). An unknown key id makes one shared
// request for a newer key set, at most one per [Config.MinRefresh]; so rotation is
// seen when the first token of a new key arrives, and bogus key ids cost nothing.
type RemoteKeys struct {
	client  *Client
	issuers map[string]bool
	any     bool // whoever is asked for is trusted
	locate  func(ctx context.Context, issuer string) (url string, err error)
	expire  func(issuer string)
	keys    *cache[*jose.KeySet]
}

// Keys returns the keys of the named transmitters, found through their configuration
// (SSF §4.1.4).
func (c *Client) Keys(issuers ...string) *RemoteKeys {
	return c.remoteKeys(issuers, func(ctx context.Context, issuer string) (string, error) {
		doc, err := c.Configuration(ctx, issuer)
		return doc.JWKSURI, err
	}, c.configurations.expire)
}

// AuthorizationServerKeys returns the keys of the named authorization servers, found
// through their metadata (RFC 8414).
func (c *Client) AuthorizationServerKeys(issuers ...string) *RemoteKeys {
	return c.remoteKeys(issuers, func(ctx context.Context, issuer string) (string, error) {
		doc, err := c.AuthorizationServer(ctx, issuer)
		return doc.JWKSURI, err
	}, c.servers.expire)
}

// KeysAt returns the keys of issuers whose key set URL is configured: urls holds it by
// issuer.
func (c *Client) KeysAt(urls map[string]string) *RemoteKeys {
	urls = maps.Clone(urls)
	return c.remoteKeys(slices.Collect(maps.Keys(urls)), func(_ context.Context, issuer string) (string, error) {
		return urls[issuer], nil
	}, func(string) {})
}

func (c *Client) remoteKeys(
	issuers []string, locate func(context.Context, string) (string, error), expire func(string),
) *RemoteKeys {
	r := &RemoteKeys{client: c, issuers: make(map[string]bool, len(issuers)), locate: locate, expire: expire}
	for _, issuer := range issuers {
		r.issuers[issuer] = true
	}
	r.keys = newCache(c, r.fetch)
	return r
}

func (r *RemoteKeys) trusts(issuer string) bool { return r.any || r.issuers[issuer] }

// Key returns the key of issuer that has exactly this id and is for alg.
//
// Errors: [ErrIssuer]; [jose.ErrUnknownKey] if newer keys have been asked for in vain;
// [jose.ErrAlgorithm]; [jose.ErrWeakKey]; an error that wraps [ErrDocument] if the issuer's metadata may
// not be used; any other is a failure to fetch and may pass. Safe for concurrent use.
func (r *RemoteKeys) Key(ctx context.Context, issuer, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	if !r.trusts(issuer) {
		return nil, ErrIssuer
	}
	if len(kid) > jose.MaxKeyIDBytes { // untrusted input (RFC 8725 §3.10)
		return nil, fmt.Errorf("%w: kid has %d bytes", jose.ErrUnknownKey, len(kid))
	}
	set, version, err := r.keys.load(ctx, issuer)
	if err != nil {
		return nil, err
	}
	key, err := set.Find(kid, alg)
	if !errors.Is(err, jose.ErrUnknownKey) {
		return key, err
	}
	newer, renewed, err := r.keys.renew(ctx, issuer, version)
	if err != nil {
		return nil, err
	}
	if renewed == version {
		return nil, jose.ErrUnknownKey
	}
	return newer.Find(kid, alg)
}

// Fetch gets the keys of issuer unless they are there already, before a token needs
// them. Its errors are those of [RemoteKeys.Key].
func (r *RemoteKeys) Fetch(ctx context.Context, issuer string) error {
	if !r.trusts(issuer) {
		return ErrIssuer
	}
	_, _, err := r.keys.load(ctx, issuer)
	return err
}

// KeysState says how it stands with the keys of an issuer.
type KeysState struct {
	Count   int       // usable keys
	Fetched time.Time // when they came; zero if there are none
	Err     error     // what the last fetch ended with; nil if it brought them
}

// State returns how it stands with the keys of issuer. It makes no request.
func (r *RemoteKeys) State(issuer string) KeysState {
	set, fetched, err := r.keys.peek(issuer)
	s := KeysState{Fetched: fetched, Err: err}
	if set != nil {
		s.Count = set.Len()
	}
	return s
}

// fetch gets the key set of issuer. If that fails, its metadata is asked once more
// whether the set has moved.
func (r *RemoteKeys) fetch(ctx context.Context, issuer string) (document[*jose.KeySet], error) {
	url, err := r.url(ctx, issuer)
	if err != nil {
		return document[*jose.KeySet]{}, err
	}
	keys, err := r.client.fetchKeySet(ctx, url)
	if err == nil {
		return keys, nil
	}
	r.expire(issuer)
	moved, locateErr := r.url(ctx, issuer)
	if errors.Is(locateErr, ErrDocument) {
		return document[*jose.KeySet]{}, locateErr
	}
	if locateErr != nil || moved == url {
		return document[*jose.KeySet]{}, err
	}
	return r.client.fetchKeySet(ctx, moved)
}

func (r *RemoteKeys) url(ctx context.Context, issuer string) (string, error) {
	url, err := r.locate(ctx, issuer)
	if err == nil && url == "" {
		err = fmt.Errorf("%w: %w", ErrDocument, ErrNoKeySet)
	}
	return url, err
}

// KeySets returns the keys of key sets that are named by their own URLs: where other
// methods of it ask for an issuer, the URL stands. Every URL is fetched that is asked
// for: whoever asks knows which may be.
func (c *Client) KeySets() *RemoteKeys {
	r := c.remoteKeys(nil, func(_ context.Context, url string) (string, error) { return url, nil }, func(string) {})
	r.any = true
	return r
}
