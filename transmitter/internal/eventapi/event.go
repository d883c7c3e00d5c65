// Package eventapi serves what applications read of the event log and of their
// dead letters.
package eventapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Log is what is asked of the event log.
type Log interface {
	Get(ctx context.Context, id string) (*eventlog.Record, error)
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
	// Owner returns the owner of an application's streams whose dead letters
	// are served; nil: the application itself.
	Owner func(application string) string
	// Consent is the gate of applications; nil: there is none.
	Consent Gate
}

// Gate decides whether an application may hear of an event that is addressed
// to it.
type Gate interface {
	Passes(ctx context.Context, application string, rec *eventlog.Record) (consent.Verdict, error)
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

// Event answers GET /v1/events/{id}: 400 for what is no id, 404 alike for an
// unknown event, for one that is not for the caller's application, and for one
// that its consent gate holds.
func (h Handler) Event(c echo.Context) error {
	id := c.Param("id")
	rec, err := h.Log.Get(c.Request().Context(), id)
	if errors.Is(err, eventlog.ErrMalformedID) && eventlog.HasIDForm(id) {
		// No log of ours gave it out. A caller must not learn by that which
		// of others' ids are real.
		return eventlog.ErrNotFound
	}
	if err != nil {
		return err
	}
	may, err := h.may(c.Request().Context(), rec, request.Principal(c))
	if err != nil {
		return err
	}
	if !may {
		return eventlog.ErrNotFound
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, EventOf(rec))
}

// may reports whether a principal may know of the record now: what is visible
// to it, unless the gate of its application holds it. Operators see all.
func (h Handler) may(ctx context.Context, rec *eventlog.Record, p *auth.Principal) (bool, error) {
	if !visible(rec, p) {
		return false, nil
	}
	if h.Consent == nil || p.Allows(auth.ScopeAdmin) {
		return true, nil
	}
	v, err := h.Consent.Passes(ctx, p.Application, rec)
	return v.State == consent.Sent, err
}

// visible reports whether a principal may know of the record. What stands in the
// log beside events, and what was erased, is nobody's to read here.
func visible(rec *eventlog.Record, p *auth.Principal) bool {
	if rec.Kind != eventlog.KindEvent || rec.Erased || p.Environment != "" && p.Environment != rec.Environment {
		return false
	}
	return rec.Applications == nil || slices.Contains(rec.Applications, p.Application) || p.Allows(auth.ScopeAdmin)
}

// EventOf returns a record as it is read. It shares the record's memory.
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
