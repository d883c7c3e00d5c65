package receiver

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
)

// eventOf names the event of a message for its trace.
func eventOf(m *inbox.Message) tracing.Event {
	return tracing.Event{TransactionID: m.TransactionID, Issuer: m.Issuer, ID: m.ID, Type: m.Type}
}

// within returns a context with the span that a push says it was made in.
func (r *Receiver) within(req *http.Request) context.Context {
	if !r.tracer.On() {
		return req.Context()
	}
	return trace.ContextWithRemoteSpanContext(req.Context(), tracing.Parent(req.Header))
}

// traceArrival makes the span of a SET that came: the first time under an id that the
// runs of its hooks know, whichever process they run in.
func (r *Receiver) traceArrival(ctx context.Context, m *inbox.Message, a inbox.Appended, how string) {
	if !r.tracer.On() {
		return
	}
	step := tracing.Step{
		Name: tracing.SpanReceive, Event: eventOf(m), Kind: trace.SpanKindConsumer, Began: m.Received, Parent: trace.SpanContextFromContext(ctx),
		Attributes: []attribute.KeyValue{attribute.String("feed", r.cfg.Feed), attribute.String("delivery", how), attribute.Bool("repeat", a.Duplicate)},
	}
	if !a.Duplicate {
		step.Span = tracing.ReceiveSpan(step.Event)
	}
	_, span := r.tracer.Start(ctx, step)
	if a.Err != nil {
		tracing.Fail(span, "not kept")
	}
	span.End()
}

// traced runs the hooks of a message within a span.
func (r *Receiver) traced(ctx context.Context, m *inbox.Message) inbox.Outcome {
	if !r.tracer.On() {
		return r.handle(ctx, m)
	}
	event := eventOf(m)
	ctx, span := r.tracer.Start(ctx, tracing.Step{
		Name: tracing.SpanHandle, Event: event, Kind: trace.SpanKindInternal, Parent: tracing.Received(event),
		Attributes: []attribute.KeyValue{attribute.String("feed", r.cfg.Feed), attribute.Int("attempt", m.Attempts+1)},
	})
	defer span.End()
	outcome := r.handle(ctx, m)
	verdict := verdictWord(outcome.Verdict)
	span.SetAttributes(attribute.String("verdict", verdict))
	if outcome.Verdict != inbox.Done {
		tracing.Fail(span, verdict)
	}
	return outcome
}

func verdictWord(v inbox.Verdict) string {
	switch v {
	case inbox.Done:
		return "done"
	case inbox.Again:
		return "again"
	case inbox.SetAside:
		return "set-aside"
	case inbox.Released:
		return "released"
	}
	return "unknown"
}
