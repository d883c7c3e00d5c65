package push

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
)

// trace begins a span of each item of a request, which began when it was packed, and
// returns what ends them. Of a request that bears one item it is in the context, and so
// in the request's fields: of several, each has a trace of its own.
func (p *Pusher) trace(ctx context.Context, s streams.Stream, items []streams.Item, parcel Parcel, began, packed time.Time) (context.Context, func(Finding)) {
	if !p.cfg.Tracer.On() {
		return ctx, func(Finding) {}
	}
	var spans []trace.Span
	in := ctx
	for i, origin := range parcel.Origins {
		if slices.Contains(parcel.Gone, i) {
			continue
		}
		within, span := outbox.Trace(ctx, p.cfg.Tracer, s, items[i], origin.TransactionID, began, packed)
		if spans = append(spans, span); len(spans) == 1 {
			in = within
		}
	}
	if len(spans) > 1 {
		in = ctx
	}
	return in, func(f Finding) {
		for _, span := range spans {
			span.SetAttributes(attribute.String("verdict", f.Judgement.String()))
			if f.Judgement != Accepted {
				tracing.Fail(span, f.Code)
			}
			span.End()
		}
	}
}
