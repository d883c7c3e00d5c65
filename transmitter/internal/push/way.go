package push

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
	"github.com/tocsin-ssf/tocsin/transmitter/profile"
)

// Carrier knows the ways to the receivers of one delivery method.
type Carrier interface {
	// Way returns the way to the receiver of s as it is now. It is asked
	// whenever the stream may have changed. Error: streams.ErrNotFound if
	// there is none (any more); another is a failure of a store.
	Way(ctx context.Context, s streams.Stream) (Way, error)
}

// Way leads to the receiver of one stream. It makes and judges requests; when
// they are made, and what a judgement means for the queue, is push's. It is
// used by several goroutines and never changed.
type Way interface {
	// Batch says how many items a request bears.
	Batch() Batch
	// Pack makes the request that bears items (at least one, at most
	// Batch.Most), of one stream and in their order. Errors: a *PackError says
	// what it means; any other is a failure of ours, and is tried again.
	Pack(ctx context.Context, items []streams.Item) (Parcel, error)
	// Judge returns what an answer that is not 2xx means, with a code and a
	// text for people, which may be empty.
	Judge(status int, body []byte) (j Judgement, code, text string)
}

// waiter is a [Way] on which for a time no request can be made.
type waiter interface {
	// Away returns nil while requests can be made; else a channel that is closed when
	// it is worth another try.
	Away() <-chan struct{}
}

// Batch says how many items a request bears. Its zero value: one.
//
// A stream with batches has one request out at a time: so they are full while
// there is much to do, and what is in them is in order.
type Batch struct {
	// Most is the most items in one request; above 1, the way has batches.
	Most int
	// Wait is how long the first item waits for others.
	Wait time.Duration
}

// Parcel is a request that is ready to leave.
type Parcel struct {
	Header http.Header // shared; not to be changed
	Body   string
	// Origins tell of each packed item where it comes from. What is beyond
	// them did not fit and goes with another request.
	Origins []Origin
	// Gone are the indexes of packed items of which nothing can be made any
	// more; they are not in the body. If all are, there is no request.
	Gone []int
	// Erased are those of Gone whose events were erased.
	Erased []int
	// Failed is told of a request that was not accepted; nil: nobody is.
	Failed func()
}

// left returns what becomes of an item that is gone.
func (p *Parcel) left(i int) Finding {
	f := Finding{Judgement: SetAside, Code: gone, Text: goneText}
	if slices.Contains(p.Erased, i) {
		f.Code = erased
	}
	return f
}

// Origin is what an item goes back to.
type Origin struct {
	TransactionID string    // the event's id
	Accepted      time.Time // when it was recorded
}

// Finding is what is known about a request, for all items that it bears.
type Finding struct {
	Judgement Judgement
	// Code is a receiver's err, "http_<status>" or a word of ours: network,
	// blocked, gone, signing.
	Code, Text string
	RetryAfter time.Duration
	Tried      bool // it counts as an attempt
}

// PackError is a request that cannot be made, with what it means.
type PackError struct{ Finding }

// Error returns code and text.
func (e *PackError) Error() string { return "push: " + e.Code + ": " + e.Text }

// sets leads to a receiver of SETs (RFC 8935): one in each request.
type sets struct {
	outbox       Outbox
	stream       streams.Stream
	header       http.Header
	formerErrors bool // of the stream's profile
}

// newSets prepares the fields of every push of a stream (PUSH-2.1-01,
// SSF-6.1.1-02).
func newSets(o Outbox, s streams.Stream) *sets {
	h := http.Header{
		"Content-Type": {delivery.MediaType},
		"Accept":       {"application/json"},
		"User-Agent":   {userAgent},
	}
	if s.Delivery.AuthorizationHeader != "" {
		h["Authorization"] = []string{s.Delivery.AuthorizationHeader}
	}
	form, _ := profile.Parse(s.Profile) // one that is wrong is told where SETs are signed
	return &sets{outbox: o, stream: s, header: h, formerErrors: form.FormerErrors}
}

func (*sets) Batch() Batch { return Batch{} }

func (w *sets) Away() <-chan struct{} { return w.outbox.Away() }

func (w *sets) Pack(ctx context.Context, items []streams.Item) (Parcel, error) {
	item := items[0]
	signed, err := w.outbox.Sign(ctx, w.stream, item)
	if errors.Is(err, outbox.ErrErased) {
		return Parcel{}, &PackError{Finding{Judgement: SetAside, Code: erased, Text: goneText}}
	}
	if errors.Is(err, outbox.ErrGone) {
		return Parcel{}, &PackError{Finding{Judgement: SetAside, Code: gone, Text: "no SET can be made of this event any more"}}
	}
	if errors.Is(err, outbox.ErrAway) {
		return Parcel{}, &PackError{Finding{Judgement: BackOff, Code: unsigned}}
	}
	if err != nil {
		return Parcel{}, err
	}
	return Parcel{
		Header: w.header, Body: signed.Compact,
		Origins: []Origin{{TransactionID: signed.TransactionID, Accepted: signed.Accepted}},
		Failed:  func() { w.outbox.Keep(item, signed) },
	}, nil
}

func (w *sets) Judge(status int, body []byte) (j Judgement, code, text string) {
	var refusal delivery.Failure
	if status == http.StatusBadRequest {
		refusal, _ = delivery.ParseFailure(body)
	}
	if w.formerErrors {
		if refusal.Err == delivery.FormerDuplicate {
			return Accepted, "", ""
		}
		return Judge(status, refusal.Err.Current()), string(refusal.Err), refusal.Description
	}
	return Judge(status, refusal.Err), string(refusal.Err), refusal.Description
}

// truncate bounds a text that came from outside.
func truncate(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
