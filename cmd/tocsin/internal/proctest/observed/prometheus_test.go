package observed_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// Files that operators take, and the handbook.
const (
	deploy        = "../../../../../docs/deploy/"
	rulesFile     = deploy + "prometheus/rules.yml"
	dashboardFile = deploy + "grafana/tocsin.json"
	handbook      = "../../../../../docs/operations/incidents.md"
)

// rule is an alert.
type rule struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	raw, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// query is one of a panel.
type query struct{ panel, expr string }

func queries(t *testing.T) (all []query) {
	t.Helper()
	raw, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, p := range file.Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title, target.Expr})
		}
	}
	return all
}

// metricsOf returns the metrics that an expression names, as the page has them.
func metricsOf(expr string) []string {
	var names []string
	for _, name := range regexp.MustCompile(`\b(tocsin|process)_[a-z_]+`).FindAllString(expr, -1) {
		names = append(names, strings.TrimSuffix(name, "_bucket"))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Every metric that an alert or a panel names is on the page about metrics, which names
// the alerts of each metric and no other; each alert has its heading in the handbook,
// which is its runbook, and a series in the tests of the rules that it fires on.
func TestAlertPages(t *testing.T) {
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	said, sections := map[string][]string{}, onPage(t)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` .*\\| ([^|]+) \\|$").FindAllStringSubmatch(string(raw), -1) {
		for _, name := range strings.Split(m[2], ", ") {
			if name != "–" {
				said[m[1]] = append(said[m[1]], name)
			}
		}
	}
	known := func(name string) bool {
		for _, section := range sections {
			if _, ok := section[name]; ok {
				return true
			}
		}
		return false
	}
	for _, q := range queries(t) {
		for _, name := range metricsOf(q.expr) {
			if !known(name) {
				t.Errorf("the panel %q asks for %s, which is not on the page", q.panel, name)
			}
		}
	}
	book, err := os.ReadFile(handbook)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(deploy + "prometheus/rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(string(book), -1) {
		headings = append(headings, m[1])
	}
	uses, names := map[string][]string{}, []string{}
	for _, r := range rules(t) {
		names = append(names, r.Alert)
		for _, name := range metricsOf(r.Expr) {
			if !known(name) {
				t.Errorf("%s asks for %s, which is not on the page", r.Alert, name)
			}
			uses[name] = append(uses[name], r.Alert)
		}
		if want := "docs/operations/incidents.md#" + strings.ToLower(r.Alert); r.Annotations["runbook"] != want {
			t.Errorf("%s: got the runbook %q, want %q", r.Alert, r.Annotations["runbook"], want)
		}
		if s := r.Labels["severity"]; r.Annotations["summary"] == "" || s != "page" && s != "ticket" {
			t.Errorf("%s: got severity %q and summary %q, want page or ticket, and a text", r.Alert, s, r.Annotations["summary"])
		}
		if !bytes.Contains(tests, []byte("alertname: "+r.Alert+"\n")) {
			t.Errorf("%s: got no test in rules_test.yml, want one", r.Alert)
		}
	}
	if !slices.Equal(headings, names) {
		t.Errorf("the handbook: got headings %q, want %q", headings, names)
	}
	for _, section := range sections {
		for name := range section {
			got, want := slices.Sorted(slices.Values(said[name])), slices.Sorted(slices.Values(uses[name]))
			if !slices.Equal(got, want) {
				t.Errorf("%s: the page names the alerts %q, those that look at it are %q", name, got, want)
			}
		}
	}
}

// tool finds a program of Debian's package prometheus.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("TOCSIN_CI")+os.Getenv("CI") != "" {
		t.Fatalf("%s is missing (package prometheus)", name)
	}
	t.Skipf("%s is missing (package prometheus): NOT CHECKED", name)
	return ""
}

// The rules are well formed, and each alert fires on its series.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool")
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", deploy + "prometheus/rules_test.yml"}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// prometheus is a real one that scrapes a world.
type prometheus struct {
	address string
	client  *http.Client
}

// watch starts a Prometheus with the configuration that operators take, but for
// addresses and pauses.
func watch(t *testing.T, w *world, binary string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	token, err := w.idp.Token(t.Context(), "prometheus", "https://prometheus.example", "admin")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(deploy + "prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for old, is := range map[string]string{
		"127.0.0.1:9464": w.idp.Admin, "127.0.0.1:9465": w.app.Admin, "interval: 15s": "interval: 1s", "serve.token": filepath.Join(dir, "serve.token"),
		`targets: ["127.0.0.1:9093"]`: "targets: []",
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("prometheus.yml has no %s", old)
		}
		text = strings.ReplaceAll(text, old, is)
	}
	alerts, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"prometheus.yml": text, "rules.yml": string(alerts), "serve.token": token} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &prometheus{address: l.Addr().String(), client: &http.Client{Timeout: 10 * time.Second}}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", p.address, "--log.level", "warn")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("Prometheus:\n%s", said.String())
		}
	})
	proctest.Eventually(t, "a Prometheus that scrapes both halves", func() bool {
		found, err := p.ask(t, `up == 1`)
		return err == nil && len(found) == 2
	})
	return p
}

// ask returns the values that a query has now, NaN left out.
func (p *prometheus) ask(t *testing.T, expr string) (values []float64, err error) {
	t.Helper()
	var answer struct {
		Error string
		Data  struct{ Result []struct{ Value [2]any } }
	}
	if err := p.read("/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return values, nil
}

func (p *prometheus) read(path string, into any) error {
	resp, err := p.client.Get("http://" + p.address + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // decoded
	return json.NewDecoder(resp.Body).Decode(into)
}

// absent are the panels that may have nothing to show in the run: there is no Redis in
// it, and no https.
func absent() []string { return []string{"Redis", "Certificate"} }

// Every query of the dashboard has an answer from a run with traffic, and of the alerts,
// which can all be evaluated, none fires.
func testPrometheus(t *testing.T, w *world, p *prometheus) {
	expand := strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m")
	var empty []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("without an answer:\n%s", strings.Join(empty, "\n"))
		}
	})
	round := 0
	proctest.Eventually(t, "answers to all queries", func() bool {
		empty = empty[:0]
		for _, q := range queries(t) {
			if slices.Contains(absent(), q.panel) {
				continue
			}
			values, err := p.ask(t, expand.Replace(q.expr))
			if err != nil {
				t.Fatal(err)
			}
			if len(values) == 0 {
				empty = append(empty, q.panel+": "+q.expr)
			}
		}
		if len(empty) > 0 {
			round++
			w.emit(t, fmt.Sprint("round-", round), "round@example.com") // what was new is a rate at the next
			proctest.Pause(2 * time.Second)
		}
		return len(empty) == 0
	})
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError, State string }
			}
		}
	}
	if err := p.read("/api/v1/rules", &answer); err != nil {
		t.Fatal(err)
	}
	evaluated := 0
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			evaluated++
			if r.Health != "ok" {
				t.Errorf("%s: got health %s (%s), want ok", r.Name, r.Health, r.LastError)
			}
			if r.State == "firing" {
				t.Errorf("%s fires in a healthy run", r.Name)
			}
		}
	}
	if want := len(rules(t)); evaluated != want {
		t.Errorf("got %d rules evaluated, want %d", evaluated, want)
	}
}
