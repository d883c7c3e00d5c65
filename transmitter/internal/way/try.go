package way

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// Tried is what would become of an event, on the wire.
type Tried struct {
	Type         string               `json:"type"`
	SourceID     string               `json:"source_id,omitempty"`
	Time         *time.Time           `json:"time,omitempty"`
	Subjects     []subject.Identifier `json:"subjects"`
	Attributes   eventlog.Attributes  `json:"attributes"`
	MappingError string               `json:"mapping_error,omitempty"`
	Sets         []TriedSet           `json:"sets"`
	// Why a vendor's record becomes it.
	Why *mapping.Explanation `json:"mapping,omitempty"`
}

// TriedSet is a security event that it would become.
type TriedSet struct {
	eventlog.Mapped
	// Reason and Claims are of the stream that was asked about: whether it would go there, and the
	// claims of its SET; jti, txn and iat are examples.
	Reason string          `json:"reason,omitempty"`
	Claims json.RawMessage `json:"claims,omitempty"`
}

// Reasons besides those of matching for which an event does not go to a stream.
const (
	reasonStatus  = "disabled"
	reasonType    = "type_not_delivered"
	reasonSubject = "not_its_subject"
)

// example stands for the id of an event that is not recorded.
const example = "example"

// Try answers POST …?stream_id=: what would become of the one event of the body, which is as for
// POST /admin/events, and the SETs that a stream would get. Nothing is kept.
func (h Handler) Try(c echo.Context) error {
	ctx := c.Request().Context()
	stream := c.QueryParam("stream_id")
	if len(stream) > maxStream {
		return request.Invalid("stream_id", "is too long")
	}
	if err := request.MediaType(c, request.MediaTypeJSON); err != nil {
		return err
	}
	body, err := request.Body(c, ingest.MaxBodyBytes)
	if err != nil {
		return err
	}
	items, shape, err := ingest.Parse(body, false)
	if err != nil {
		return err
	}
	if shape != ingest.One {
		return request.Invalid("", "one event is tried at a time")
	}
	event, why, err := h.Ingest.Try(ctx, &auth.Source{Name: h.Source}, &items[0])
	if wrong, ok := err.(*ingest.ItemError); ok { //nolint:errorlint // Try returns no other
		return &request.Error{Status: http.StatusBadRequest, Code: wrong.Code, Member: wrong.Member, Description: wrong.Description}
	}
	out := Tried{
		Type: event.Type, SourceID: event.SourceID, Subjects: append([]subject.Identifier{}, event.Subjects...),
		Attributes: event.Attributes, MappingError: event.MappingError, Sets: []TriedSet{},
	}
	if !event.Time.IsZero() {
		at := event.Time.UTC()
		out.Time = &at
	}
	if event.Format != "" {
		out.Why = &why
	}
	for _, m := range event.Mapped {
		out.Sets = append(out.Sets, TriedSet{Mapped: m})
	}
	if stream != "" {
		if err := h.claims(c, stream, event, out.Sets); err != nil {
			return err
		}
	}
	request.NoStore(c)
	return c.JSON(http.StatusOK, out)
}

// claims fills in what a stream would get.
func (h Handler) claims(c echo.Context, stream string, event eventlog.Event, sets []TriedSet) error {
	ctx := c.Request().Context()
	s, err := h.Streams.Stream(ctx, stream)
	if err == nil && s.Delivery.Method == streams.MethodWebhook {
		err = streams.ErrNotFound // no SETs leave there
	}
	if err != nil {
		return err
	}
	head, err := h.Log.Head(ctx)
	if err != nil {
		return err
	}
	rec := &eventlog.Record{Seq: head + 1, ID: example, Recorded: h.Now().UTC().Truncate(time.Millisecond), Kind: eventlog.KindEvent, Event: event}
	ways, _, err := h.Trace(ctx, rec, stream, len(sets)+1)
	if err != nil {
		return err
	}
	for n := range sets {
		item := streams.Item{Stream: stream, Pos: streams.Position{Seq: rec.Seq, N: uint32(n)}, ID: example}
		if at := slices.IndexFunc(ways, func(w fanout.Way) bool { return int(w.N) == n }); at >= 0 {
			sets[n].Reason, item.Subject = string(ways[at].Reason), ways[at].Subject
		} else {
			sets[n].Reason = mismatch(s, sets[n].Type)
		}
		if len(rec.SubjectsOf(uint32(n))) == 0 {
			continue
		}
		if sets[n].Claims, err = h.Outbox.Claims(s, rec, item); err != nil {
			return err
		}
	}
	return nil
}

// mismatch says why a stream does not match.
func mismatch(s streams.Stream, eventType string) string {
	switch {
	case s.Status == streams.Disabled:
		return reasonStatus
	case !slices.Contains(s.EventsDelivered, eventType):
		return reasonType
	}
	return reasonSubject
}
