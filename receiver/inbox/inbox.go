// Package inbox keeps what a receiver accepted until its hooks have run: the
// contract [Inbox] of appending once, following in order and setting aside.
// Backends pass the suite in inbox/inboxtest; inbox/sqliteinbox is the durable one of one
// process, inbox/redisinbox that of several, which take from the same feeds.
//
// A SET is appended before it is acknowledged (RFC 8935 §2: no reliance on
// retransmission), and hooks run behind. Delivery to hooks is at least once: a
// process that ends while a hook runs, or before its outcome is kept, runs it again.
package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors that callers branch on. Any other error is a failure of the store, and it is
// safe to call again: nothing of the call was kept, or, where the answer of a shared store
// was lost, the repeat finds what was.
var (
	// ErrNotFound: no such dead letter.
	ErrNotFound = errors.New("inbox: not found")
	// ErrFull: a bound was reached. The answer to a push is then 503.
	ErrFull = errors.New("inbox: full")
	// ErrUnexpectedState: a verification with a state that is not outstanding
	// (SSF §8.1.4.1). Such a message is not kept.
	ErrUnexpectedState = errors.New("inbox: unexpected verification state")
	// ErrClosed: the inbox was closed.
	ErrClosed = errors.New("inbox: closed")
)

// Bounds on one message and on what is kept.
const (
	MaxSETBytes    = 64 << 10 // one compact SET
	MaxIssuerBytes = 2048
	MaxIDBytes     = 1024 // a jti
	MaxStateBytes  = 1024 // a verification state
	MaxReasonBytes = 1024 // the reason of an outcome; a longer one is cut
	MaxStates      = 1000 // outstanding verification states of one feed
	MaxPage        = 1000 // dead letters of one page

	// DefaultMaxWaiting is how many messages may wait unless configured.
	DefaultMaxWaiting = 1_000_000
	// MinRemember is the shortest memory of (iss, jti): longer than a
	// transmitter may redeliver (SEC-06).
	MinRemember = 30 * 24 * time.Hour
)

// Message is one verified SET. (Feed, Issuer, ID) is its identity.
type Message struct {
	// Feed names the receiver that the message is for, when several share an
	// inbox. Each feed is followed on its own.
	Feed string
	// Issuer and ID are the iss and the jti. Both are required.
	Issuer, ID string
	// Type is the event type URI, TransactionID the txn; for people.
	Type, TransactionID string
	// OrderKey names the subject for ordering; empty: in no order. It is kept
	// as a digest and comes back empty.
	OrderKey string
	// SET is the compact form as it was signed (RFC 8935 §5.5).
	SET []byte
	// Received is when it arrived, kept in whole milliseconds.
	Received time.Time
	// State is the state of a verification event that has one; nil otherwise.
	// Only Append reads it.
	State *string

	// Seq is the place of arrival, from 1. Set by the inbox.
	Seq uint64
	// Attempts counts the failed attempts so far. Set by the inbox.
	Attempts int
}

// Check reports what of a message is missing or beyond the bounds.
func (m *Message) Check() error {
	switch {
	case m.Issuer == "" || len(m.Issuer) > MaxIssuerBytes:
		return fmt.Errorf("inbox: issuer of %d bytes, want 1 to %d", len(m.Issuer), MaxIssuerBytes)
	case m.ID == "" || len(m.ID) > MaxIDBytes:
		return fmt.Errorf("inbox: jti of %d bytes, want 1 to %d", len(m.ID), MaxIDBytes)
	case len(m.SET) == 0 || len(m.SET) > MaxSETBytes:
		return fmt.Errorf("inbox: SET of %d bytes, want 1 to %d", len(m.SET), MaxSETBytes)
	}
	return nil
}

// Appended is what became of one message of an Append.
type Appended struct {
	// Duplicate: (iss, jti) was seen before; nothing was kept. Answer as the
	// first time.
	Duplicate bool
	// Err is ErrUnexpectedState or ErrFull, or nil. Nothing was kept if not nil.
	Err error
}

// Verdict is what became of a message that was taken.
type Verdict uint8

