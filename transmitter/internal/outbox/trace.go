package outbox

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Trace begins the span of an attempt to deliver an item, and makes those of what led to
// it: how long it waited on the queue, if this is the first attempt, and the making of
// the SET from began to made. The caller ends it.
func Trace(ctx context.Context, t *tracing.Tracer, s streams.Stream, item streams.Item, txn string, began, made time.Time) (context.Context, trace.Span) {
	if !t.On() {
		return ctx, trace.SpanFromContext(context.Background())
	}
	event := tracing.Event{TransactionID: txn, Issuer: s.Issuer, ID: item.ID, Type: item.Type}
	about := []attribute.KeyValue{attribute.String("stream_id", s.ID), attribute.String("method", s.Delivery.Method), attribute.Int("attempt", item.Attempts+1)}
	if item.Attempts == 0 {
		_, queue := t.Start(ctx, tracing.Step{Name: tracing.SpanQueue, Event: event, Kind: trace.SpanKindInternal, Began: item.Added, Attributes: about[:1]})
		queue.End(trace.WithTimestamp(began))
	}
	ctx, span := t.Start(ctx, tracing.Step{Name: tracing.SpanDelivery, Event: event, Kind: trace.SpanKindProducer, Began: began, Attributes: about})
	_, sign := t.Start(ctx, tracing.Step{Name: tracing.SpanSign, Event: event, Kind: trace.SpanKindInternal, Began: began, Parent: span.SpanContext()})
	sign.End(trace.WithTimestamp(made))
	return ctx, span
}
