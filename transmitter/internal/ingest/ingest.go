// Package ingest is the edge where account events come in: it validates, maps
// and appends them to the log, durably, before it answers (contracts.md §2).
// It matches and signs nothing.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// Codes of an [ItemError].
const (
	CodeInvalid  = "invalid_event"
	CodeDenied   = "access_denied"
	CodeConflict = "source_id_conflict"
)

// ItemError says why one event was not taken; the others of its request are.
type ItemError struct {
	Code        string `json:"code"`
	Member      string `json:"member,omitempty"`
	Description string `json:"description"`
	// FirstID is the id of the event that has the source id (CodeConflict).
	FirstID string `json:"first_id,omitempty"`
}

// Error returns code and description.
func (e *ItemError) Error() string { return "ingest: " + e.Code + ": " + e.Description }

// Result is what became of one item: an id or an error.
type Result struct {
	ID  string     `json:"id,omitempty"`
	Err *ItemError `json:"error,omitempty"`
	// Duplicate: the event was in the log before.
	Duplicate bool `json:"-"`
}

// Log is what ingest asks of the event log.
type Log interface {
	Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Appended, error)
}

// Outcomes, for metrics.
const (
	Accepted  = "accepted"
	Duplicate = "duplicate"
	Unmapped  = "unmapped" // a vendor's record whose mapping failed: recorded
	Refused   = "refused"
)

// Ingest takes events in.
type Ingest struct {
	log     Log
	mapper  *mapping.Mapper
	observe func(outcome string)
	crash   func(point string)
	logger  *slog.Logger
	tracer  *tracing.Tracer // nil: none
	past    Past            // nil: what was known before is not asked
}

// Crash points: an event is either in the log or its sender has no answer.
const (
	CrashBeforeAppend = "ingest.before-append"
	CrashAfterAppend  = "ingest.after-append"
)

// New returns an ingest into log. observe hears of each item, crash of the
// named points of the work (tests); both may be nil. A nil logger is slog.Default.
func New(log Log, mapper *mapping.Mapper, observe, crash func(string), logger *slog.Logger) *Ingest {
	nobody := func(string) {}
	if observe == nil {
		observe = nobody
	}
	if crash == nil {
		crash = nobody
	}
	if logger == nil {
		logger = slog.Default()
	}
	return &Ingest{log: log, mapper: mapper, observe: observe, crash: crash, logger: logger}
}

// Accept validates, maps and appends items for a source and returns a result
// each, in order. Durable on return. After an error nothing was kept: a
// *request.Error if the log cannot keep an event, else a failure of the log,
// which is safe to retry.
func (in *Ingest) Accept(ctx context.Context, source *auth.Source, items []Item) ([]Result, error) {
	began := time.Now()
	results := make([]Result, len(items))
	events := make([]eventlog.Event, 0, len(items))
	at := make([]int, 0, len(items))
	for i := range items {
		event, err := in.event(ctx, source, &items[i], events)
		if err != nil {
			results[i].Err = itemError(err)
			in.observe(Refused)
			continue
		}
		events, at = append(events, event), append(at, i)
	}
	if len(events) == 0 {
		return results, nil
	}
	in.crash(CrashBeforeAppend)
	appended, err := in.log.Append(ctx, events...)
	if errors.Is(err, eventlog.ErrEvent) {
		return nil, request.Invalid("", "an event is too large to be kept")
	}
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	in.crash(CrashAfterAppend)
	for j, a := range appended {
		results[at[j]] = in.result(a, &events[j])
		in.trace(ctx, a, &events[j], began)
		if id := results[at[j]].ID; id != "" && in.logger.Enabled(ctx, slog.LevelDebug) {
			in.logger.DebugContext(ctx, "event taken in", "txn", id, "event_type", events[j].Type, "duplicate", a.Duplicate)
		}
	}
	return results, nil
}

// Try returns what would be appended for an item of a source, and why; nothing is. Error: an
// *ItemError, as it would be answered.
func (in *Ingest) Try(ctx context.Context, source *auth.Source, item *Item) (eventlog.Event, mapping.Explanation, error) {
	var why mapping.Explanation
	event, err := in.event(ctx, source, item, nil)
	if err != nil {
		return event, why, itemError(err)
	}
	return event, in.Explain(ctx, &event), nil
}

// Explain tells why a vendor's record became what it did, by the rules as they are now; nothing of
// an event that was none.
func (in *Ingest) Explain(ctx context.Context, event *eventlog.Event) mapping.Explanation {
	if event.Format == "" {
		return mapping.Explanation{}
	}
	_, why, _ := in.mapper.Explain(event.Format, event.Original, in.previous(ctx, event.Source, event.Format, nil)) // the event has its error
	return why
}

func (in *Ingest) result(a eventlog.Appended, e *eventlog.Event) Result {
	var conflict *eventlog.ConflictError
	switch {
	case errors.As(a.Err, &conflict):
		in.observe(Refused)
		return Result{Err: &ItemError{
			Code: CodeConflict, Member: "source_id", FirstID: conflict.FirstID,
			Description: "the source used this source_id before, for another event",
		}}
	case a.Duplicate:
		in.observe(Duplicate)
	case e.MappingError != "":
		in.observe(Unmapped)
	default:
		in.observe(Accepted)
	}
	return Result{ID: a.ID, Duplicate: a.Duplicate}
}

