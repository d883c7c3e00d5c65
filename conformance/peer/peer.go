// Package peer is the other side, made for tests: a minimal, correct and independent
// SSF transmitter and receiver, in memory, each of which breaks exactly what it is told
// to.
//
// A [Transmitter] or [Receiver] without breaks keeps to the specifications. A [Break] is
// one small thing that it does otherwise, named by the requirement that it violates
// (SSF-8.1.1.3-02) or, where it serves to try the other side's nerves, by a word of its
// own (slow-answers). [TransmitterBreaks] and [ReceiverBreaks] list them.
//
// Nothing here is of the transmitter or receiver that this project ships: what they have
// wrong in common would be seen by nobody.
package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// object is a JSON object on its way out.
type object = map[string]any

// Bounds on what the other side may send, in bytes unless said otherwise.
const (
	MaxRequestBytes = 1 << 20
	MaxAnswerBytes  = 1 << 20
	MaxKeptBytes    = 64 << 10 // of a body in an [Exchange]
	MaxExchanges    = 5_000    // that are remembered; the oldest go first
)

// Exchange is a request and its answer, whichever side began it.
type Exchange struct {
	// Op says what it was for.
	Op Op
	// Began is when the request came or left, Took how long the answer took.
	Began time.Time
	Took  time.Duration
	// StreamID is the stream that it names; empty: none.
	StreamID string
	// ID is the jti of the SET of a push; empty for all else.
	ID string
	// Client is the client_id that a request showed; empty: none, or a wrong one.
	Client string

	Method, URL    string
	RequestHeader  http.Header // credentials are hidden
	RequestBody    string
	Status         int // 0: no answer came
	ResponseHeader http.Header
	ResponseBody   string
	// Err says why no answer came.
	Err string
}

// Op names what a request is for.
type Op string

// The operations.
const (
	OpMetadata      Op = "read metadata"
	OpKeys          Op = "read keys"
	OpServer        Op = "read authorization server metadata"
	OpResource      Op = "read resource metadata"
	OpToken         Op = "get token"
	OpCreate        Op = "create stream"
	OpRead          Op = "read stream"
	OpList          Op = "list streams"
	OpUpdate        Op = "update stream"
	OpReplace       Op = "replace stream"
	OpDelete        Op = "delete stream"
	OpStatus        Op = "read status"
	OpSetStatus     Op = "set status"
	OpAddSubject    Op = "add subject"
	OpRemoveSubject Op = "remove subject"
	OpVerify        Op = "verify"
	OpPoll          Op = "poll"
	OpAck           Op = "acknowledge" // noted as soon as a poll that does so comes; the poll itself is noted, too
	OpPush          Op = "push"
	OpNone          Op = "unknown" // an address that is none of ours
)

// ErrUnknownBreak says that no break has such a name.
var ErrUnknownBreak = errors.New("peer: unknown break")

// journal remembers exchanges, in order of their end.
type journal struct {
	observe func(Exchange)

	mu      sync.Mutex
	kept    []Exchange
	dropped int
	changed chan struct{} // closed at the next exchange
}

func (j *journal) add(e Exchange) {
	e.RequestBody, e.ResponseBody = cut(e.RequestBody), cut(e.ResponseBody)
	j.mu.Lock()
	j.kept = append(j.kept, e)
	if len(j.kept) > MaxExchanges {
		j.kept, j.dropped = slices.Clone(j.kept[1:]), j.dropped+1
	}
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
	j.mu.Unlock()
	if j.observe != nil {
		j.observe(e)
	}
}

// since returns the exchanges from the nth on, the number of the next, and a channel
// that is closed when there is one.
func (j *journal) since(n int) (list []Exchange, next int, changed <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	next = j.dropped + len(j.kept)
	if n = max(n-j.dropped, 0); n < len(j.kept) {
		list = slices.Clone(j.kept[n:])
	}
	return list, next, j.changed
}

func cut(body string) string {
	if len(body) <= MaxKeptBytes {
		return body
	}
	return strings.ToValidUTF8(body[:MaxKeptBytes], "") + "…"
}

// hidden returns a header without what must not be shown.
func hidden(h http.Header) http.Header {
	h = h.Clone()
	if values := h.Values("Authorization"); len(values) > 0 {
		for i, v := range values {
			scheme, _, found := strings.Cut(v, " ")
			if !found {
				scheme = ""
			}
			values[i] = strings.TrimSpace(scheme + " (hidden)")
		}
	}
	return h
}

// readAll reads a bounded body.
func readAll(body io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return raw, err
}

// encoded is v as JSON, unless it is []byte and encoded already; what is encoded here
// always can be.
func encoded(v any) []byte {
	switch v := v.(type) {
	case nil:
		return nil
	case []byte:
		return v
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Appendf(nil, "%q", err)
	}
	return raw
}
