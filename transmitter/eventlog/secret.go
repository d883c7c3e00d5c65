package eventlog

import (
	"crypto/sha256"
	"encoding/binary"
)

// SecretSize is the length in bytes of a Secret.
const SecretSize = 32

// Secret is that of a log under which backends keep keys, so that they do not
// reveal what they stand for once the record is gone. It never changes for a
// log, and lets a log move from one backend to another.
type Secret [SecretSize]byte

// Key stands for a source and its id of an event, or for a key of entries.
type Key [16]byte

// Digest stands for what a source said of an event.
type Digest [16]byte

// refDomain keeps the hashes of entries' keys apart from those of source ids.
const refDomain = "tocsin ref 1"

// Of returns the key of idempotency of an event and the digest of what its
// source said: what the mapping makes of it may change with the rules, and a
// vendor's record is its whole content.
func (s *Secret) Of(e *Event) (Key, Digest) {
	b := make([]byte, 0, 512+len(e.Data)+len(e.Original))
	b = append(b, s[:]...)
	b = appendSized(b, e.Source)
	b = appendSized(b, e.SourceID)
	sum := sha256.Sum256(b)
	b = appendSized(b[:len(s)], e.Format)
	if e.Original != nil {
		b = append(b, e.Original...)
	} else {
		b = appendSized(b, e.Type)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Time.UnixMicro()))
		for _, id := range e.Subjects {
			b = appendSized(b, id.Canonical())
		}
		b = append(b, e.Data...)
		// Where the source gave no category the event has that of its type, which
		// may change with a release. An event that cannot be kept for its
		// attributes was refused before.
		said := e.Attributes
		said.Category = ""
		attributes, _ := said.Canonical()
		b = append(b, attributes...)
	}
	content := sha256.Sum256(b)
	return Key(sum[:len(Key{})]), Digest(content[:len(Digest{})])
}

// Ref returns what stands for a key of entries of a kind.
func (s *Secret) Ref(kind Kind, ref string) Key {
	b := make([]byte, 0, 128+len(ref))
	b = append(b, s[:]...)
	b = append(b, refDomain...)
	b = binary.BigEndian.AppendUint32(b, uint32(kind))
	b = append(b, ref...)
	sum := sha256.Sum256(b)
	return Key(sum[:len(Key{})])
}
