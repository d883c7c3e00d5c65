// Package poll serves poll delivery (RFC 8936) from the queues of streams. A
// long poll waits for the arrival of work, not on a loop.
package poll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Defaults of a [Handler] (U24).
const (
	DefaultMaxBatch  = 100
	DefaultLongPoll  = 30 * time.Second
	DefaultRedeliver = 60 * time.Second
)

const (
	// settleTimeout bounds what is still done for a request that is over.
	settleTimeout = 10 * time.Second
	// writeTimeout bounds the writing of an answer, from the end of the wait.
	writeTimeout = 60 * time.Second
)

// Queue is what polls ask of the queues.
type Queue interface {
	Take(ctx context.Context, stream string, opts streams.TakeOptions) ([]streams.Item, error)
	Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error)
	More(ctx context.Context, stream string) (bool, error)
}

// Handler answers polls. Set its fields before the first one. Safe for
// concurrent use.
type Handler struct {
	// Queue is where the SETs wait. Required.
	Queue Queue
	// Registry knows the streams. Required.
	Registry interface {
		Stream(ctx context.Context, id string) (streams.Stream, error)
		Touch(ctx context.Context, id string, at time.Time)
	}
	// Sign makes the compact SET of an item. Required. An item whose error is
	// outbox.ErrGone becomes a dead letter and holds up no other. With outbox.ErrAway
	// the answer has what was signed before, or it is that error if there is nothing.
	Sign func(ctx context.Context, s streams.Stream, item streams.Item) (string, error)
	// MaxBatch is the most SETs of one answer; zero: DefaultMaxBatch.
	MaxBatch int
	// LongPoll is the longest wait; zero: DefaultLongPoll.
	LongPoll time.Duration
	// Redeliver is after how long a SET that was handed out and neither
	// acknowledged nor refused is handed out again; zero: DefaultRedeliver.
	Redeliver time.Duration
	// Refused is told of each SET that the receiver refused for good (U23);
	// nil: nobody is.
	Refused func(ctx context.Context, s streams.Stream, item streams.Item, why delivery.Failure)
	// Sent is told how many SETs an answer bore that was written; nil: nobody is.
	Sent func(sets int)
	// Delivered is told of each SET that the receiver acknowledged; nil:
	// nobody is.
	Delivered func(item streams.Item)
	// Crash is called at named points of the work (tests); nil: nothing is.
	Crash func(point string)
	// Logger: nil discards.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Poll answers a poll of the stream in the path parameter stream_id
// (RFC 8936 §2): 200 with the SETs that are due, in the order of the queue.
//
// What the request acknowledges and refuses is applied first, and even if the
// request is given up meanwhile (POLL-2.4.3-01). Without SETs and without
// returnImmediately the answer waits for one. A SET that cannot be handed out
// after all returns to its place at once.
//
// Errors: *request.Error; streams.ErrNotFound for a stream that is unknown, of
// another owner, deleted meanwhile or not polled; a failure of the store or of
// Sign.
func (h *Handler) Poll(c echo.Context) error {
	request.NoStore(c)
	s, err := h.stream(c)
	if err != nil {
		return err
	}
	req, err := read(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := h.settle(ctx, s, req); err != nil {
		return err
	}
	h.crash(CrashAfterSettle)
	if !req.ReturnImmediately {
		defer h.liftDeadlines(c)()
	}
	items, err := h.take(ctx, s, req)
	if err != nil {
		return err
	}
	now, err := h.waited(ctx, s, req, items)
	var out answer
	if err == nil {
		out, err = h.response(ctx, now, items)
	}
	if err == nil && ctx.Err() == nil {
		h.crash(CrashBeforeAnswer)
		err = write(c, out.body)
		if err == nil {
			if h.Sent != nil {
				h.Sent(out.sets)
			}
			h.release(ctx, s, out.unsigned)
			return nil
		}
	}
	h.release(ctx, s, items)
	if ctx.Err() != nil && !c.Response().Committed {
		// Nobody waits any more, or the server is about to stop and asked this
		// request to end: then the client gets an answer that it can read.
		return write(c, []byte(nothing))
	}
	return err
}

// Crash points.
const (
	CrashAfterSettle  = "poll.after-settle"
	CrashBeforeAnswer = "poll.before-answer"
)

func (h *Handler) crash(point string) {
	if h.Crash != nil {
		h.Crash(point)
	}
}

// nothing is an answer without SETs.
const nothing = `{"sets":{}}`

// stream returns the caller's polled stream and marks its activity
// (SSF-8.1.1-04).
func (h *Handler) stream(c echo.Context) (streams.Stream, error) {
	p := request.Principal(c)
	if p == nil {
		return streams.Stream{}, &request.Error{Status: http.StatusUnauthorized, Code: "unauthorized", Description: "a bearer token is needed"}
	}
	ctx, cancel := detached(c.Request().Context())
	defer cancel()
	s, err := h.Registry.Stream(ctx, c.Param("stream_id"))
	if err != nil {
		return streams.Stream{}, err
	}
	if s.Owner != request.Owner(c) || s.Delivery.Method != delivery.MethodPoll {
		return streams.Stream{}, streams.ErrNotFound
	}
	h.Registry.Touch(ctx, s.ID, h.now())
	return s, nil
}

func read(c echo.Context) (delivery.PollRequest, error) {
	if err := request.MediaType(c, request.MediaTypeJSON); err != nil {
		return delivery.PollRequest{}, err
	}
	body, err := request.Body(c, delivery.MaxPollRequestBytes)
	if err != nil {
		return delivery.PollRequest{}, err
	}
	req, err := delivery.ParsePollRequest(body)
	switch {
	case errors.Is(err, delivery.ErrTooLarge):
		return delivery.PollRequest{}, &request.Error{Status: http.StatusRequestEntityTooLarge, Code: request.CodeBodyTooLarge, Description: err.Error()}
	case err != nil:
		return delivery.PollRequest{}, request.Invalid("", err.Error())
	}
	return req, nil
}

// settle applies ack and setErrs; a jti in both was refused (U23).
func (h *Handler) settle(ctx context.Context, s streams.Stream, req delivery.PollRequest) error {
	outcomes := make([]streams.Outcome, 0, len(req.Ack)+len(req.SetErrs))
	for _, jti := range req.Ack {
		if _, refused := req.SetErrs[jti]; !refused {
			outcomes = append(outcomes, streams.Outcome{ID: jti, Verdict: streams.Delivered})
		}
	}
	for jti, why := range req.SetErrs {
		outcomes = append(outcomes, streams.Outcome{ID: jti, Verdict: streams.Refused, Code: string(why.Err), Description: why.Description})
	}
	if len(outcomes) == 0 {
		return nil
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	gone, err := h.Queue.Settle(ctx, s.ID, outcomes, nil)
	if err != nil {
		return err
	}
	for _, item := range gone {
		why, refused := req.SetErrs[item.ID]
		if !refused && h.Delivered != nil {
			h.Delivered(item)
		}
		if refused {
			h.log().WarnContext(ctx, "the receiver refused a SET", "stream_id", s.ID, "jti", item.ID, "event_type", item.Type, "code", string(why.Err))
			if h.Refused != nil {
				h.Refused(ctx, s, item, why)
			}
		}
	}
	return nil
}

// take returns the items to hand out, none if none came in time.
func (h *Handler) take(ctx context.Context, s streams.Stream, req delivery.PollRequest) ([]streams.Item, error) {
	most := orElse(h.MaxBatch, DefaultMaxBatch)
	if req.MaxEvents != nil {
		most = min(most, *req.MaxEvents)
	}
	if most == 0 {
		return nil, nil // an answer without SETs waits for nothing (U24)
	}
	wait := !req.ReturnImmediately
	opts := streams.TakeOptions{Max: most, Lease: orElse(h.Redeliver, DefaultRedeliver), Wait: wait}
	taking := ctx
	if wait {
		var cancel context.CancelFunc
		taking, cancel = context.WithTimeout(ctx, orElse(h.LongPoll, DefaultLongPoll))
		defer cancel()
	}
	items, err := h.Queue.Take(taking, s.ID, opts)
	switch {
	case err != nil && taking.Err() != nil: // nothing came, or the client has gone
		return nil, nil
	}
	return items, err
}

// waited returns the stream as it is after a wait: what came meanwhile leaves in the form
// and under the key that were set meanwhile.
func (h *Handler) waited(ctx context.Context, s streams.Stream, req delivery.PollRequest, items []streams.Item) (streams.Stream, error) {
	if req.ReturnImmediately || len(items) == 0 {
		return s, nil
	}
	return h.Registry.Stream(ctx, s.ID)
}

// liftDeadlines replaces the server's deadlines, which are for requests that
// do not wait, and returns what must be called at the end. The one for reading
// would end the request: net/http reads on to see a client go away.
func (h *Handler) liftDeadlines(c echo.Context) (restore func()) {
	control := http.NewResponseController(c.Response().Writer)
	_ = control.SetReadDeadline(time.Time{}) // not supported: no such deadline
	_ = control.SetWriteDeadline(time.Now().Add(orElse(h.LongPoll, DefaultLongPoll) + writeTimeout))
	return func() { _ = control.SetWriteDeadline(time.Time{}) } // the connection's next request has its own
}

// answer is what a poll is answered with.
type answer struct {
	body []byte
	sets int // that it bears
	// unsigned are the items behind the first that nobody signs now.
	unsigned []streams.Item
}

// response makes the answer, up to the end of ctx.
func (h *Handler) response(ctx context.Context, s streams.Stream, items []streams.Item) (a answer, err error) {
	out := delivery.PollResponse{Sets: make([]delivery.PollSet, 0, len(items))}
	var gone []streams.Outcome
	for i, item := range items {
		if err := ctx.Err(); err != nil {
			return answer{}, err
		}
		compact, err := h.Sign(ctx, s, item)
		if errors.Is(err, outbox.ErrGone) {
			h.log().WarnContext(ctx, "a SET cannot be made", "stream_id", s.ID, "jti", item.ID, "event_type", item.Type, "err", err)
			o := streams.Outcome{ID: item.ID, Verdict: streams.Refused, Code: "gone", Description: "no SET can be made of this event any more"}
			if errors.Is(err, outbox.ErrErased) { // a dead letter would bear its subject
				o = streams.Outcome{ID: item.ID, Verdict: streams.Delivered}
			}
			gone = append(gone, o)
			continue
		}
		if errors.Is(err, outbox.ErrAway) && len(out.Sets) > 0 {
			a.unsigned = items[i:]
			break
		}
		if err != nil {
			return answer{}, fmt.Errorf("sign the SET %s of stream %s: %w", item.ID, s.ID, err)
		}
		out.Sets = append(out.Sets, delivery.PollSet{ID: item.ID, SET: compact})
	}
	if err := h.setAside(ctx, s, gone); err != nil {
		return answer{}, err
	}
	if out.MoreAvailable, err = h.Queue.More(ctx, s.ID); err != nil {
		return answer{}, err
	}
	out.MoreAvailable = out.MoreAvailable || len(a.unsigned) > 0
	a.sets = len(out.Sets)
	a.body, err = out.MarshalJSON()
	return a, err
}

// setAside makes dead letters of items that can never be handed out.
func (h *Handler) setAside(ctx context.Context, s streams.Stream, gone []streams.Outcome) error {
	if len(gone) == 0 {
		return nil
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	_, err := h.Queue.Settle(ctx, s.ID, gone, nil)
	return err
}

// write sends the body out at once, so that a connection that is gone is noticed.
func write(c echo.Context, body []byte) error {
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	if err := c.Blob(http.StatusOK, request.MediaTypeJSON, body); err != nil {
		return err
	}
	err := http.NewResponseController(c.Response().Writer).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// release gives items back that were not handed out, also after the request.
func (h *Handler) release(ctx context.Context, s streams.Stream, items []streams.Item) {
	if len(items) == 0 {
		return
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	outcomes := make([]streams.Outcome, len(items))
	for i, item := range items {
		outcomes[i] = streams.Outcome{ID: item.ID, Verdict: streams.Released}
	}
	if _, err := h.Queue.Settle(ctx, s.ID, outcomes, nil); err != nil && !errors.Is(err, streams.ErrNotFound) {
		// They come back when their leases end.
		h.log().WarnContext(ctx, "SETs could not be released", "stream_id", s.ID, "err", err)
	}
}

// detached is for what is done even if the client has gone.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
}

func (h *Handler) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

func (h *Handler) log() *slog.Logger {
	if h.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Logger
}

func orElse[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
