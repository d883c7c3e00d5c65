// Package way tells operators of one event's way: to which streams and webhooks it goes or went,
// what keeps it from others, and what would become of an event that is only tried.
//
// Nothing is kept of what was acknowledged but what this process remembers of its last attempts:
// the item is gone, and that is all. So the way is what matching, gates, queues and dead letters say
// now.
package way

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// Limits of an answer.
const (
	maxWays    = 100
	maxGates   = 100
	maxPointed = 200   // items, and dead letters, of an event that are looked at
	maxLetters = 5_000 // dead letters of a stream that are looked at for a reason
	letterPage = 500
	maxStream  = 256 // bytes of a stream's id
	// maxTime bounds the look at the queues, which costs one at each stream that has items.
	maxTime = 2 * time.Second
)

// Log is what is asked of the event log.
type Log interface {
	Get(ctx context.Context, id string) (*eventlog.Record, error)
	Head(ctx context.Context) (uint64, error)
}

// Handler serves both. All fields are required.
type Handler struct {
	Log          Log
	Streams      streams.Store
	Applications *auth.Store
	Gate         *consent.Gate
	Ingest       *ingest.Ingest
	Outbox       *outbox.Outbox
	// Trace is that of [fanout.Fanout].
	Trace func(ctx context.Context, rec *eventlog.Record, stream string, most int) ([]fanout.Way, bool, error)
	// PlaceOf returns up to which record all is put on the queue of a stream.
	PlaceOf func(ctx context.Context, stream string) (uint64, error)
	// Recent returns the last attempts at a stream, or what its receiver said of SETs that it
	// polled, as far as this process saw them.
	Recent func(stream string) []push.Attempt
	// Source is that of events that are tried.
	Source string
	Now    func() time.Time
}

// State is how far an event is on its way to a stream.
type State string

// The states; besides there is each [fanout.Reason] for which an event does not go.
const (
	Coming     State = "coming"      // it matches, and is to be put on the queue next
	Waiting    State = "waiting"     // it is on the queue
	DeadLetter State = "dead_letter" // it was set aside
	// Acknowledged: the receiver took it, as this process saw.
	Acknowledged State = "acknowledged"
	// Gone: it matches, was put and is there no more. It was acknowledged, unless its dead letter
	// was dropped, the queue was full, or the stream came to match later.
	Gone State = "gone"
)

// Step is an event's way to one stream, on the wire.
type Step struct {
	Stream      string         `json:"stream_id"`
	Application string         `json:"application"`
	Method      string         `json:"method"`
	Status      streams.Status `json:"status"`
	Type        string         `json:"event_type,omitempty"` // of the SET
	JTI         string         `json:"jti"`
	State       State          `json:"state"`
	// Matches: it is sent to the stream by what is known now.
	Matches     bool      `json:"matches"`
	Attempts    int       `json:"attempts,omitempty"`
	Since       time.Time `json:"since,omitzero"` // it was put, set aside, or acknowledged
	Code        string    `json:"err,omitempty"`
	Description string    `json:"description,omitempty"`
}

// Standing is an application's gate before the event, on the wire.
type Standing struct {
	Application string `json:"application"`
	State       string `json:"state"` // sent, held, dropped
	Released    bool   `json:"released,omitempty"`
}

// Way is the answer about an event.
type Way struct {
	Steps []Step `json:"steps"`
	// More: there are others.
	More  bool       `json:"more,omitempty"`
	Gates []Standing `json:"gates"`
	// Why a vendor's record became what it did, by the rules of now.
	Why *mapping.Explanation `json:"mapping,omitempty"`
}

// Way answers GET …/{id}/way: 400 for what is no id, 404 for an event that is not there, 504 beyond
// maxTime.
func (h Handler) Way(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), maxTime)
	defer cancel()
	out, err := h.way(ctx, c.Param("id"))
	if errors.Is(err, context.DeadlineExceeded) && c.Request().Context().Err() == nil {
		return &request.Error{Status: http.StatusGatewayTimeout, Code: "way_timeout", Description: "so much waits that looking through it took too long"}
	}
	if err != nil {
		return err
	}
	request.NoStore(c)
	return c.JSON(http.StatusOK, out)
}

