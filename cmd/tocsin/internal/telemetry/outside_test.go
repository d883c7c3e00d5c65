package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	api "go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/telemetry"
	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
)

// collected are the spans that a collector was sent.
type collected struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
}

func collect(t *testing.T) *collected {
	t.Helper()
	c := &collected{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			zip, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = zip
		}
		raw, err := io.ReadAll(body)
		ask := new(collector.ExportTraceServiceRequest)
		if err != nil || proto.Unmarshal(raw, ask) != nil {
			t.Errorf("got a body that is no spans (%v)", err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, of := range ask.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collected) all() []*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

func open(t *testing.T, s telemetry.TraceSettings, logger *slog.Logger) (*tracing.Tracer, func()) {
	t.Helper()
	provider, end, err := telemetry.Open(t.Context(), s, "serve", "v0", nil, logger)
	if err != nil {
		t.Fatal(err)
	}
	return tracing.New(provider), end
}

// Who calls from outside chooses neither the trace that an event is in, nor whether it is
// sampled, nor what is handed on: of what the fields say there is one link.
func TestOutsiderChoosesNothing(t *testing.T) {
	t.Parallel()
	event := tracing.Event{TransactionID: "txn-1", Issuer: "https://idp.example", ID: "jti-1", Type: strings.Repeat("x", 10_000)}
	ours := tracing.Received(event).TraceID()
	const theirs = "0af7651916cd43dd8448eb211c80319c"
	for name, tt := range map[string]struct {
		sampling, header string
		spans, links     int
	}{
		"sampled by them, and by us":   {"1", "00-" + theirs + "-b7ad6b7169203331-01", 1, 1},
		"not sampled by them":          {"1", "00-" + theirs + "-b7ad6b7169203331-00", 1, 1},
		"sampled by them, never by us": {"0", "00-" + theirs + "-b7ad6b7169203331-01", 0, 0},
		"our trace, sampled by them":   {"0", "00-" + ours.String() + "-b7ad6b7169203331-01", 0, 0},
		"our trace, not sampled":       {"1", "00-" + ours.String() + "-b7ad6b7169203331-00", 1, 0},
		"too long":                     {"1", "00-" + theirs + "-b7ad6b7169203331-01-" + strings.Repeat("x", 1<<20), 1, 0},
		"no field":                     {"1", "\x00\xff", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := collect(t)
			settings := telemetry.TraceSettings{OTLPEndpoint: c.URL}
			if err := settings.TraceSampling.UnmarshalText([]byte(tt.sampling)); err != nil {
				t.Fatal(err)
			}
			tracer, end := open(t, settings, slog.New(slog.DiscardHandler))
			asked := http.Header{
				"Traceparent": {tt.header, "00-" + theirs + "-b7ad6b7169203332-01"},
				"Tracestate":  {"vendor=" + strings.Repeat("s3cr3t", 100)}, "Baggage": {"user=s3cr3t"},
			}
			ctx, span := tracer.Start(t.Context(), tracing.Step{Name: tracing.SpanReceive, Event: event, Kind: api.SpanKindConsumer, Parent: tracing.Parent(asked)})
			sent := http.Header{}
			tracing.Inject(ctx, sent)
			span.End()
			end()
			if got := sent.Get("Traceparent"); !strings.HasPrefix(got, "00-"+ours.String()+"-") || len(sent) != 1 {
				t.Errorf("got %v handed on, want our own trace and nothing else", sent)
			}
			got := c.all()
			if len(got) != tt.spans {
				t.Fatalf("got %d spans, want %d", len(got), tt.spans)
			}
			for _, s := range got {
				id := ours
				if !bytes.Equal(s.GetTraceId(), id[:]) || s.GetTraceState() != "" || len(s.GetLinks()) != tt.links {
					t.Errorf("got trace %x, state %q, %d links, want %v, none and %d", s.GetTraceId(), s.GetTraceState(), len(s.GetLinks()), id, tt.links)
				}
				for _, a := range s.GetAttributes() {
					if text := a.GetValue().GetStringValue(); len(text) > 256 || strings.Contains(text, "s3cr3t") {
						t.Errorf("%s: got %d bytes %.20q, want 256 at most and nothing of the fields", a.GetKey(), len(text), text)
					}
				}
			}
		})
	}
}

// A collector that takes connections and never answers costs no event a wait, a bounded
// piece of memory, a line in the log, and holds up no end.
func TestCollectorHangs(t *testing.T) {
	gone := make(chan struct{})
	c := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-gone:
		case <-r.Context().Done():
		}
	}))
	shut := sync.OnceFunc(func() { close(gone); c.Close() })
	t.Cleanup(shut)
	before := runtime.NumGoroutine()
	var log lines
	tracer, end := open(t, telemetry.TraceSettings{OTLPEndpoint: c.URL}, slog.New(slog.NewTextHandler(&log, nil)))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const many = 50_000 // a dozen times what may wait
	make := func() time.Duration {
		began := time.Now()
		for range many {
			_, span := tracer.Start(t.Context(), tracing.Step{Name: tracing.SpanHandle, Event: tracing.Event{TransactionID: "txn"}})
			span.End()
		}
		return time.Since(began)
	}
	took := make()
	small := heap()
	took += make()
	if large := heap(); large > small+(8<<20) {
		t.Errorf("got %d bytes after as many spans again and %d before, want no growth", large, small)
	}
	if took > 10*time.Second {
		t.Errorf("%d spans: got %v, want no wait for the collector", 2*many, took)
	}
	began := time.Now()
	end()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the end: got %v, want it bounded", took)
	}
	if said := log.String(); !strings.Contains(said, "traces cannot be sent") || strings.Count(said, "\n") != 1 {
		t.Errorf("got the log %q, want one line", said)
	}
	shut() // else the request that is out ends by its own time
	for until := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+2; runtime.Gosched() {
		if time.Now().After(until) {
			var stacks [64 << 10]byte
			t.Fatalf("got %d goroutines, want %d as before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks[:], true)])
		}
		<-time.After(20 * time.Millisecond) // goroutines of net/http end in real time
	}
}

// lines is what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
