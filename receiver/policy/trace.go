package policy

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
)

// traceHook begins the span of one run of a hook, within that of the event's run if there
// is one, and returns what ends it.
func (p *plan) traceHook(ctx context.Context, t *task) (context.Context, func(journal.Verdict)) {
	around := trace.SpanFromContext(ctx)
	if !around.IsRecording() {
		return ctx, func(journal.Verdict) {}
	}
	ctx, span := around.TracerProvider().Tracer(tracing.Scope).Start(ctx, tracing.SpanHook, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("txn", p.d.TransactionID), attribute.String("jti", p.d.ID), attribute.String("event_type", p.d.Type),
		attribute.String("hook", t.hook), attribute.String("effect", string(t.effect)),
	))
	return ctx, func(v journal.Verdict) {
		span.SetAttributes(attribute.String("verdict", string(v)))
		if v == journal.Failed || v == journal.SetAside {
			tracing.Fail(span, string(v))
		}
		span.End()
	}
}
