package eventlog

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// IDKeySize is the length in bytes of the key of a log's ids.
const IDKeySize = 16

// idLength is the length of an id: 16 bytes as base64url without padding.
const idLength = 22

// IDs turns sequence numbers into public ids and back: one AES block of the
// number and eight zero bytes, which are the check. So an id tells nothing,
// and finding its record needs no index. Safe for concurrent use.
type IDs struct{ block cipher.Block }

// NewIDs returns the ids under a secret key that never changes for a log.
func NewIDs(key [IDKeySize]byte) (*IDs, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("eventlog: id key: %w", err)
	}
	return &IDs{block: block}, nil
}

// ID returns the public id of a sequence number, 22 characters.
func (i *IDs) ID(seq uint64) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], seq)
	i.block.Encrypt(b[:], b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Seq returns the sequence number of an id. Error: ErrMalformedID for a text
// that ID never returned.
func (i *IDs) Seq(id string) (uint64, error) {
	b, ok := decodeID(id)
	if !ok {
		return 0, ErrMalformedID
	}
	i.block.Decrypt(b[:], b[:])
	if binary.BigEndian.Uint64(b[8:]) != 0 {
		return 0, ErrMalformedID
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// Decoy returns a number from 1 to head (at least 1) for a text that has the form of an id
// and is none: who reads the record of it, too, takes as long as with an id that is
// somebody else's. ok is false for other texts, which nobody takes for an id.
func (i *IDs) Decoy(text string, head uint64) (seq uint64, ok bool) {
	b, ok := decodeID(text)
	if !ok || head == 0 {
		return 0, false
	}
	i.block.Decrypt(b[:], b[:])
	return 1 + binary.BigEndian.Uint64(b[:])%head, true
}

// HasIDForm reports whether the text looks like an id, of whatever log.
func HasIDForm(text string) bool {
	_, ok := decodeID(text)
	return ok
}

func decodeID(id string) (b [aes.BlockSize]byte, ok bool) {
	if len(id) != idLength {
		return b, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(id))
	return b, err == nil && n == len(b)
}
