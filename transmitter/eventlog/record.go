package eventlog

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// Kind says what a leaf stands for; it is part of the leaf.
type Kind byte

// The kinds of leaves. The numbers are part of the format.
const (
	// KindEvent: an account event.
	KindEvent Kind = 1
)

// LeafSize is the length in bytes of a leaf of version 1.
const LeafSize = 1 + 8 + 8 + 1 + HashSize

const leafVersion = 1

// ErrLeaf: a record's bytes are not those that its leaf commits to.
var ErrLeaf = errors.New("eventlog: record does not match its leaf")

// Commitment returns HMAC-SHA-256 of the canonical bytes under the salt. With
// the salt destroyed it says nothing about them, so the leaf outlives an erasure.
func Commitment(salt *[SaltSize]byte, canonical []byte) [HashSize]byte {
	m := hmac.New(sha256.New, salt[:])
	m.Write(canonical)
	var sum [HashSize]byte
	m.Sum(sum[:0])
	return sum
}

// Leaf returns the leaf: version, sequence number, time of recording in
// milliseconds, kind (big-endian numbers of 1, 8, 8 and 1 bytes), commitment.
func Leaf(seq uint64, recorded time.Time, kind Kind, commitment [HashSize]byte) [LeafSize]byte {
	var leaf [LeafSize]byte
	b := append(leaf[:0], leafVersion)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = binary.BigEndian.AppendUint64(b, uint64(recorded.UnixMilli()))
	b = append(b, byte(kind))
	copy(leaf[len(b):], commitment[:])
	return leaf
}

// LeafHash returns the hash of a leaf as a Merkle tree has it: SHA-256 of the
// leaf behind a zero byte (RFC 6962 §2.1).
func LeafHash(leaf [LeafSize]byte) [HashSize]byte {
	var b [1 + LeafSize]byte
	copy(b[1:], leaf[:])
	return sha256.Sum256(b[:])
}

// Draft is an event on its way into a log: all of its record that does not
// depend on its place. Backends make it outside of their locks.
type Draft struct {
	canonical  []byte
	salt       [SaltSize]byte
	commitment [HashSize]byte
	event      Event
}

// NewDraft prepares an event, with a salt of its own. The event's documents
// are copied; its lists are kept. Error: ErrEvent.
func NewDraft(e *Event) (*Draft, error) {
	canonical, err := Canonical(e)
	if err != nil {
		return nil, err
	}
	d := &Draft{canonical: canonical, event: *e}
	rand.Read(d.salt[:]) // never fails
	d.commitment = Commitment(&d.salt, canonical)
	lengths, err := readLengths(canonical)
	if err != nil {
		return nil, err
	}
	docs, err := locate(canonical, lengths)
	if err != nil {
		return nil, err
	}
	// What callers hold, for example the body of a request, is let go of.
	d.event.Mapped = slices.Clone(e.Mapped)
	d.event.attach(canonical, docs)
	if !e.Time.IsZero() {
		d.event.Time = e.Time.UTC().Round(0)
	}
	return d, nil
}

// Event returns the prepared event; it must not be changed.
func (d *Draft) Event() *Event { return &d.event }

// Record returns the record at a place. The time is cut to milliseconds.
func (d *Draft) Record(seq uint64, id string, recorded time.Time) *Record {
	recorded = time.UnixMilli(recorded.UnixMilli()).UTC()
	return &Record{
		Seq: seq, ID: id, Recorded: recorded, Canonical: d.canonical, Salt: d.salt,
		Leaf:  LeafHash(Leaf(seq, recorded, KindEvent, d.commitment)),
		Event: d.event,
	}
}

// Load returns the record that a backend has stored.
func Load(seq uint64, id string, recordedMillis int64, salt, leaf, canonical []byte) (*Record, error) {
	if len(salt) != SaltSize || len(leaf) != HashSize {
		return nil, ErrLeaf
	}
	e, err := Decode(canonical)
	if err != nil {
		return nil, err
	}
	return &Record{
		Seq: seq, ID: id, Recorded: time.UnixMilli(recordedMillis).UTC(), Canonical: canonical,
		Salt: [SaltSize]byte(salt), Leaf: [HashSize]byte(leaf), Event: e,
	}, nil
}

// Verify computes the leaf hash anew from the record's bytes. Error: ErrLeaf.
func (r *Record) Verify() error {
	want := LeafHash(Leaf(r.Seq, r.Recorded, KindEvent, Commitment(&r.Salt, r.Canonical)))
	if !hmac.Equal(want[:], r.Leaf[:]) {
		return ErrLeaf
	}
	return nil
}

// jtiDomain begins every message to a salt's key that makes a jti; canonical
// bytes begin with '{', so the two uses of the key never meet.
const jtiDomain = "tocsin jti 1\x00"

// JTI returns the jti of the SET that carries the n-th mapped event on a
// stream: base64url of HMAC-SHA-256 over stream, event type and n under the
// record's salt (contracts.md §6), 43 characters. It is the same at every
// attempt and on every node, and tells nothing about the event. A replay
// raises n by the number of mapped events.
func (r *Record) JTI(stream string, n uint32) string {
	typ := ""
	if len(r.Mapped) > 0 {
		typ = r.Mapped[int(n)%len(r.Mapped)].Type
	}
	b := make([]byte, 0, 128+len(stream))
	b = append(b, jtiDomain...)
	b = appendSized(b, stream)
	b = appendSized(b, typ)
	b = binary.BigEndian.AppendUint32(b, n)
	sum := Commitment(&r.Salt, b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// appendSized writes s behind its length, so that no two lists look alike.
func appendSized(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}
