package fanout

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// span makes a span of each event that was brought to queues since began. Records that
// share a transaction share its time.
func (f *Fanout) span(ctx context.Context, records []*eventlog.Record, began time.Time) {
	if !f.cfg.Tracer.On() {
		return
	}
	for _, rec := range records {
		if rec.Kind != eventlog.KindEvent {
			continue
		}
		_, s := f.cfg.Tracer.Start(ctx, tracing.Step{
			Name: tracing.SpanFanout, Event: tracing.Event{TransactionID: rec.ID, Type: rec.Type}, Kind: trace.SpanKindInternal, Began: began,
		})
		s.End()
	}
}
