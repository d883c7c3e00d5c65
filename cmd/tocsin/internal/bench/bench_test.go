package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/bench"
)

func TestPercentile(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		p      float64
		want   float64
	}{
		{"none", nil, 50, 0},
		{"one", []float64{7}, 99, 7},
		{"median of five", []float64{5, 1, 4, 2, 3}, 50, 3},
		{"median of four is the lower", []float64{4, 3, 2, 1}, 50, 2},
		{"p99 of a hundred is the 99th", hundred(), 99, 99},
		{"p100 is the last", hundred(), 100, 100},
		{"p0 is the first", hundred(), 0, 1},
	} {
		if got := bench.Percentile(tt.values, tt.p); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func hundred() []float64 {
	values := make([]float64, 100)
	for i := range values {
		values[i] = float64(100 - i)
	}
	return values
}

// A ratio is the median of the rounds' own ratios, and is held to the bound
// from the right side.
func TestJudge(t *testing.T) {
	rounds := []bench.Round{{10, 10}, {30, 10}, {40, 20}, {12, 10}, {300, 100}}
	for _, tt := range []struct {
		name    string
		atLeast bool
		target  float64
		want    bool
	}{
		{"below an upper bound", false, 2.1, true},
		{"at an upper bound", false, 2, true},
		{"over an upper bound", false, 1.9, false},
		{"over a lower bound", true, 1.9, true},
		{"below a lower bound", true, 2.1, false},
	} {
		got := bench.Judge(tt.atLeast, tt.target, rounds)
		if got.Holds != tt.want || got.Ratio != 2 || got.Value != 30 || got.Floor != 10 {
			t.Errorf("%s: got %+v, want holds %v, ratio 2, value 30, floor 10", tt.name, got, tt.want)
		}
	}
}

// The time of sending travels in the subject, and the sink finds it in the SET.
func TestSentAt(t *testing.T) {
	before := time.Now()
	event := bench.Event("urn:example:event")
	var sent struct {
		Subject json.RawMessage `json:"subject"`
	}
	if err := json.Unmarshal(event, &sent); err != nil {
		t.Fatalf("the event is no JSON: %v\n%s", err, event)
	}
	claims := `{"iss":"https://a","sub_id":` + string(sent.Subject) + `}`
	at, ok := bench.SentAt([]byte("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"))
	if !ok || at.Before(before) || at.After(time.Now()) {
		t.Errorf("got %v %v, want a time since %v", at, ok, before)
	}
	for _, bad := range []string{"", "a.b", "e30.e30.e30", "e30.!.e30"} {
		if _, ok := bench.SentAt([]byte(bad)); ok {
			t.Errorf("%q: got a time, want none", bad)
		}
	}
}

// A process' CPU time grows by what it works: soon, unless others have the processors.
func TestCPU(t *testing.T) {
	before, err := bench.CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	start, sum, used := time.Now(), 0.0, time.Duration(0)
	for used < time.Millisecond && time.Since(start) < 10*time.Second {
		for range 1_000_000 {
			sum += math.Sqrt(float64(len(event)))
		}
		after, err := bench.CPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		used = after - before
	}
	if used < time.Millisecond || sum == 0 {
		t.Errorf("got %v after 10s of work, want more than 1ms", used)
	}
	if _, err := bench.CPU(1 << 22); err == nil {
		t.Error("got the CPU time of a process that is not there, want an error")
	}
}

const event = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

// One workload is named, or several; without a name those of the main job run,
// or all.
func TestChosen(t *testing.T) {
	for _, tt := range []struct {
		cfg  bench.Config
		want []string
	}{
		{bench.Config{Only: "append"}, []string{"append"}},
		{bench.Config{Only: "search-*"}, []string{"search-identifier", "search-session", "search-network", "search-time"}},
		{bench.Config{Only: "history"}, []string{"history"}},
		{bench.Config{Only: "[", Full: true}, nil},
		{bench.Config{}, []string{"push-rs256", "push-eddsa", "poll-eddsa", "verify-rs256", "slow-receiver", "idle-latency"}},
		{bench.Config{Full: true}, slices.DeleteFunc(bench.Names(), onRedis)},
		{bench.Config{Redis: "start"}, []string{"redis-ingest", "redis-push", "redis-poll", "redis-pair", "redis-state"}},
		{bench.Config{Redis: "start", Full: true}, slices.DeleteFunc(bench.Names(), func(name string) bool { return !onRedis(name) })},
		{bench.Config{Redis: "start", Only: "redis-push", Costs: "f"}, []string{"redis-push"}},
	} {
		if got := bench.Chosen(tt.cfg); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: got %v, want %v", tt.cfg, got, tt.want)
		}
	}
}

func onRedis(name string) bool { return strings.HasPrefix(name, "redis-") }

// Without a Redis its workloads do not run, also where they are named.
func TestNoRedis(t *testing.T) {
	_, err := bench.Run(t.Context(), bench.Config{Only: "redis-push", Dir: t.TempDir(), Progress: io.Discard})
	if !errors.Is(err, bench.ErrUnknown) || !strings.Contains(err.Error(), "--redis") {
		t.Errorf("got %v, want ErrUnknown that tells of --redis", err)
	}
}

func TestUnknownWorkload(t *testing.T) {
	_, err := bench.Run(t.Context(), bench.Config{Only: "nonsense", Progress: io.Discard})
	if !errors.Is(err, bench.ErrUnknown) || !strings.Contains(err.Error(), "push-rs256") {
		t.Errorf("got %v, want ErrUnknown with the names there are", err)
	}
}

