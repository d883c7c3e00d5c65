package eventlog

import (
	"context"
	"errors"
	"time"
)

// ErrOtherLog: what is to be taken in is not of the log that is there, or does
// not go on from it.
var ErrOtherLog = errors.New("eventlog: it is of another log")

// Identity is what makes a log the one that it is, whatever backend has it: by
// it the public ids of its records are made, and the keys that stand for source
// ids and for those of entries. Who knows it can tell numbers of public ids.
type Identity struct {
	IDKey  [IDKeySize]byte
	Secret Secret
}

// SourceKey is what a log remembers of a source's id: the event that has it.
type SourceKey struct {
	Key    Key
	Digest Digest
	Seq    uint64
	// Millis is when that was recorded, from which on the id is remembered.
	Millis int64
}

// EntryRef is a key that an entry is found by.
type EntryRef struct {
	Kind Kind
	Key  Key
	Seq  uint64
}

// Exporter hands out all that a backend has of a log, so that another backend
// can have it instead: an Archive's records, and these. A page ends where it is
// large enough; next is where the following begins, "" at the end. Nothing may be
// appended or erased meanwhile.
type Exporter interface {
	Archive
	// Identity returns what makes the log the one that it is.
	Identity(ctx context.Context) (Identity, error)
	// SourceKeys returns up to max remembered source ids from a place on ("":
	// the start), in the order of their events. One may come that is not
	// remembered any more.
	SourceKeys(ctx context.Context, from string, max int) (page []SourceKey, next string, err error)
	// EntryRefs returns up to max keys of entries from a place on ("": the start).
	EntryRefs(ctx context.Context, from string, max int) (page []EntryRef, next string, err error)
}

// Importer takes in what an Exporter hands out, into a log that was made with the
// Identity of the other, and has nothing of its own. Every call may be repeated,
// also with another division into pages; durable on return. Records come before
// what points at them.
type Importer interface {
	Head(ctx context.Context) (uint64, error)
	// Import appends records as they are. Those that the log has are compared.
	// Errors: ErrOtherLog if one differs, or they do not follow on the log's last;
	// ErrLeaf if one is not what its leaf commits to.
	Import(ctx context.Context, records []Stored) error
	// ImportSourceKeys remembers source ids, in the order of their events: of
	// two with one key the later counts.
	ImportSourceKeys(ctx context.Context, keys []SourceKey) error
	// ImportEntryRefs adds keys of entries.
	ImportEntryRefs(ctx context.Context, refs []EntryRef) error
}

// Check computes the leaf anew, unless the record is erased. Error: ErrLeaf.
func (s *Stored) Check() error {
	r := Record{Seq: s.Seq, Kind: s.Kind, Recorded: time.UnixMilli(s.RecordedMillis), Canonical: s.Canonical}
	if len(s.Leaf) != HashSize || s.Canonical != nil && len(s.Salt) != SaltSize {
		return ErrLeaf
	}
	r.Leaf = Hash(s.Leaf)
	if s.Canonical == nil {
		return nil
	}
	r.Salt = [SaltSize]byte(s.Salt)
	return r.Verify()
}
