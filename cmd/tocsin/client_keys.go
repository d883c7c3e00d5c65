package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// publicKeys reads a file of public keys, a JWKS, one JWK or PEM, as a JWKS; "-" is
// standard input.
func publicKeys(std streamsIO, file string) (json.RawMessage, error) {
	name := file
	if name != "-" {
		name = "@" + name
	}
	raw, err := readText(std, name, auth.MaxJWKSBytes)
	if err != nil {
		return nil, err
	}
	if raw = bytes.TrimSpace(raw); bytes.HasPrefix(raw, []byte("-----BEGIN")) {
		keys, err := jose.ParsePEM(raw)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		return jose.NewKeySet(keys...).MarshalJSON()
	}
	var document map[string]json.RawMessage
	if json.Unmarshal(raw, &document) != nil || document == nil {
		return nil, usage("%s has neither a JWKS nor PEM", file)
	}
	if document["kty"] != nil {
		return json.Marshal(map[string][]json.RawMessage{"keys": {raw}})
	}
	return raw, nil
}
