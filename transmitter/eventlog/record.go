package eventlog

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
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
	// KindAnnotation: what was said of an event later.
	KindAnnotation Kind = 2
	// KindConsent: a decision about consent, or the setting of a gate.
	KindConsent Kind = 3
	// KindHold: a legal hold was set or lifted.
	KindHold Kind = 4
	// KindErasure: the order to erase a subject, or that it was carried out.
	KindErasure Kind = 5
	// KindRetention: records were erased by age.
	KindRetention Kind = 6
	// KindReplay: a stream was replayed from a place on.
	KindReplay Kind = 7
	// KindParticipation: a RISC opt-in or opt-out state (RISC §2.8).
	KindParticipation Kind = 8
	// KindAct: an administrative act, or its outcome (see Act).
	KindAct Kind = 9
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
	kind       Kind
	entry      json.RawMessage
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
	d := newDraft(KindEvent, canonical)
	d.event = *e
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

// NewEntryDraft prepares an entry, which is copied. Error: ErrEvent.
func NewEntryDraft(e *Entry) (*Draft, error) {
	canonical, err := canonicalEntry(e)
	if err != nil {
		return nil, err
	}
	d := newDraft(e.Kind, canonical)
	d.entry, err = decodeEntry(canonical)
	return d, err
}

func newDraft(kind Kind, canonical []byte) *Draft {
	d := &Draft{kind: kind, canonical: canonical}
	rand.Read(d.salt[:]) // never fails
	d.commitment = Commitment(&d.salt, canonical)
	return d
}

// Event returns the prepared event; it must not be changed.
func (d *Draft) Event() *Event { return &d.event }

// Size returns the length in bytes of what is kept of it: salt and canonical bytes.
func (d *Draft) Size() int { return len(d.salt) + len(d.canonical) }

// Record returns the record at a place. The time is cut to milliseconds.
func (d *Draft) Record(seq uint64, id string, recorded time.Time) *Record {
	recorded = time.UnixMilli(recorded.UnixMilli()).UTC()
	return &Record{
		Seq: seq, ID: id, Recorded: recorded, Kind: d.kind, Canonical: d.canonical, Salt: d.salt,
		Leaf:  LeafHash(Leaf(seq, recorded, d.kind, d.commitment)),
		Entry: d.entry, Event: d.event,
	}
}

// Stored is a record as a backend has it.
type Stored struct {
	Seq             uint64
	ID              string
	RecordedMillis  int64
	Kind            Kind
	Salt, Canonical []byte // nil: erased
	Leaf            []byte
}

// Load returns the record that a backend has stored.
func Load(s Stored) (*Record, error) {
	if len(s.Leaf) != HashSize {
		return nil, ErrLeaf
	}
	r := &Record{
		Seq: s.Seq, ID: s.ID, Recorded: time.UnixMilli(s.RecordedMillis).UTC(), Kind: s.Kind, Leaf: [HashSize]byte(s.Leaf),
	}
	if s.Canonical == nil {
		r.Erased = true
		return r, nil
	}
	if len(s.Salt) != SaltSize {
		return nil, ErrLeaf
	}
	r.Salt, r.Canonical = [SaltSize]byte(s.Salt), s.Canonical
	var err error
	if s.Kind == KindEvent {
		r.Event, err = Decode(s.Canonical)
	} else {
		r.Entry, err = decodeEntry(s.Canonical)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Erase returns the record without what it says.
func (r *Record) Erase() *Record {
	return &Record{Seq: r.Seq, ID: r.ID, Recorded: r.Recorded, Kind: r.Kind, Leaf: r.Leaf, Erased: true}
}

// ErrErased: the record's bytes are gone, so nothing can be computed of them.
var ErrErased = errors.New("eventlog: the record was erased")

// Verify computes the leaf hash anew from the record's bytes. Errors: ErrLeaf;
// ErrErased.
func (r *Record) Verify() error {
	if r.Erased {
		return ErrErased
	}
	want := LeafHash(Leaf(r.Seq, r.Recorded, r.Kind, Commitment(&r.Salt, r.Canonical)))
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