// The verdicts.
const (
	// Done: handled; the message is gone, its (iss, jti) stays known.
	Done Verdict = iota
	// Again: an attempt failed; the message waits in its place until Due.
	Again
	// SetAside: it becomes a dead letter and holds its key back no longer.
	SetAside
	// Released: returns to its place; no attempt is counted.
	Released
)

// Outcome is the verdict on one message.
type Outcome struct {
	Seq     uint64
	Verdict Verdict
	Due     time.Time // Again: not before
	Reason  string    // SetAside: a text for people
}

// DeadLetter is a message that was set aside.
type DeadLetter struct {
	Message
	Reason string
	At     time.Time // when it was set aside
}

// State is a verification state that waits for its event.
type State struct {
	Value   string
	Expires time.Time
}

// Counts tell how much an inbox holds of one feed.
type Counts struct {
	Waiting int       // not handled yet, those at a hook included
	Running int       // at a hook now
	Failing int       // waiting after a failed attempt
	Dead    int       // dead letters
	Oldest  time.Time // Received of the oldest waiting message; zero if none
}

// Inbox keeps accepted SETs. Safe for concurrent use by one process, and by several where
// the backend is shared (inboxtest.RunShared); what is said here of order and of what is
// out holds among them.
type Inbox interface {
	Appender
	Follower
	States
	DeadLetters
	// Counts returns how much the feed holds, at a cost that does not grow with it.
	Counts(ctx context.Context, feed string) (Counts, error)
}

// Appender is the edge's side of an inbox.
type Appender interface {
	// Append keeps messages in order and returns one Appended each. It is
	// durable on return: the messages survive a power cut. Each (iss, jti) is
	// kept once per feed, also across restarts, for as long as the inbox remembers.
	// A State that is outstanding counts as answered from then on.
	// Concurrent calls share one commit. On an error nothing was kept, or a repeat
	// says that it was.
	Append(ctx context.Context, messages ...Message) ([]Appended, error)
}

// Follower is the hooks' side of an inbox.
type Follower interface {
	// Take hands out up to max messages (≥ 1) of the feed that are due, oldest
	// first, and waits until there is one or ctx ends. Of messages with the same
	// issuer and order key only the earliest is handed out, and the next
	// not before that one is done or set aside.
	// A message is out until it is settled or the process ends. Of a shared backend it
	// is out until it is settled or its lease ends, which the process renews while it
	// lives; then it returns to its place, no attempt counted.
	// Errors: ctx's, ErrClosed.
	Take(ctx context.Context, feed string, max int) ([]Message, error)
	// Settle keeps the outcomes of messages that are out, in one transaction,
	// durable on return. After an error they are still out: settle again.
	// Messages that are not out are ignored; so are those of which a shared backend
	// ended the lease of this process, whoever has them by now.
	Settle(ctx context.Context, outcomes ...Outcome) error
}

// States keeps the states of verification requests until they are answered or
// expire; they survive restarts (SSF §8.1.4.2).
type States interface {
	// Expect keeps a state of the feed, durable on return; call it before the
	// request is sent. Error: ErrFull beyond MaxStates.
	Expect(ctx context.Context, feed, state string, expires time.Time) error
	// Outstanding returns the feed's states that are neither answered nor
	// expired, the first to expire first.
	Outstanding(ctx context.Context, feed string) ([]State, error)
}

// DeadLetters keeps what was set aside until somebody decides.
type DeadLetters interface {
	// DeadLetters returns up to max dead letters of the feed with a Seq above
	// after, in its order; at most MaxPage.
	DeadLetters(ctx context.Context, feed string, after uint64, max int) ([]DeadLetter, error)
	// Resend makes a dead letter wait again with no attempt counted, behind
	// everything that arrived before: it gave its order up. Error: ErrNotFound.
	Resend(ctx context.Context, issuer, id string) error
	// Drop erases a dead letter. Error: ErrNotFound.
	Drop(ctx context.Context, issuer, id string) error
}

// CutReason returns reason shortened to [MaxReasonBytes], valid UTF-8.
func CutReason(reason string) string {
	if len(reason) <= MaxReasonBytes {
		return reason
	}
	cut := MaxReasonBytes
	for cut > 0 && reason[cut]&0xC0 == 0x80 {
		cut--
	}
	return reason[:cut]
}
