package tracing_test

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
)

// Ids come from the event alone: the same at every process and every time, another for
// another event, and for each SET about it another arrival.
func TestDerived(t *testing.T) {
	one := tracing.Event{TransactionID: "txn-1", Issuer: "https://idp.example", ID: "jti-1"}
	same := tracing.Event{TransactionID: "txn-1", Issuer: "https://other.example", ID: "jti-2"}
	other := tracing.Event{TransactionID: "txn-2", Issuer: one.Issuer, ID: one.ID}
	unnamed := tracing.Event{Issuer: one.Issuer, ID: one.ID}
	if a, b := tracing.Received(one), tracing.Received(same); a.TraceID() != b.TraceID() || tracing.EventSpan(one) != tracing.EventSpan(same) || a.SpanID() == b.SpanID() {
		t.Errorf("two SETs of one event: got %v and %v, want one trace and two arrivals", a, b)
	}
	for _, e := range []tracing.Event{other, unnamed} {
		if tracing.Received(one).TraceID() == tracing.Received(e).TraceID() {
			t.Errorf("%+v: got the trace of %+v, want another", e, one)
		}
	}
	if !tracing.Received(unnamed).IsValid() {
		t.Error("an event without a txn: got no trace, want one")
	}
}

// A tracer that is off makes nothing and costs nothing.
func TestOff(t *testing.T) {
	off, ctx := tracing.New(nil), context.Background()
	if off.On() {
		t.Error("got a tracer that is on")
	}
	if n := testing.AllocsPerRun(100, func() {
		_, span := off.Start(ctx, tracing.Step{Name: tracing.SpanHandle})
		span.End()
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// What a request says of its span is read; what is no traceparent is nobody's.
func TestParent(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if got := tracing.Parent(http.Header{"Traceparent": {good}}); got.SpanID().String() != "b7ad6b7169203331" || !got.IsRemote() {
		t.Errorf("got %v, want the span of the field", got)
	}
	for _, text := range []string{"", "x", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "ff" + good[2:]} {
		if got := tracing.Parent(http.Header{"Traceparent": {text}}); got.IsValid() {
			t.Errorf("%q: got %v, want none", text, got)
		}
	}
	sent := http.Header{}
	tracing.Inject(trace.ContextWithRemoteSpanContext(context.Background(), tracing.Parent(http.Header{"Traceparent": {good}})), sent)
	if got := sent.Get("traceparent"); got != good {
		t.Errorf("got %q sent, want %q", got, good)
	}
	tracing.Inject(context.Background(), sent)
}
