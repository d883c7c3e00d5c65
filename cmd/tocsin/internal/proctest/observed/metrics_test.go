package observed_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// page is where every metric is described.
const page = "../../../../../docs/metrics.md"

// scrape reads the metrics of a server, on its socket, where operators are let in.
func scrape(t *testing.T, s *proctest.Server) map[string]*dto.MetricFamily {
	t.Helper()
	dir := s.Dir
	if s.File != "" {
		dir = filepath.Join(s.Dir, "data")
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, "admin.sock"))
		},
	}}
	resp, err := client.Get("http://socket/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: got %d %v, want 200", resp.StatusCode, err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// gauge returns the value of a series, -1 if there is none.
func (w *world) gauge(t *testing.T, s *proctest.Server, series string) float64 {
	t.Helper()
	name, _, _ := strings.Cut(series, "{")
	family := scrape(t, s)[name]
	for _, m := range family.GetMetric() {
		if seriesOf(name, m) == series {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
	}
	return -1
}

func seriesOf(name string, m *dto.Metric) string {
	var labels []string
	for _, l := range m.GetLabel() {
		labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	if labels == nil {
		return name
	}
	slices.Sort(labels)
	return name + "{" + strings.Join(labels, ",") + "}"
}

// described is a metric: its type, and its labels, sorted.
type described struct{ kind, labels string }

// add puts what a server tells of itself into all; half is the heading of the page.
func add(all map[string]map[string]described, half string, families map[string]*dto.MetricFamily) {
	for name, f := range families {
		section := half
		if !strings.HasPrefix(name, "tocsin_receive_") && (half == "receive" || all["both"][name] != described{}) || common(name) {
			section = "both"
		}
		if all[section] == nil {
			all[section] = map[string]described{}
		}
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		all[section][name] = described{strings.ToLower(f.GetType().String()), strings.Join(slices.Sorted(maps.Keys(labels)), ", ")}
	}
}

// common reports whether a metric is of the process, whichever half it is.
func common(name string) bool {
	for _, prefix := range []string{"go_", "process_", "promhttp_", "tocsin_build_", "tocsin_console_", "tocsin_data_", "tocsin_redis_", "tocsin_connections_", "tocsin_tls_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// onPage reads the page: a section per half, a row per metric.
func onPage(t *testing.T) map[string]map[string]described {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all, section := map[string]map[string]described{}, ""
	row := regexp.MustCompile("^\\| `([a-z_]+)` \\| ([a-z]+) \\| ([^|]*) \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")
	label, values := regexp.MustCompile("`([a-z_]+)`"), regexp.MustCompile(`\([^)]*\)`)
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section, _, _ = strings.Cut(heading, ":")
			continue
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("the page has a row of another form: %s", line)
			continue
		}
		var labels []string
		for _, l := range label.FindAllStringSubmatch(values.ReplaceAllString(m[4], ""), -1) {
			labels = append(labels, l[1])
		}
		slices.Sort(labels)
		if all[section] == nil {
			all[section] = map[string]described{}
		}
		all[section][m[1]] = described{m[2], strings.Join(labels, ", ")}
	}
	return all
}

// The page about metrics has what both halves tell, each with its type and labels, and
// nothing else.
func testMetricsPage(t *testing.T, w *world) {
	got := map[string]map[string]described{}
	add(got, "serve", scrape(t, w.idp))
	add(got, "receive", scrape(t, w.app))
	// What is told only by https, with Redis, with a signer.
	other := proctest.New(t, "--redis", redistest.StartDurable(t).Limit(t), "--signer", "unix:"+startSigner(t))
	other.Secure = true
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	add(got, "serve", scrape(t, other))
	other.Kill()
	// With certificates by ACME; nobody answers there.
	certified := proctest.New(t, "--issuer", "https://ssf.example.com", "--acme-domain", "ssf.example.com", "--acme-directory", "https://127.0.0.1:1/dir")
	certified.Secure = true
	if err := certified.Start(); err != nil {
		t.Fatal(err)
	}
	add(got, "serve", scrape(t, certified))
	certified.Kill()

	want := onPage(t)
	for _, section := range []string{"serve", "receive", "both"} {
		for name, is := range got[section] {
			if said, ok := want[section][name]; !ok {
				t.Errorf("%s: %s (%s, labels: %s) is not on the page", section, name, is.kind, is.labels)
			} else if said != is {
				t.Errorf("%s: %s: the page says %s, labels: %s; it is %s, labels: %s", section, name, said.kind, said.labels, is.kind, is.labels)
			}
		}
		for name := range want[section] {
			if _, ok := got[section][name]; !ok {
				t.Errorf("%s: %s is on the page and was not told", section, name)
			}
		}
	}
}

// startSigner starts a `tocsin signer` with a key and returns its socket.
func startSigner(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	key, socket := filepath.Join(dir, "key"), filepath.Join(dir, "s")
	if out, err := exec.CommandContext(t.Context(), proctest.Binary(t), "key", "make", key).CombinedOutput(); err != nil {
		t.Fatalf("a key: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), proctest.Binary(t), "signer", "--socket", socket, "--key", key, "--log-level", "error")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 64)); err != nil { // its first line
		t.Fatal(err)
	}
	return socket
}

// A run of both halves, looked at in each way.
func TestObserved(t *testing.T) {
	t.Parallel()
	w := start(t)
	// It looks before anything happens: a rate needs two points.
	var p *prometheus
	if binary, err := exec.LookPath("prometheus"); err == nil {
		p = watch(t, w, binary)
	}
	w.traffic(t)
	t.Run("Logs", func(t *testing.T) { testLogs(t, w) })
	t.Run("MetricsPage", func(t *testing.T) { testMetricsPage(t, w) })
	t.Run("Prometheus", func(t *testing.T) {
		tool(t, "prometheus")
		testPrometheus(t, w, p)
	})
}