func (h Handler) way(ctx context.Context, id string) (*Way, error) {
	rec, err := h.Log.Get(ctx, id)
	if errors.Is(err, eventlog.ErrMalformedID) && eventlog.HasIDForm(id) {
		return nil, eventlog.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if rec.Kind != eventlog.KindEvent || rec.Erased {
		return nil, eventlog.ErrNotFound
	}
	out := Way{Steps: []Step{}, Gates: []Standing{}}
	if rec.Format != "" {
		why := h.Ingest.Explain(ctx, &rec.Event)
		out.Why = &why
	}
	ways, more, err := h.Trace(ctx, rec, "", maxWays)
	if err != nil {
		return nil, err
	}
	queued, dead, err := h.Streams.Pointing(ctx, []uint64{rec.Seq}, maxPointed)
	if err != nil {
		return nil, err
	}
	out.More = more || len(queued) == maxPointed || len(dead) == maxPointed
	if err := h.steps(ctx, &out, rec, ways, queued, dead); err != nil {
		return nil, err
	}
	if out.Gates, err = h.gates(ctx, rec); err != nil {
		return nil, err
	}
	return &out, nil
}

// steps puts together what matching and what the queues say.
func (h Handler) steps(ctx context.Context, out *Way, rec *eventlog.Record, ways []fanout.Way, queued, dead []streams.Item) error {
	placeOf := h.places()
	for i := range ways {
		w := &ways[i]
		step := Step{Stream: w.Stream, Application: w.Application, JTI: w.ID, State: State(w.Reason)}
		if !w.Webhook {
			step.Type = rec.Mapped[w.N].Type
		}
		if w.Reason == fanout.Matches || w.Reason == fanout.Released {
			step.Matches = true
			place, err := placeOf(ctx, w.Stream)
			if err != nil {
				return err
			}
			if step.State = Gone; place < w.At {
				step.State = Coming
			}
		}
		out.Steps = append(out.Steps, step)
	}
	for i := range queued {
		out.there(rec, &queued[i], Waiting)
	}
	for i := range dead {
		step := out.there(rec, &dead[i], DeadLetter)
		letter, err := h.letter(ctx, step.Stream, step.JTI)
		if err != nil {
			return err
		}
		step.Code, step.Description, step.Since = letter.Code, letter.Description, letter.At.UTC()
	}
	ids := make([]string, len(out.Steps))
	for i := range out.Steps {
		ids[i] = out.Steps[i].Stream
	}
	standings, err := streams.Standings(ctx, h.Streams, ids)
	if err != nil {
		return err
	}
	kept := out.Steps[:0]
	for i, step := range out.Steps {
		if standings[i] == nil {
			continue // it was deleted meanwhile
		}
		s := &standings[i].Stream
		step.Method, step.Status = s.Delivery.Method, s.Status
		step.Application, _ = streams.ApplicationOf(s.Owner)
		if step.State == Gone {
			h.acknowledged(&step)
		}
		kept = append(kept, step)
	}
	out.Steps = kept
	return nil
}

// acknowledged tells when a receiver took what is gone, where that is remembered.
func (h Handler) acknowledged(step *Step) {
	for _, a := range h.Recent(step.Stream) {
		if a.ID == step.JTI && a.Verdict == push.Accepted.String() {
			step.State, step.Since, step.Attempts = Acknowledged, a.At.Add(a.Took).UTC(), a.Number
			return
		}
	}
}

// places returns PlaceOf for one answer: where several nodes share the streams, all of a
// partition have one place, which is asked for once.
func (h Handler) places() func(ctx context.Context, stream string) (uint64, error) {
	if _, shared := h.Streams.(streams.Shared); !shared {
		return h.PlaceOf
	}
	known := make(map[int]uint64)
	return func(ctx context.Context, stream string) (uint64, error) {
		part := streams.PartitionOf(stream)
		place, ok := known[part]
		if ok {
			return place, nil
		}
		place, err := h.PlaceOf(ctx, stream)
		if err == nil {
			known[part] = place
		}
		return place, err
	}
}

// there notes that an item is there, and returns its step.
func (w *Way) there(rec *eventlog.Record, item *streams.Item, state State) *Step {
	at := slices.IndexFunc(w.Steps, func(s Step) bool { return s.Stream == item.Stream && s.JTI == item.ID })
	if at < 0 { // of a replay, or of a stream that matches no more
		w.Steps = append(w.Steps, Step{Stream: item.Stream, JTI: item.ID})
		at = len(w.Steps) - 1
		if n := item.Event().N; int(n) < len(rec.Mapped) && streams.EventOf(item.ID) != rec.ID {
			w.Steps[at].Type = rec.Mapped[n].Type
		}
	}
	step := &w.Steps[at]
	step.State, step.Attempts, step.Since = state, item.Attempts, item.Added.UTC()
	return step
}

// letter finds a dead letter, which is not there if it lies far behind others.
func (h Handler) letter(ctx context.Context, stream, jti string) (streams.DeadLetter, error) {
	after := ""
	for range maxLetters / letterPage {
		page, next, err := h.Streams.DeadLetters(ctx, stream, after, letterPage)
		if err != nil && !errors.Is(err, streams.ErrNotFound) {
			return streams.DeadLetter{}, err
		}
		if at := slices.IndexFunc(page, func(l streams.DeadLetter) bool { return l.ID == jti }); at >= 0 {
			return page[at], nil
		}
		if next == "" {
			break
		}
		after = next
	}
	return streams.DeadLetter{}, nil
}

// gates tells what the gates say of the event, of applications that ever had one.
func (h Handler) gates(ctx context.Context, rec *eventlog.Record) ([]Standing, error) {
	list := []Standing{}
	ids, err := h.Gate.Gated(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if rec.Applications != nil && !slices.Contains(rec.Applications, id) {
			continue
		}
		if len(list) == maxGates {
			break
		}
		_, err := h.Applications.Application(ctx, id)
		if errors.Is(err, auth.ErrNotFound) {
			continue // it was removed
		}
		if err != nil {
			return nil, err
		}
		v, err := h.Gate.Passes(ctx, id, rec)
		if err != nil {
			return nil, err
		}
		list = append(list, Standing{id, [...]string{consent.Sent: "sent", consent.Held: "held", consent.Dropped: "dropped"}[v.State], v.Released > 0})
	}
	return list, nil
}
