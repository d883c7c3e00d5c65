//go:build pkcs11

package pkcs11

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/ThalesGroup/crypto11"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

const (
	// sessions is how many signatures a token makes at once.
	sessions = 16
	// sessionTime is how long a signature waits for a session.
	sessionTime = 3 * time.Second
)

// Open logs in to the token and returns its keys, and what logs out.
func Open(cfg Config) ([]signer.Key, func() error, error) {
	token, err := crypto11.Configure(&crypto11.Config{
		Path: cfg.Module, TokenLabel: cfg.Token, Pin: cfg.PIN, MaxSessions: sessions, PoolWaitTimeout: sessionTime,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("opening the token %s: %w", cfg.Token, err)
	}
	keys, err := find(token, cfg.Keys)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("the token %s: %w", cfg.Token, err), token.Close())
	}
	return keys, token.Close, nil
}

func find(token *crypto11.Context, labels []string) (keys []signer.Key, err error) {
	if labels == nil {
		pairs, err := token.FindAllKeyPairs()
		if err != nil {
			return nil, err
		}
		for _, pair := range pairs {
			key, err := public(pair, "")
			if err != nil {
				return nil, fmt.Errorf("a key of it cannot be used, name those that are to be (--pkcs11-key): %w", err)
			}
			keys = append(keys, key)
		}
		if len(keys) == 0 {
			return nil, errors.New("it has no key pair")
		}
		return keys, nil
	}
	for _, text := range labels {
		alg, label := Named(text)
		pairs, err := token.FindKeyPairs(nil, []byte(label))
		if err != nil {
			return nil, err
		}
		if len(pairs) != 1 {
			return nil, fmt.Errorf("it has %d key pairs with the label %s, want one", len(pairs), label)
		}
		key, err := public(pairs[0], alg)
		if err != nil {
			return nil, fmt.Errorf("the key %s: %w", label, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func public(pair crypto.Signer, alg jose.Algorithm) (signer.Key, error) {
	key, err := jose.NewPublicKey(pair.Public(), alg)
	return signer.Key{Public: key, Signer: pair}, err
}
