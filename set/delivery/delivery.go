// Package delivery is the vocabulary of SET delivery over HTTP: the method
// URNs, the media type, the error codes and the bodies of push (RFC 8935) and
// poll (RFC 8936), as both halves of Shared Signals use them.
//
// It reads and writes bodies and does no I/O. Whoever reads a body from the
// network bounds it first with the constants below; the parsers check the same
// bounds again.
package delivery

import "errors"

// Delivery methods, the values of a stream's delivery.method (SSF §6.1).
const (
	MethodPush = "urn:ietf:rfc:8935"
	MethodPoll = "urn:ietf:rfc:8936"
)

// MediaType is the Content-Type of a pushed SET (RFC 8935 §2.1, RFC 8417 §7.2).
const MediaType = "application/secevent+jwt"

// Bounds on what the other side may send, in bytes unless said otherwise.
const (
	MaxPushBodyBytes     = 96 << 10 // one compact SET of 64 KiB, encrypted
	MaxPollRequestBytes  = 1 << 20
	MaxPollResponseBytes = 12 << 20
	MaxFailureBytes      = 16 << 10 // the body of a 400 answer to a push

	MaxAcks    = 10_000 // entries of ack
	MaxSetErrs = 10_000 // members of setErrs
	MaxSets    = 10_000 // members of sets

	MaxIDBytes          = 1024 // a jti anywhere in a poll body
	MaxCodeBytes        = 256  // an error code
	MaxDescriptionBytes = 2048 // an error description
)

// ErrTooLarge reports a body or a part of it beyond the bounds above.
// Errors of the parsers that concern size wrap it.
var ErrTooLarge = errors.New("delivery: too large")

// ErrMalformed reports a body that is not what RFC 8936 describes: broken
// JSON, a member twice, a wrong type. The answer to such a request is 400
// (RFC 8936 §2.5.1). All parser errors that do not wrap [ErrTooLarge] wrap it.
var ErrMalformed = errors.New("delivery: malformed body")