// event turns an item into the event that is appended behind those before it.
func (in *Ingest) event(ctx context.Context, source *auth.Source, item *Item, before []eventlog.Event) (eventlog.Event, error) {
	if item.Err != nil {
		return eventlog.Event{}, item.Err
	}
	e := eventlog.Event{
		Source: source.Name, SourceID: item.SourceID, Type: item.Type, Time: item.Time,
		Applications: source.Applications, Subjects: item.Subjects, Data: item.Data,
		Environment: source.Environment, Attributes: item.Attributes,
	}
	if item.Format != "" {
		return in.vendorEvent(source, item, e, in.previous(ctx, source.Name, item.Format, before))
	}
	mapped, err := in.mapper.Map(mapping.Event{Type: e.Type, Time: e.Time, Subjects: e.Subjects, Data: e.Data})
	if err != nil {
		return eventlog.Event{}, err
	}
	e.Mapped = outcomes(mapped)
	if e.Attributes.Category == "" {
		e.Attributes.Category = in.mapper.Category(e.Type)
	}
	return e, allowed(source, &e)
}

// vendorEvent maps a vendor's record. One that cannot be mapped is recorded
// all the same: it happened.
func (in *Ingest) vendorEvent(source *auth.Source, item *Item, e eventlog.Event, previous mapping.Previous) (eventlog.Event, error) {
	e.Format, e.Original = item.Format, item.Record
	record, err := in.mapper.Record(item.Format, item.Record, previous)
	var unknown *mapping.FormatError
	if errors.As(err, &unknown) {
		return e, err // no such format: the sender's mistake, not a record's
	}
	e.Type = item.Format
	if record.Handle != "" {
		e.Type += ":" + record.Handle
	}
	if e.SourceID == "" {
		e.SourceID = record.ID
	}
	if e.SourceID == "" && item.Digest {
		e.SourceID = digestOf(item.Record)
	}
	e.Time, e.Subjects, e.Attributes = record.Time, record.Subjects, eventlog.Attributes(record.Attributes)
	if err == nil && time.Until(e.Time) > maxFuture {
		err = errFuture // a SET could end sessions that are yet to begin
	}
	if err != nil {
		e.MappingError = strings.TrimPrefix(err.Error(), "mapping: ")
		if record.Consent != mapping.ConsentGrant && allowed(source, &e) == nil {
			e.Consent = told(source, &e, record.Consent) // a refusal counts all the same
		}
		return e, nil
	}
	e.Mapped, e.Consent = outcomes(record.Mapped), told(source, &e, record.Consent)
	return e, allowed(source, &e)
}

// told is the decision that a record of a source tells, if the source is set to
// have it noted for the application that the record names.
func told(source *auth.Source, e *eventlog.Event, decision string) eventlog.Consent {
	application := source.Consents[e.Attributes.Application]
	if application == "" || decision == "" {
		return eventlog.Consent{}
	}
	return eventlog.Consent{Decision: decision, Application: application}
}

func outcomes(mapped []mapping.Mapped) []eventlog.Mapped {
	if len(mapped) == 0 {
		return nil
	}
	out := make([]eventlog.Mapped, len(mapped))
	for i, m := range mapped {
		out[i] = eventlog.Mapped(m)
	}
	return out
}

// allowed holds the source to what it may speak for (contracts.md §1).
func allowed(source *auth.Source, e *eventlog.Event) error {
	if source.EventTypes != nil {
		for _, m := range e.Mapped {
			if !slices.Contains(source.EventTypes, m.Type) {
				return &ItemError{Code: CodeDenied, Member: "type", Description: "the source may not send events of this type"}
			}
		}
	}
	if source.SubjectIssuers == nil {
		return nil
	}
	check := func(ids []subject.Identifier) bool {
		return !slices.ContainsFunc(ids, func(id subject.Identifier) bool { return !spokenFor(source.SubjectIssuers, id) })
	}
	ok := check(e.Subjects)
	for _, m := range e.Mapped {
		ok = ok && check(m.Subjects)
	}
	if !ok {
		return &ItemError{Code: CodeDenied, Member: "subject", Description: "the source may not speak for the issuer of this subject"}
	}
	return nil
}

// errFuture is why a record is not mapped whose time is not yet.
var errFuture = errors.New("the record's time lies in the future")

// spokenFor reports whether each issuer that an identifier names is allowed.
func spokenFor(issuers []string, id subject.Identifier) bool {
	for _, member := range []string{"iss", "issuer"} {
		if iss, ok := id.Value(member); ok && !slices.Contains(issuers, iss) {
			return false
		}
	}
	for _, name := range id.MemberNames() {
		if m, ok := id.Member(name); ok && !spokenFor(issuers, m) {
			return false
		}
	}
	for _, alias := range id.Identifiers() {
		if !spokenFor(issuers, alias) {
			return false
		}
	}
	return true
}

// itemError turns the reason of a refusal into what its sender is told.
func itemError(err error) *ItemError {
	var (
		item   *ItemError
		mapErr *mapping.Error
		format *mapping.FormatError
	)
	switch {
	case errors.As(err, &item):
		return item
	case errors.As(err, &mapErr):
		return &ItemError{Code: CodeInvalid, Member: mapErr.Member, Description: mapErr.Description}
	case errors.As(err, &format):
		return &ItemError{Code: CodeInvalid, Member: "format", Description: "is not a format of records that is known here"}
	}
	return &ItemError{Code: CodeInvalid, Description: strings.TrimPrefix(err.Error(), "mapping: ")}
}

// maxFuture is how far ahead of our clock the time of an event may be.
const maxFuture = 5 * time.Minute