// A load process sends one authorized event per request to the URL it is
// told, and a sink process counts what arrives and when.
func TestRoles(t *testing.T) {
	sink := start(t, bench.RoleSink)
	var url string
	sink.call("url", nil, &url)
	sink.call("expect", map[string]any{"sets": 5, "times": true}, nil)

	// What stands between them passes each event on as an unsigned SET.
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got := r.Header.Get("Authorization"); got != "Bearer secret" || !json.Valid(body) {
			t.Errorf("got %q and %s, want the token and JSON", got, body)
		}
		set := "e30." + base64.RawURLEncoding.EncodeToString(body) + ".c2ln"
		resp, err := http.Post(url+"/prompt/0", "application/secevent+jwt", strings.NewReader(set))
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.Errorf("push: got %v %v, want 202", resp, err)
			return
		}
		_ = resp.Body.Close()
		w.WriteHeader(http.StatusAccepted)
	}))
	defer between.Close()
	load := start(t, bench.RoleLoad)
	load.call("send", map[string]any{"url": between.URL, "token": "secret", "events": 5, "senders": 2, "type": event}, nil)
	var got struct {
		SETs     int
		P50, P99 float64
	}
	sink.call("wait", nil, &got)
	if got.SETs != 5 || got.P50 <= 0 || got.P99 < got.P50 {
		t.Errorf("got %+v, want 5 SETs with the time each took", got)
	}
}

// A load process tells of the server's refusal.
func TestRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no room", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	load := start(t, bench.RoleLoad)
	if err := load.ask("send", map[string]any{"url": server.URL, "events": 3, "senders": 1, "type": event}, nil); !strings.Contains(err, "503 no room") {
		t.Errorf("got %q, want the status and what was said", err)
	}
	if err := load.ask("dance", nil, nil); err == "" {
		t.Error("got no error from an unknown operation, want one")
	}
}

// A sink process polls in batches and acknowledges each with the next request
// until it has all.
func TestPoll(t *testing.T) {
	var acked []string
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask struct {
			MaxEvents int      `json:"maxEvents"`
			Ack       []string `json:"ack"`
		}
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
			t.Error(err)
		}
		acked = append(acked, ask.Ack...)
		sets := map[string]string{}
		for range ask.MaxEvents {
			n++
			sets[strings.Repeat("j", n)] = "a.b.c"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"sets": sets})
	}))
	defer server.Close()
	sink := start(t, bench.RoleSink)
	sink.call("poll", map[string]any{"url": server.URL, "sets": 5, "batch": 2}, nil)
	if n != 5 || len(acked) != 5 {
		t.Errorf("got %d SETs, %d of them acknowledged, want 5 and 5", n, len(acked))
	}
}

// child is a role that runs in this process.
type child struct {
	t    *testing.T
	in   io.Writer
	answ *bufio.Reader
}

func start(t *testing.T, role string) *child {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, toIn := io.Pipe()
	fromOut, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- bench.Serve(ctx, role, in, out) }()
	t.Cleanup(func() {
		_ = toIn.Close()
		if err := <-done; err != nil {
			t.Errorf("%s: got %v at its end, want none", role, err)
		}
		cancel()
	})
	return &child{t, toIn, bufio.NewReader(fromOut)}
}

// ask makes a call and returns the error it is answered with.
func (c *child) ask(op string, arg, value any) string {
	c.t.Helper()
	raw, _ := json.Marshal(map[string]any{"op": op, "arg": arg})
	if _, err := c.in.Write(append(raw, '\n')); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.answ.ReadBytes('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	var got struct {
		Err   string
		Value json.RawMessage
	}
	if err := json.Unmarshal(line, &got); err != nil {
		c.t.Fatal(err)
	}
	if got.Err == "" && value != nil {
		if err := json.Unmarshal(got.Value, value); err != nil {
			c.t.Fatal(err)
		}
	}
	return got.Err
}

func (c *child) call(op string, arg, value any) {
	c.t.Helper()
	if err := c.ask(op, arg, value); err != "" {
		c.t.Fatalf("%s: got %s, want no error", op, err)
	}
}

// The report is the JSON that was agreed on, and a table for people.
func TestReport(t *testing.T) {
	r := &bench.Report{
		Machine: bench.Machine{OS: "linux", CPUs: 2, Floors: map[string]float64{"rs256_sign_us": 900}},
		Results: []bench.Result{bench.Judge(false, 1.25, []bench.Round{{1200, 1000}}), bench.Judge(true, 0.6, []bench.Round{{1, 2}})},
	}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Machine map[string]any
		Results []map[string]any
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"name", "value", "unit", "floor", "ratio", "target", "holds"} {
		if _, ok := got.Results[0][member]; !ok {
			t.Errorf("got a result without %s, want one: %s", member, raw)
		}
	}
	if got.Results[0]["holds"] != true || got.Results[1]["holds"] != false {
		t.Errorf("got %s, want the first to hold and the second not to", raw)
	}
	var table bytes.Buffer
	r.Results[0].Goal = 5000
	if err := r.Table(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"≤ 5000", "1.20", "≤ 1.25", "yes", "≥ 0.6", "NO", "rs256_sign_us"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("got a table without %q, want it:\n%s", want, &table)
		}
	}
}
