package auth

import (
	"errors"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// hasKeys reports whether the client authenticates with a key.
func (c *Client) hasKeys() bool { return c.JWKS != nil || c.JWKSURI != "" }

// key returns the client's key of an id; without one the only key for alg.
func (c *Client) key(kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	if c.JWKS == nil {
		return nil, jose.ErrUnknownKey
	}
	set, err := jose.ParseKeySet(c.JWKS)
	if err != nil {
		return nil, err
	}
	if kid == "" {
		return set.Sole(alg)
	}
	return set.Find(kid, alg)
}

func (c *Client) validateKeys() error {
	if c.JWKSURI != "" {
		if c.JWKS != nil {
			return &InvalidError{"jwks_uri", "goes without jwks: the keys are in one place"}
		}
		return checkText("jwks_uri", c.JWKSURI, MaxURIBytes)
	}
	if c.JWKS == nil {
		return nil
	}
	if len(c.JWKS) > MaxJWKSBytes {
		return &InvalidError{"jwks", "is too large"}
	}
	set, err := jose.ParseKeySet(c.JWKS)
	switch {
	case errors.Is(err, jose.ErrTooLarge):
		return &InvalidError{"jwks", "has too many keys"}
	case err != nil:
		return &InvalidError{"jwks", `is not a key set, {"keys":[…]} (RFC 7517)`}
	case privateKeys(c.JWKS):
		return &InvalidError{"jwks", "has a private or symmetric key: register the public keys alone, and take another key now that this one was sent"}
	case set.Len() == 0:
		return &InvalidError{"jwks", "has no key for signatures by RS256, PS256, ES256 or EdDSA"}
	}
	return nil
}

// privateKeys reports whether a key set has a key that is nobody else's to know.
func privateKeys(jwks []byte) bool {
	var document struct {
		Keys []map[string]jsontext.Value `json:"keys"`
	}
	if jsonv2.Unmarshal(jwks, &document) != nil {
		return false
	}
	for _, key := range document.Keys {
		for _, member := range []string{"d", "p", "q", "k", "priv"} {
			if _, has := key[member]; has {
				return true
			}
		}
	}
	return false
}
