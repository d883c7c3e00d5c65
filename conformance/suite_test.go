package conformance_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
)

func profile(t *testing.T, name string) conformance.Profile {
	t.Helper()
	p, err := conformance.ProfileNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func suite(checks ...conformance.Check) conformance.Suite {
	return conformance.Suite{Role: conformance.Transmitter, Peer: "https://peer.example", Checks: checks}
}

// expecting is a check that decides one requirement.
func expecting(name, id string, ok bool) conformance.Check {
	return conformance.Check{Name: name, Decides: []string{id}, Run: func(_ context.Context, t *conformance.T) error {
		t.Expect(id, ok, "got %v", ok)
		return nil
	}}
}

// A violation of a MUST fails, one of a SHOULD warns; one violation outweighs what else
// was seen.
func TestVerdicts(t *testing.T) {
	report := run(t, suite(
		expecting("kept", "SSF-7.1-01", true),
		expecting("broken", "SSF-7.1-02", false),
		expecting("should", "SSF-7.1-03", false),
		expecting("once kept", "SSF-7.1-10", true),
		expecting("once broken", "SSF-7.1-10", false),
		expecting("may", "SSF-7.1-08", false),
	), conformance.Options{})
	for id, want := range map[string]conformance.Verdict{
		"SSF-7.1-01": conformance.Passed, "SSF-7.1-02": conformance.Failed, "SSF-7.1-03": conformance.Warned,
		"SSF-7.1-10": conformance.Failed, "SSF-7.1-08": conformance.Failed, "SSF-7.2-01": conformance.Skipped,
	} {
		if got, _ := report.Result(id); got.Verdict != want {
			t.Errorf("%s: got %s, want %s", id, got.Verdict, want)
		}
	}
	if report.OK() || report.Summary.Failed != 3 || report.Summary.Warned != 1 || report.Summary.Passed != 1 {
		t.Errorf("got %+v and OK %v, want 3 failed, 1 warned, 1 passed", report.Summary, report.OK())
	}
	if got, ok := report.Result("SET-5.4-01"); ok {
		t.Errorf("got %s for a receiver's requirement, want none", got.Verdict)
	}
}

// What a check could not decide is skipped with the reason; what it decided before
// counts.
func TestPrecondition(t *testing.T) {
	report := run(t, suite(conformance.Check{
		Name: "half", Decides: []string{"SSF-7.1-01", "SSF-7.1-02", "SSF-7.1-03"},
		Run: func(_ context.Context, t *conformance.T) error {
			t.Expect("SSF-7.1-01", true, "it is there")
			t.Skip("SSF-7.1-03", "nothing to see")
			return errors.New("no stream could be made")
		},
	}), conformance.Options{})
	for id, want := range map[string]string{"SSF-7.1-01": "", "SSF-7.1-02": "no stream could be made", "SSF-7.1-03": "nothing to see"} {
		if got, _ := report.Result(id); got.Reason != want {
			t.Errorf("%s: got %s for reason %q, want %q", id, got.Verdict, got.Reason, want)
		}
	}
	if !report.OK() {
		t.Errorf("got a report that is not OK, want one: nothing was violated")
	}
}

// A panic of a check is a fault of the suite: told, not fatal, never a success.
func TestFault(t *testing.T) {
	report := run(t, suite(
		conformance.Check{Name: "broken", Decides: []string{"SSF-7.1-01"}, Run: func(context.Context, *conformance.T) error { panic("oh") }},
		conformance.Check{Name: "stranger", Decides: []string{"SSF-7.1-02"}, Run: func(_ context.Context, t *conformance.T) error {
			t.Expect("SSF-7.1-03", true, "not its own")
			return nil
		}},
		expecting("next", "SSF-7.1-10", true),
	), conformance.Options{})
	if len(report.Faults) != 2 || report.OK() || report.Summary.Passed != 1 {
		t.Errorf("got faults %q, OK %v and %+v, want two, not OK, and the next check passed", report.Faults, report.OK(), report.Summary)
	}
}

// A run ends when its time is over or it is interrupted; the suite cleans up all the
// same.
func TestInterruption(t *testing.T) {
	hang := conformance.Check{Name: "hang", Decides: []string{"SSF-7.1-01"}, Run: func(ctx context.Context, _ *conformance.T) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	cleaned := 0
	s := suite(hang, expecting("next", "SSF-7.1-02", true))
	s.Clean = func(ctx context.Context) error {
		cleaned++
		return ctx.Err()
	}
	report := run(t, s, conformance.Options{CheckTimeout: time.Millisecond})
	if got, _ := report.Result("SSF-7.1-01"); !strings.Contains(got.Reason, "more than 1ms") {
		t.Errorf("got reason %q, want the time of the check", got.Reason)
	}
	if got, _ := report.Result("SSF-7.1-02"); got.Verdict != conformance.Passed {
		t.Errorf("got %s after a check that hung, want passed", got.Verdict)
	}
	report = run(t, s, conformance.Options{Timeout: time.Millisecond})
	if got, _ := report.Result("SSF-7.1-02"); !strings.Contains(got.Reason, "the whole run") {
		t.Errorf("got reason %q, want the time of the run", got.Reason)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report, err := conformance.Run(ctx, s, conformance.Options{})
	if err != nil || !report.Interrupted || report.OK() || cleaned != 3 || len(report.Notes) > 0 {
		t.Errorf("got %v, interrupted %v, OK %v, cleaned %d times, notes %q, want it interrupted and cleaned", err, report.Interrupted, report.OK(), cleaned, report.Notes)
	}
}

// A profile and a choice of ids bound what is run and told.
func TestChoice(t *testing.T) {
	s := suite(expecting("a", "SSF-7.1-01", true), expecting("b", "INTEROP-2.3.1-01", true), expecting("c", "RISC-3.1-01", true))
	for _, tt := range []struct {
		profile string
		only    []string
		want    []string
	}{
		{"ssf", nil, []string{"a"}},
		{"caep-interop", nil, []string{"a", "b"}},
		{"risc", nil, []string{"a", "c"}},
		{"all", nil, []string{"a", "b", "c"}},
		{"all", []string{"RISC-3.1-01"}, []string{"c"}},
	} {
		var ran []string
		report := run(t, s, conformance.Options{Profile: profile(t, tt.profile), Only: tt.only, Progress: func(p conformance.Progress) {
			if p.Done {
				ran = append(ran, p.Check.Name)
			}
		}})
		if !slices.Equal(ran, tt.want) {
			t.Errorf("%s %q: got %q run, want %q", tt.profile, tt.only, ran, tt.want)
		}
		if len(tt.only) > 0 && len(report.Results) != len(tt.only) {
			t.Errorf("%q: got %d results, want those alone", tt.only, len(report.Results))
		}
	}
	for _, wrong := range []struct {
		suite   conformance.Suite
		options conformance.Options
	}{
		{suite(expecting("x", "XYZ-0-99", true)), conformance.Options{}},
		{suite(expecting("x", "SSF-7.1-01", true), expecting("x", "SSF-7.1-02", true)), conformance.Options{}},
		{s, conformance.Options{Only: []string{"XYZ-0-99"}}},
	} {
		if _, err := conformance.Run(t.Context(), wrong.suite, wrong.options); err == nil {
			t.Errorf("got no error for %+v, want one", wrong.options)
		}
	}
	if _, err := conformance.ProfileNamed("no"); err == nil || !strings.Contains(err.Error(), "caep-interop") {
		t.Errorf("got %v, want an error that lists the profiles", err)
	}
}

// Evidence is what a check asked and was answered, without secrets, and bounded.
func TestEvidence(t *testing.T) {
	const secret = "a-secret/that is ?known"
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "id=12345678")
		_, _ = w.Write([]byte(`{"access_token":"fresh-token","x":"` + secret + `","set":"eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2lnbmF0dXJl","more":"` + strings.Repeat("y", 9000) + "\"}"))
	}))
	defer peer.Close()
	var seen conformance.Answer
	s := suite(conformance.Check{Name: "ask", Decides: []string{"SSF-7.1-01"}, Run: func(ctx context.Context, t *conformance.T) error {
		t.Mask().Hide(secret)
		var err error
		seen, err = t.Do(ctx, peer.Client(), conformance.Ask{
			Method: http.MethodPost, URL: peer.URL + "/token?client_secret=hidden1&a=b",
			Header: http.Header{"Authorization": {"Bearer planted-token"}, "X-Also": {"see " + secret}},
			Body:   []byte(`{"delivery":{"authorization_header":"Bearer sesame\"x"},"password" : "pass"}`),
		})
		t.Expect("SSF-7.1-01", false, "got %s", secret)
		return err
	}})
	report := run(t, s, conformance.Options{})
	result, _ := report.Result("SSF-7.1-01")
	if len(result.Findings) != 1 || len(result.Findings[0].Evidence) != 1 {
		t.Fatalf("got findings %+v, want one with its exchange", result.Findings)
	}
	if !strings.Contains(string(seen.Body), secret) {
		t.Errorf("got an answer without what was sent, want it whole for the check")
	}
	var b strings.Builder
	for _, write := range []func() error{
		func() error { return report.WriteText(&b) }, func() error { return report.WriteJUnit(&b) }, func() error { return report.WriteHTML(&b) },
	} {
		if err := write(); err != nil {
			t.Error(err)
		}
	}
	b.Write(marshal(t, report))
	for _, hidden := range []string{secret, "hidden1", "planted-token", "fresh-token", "12345678", "sesame", `"pass"`, "c2lnbmF0dXJl", "a-secret"} {
		if strings.Contains(b.String(), hidden) {
			t.Errorf("got %q in a report, want it hidden", hidden)
		}
	}
	for _, shown := range []string{"Bearer ***", "a=b", "200 OK", "eyJhIjoxfQ.***"} {
		if !strings.Contains(b.String(), shown) {
			t.Errorf("got no %q in the reports, want it shown", shown)
		}
	}
	if e := result.Findings[0].Evidence[0]; !e.Response.Cut || len(e.Response.Body) > 5000 {
		t.Errorf("got %d bytes of a long body, cut %v, want them cut", len(e.Response.Body), e.Response.Cut)
	}
}

// A body beyond the bound and a peer that hangs are errors, in bounded time and memory.
func TestHostileAnswers(t *testing.T) {
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
			return
		}
		chunk := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer peer.Close()
	answer, err := conformance.Ask{URL: peer.URL}.Send(t.Context(), peer.Client(), &conformance.Mask{})
	if err == nil || len(answer.Body) > conformance.MaxAnswerBytes+1 {
		t.Errorf("got %v and %d bytes, want an error at the bound", err, len(answer.Body))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	answer, err = conformance.Ask{URL: peer.URL + "/hang"}.Send(ctx, peer.Client(), &conformance.Mask{})
	if err == nil || answer.Exchange.Error == "" {
		t.Errorf("got %v and evidence %q, want the time-out in both", err, answer.Exchange.Error)
	}
}

func run(t *testing.T, s conformance.Suite, o conformance.Options) *conformance.Report {
	t.Helper()
	report, err := conformance.Run(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}
