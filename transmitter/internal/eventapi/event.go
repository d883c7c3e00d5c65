// Package eventapi serves what applications read of the event log and of their
// dead letters.
package eventapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// Log is what is asked of the event log.
type Log interface {
	eventlog.Journal
	eventlog.Eraser
	Get(ctx context.Context, id string) (*eventlog.Record, error)
	Record(ctx context.Context, seq uint64) (*eventlog.Record, error)
	Head(ctx context.Context) (uint64, error)
}

// Registry is what is asked of the streams.
type Registry interface {
	Stream(ctx context.Context, id string) (streams.Stream, error)
}

// Handler serves events and dead letters.
type Handler struct {
	Log         Log
	DeadLetters streams.DeadLetters
	Registry    Registry
	// Consent is the gate of applications; nil: there is none.
	Consent Gate
	// Search finds events; nil: 501.
	Search *Search
	// Types is the catalogue of types.
	Types func() []mapping.Type
	// AnnotateFor is how long an event may be annotated; 0: 31 days.
	AnnotateFor time.Duration
	Now         func() time.Time // nil: time.Now
	// Owner returns the owner of an application's streams whose dead letters
	// are served; nil: the application itself.
	Owner func(application string) string
}

// Gate decides whether an application may hear of an event that is addressed
// to it.
type Gate interface {
	Passes(ctx context.Context, application string, rec *eventlog.Record) (consent.Verdict, error)
	// Ever reports whether the application ever had a gate.
	Ever(ctx context.Context, application string) (bool, error)
}

// Event is an event as it is read: absent is absent.
type Event struct {
	ID           string               `json:"id"`
	Source       string               `json:"source"`
	SourceID     string               `json:"source_id,omitempty"`
	Type         string               `json:"type"`
	Time         *time.Time           `json:"time,omitempty"`
	Recorded     time.Time            `json:"recorded_at"`
	Subjects     []subject.Identifier `json:"subjects,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	Format       string               `json:"format,omitempty"`
	Record       json.RawMessage      `json:"record,omitempty"`
	Sets         []eventlog.Mapped    `json:"sets,omitempty"`
	MappingError string               `json:"mapping_error,omitempty"`
	Environment  string               `json:"environment,omitempty"`
	eventlog.Attributes
}

// Event answers GET /v1/events/{id}?fields=: 400 for what is no id, 404 alike for
// an unknown event, for one that is not for the caller's application, and for
// one that its consent gate holds.
func (h Handler) Event(c echo.Context) error {
	choice, err := fieldsOf(c)
	if err != nil {
		return err
	}
	ctx, p := c.Request().Context(), request.Principal(c)
	rec, err := h.find(ctx, c.Param("id"), p)
	if err != nil {
		return err
	}
	return h.answer(c, rec, p, choice)
}

// find returns a visible event by its id. Errors: eventlog.ErrMalformedID,
// eventlog.ErrNotFound.
func (h Handler) find(ctx context.Context, id string, p *auth.Principal) (*eventlog.Record, error) {
	rec, err := h.Log.Get(ctx, id)
	if errors.Is(err, eventlog.ErrMalformedID) && eventlog.HasIDForm(id) {
		// No log of ours gave it out. A caller must not learn by that which
		// of others' ids are real.
		return nil, eventlog.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	may, err := h.may(ctx, rec, p)
	if err != nil {
		return nil, err
	}
	if !may {
		return nil, eventlog.ErrNotFound
	}
	return rec, nil
}

// answer writes an event as the principal sees it.
func (h Handler) answer(c echo.Context, rec *eventlog.Record, p *auth.Principal, choice fields) error {
	e, err := Seen(c.Request().Context(), h.Log, rec, owner(p))
	if err != nil {
		return err
	}
	chosen, err := choice.of(&e)
	if err != nil {
		return err
	}
	request.NoStore(c)
	return c.JSON(http.StatusOK, chosen)
}

// Seen returns a record as an application ("": an operator) reads it, with what
// was said of it since.
func Seen(ctx context.Context, log eventlog.Journal, rec *eventlog.Record, application string) (Event, error) {
	said, _, err := eventlog.Annotations(ctx, log, rec.Seq)
	if err != nil {
		return Event{}, err
	}
	e := EventOf(rec)
	e.Attributes = eventlog.Merge(rec.Attributes, said, application)
	return e, nil
}

// EventOf returns a record without what was said of it since. It shares the record's memory.
func EventOf(rec *eventlog.Record) Event {
	e := Event{
		ID: rec.ID, Source: rec.Source, SourceID: rec.SourceID, Type: rec.Type, Recorded: rec.Recorded.UTC(),
		Subjects: rec.Subjects, Data: rec.Data, Format: rec.Format, Record: rec.Original,
		Sets: rec.Mapped, MappingError: rec.MappingError, Environment: rec.Environment, Attributes: rec.Attributes,
	}
	if !rec.Time.IsZero() {
		at := rec.Time.UTC()
		e.Time = &at
	}
	return e
}
