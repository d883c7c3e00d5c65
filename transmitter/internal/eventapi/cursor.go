package eventapi

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// CursorKeySize is the length in bytes of the key of cursors.
const CursorKeySize = 32

// position is where a page ended, with what the first page fixed for all.
type position struct {
	after eventlog.Hit
	head  uint64
	start int64 // Unix milliseconds
}

const (
	cursorVersion = 1
	positionSize  = 1 + 4*8
)

// errCursor: not a cursor of ours, or one of another search.
var errCursor = errors.New("eventapi: not a cursor of this search")

// cursors seals positions: what stands in a cursor is nobody's to read or to
// change, and it opens for the same filters of the same caller alone.
type cursors struct{ aead cipher.AEAD }

func newCursors(key [CursorKeySize]byte) (*cursors, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("eventapi: cursors: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("eventapi: cursors: %w", err)
	}
	return &cursors{aead}, nil
}

func (c *cursors) seal(p position, bound string) string {
	b := append(make([]byte, 0, positionSize), cursorVersion)
	for _, n := range []uint64{uint64(p.after.Millis), p.after.Seq, p.head, uint64(p.start)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	sum := sha256.Sum256([]byte(bound))
	return base64.RawURLEncoding.EncodeToString(c.aead.Seal(nil, nil, b, sum[:]))
}

func (c *cursors) open(text, bound string) (position, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return position{}, errCursor
	}
	sum := sha256.Sum256([]byte(bound))
	b, err := c.aead.Open(nil, nil, sealed, sum[:])
	if err != nil || len(b) != positionSize || b[0] != cursorVersion {
		return position{}, errCursor
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(b[1+8*i:]) }
	return position{
		after: eventlog.Hit{Millis: int64(n(0)), Seq: n(1)}, head: n(2), start: int64(n(3)),
	}, nil
}

// newKey returns a key for as long as the process lives.
func newKey() (key [CursorKeySize]byte) {
	rand.Read(key[:]) // never fails
	return key
}
