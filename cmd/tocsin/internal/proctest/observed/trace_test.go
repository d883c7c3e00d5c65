package observed_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// span is one that a process sent.
type span struct {
	service, name            string
	trace, id, parent, links string
	attributes               map[string]string
}

// spans is a collector of OTLP over HTTP.
type spans struct {
	*httptest.Server
	mu  sync.Mutex
	all []span
}

func newSpans(t *testing.T) *spans {
	t.Helper()
	c := &spans{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var ask collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(raw, &ask) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.take(&ask)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *spans) take(ask *collector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, process := range ask.GetResourceSpans() {
		service := words(process.GetResource().GetAttributes())["service.name"]
		for _, scope := range process.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				one := span{
					service: service, name: s.GetName(), attributes: words(s.GetAttributes()),
					trace: hex.EncodeToString(s.GetTraceId()), id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()),
				}
				for _, l := range s.GetLinks() {
					one.links += hex.EncodeToString(l.GetTraceId()) + " "
				}
				c.all = append(c.all, one)
			}
		}
	}
}

func words(attributes []*otlp.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		all[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return all
}

// of returns the spans of a txn, by name.
func (c *spans) of(txn string) map[string][]span {
	c.mu.Lock()
	defer c.mu.Unlock()
	named := map[string][]span{}
	for _, s := range c.all {
		if s.attributes["txn"] == txn {
			named[s.name] = append(named[s.name], s)
		}
	}
	return named
}

// The sender of the event is in a trace of its own.
const (
	senderTrace = "0af7651916cd43dd8448eb211c80319c"
	traceParent = "00-" + senderTrace + "-b7ad6b7169203331-01"
)

// One event's spans of both processes are one trace, by push and by poll, from the event
// taken in to the hook done, each joined to what caused it; none tells of whom the event
// is. Without the collector nothing is lost or waits.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := newSpans(t)
	w := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	const address = "traced@example.com"
	txn := w.emit(t, "traced", address, "traceparent", traceParent)
	want := map[string]int{
		"tocsin.event": 1, "tocsin.fanout": 1, "tocsin.queue": 2, "tocsin.delivery": 2, "tocsin.sign": 2,
		"tocsin.receive": 2, "tocsin.handle": 2, "tocsin.hook": 4, // tell and gate
	}
	var got map[string][]span
	complete := func() bool {
		got = c.of(txn)
		for name, n := range want {
			if len(got[name]) < n {
				return false
			}
		}
		return true
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("spans: %+v", got)
		}
	})
	proctest.Eventually(t, "the spans of both processes", complete)

	root := got["tocsin.event"][0]
	if root.parent != "" || !strings.Contains(root.links, senderTrace) || root.trace == senderTrace {
		t.Errorf("the event: got parent %q and links %q, want the root of a trace of its own, linked to its sender's", root.parent, root.links)
	}
	for name, list := range got {
		if len(list) != want[name] {
			t.Errorf("%s: got %d spans, want %d", name, len(list), want[name])
		}
		for _, s := range list {
			half := "tocsin-serve"
			if slices.Contains([]string{"tocsin.receive", "tocsin.handle", "tocsin.hook"}, name) {
				half = "tocsin-receive"
			}
			if s.trace != root.trace || s.service != half {
				t.Errorf("%s: got trace %s of %s, want %s of %s", name, s.trace, s.service, root.trace, half)
			}
			for key, value := range s.attributes {
				if strings.Contains(value, address) || strings.Contains(value, w.source) {
					t.Errorf("%s: %s tells %q", name, key, value)
				}
			}
		}
	}
	cause := func(s span, name, match string) span {
		for _, other := range got[name] {
			if other.attributes[match] == s.attributes[match] {
				return other
			}
		}
		return span{}
	}
	for _, s := range append(append(got["tocsin.fanout"], got["tocsin.queue"]...), got["tocsin.delivery"]...) {
		if s.parent != root.id {
			t.Errorf("%s: got parent %s, want the event %s", s.name, s.parent, root.id)
		}
	}
	for _, s := range got["tocsin.sign"] {
		if from := cause(s, "tocsin.delivery", "jti"); s.parent != from.id {
			t.Errorf("sign: got parent %s, want the delivery %s", s.parent, from.id)
		}
	}
	for _, s := range got["tocsin.receive"] {
		from := root // a poll's answer bears several
		if s.attributes["delivery"] == "push" {
			from = cause(s, "tocsin.delivery", "jti")
		}
		if s.parent != from.id {
			t.Errorf("received by %s: got parent %s, want %s %s", s.attributes["delivery"], s.parent, from.name, from.id)
		}
	}
	for _, s := range got["tocsin.handle"] {
		if from := cause(s, "tocsin.receive", "jti"); s.parent != from.id || s.attributes["verdict"] != "done" {
			t.Errorf("handle: got parent %s and verdict %s, want the arrival %s, done", s.parent, s.attributes["verdict"], from.id)
		}
	}
	for _, s := range got["tocsin.hook"] {
		if from := cause(s, "tocsin.handle", "jti"); s.parent != from.id || !slices.Contains([]string{"tell", "gate"}, s.attributes["hook"]) || s.attributes["verdict"] != "done" {
			t.Errorf("hook: got %v under %s, want tell or gate, done, under %s", s.attributes, s.parent, from.id)
		}
	}

	c.Close()
	series := `tocsin_receive_handled_total{issuer="polled",verdict="done"}`
	before := w.gauge(t, w.app, series)
	for _, id := range []string{"a", "b", "c"} {
		w.emit(t, "dark-"+id, "dark@example.com")
	}
	proctest.Eventually(t, "hooks without a collector", func() bool { return w.gauge(t, w.app, series) == before+3 })
}
