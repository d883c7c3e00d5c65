package ingest

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Trace makes the first span of an event's trace of each that is taken in; nil: none.
func (in *Ingest) Trace(t *tracing.Tracer) { in.tracer = t }

// trace makes the root of an event's trace. What the sender did is linked: its trace may
// be of many events.
func (in *Ingest) trace(ctx context.Context, a eventlog.Appended, e *eventlog.Event, began time.Time) {
	if !in.tracer.On() || a.Err != nil || a.Duplicate {
		return
	}
	event := tracing.Event{TransactionID: a.ID, Type: e.Type}
	_, span := in.tracer.Start(ctx, tracing.Step{
		Name: tracing.SpanEvent, Event: event, Kind: trace.SpanKindServer, Began: began,
		Parent: trace.SpanContextFromContext(ctx), Span: tracing.EventSpan(event),
		Attributes: []attribute.KeyValue{attribute.String("source", e.Source), attribute.Bool("mapped", e.MappingError == "")},
	})
	span.End()
}
