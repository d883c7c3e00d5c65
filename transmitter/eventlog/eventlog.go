// Package eventlog is the transmitter's event log: one append-only list of
// account events, the source of every SET. It holds the [Event] as it came in
// together with the outcome of its mapping, the [Record] as it is kept, and
// the contract [Log]; backends pass the suite in eventlog/logtest.
//
// The sentences of docs/contracts.md §2 are cases of that suite.
package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Errors that callers branch on. Any other error is a failure of the store:
// nothing of the call was kept and it is safe to retry.
var (
	// ErrNotFound: no event with that id or sequence number.
	ErrNotFound = errors.New("eventlog: not found")
	// ErrMalformedID: the text is not the id of any event.
	ErrMalformedID = errors.New("eventlog: malformed event id")
)

// ConflictError: the source used the source id before, for other content.
type ConflictError struct{ FirstID string }

// Error tells the id of the event that has the source id.
func (e *ConflictError) Error() string {
	return "eventlog: source_id already used with other content by event " + e.FirstID
}

// Event is an account event as it is appended. It is immutable once appended.
type Event struct {
	// Source names the credential that wrote the event; never from a body.
	Source string
	// SourceID is the source's own id of the event; empty if it gave none.
	// (Source, SourceID) is the key of idempotency.
	SourceID string
	// Type is an account event's name, an event type URI, or a vendor's
	// handle as "<format>:<handle>".
	Type string
	// Time is when it happened; zero if the source does not say.
	Time time.Time
	// Applications are the applications the event is for; nil: all.
	Applications []string
	// Subjects are all known identifiers of the one subject (contracts.md §2).
	Subjects []subject.Identifier
	// Data is the payload that came with the event, a JSON object or nil.
	Data json.RawMessage
	// Format names the vendor's format ("idme", "onelogin"); empty otherwise.
	Format string
	// Original is a vendor's record, untouched; nil otherwise.
	Original json.RawMessage
	// Mapped are the outcomes of the mapping, in order: the n-th becomes the
	// SETs at position n. None for an event that is only recorded.
	Mapped []Mapped
	// MappingError tells why a vendor's record could not be mapped.
	MappingError string
	// Environment is that of the credential that wrote it; empty: none.
	Environment string
	// Consent is the decision of its user that it tells, where its source was
	// set to have such decisions noted; zero: none. The entry that the gate goes
	// by is noted after it.
	Consent Consent
	// Attributes are what is known of it besides its subject.
	Attributes Attributes
}

// Consent is what the user of an event decided, in the words of
// transmitter/consent, about one of our applications.
type Consent struct {
	Decision    string `json:"decision"`
	Application string `json:"application"`
}

// Mapped is one security event that an account event becomes.
type Mapped struct {
	// Type is the event type URI of SSF, RISC, CAEP or another profile.
	Type string `json:"type"`
	// Payload is the event's payload, a JSON object.
	Payload json.RawMessage `json:"payload"`
	// Subjects replace the event's own where the rule says so (for example
	// user and session as one complex subject); nil: the event's.
	Subjects []subject.Identifier `json:"subjects,omitempty"`
}

// SubjectsOf returns the identifiers of the n-th mapped event.
func (e *Event) SubjectsOf(n uint32) []subject.Identifier {
	if s := e.Mapped[n].Subjects; s != nil {
		return s
	}
	return e.Subjects
}

// SaltSize and HashSize are the lengths in bytes of a salt and of a hash.
const (
	SaltSize = 32
	HashSize = 32
)

// Record is an event, or an entry beside events, in the log. Records are
// shared: do not change one.
type Record struct {
	// Seq is the record's place, from 1 without gaps.
	Seq uint64
	// ID is the public id: opaque, it reveals neither Seq nor Recorded.
	ID string
	// Recorded is the time of appending, in whole milliseconds.
	Recorded time.Time
	// Kind says what it is; Event is zero for all but KindEvent.
	Kind Kind
	// Erased: its canonical bytes and salt are gone for good, its leaf stays.
	// Event and Entry are zero.
	Erased bool
	// Canonical are the bytes that the leaf commits to (see Canonical).
	Canonical []byte
	// Salt is the random key of the commitment, and of the event's jtis.
	Salt [SaltSize]byte
	// Leaf is the leaf hash (see LeafHash).
	Leaf [HashSize]byte
	// Entry is the body of an entry; nil for an event.
	Entry json.RawMessage
	Event
}

// Appended is what became of one event of an Append.
type Appended struct {
	ID  string
	Seq uint64
	// Duplicate: the source id was seen before with the same content; ID
	// and Seq are the first event's.
	Duplicate bool
	// Err is a *ConflictError, or nil.
	Err error
}

// Log is the event log. Safe for concurrent use.
type Log interface {
	Journal
	Eraser
	Prover
	// Append appends events in order, all of them or none (duplicates and
	// conflicts apart, which are told per event), and returns one Appended
	// each. It is durable on return: it survives a power cut. Concurrent
	// calls share one commit.
	Append(ctx context.Context, events ...Event) ([]Appended, error)
	// Read returns up to max records after the sequence number, in order;
	// none if there are none yet.
	Read(ctx context.Context, after uint64, max int) ([]*Record, error)
	// Wait waits until there is a record after the sequence number, or ctx ends.
	Wait(ctx context.Context, after uint64) error
	// Head returns the highest sequence number, 0 for an empty log.
	Head(ctx context.Context) (uint64, error)
	// Record returns the record at seq. Error: ErrNotFound.
	Record(ctx context.Context, seq uint64) (*Record, error)
	// Get returns the record with the public id. An id that there is not is looked
	// for as one that there is, and takes as long. Errors: ErrMalformedID,
	// ErrNotFound.
	Get(ctx context.Context, id string) (*Record, error)
}

// Journal is what is said in the log beside events. Safe for concurrent use.
type Journal interface {
	// Note appends entries as Append does events: in order, all of them or
	// none, durable on return. What it returned is seen by every later call
	// of Entries.
	Note(ctx context.Context, entries ...Entry) ([]Appended, error)
	// Entries returns entries of a kind that were noted with the key, erased
	// ones too. It costs what it returns.
	Entries(ctx context.Context, kind Kind, ref string, span Span) ([]*Record, error)
}

// Eraser removes what records say.
type Eraser interface {
	// Erase removes the canonical bytes and the salt of records for good, from
	// memory and from the files too; place, time, kind and leaf stay, and so
	// does the memory of source ids. A sequence number beyond the head, or
	// erased before, is none. It returns how many were erased; durable on
	// return, and safe to repeat.
	Erase(ctx context.Context, seqs ...uint64) (int, error)
}
