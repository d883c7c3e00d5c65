package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Errors that callers of the contracts branch on. Any other error of a store
// is a failure of the store and safe to retry.
var (
	// ErrNotFound: no such stream, item or dead letter; also one of another
	// owner (unknown and not-yours look alike).
	ErrNotFound = errors.New("streams: not found")
	// ErrExists: the stream id was used before, even by a deleted stream.
	ErrExists = errors.New("streams: stream id already used")
	// ErrConflict: the owner already has as many streams as it may.
	ErrConflict = errors.New("streams: owner has its stream already")
	// ErrPlace: not a place from which a list can go on.
	ErrPlace = errors.New("streams: malformed place")
	// ErrFull: a bound was reached (subjects of a stream, unless the error is
	// also one of the two below).
	ErrFull = errors.New("streams: full")
	// ErrFullControl is the ErrFull of a stream on which as many verification
	// events wait as may.
	ErrFullControl = fmt.Errorf("%w: control events", ErrFull)
	// ErrFullNames is the ErrFull of an owner whose complex subjects have as
	// many different sets of member names as they may.
	ErrFullNames = fmt.Errorf("%w: sets of member names", ErrFull)
)

// Store is everything that is kept about streams, in one transaction domain:
// no pause, disable or delete can race a Put (contracts.md §4).
type Store interface {
	Registry
	Subjects
	Matcher
	Queue
	Glancer
	DeadLetters
	Cursors
	Eraser
}

// Registry keeps the streams. Durable on return; safe for concurrent use.
type Registry interface {
	// Create stores s as given. limit bounds the streams of s.Owner (0: no
	// bound); the count and the insert are one step.
	// Errors: ErrExists, ErrConflict.
	Create(ctx context.Context, s Stream, limit int) error
	// Stream returns the stream with id. Error: ErrNotFound.
	Stream(ctx context.Context, id string) (Stream, error)
	// Streams returns the streams of owner in order of creation, possibly none.
	Streams(ctx context.Context, owner string) ([]Stream, error)
	// Owners returns the owners that have a stream, each once, in no order.
	Owners(ctx context.Context) ([]string, error)
	// Update lets change alter the stream in one transaction and returns the
	// result. change may run more than once and must have no other effect;
	// its error ends the update, nothing is changed, and is returned as it is.
	// The items it returns (control lane only) are put in the same
	// transaction, before the new status counts (SSF-8.1.5-01).
	// If the epoch was raised, the queue is purged in the same transaction,
	// dead letters and stream-updated items apart (U16, U18). If the status
	// became enabled or the delivery changed, the stream's health is cleared:
	// it is due at once.
	// ID, Owner and Created cannot be changed.
	// Errors: ErrNotFound; ErrFullControl if a store bounds the control lane.
	Update(ctx context.Context, id string, change func(*Stream) ([]Item, error)) (Stream, error)
	// Delete erases the stream, its subjects, queue and dead letters, and
	// remembers the id as used. Error: ErrNotFound.
	Delete(ctx context.Context, id string) error
	// Touch marks activity (SSF-8.1.1-04). It is cheap: the mark may be
	// kept in memory and saved within a minute. An unknown id is ignored.
	Touch(ctx context.Context, id string, at time.Time)
	// Inactive returns up to max streams that are enabled or paused by the
	// receiver, have an inactivity timeout, and had no activity for it at now.
	Inactive(ctx context.Context, now time.Time, max int) ([]string, error)
}

// Subjects keeps which subjects streams hear of (SSF §8.1.3, U7). What Add and
// Remove mean depends on the stream's DefaultSubjects. Both are idempotent and
// durable on return. Identifiers are compared by their canonical form.
type Subjects interface {
	// Add deletes an equal exclusion (ALL) or adds the subject (NONE; also
	// kept for ALL). limit bounds the stream's entries (0: no bound).
	// Errors: ErrNotFound (stream), ErrFull.
	Add(ctx context.Context, stream string, id subject.Identifier, limit int) error
	// Remove deletes an equal entry, and for ALL records an exclusion,
	// bounded alike. Errors: ErrNotFound (stream), ErrFull.
	Remove(ctx context.Context, stream string, id subject.Identifier, limit int) error
	// SubjectCount returns how many entries and exclusions the stream has.
	SubjectCount(ctx context.Context, stream string) (int, error)
}

// Query asks which streams an event may go to.
type Query struct {
	// Seq is the event's place in the log: streams with From ≥ Seq do not match.
	Seq uint64
	// Type is the event type URI; it must be in EventsDelivered.
	Type string
	// Subjects are the known identifiers of the event's subject, each tried.
	Subjects []subject.Identifier
	// Owners are the applications the event is addressed to; nil: all.
	Owners []string
	// Head is the number of a record that was in the log when this was asked, at
	// least Seq; 0: it is Seq. What was changed of streams and subjects before
	// that record was appended is seen. Who asks about many events gives the last
	// of them, so that a store that keeps a copy looks once whether it is current.
	Head uint64
}

// Candidate is a stream that a Query matched.
type Candidate struct {
	Stream string
	Owner  string
	Epoch  uint64
	// Subject is the index in Query.Subjects of the identifier that the
	// stream registered; -1 for a stream of all subjects.
	Subject int
}

// Matcher finds the streams of an event at a cost that grows with the streams
// that match, not with those that exist.
type Matcher interface {
	// Match returns, each stream once, the streams that are enabled or
	// paused, deliver q.Type, belong to q.Owners, began before q.Seq and admit
	// one of q.Subjects: ALL and not excluded (subject.Excludes), or NONE and
	// added (subject.Matching). Entries of a stream are tried in the order of
	// q.Subjects. The order of the result is not defined.
	Match(ctx context.Context, q Query) ([]Candidate, error)
}

// Cursors keeps the places of followers of the log.
type Cursors interface {
	// Cursor returns the saved place of the follower, 0 if none.
	Cursor(ctx context.Context, follower string) (uint64, error)
	// SaveCursor saves it. It may be lost with a power cut: a follower's
	// cursor is only an optimisation.
	SaveCursor(ctx context.Context, follower string, seq uint64) error
	// Highest returns the highest sequence number of the log that the store
	// knows of: the places of followers, the positions of queues and the From
	// of streams. A log that ends before it is not the one that the store
	// followed: its next events would be taken for ones seen (contracts.md §7).
	Highest(ctx context.Context) (uint64, error)
}
