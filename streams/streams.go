// Package streams holds what a transmitter and a receiver share about event
// streams (OpenID Shared Signals Framework 1.0, SSF §8): the [Stream] with its
// [Status] and [Delivery], the [Catalog] with the rules of SSF §8, and the
// contracts of what must be stored: [Registry], [Subjects], [Matcher] and
// [Queue].
//
// The promises of the contracts are cases of the suite in streams/storetest;
// each store of them passes it.
package streams

import (
	"log/slog"
	"slices"
	"time"
)

// Stream is one event stream of an application (SSF §8.1.1), with what the
// transmitter keeps about it besides the members of the wire.
//
// A Stream is a value; Clone makes a copy that shares nothing.
type Stream struct {
	// ID is the stream_id: unique for ever among the streams of a store,
	// RFC 3986 unreserved characters only.
	ID string
	// Owner is the id of the application that the stream belongs to.
	Owner string
	// Issuer is the iss of the stream's SETs: the transmitter's issuer.
	Issuer string
	// Audience is the aud of the stream's SETs, from the application's
	// registration, never from a request. At least one value.
	Audience []string

	// EventsSupported are the event types that this receiver may ask for.
	EventsSupported []string
	// EventsRequested are the receiver's wishes as it sent them, unknown
	// ones included (SSF-8.1.1-02). Nil if the receiver sent none.
	EventsRequested []string
	// EventsDelivered are the types that are both supported and requested.
	EventsDelivered []string

	Delivery Delivery
	// Profile names the form in which the SETs leave, for a receiver that does
	// not read the current one; empty: the current one. Its meaning is the
	// transmitter's (transmitter/profile); it comes from the application's
	// registration or an operator, never from a request.
	Profile string
	// Encryption names the key to which the SETs are encrypted before they leave (a
	// nested JWT, RFC 7519 §11.2), as the transmitter writes it
	// ([github.com/tocsin-ssf/tocsin/set/jose.Encrypter]); empty: they leave signed
	// alone. It comes from where Profile comes.
	Encryption string

	// MinVerificationInterval is the least time between two verification
	// requests, in whole seconds on the wire; zero sends none.
	MinVerificationInterval time.Duration
	// InactivityTimeout is how long the stream may go without activity
	// before it is paused, in whole seconds on the wire; zero means for ever.
	InactivityTimeout time.Duration
	// Description is the receiver's own text; empty if none.
	Description string

	// DefaultSubjects says which subjects a new stream has (SSF §7.1).
	DefaultSubjects DefaultSubjects

	Status Status
	// Reason is the text that came with the status; empty if none.
	Reason string
	// StatusBy says who decided the status.
	StatusBy Party

	// Epoch is raised by disabling and by deleting. An item matched in an
	// earlier epoch is not put on the queue (contracts.md §3).
	Epoch uint64
	// From is the head of the event log when the stream was created or last
	// enabled after being disabled: records at or before it are not its own.
	From uint64

	Created time.Time
	// Active is the time of the last activity that counts (SSF-8.1.1-04).
	// Stores may keep it up to a minute late.
	Active time.Time
	// VerificationRequested is the time of the last verification request
	// that was accepted; zero if none.
	VerificationRequested time.Time
}

// Clone returns a copy that shares no memory with s.
func (s Stream) Clone() Stream {
	s.Audience = slices.Clone(s.Audience)
	s.EventsSupported = slices.Clone(s.EventsSupported)
	s.EventsRequested = slices.Clone(s.EventsRequested)
	s.EventsDelivered = slices.Clone(s.EventsDelivered)
	return s
}

// LogValue logs the stream's id and status alone.
func (s Stream) LogValue() slog.Value {
	return slog.GroupValue(slog.String("stream_id", s.ID), slog.String("status", string(s.Status)))
}

// DefaultSubjects says which subjects a stream has when it is created
// (SSF §7.1, default_subjects).
type DefaultSubjects string

// The values of default_subjects.
const (
	// SubjectsAll streams hear of every subject until one is removed.
	SubjectsAll DefaultSubjects = "ALL"
	// SubjectsNone streams hear only of subjects that were added.
	SubjectsNone DefaultSubjects = "NONE"
)

// Party is one of the two sides of a stream.
type Party string

// The sides that can decide a status.
const (
	// ByReceiver marks a status that the receiver asked for.
	ByReceiver Party = "receiver"
	// ByTransmitter marks a status that the transmitter imposed and that the
	// receiver may lift (inactivity, failing delivery; U17).
	ByTransmitter Party = "transmitter"
	// ByPolicy marks a status that only an operator may lift (U17).
	ByPolicy Party = "policy"
)
