// Package checkpoint signs heads of the event log's tree, so that who has seen
// one can tell when the log is no longer the same: checkpoints of
// https://c2sp.org/tlog-checkpoint, signed notes with an Ed25519 key, and the
// cosignatures of witnesses (https://c2sp.org/tlog-cosignature).
//
// A [Keeper] signs the log's head. Two heads of which one does not go on from
// the other are the one unforgivable fault of a log, so each is durable in
// another file than the log's before its signature leaves, and none is signed
// that does not go on from the last, whoever signed that.
package checkpoint

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/transparency-dev/formats/log"
	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// MaxBytes bounds the text of a checkpoint with its signatures.
const MaxBytes = 64 << 10

// algEd25519 begins an Ed25519 key of a signed note.
const algEd25519 = 1

// Errors that callers branch on.
var (
	// ErrSignature: the text is no checkpoint, or not signed by the key.
	ErrSignature = errors.New("checkpoint: not signed by the log's key")
	// ErrNone: no checkpoint was signed yet.
	ErrNone = errors.New("checkpoint: none was signed yet")
	// ErrKey: the text is no verifier key.
	ErrKey = errors.New("checkpoint: not a verifier key of a signed note (name+hash+key)")
)

// Checkpoint is a signed head of the tree.
type Checkpoint struct {
	// Origin names the log; the key that signs has the same name.
	Origin string
	eventlog.Tree
	// Made is when it was signed; zero if only its text is known.
	Made time.Time
	// Text is the signed note, cosignatures at its end.
	Text []byte
}

// OriginOf returns the origin of an issuer's log: the issuer without its
// scheme, and "/log".
func OriginOf(issuer string) string {
	_, rest, _ := strings.Cut(issuer, "://")
	return strings.TrimSuffix(rest, "/") + "/log"
}

// Parse reads a checkpoint and verifies it with the log's verifier key.
// Errors: ErrSignature, ErrKey.
func Parse(text []byte, key string) (Checkpoint, error) {
	v, err := verifier(key)
	if err != nil {
		return Checkpoint{}, err
	}
	if len(text) > MaxBytes {
		return Checkpoint{}, fmt.Errorf("%w: more than %d bytes", ErrSignature, MaxBytes)
	}
	c, rest, _, err := log.ParseCheckpoint(text, v.Name(), v)
	switch {
	case err != nil:
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrSignature, err)
	case len(rest) > 0, len(c.Hash) != eventlog.HashSize:
		return Checkpoint{}, fmt.Errorf("%w: not a head of this kind of log", ErrSignature)
	}
	return Checkpoint{Origin: c.Origin, Tree: eventlog.Tree{Size: c.Size, Root: eventlog.Hash(c.Hash)}, Text: text}, nil
}

// verifier reads the key of a log.
func verifier(key string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(key))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return v, nil
}

func witness(key string) (note.Verifier, error) {
	v, err := formats.NewVerifierForCosignatureV1(strings.TrimSpace(key))
	if err != nil {
		return nil, fmt.Errorf("%w of a witness: %w", ErrKey, err)
	}
	return v, nil
}

func (k Key) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.seed[:]) }

// sign returns the checkpoint of a tree.
func (k Key) sign(origin string, t eventlog.Tree, at time.Time) (Checkpoint, error) {
	if k.sealed != "" {
		return Checkpoint{}, fmt.Errorf("checkpoint: sign: %w", vault.ErrLocked)
	}
	head := log.Checkpoint{Origin: origin, Size: t.Size, Hash: t.Root[:]}
	text, err := note.Sign(&note.Note{Text: string(head.Marshal())}, signer{k, origin})
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: sign: %w", err)
	}
	return Checkpoint{Origin: origin, Tree: t, Made: at.UTC(), Text: text}, nil
}

// signer is a key under the name of a log.
type signer struct {
	key    Key
	origin string
}

func (s signer) Name() string { return s.origin }

// KeyHash is the first four bytes of SHA-256 over name, newline and key
// (https://c2sp.org/signed-note).
func (s signer) KeyHash() uint32 {
	b := append([]byte(s.origin), '\n', algEd25519)
	sum := sha256.Sum256(append(b, s.key.public[:]...))
	return binary.BigEndian.Uint32(sum[:])
}

func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key.private(), msg), nil }

// CheckWitness returns why text is no verifier key of a witness; nil: it is one. Error:
// ErrKey.
func CheckWitness(text string) error { _, err := witness(text); return err }
