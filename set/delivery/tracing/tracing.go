// Package tracing makes one trace (OpenTelemetry, W3C Trace Context) of an event's way
// through both halves: taken in, fanned out, signed, delivered, received, handled.
//
// The trace's id, and those of the two spans on which others hang, are derived from the
// txn, which every SET bears (SSF §4.1.9). So each step finds its place in the trace by
// the event alone: after a queue, an inbox, a crash, on another node, by push and by
// poll, and at a peer of another make. Nothing of a trace is stored, and none is in a
// SET. docs/observability.md describes it for operators.
//
// No span bears a subject, a credential or an address of a person.
package tracing

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the name of the instrumentation.
const Scope = "github.com/tocsin-ssf/tocsin"

// Names of the spans, in the order of an event's way.
const (
	SpanEvent    = "tocsin.event"    // taken in: validated, mapped, in the log
	SpanFanout   = "tocsin.fanout"   // matched, on the queues
	SpanQueue    = "tocsin.queue"    // waited on one stream's queue
	SpanDelivery = "tocsin.delivery" // one attempt: signed and sent
	SpanSign     = "tocsin.sign"     // made and signed, within a delivery
	SpanReceive  = "tocsin.receive"  // verified, in the inbox
	SpanHandle   = "tocsin.handle"   // one run of all hooks
	SpanHook     = "tocsin.hook"     // one run of one hook
)

// Event names an event as the SET about it does.
type Event struct {
	TransactionID string // txn; empty: Issuer and ID stand for it
	Issuer, ID    string // iss and jti; empty where there is no SET yet
	Type          string
}

// Tracer makes spans. nil makes none, at no cost. Safe for concurrent use.
type Tracer struct{ tracer trace.Tracer }

// New returns a tracer; nil if there is no provider.
func New(provider trace.TracerProvider) *Tracer {
	if provider == nil {
		return nil
	}
	return &Tracer{provider.Tracer(Scope)}
}

// On reports whether spans are made: what costs something for a span alone is asked for
// then.
func (t *Tracer) On() bool { return t != nil }

// Step is what a span is about.
type Step struct {
	Name  string
	Event Event
	Kind  trace.SpanKind
	// Began is when the step did; zero: now.
	Began time.Time
	// Parent is the span that caused it; zero: the event's.
	Parent trace.SpanContext
	// Span is the id that the span shall have; zero: any.
	Span       trace.SpanID
	Links      []trace.Link
	Attributes []attribute.KeyValue
}

// Start begins a span and returns a context with it. End it in any case.
func (t *Tracer) Start(ctx context.Context, s Step) (context.Context, trace.Span) {
	if t == nil {
		return ctx, trace.SpanFromContext(context.Background()) // does nothing
	}
	id := traceOf(s.Event)
	parent := s.Parent
	if !parent.IsValid() || parent.TraceID() != id {
		if parent.IsValid() { // somebody's own trace: told of, not joined
			s.Links = append(s.Links, trace.Link{SpanContext: parent})
		}
		parent = trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: eventSpan(s.Event), Remote: true})
	}
	options := []trace.SpanStartOption{
		trace.WithSpanKind(s.Kind), trace.WithLinks(s.Links...), trace.WithAttributes(s.Event.attributes()...), trace.WithAttributes(s.Attributes...),
	}
	if !s.Began.IsZero() {
		options = append(options, trace.WithTimestamp(s.Began))
	}
	from := trace.ContextWithSpanContext(ctx, parent)
	if s.Name == SpanEvent {
		options = append(options, trace.WithNewRoot())
	}
	_, span := t.tracer.Start(context.WithValue(from, wanted{}, Wanted{id, s.Span}), s.Name, options...)
	return trace.ContextWithSpan(ctx, span), span
}

func (e Event) attributes() []attribute.KeyValue {
	all := []attribute.KeyValue{attribute.String("txn", e.TransactionID)}
	if e.ID != "" {
		all = append(all, attribute.String("jti", e.ID))
	}
	if e.Type != "" {
		all = append(all, attribute.String("event_type", e.Type))
	}
	return all
}

// Fail marks a span as failed, for a reason that is one of our words or an error that
// tells of nobody.
func Fail(span trace.Span, reason string) { span.SetStatus(codes.Error, reason) }

// EventSpan is the id of the span that is the root of an event's trace, and ReceiveSpan
// that of the arrival of one of its SETs, on which the runs of hooks hang.
func EventSpan(e Event) trace.SpanID { return eventSpan(e) }

// ReceiveSpan is described with EventSpan.
func ReceiveSpan(e Event) trace.SpanID {
	return spanID(digest("receive", e.key(), e.Issuer, e.ID))
}

// Received is the span of the arrival of a SET, as a parent.
func Received(e Event) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceOf(e), SpanID: ReceiveSpan(e), Remote: true})
}

func eventSpan(e Event) trace.SpanID { return spanID(digest("event", e.key())) }

// traceOf is the id of an event's trace.
func traceOf(e Event) (id trace.TraceID) {
	copy(id[:], digest("trace", e.key()))
	return id
}

func (e Event) key() string {
	if e.TransactionID != "" {
		return e.TransactionID
	}
	return e.Issuer + "\n" + e.ID
}

func digest(words ...string) []byte {
	h := sha256.New()
	for _, w := range words {
		_, _ = h.Write([]byte(w + "\n")) // it cannot fail
	}
	return h.Sum(nil)
}

func spanID(sum []byte) (id trace.SpanID) {
	copy(id[:], sum)
	return id
}

// wanted is the key of the ids that a span that begins shall have.
type wanted struct{}

// Wanted are ids for the generator of the SDK. A zero Span stands for any.
type Wanted struct {
	Trace trace.TraceID
	Span  trace.SpanID
}

// WantedOf returns the ids that the span that begins with ctx shall have.
func WantedOf(ctx context.Context) (Wanted, bool) {
	w, ok := ctx.Value(wanted{}).(Wanted)
	return w, ok
}

// header is the one field of W3C Trace Context that is sent and read.
const header = "traceparent"

// Inject adds the span of ctx to the fields of a request, beside what it bears.
func Inject(ctx context.Context, h http.Header) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return
	}
	fields := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, fields)
	h.Set(header, fields[header])
}

// Parent returns the span that a request says it was made in; zero: it does not say.
func Parent(h http.Header) trace.SpanContext {
	value := h.Get(header)
	if value == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{header: value})
	return trace.SpanContextFromContext(ctx)
}
