// Package suites_test runs `tocsin conformance` against our own two halves.
package suites_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/conformance"
)

// ours is a server under test, with a source of events.
type ours struct {
	*proctest.Server
	source string // access token
}

func startOurs(t *testing.T, change func(*proctest.Server), args ...string) ours {
	t.Helper()
	server := proctest.New(t, append([]string{"--conformance", "--log-level", "error", "--push-schedule", "100ms,200ms,2s", "--long-poll", "5s"}, args...)...)
	if change != nil {
		change(server)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	token, err := server.Token(t.Context(), "source", "https://source.example", "events.write")
	if err != nil {
		t.Fatal(err)
	}
	return ours{server, token}
}

// client adds a client of an application of its own.
func (o ours) client(t *testing.T, id string) (made struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
	Token  string `json:"access_token"`
},
) {
	t.Helper()
	out, err := o.Command(t.Context(), "client", "add", "--data", o.Dir, "--id", id, "--audience", "https://"+id+".example", "--scope", "ssf.manage ssf.read", "--static")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	return made
}

// verdicts is a report as it is printed.
type verdicts struct {
	Summary struct{ Passed, Warned, Failed, Skipped, Untestable int }
	Results []struct {
		ID, Verdict, Reason, Level, Text string
		Section                          int
		Untestable                       bool
	}
	Notes, Faults []string
}

// suite runs the suite against the server as the application id, by the command.
func (o ours) suite(t *testing.T, id string, dynamic bool, args ...string) verdicts {
	t.Helper()
	me, other := o.client(t, id), o.client(t, id+"-other")
	command := []string{
		"conformance", "transmitter", o.Issuer, "--profile", "all", "--json", "--quiet", "300ms", "--wait", "10s",
		"--other-token", other.Token, "--trigger-url", o.Issuer + "/v1/events", "--trigger-authorization", "Bearer " + o.source,
	}
	if dynamic {
		command = append(command, "--client-id", me.ID, "--client-secret", me.Secret)
	} else {
		command = append(command, "--token", me.Token)
	}
	out, errOut, code := run(t, append(command, args...)...)
	var report verdicts
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s%s", err, out, errOut)
	}
	if code != 0 || report.Summary.Failed+report.Summary.Warned+len(report.Notes)+len(report.Faults) > 0 {
		t.Errorf("got exit code %d, %+v, notes %q, faults %q, want all kept and nothing left\n%s", code, report.Summary, report.Notes, report.Faults, errOut)
	}
	return report
}

// mayBeSkipped are what a run cannot decide of a server such as ours, with the words of
// the reason.
func mayBeSkipped(delivery, subjects string, dynamic, secure bool) map[string]string {
	skip := map[string]string{"SSF-7.1-07": "critical_subject_members", "SSF-8.1.5-03": "stream-updated"}
	for _, id := range ofInactivity() { // another run sees them
		skip[id] = "inactivity_timeout"
	}
	if !secure {
		skip["PUSH-5.3-01"], skip["POLL-4.3-01"], skip["INTEROP-2.1-01"] = "TLS", "TLS", "TLS"
	}
	if secure && delivery != "poll" {
		skip["PUSH-3-01"] = "loopback"
	}
	if !dynamic {
		skip["INTEROP-2.7.2-02"] = "client credentials"
	}
	if subjects == "ALL" {
		skip["SSF-7.1-13"], skip["SSF-8.1.3.1-02"] = "default_subjects", "default_subjects"
	} else {
		skip["SSF-7.1-12"] = "default_subjects"
	}
	switch delivery {
	case "poll":
		for _, id := range []string{"SSF-6.1.1-01", "SSF-6.1.1-02", "PUSH-2.1-01", "PUSH-2-05", "PUSH-2.4-01", "PUSH-3-01", "PUSH-4-01", "SEC-01", "SEC-07"} {
			skip[id] = "push is not tested"
		}
		skip["SEC-04"] = ""
	case "push":
		for _, id := range []string{"POLL-2-01", "POLL-2.2-01", "POLL-2.2-02", "POLL-2.2-03", "POLL-2.2-04", "POLL-2.3-01", "POLL-2.3-02", "POLL-2.5-01", "POLL-2.5.1-01", "POLL-3-01", "SSF-7.1-09"} {
			skip[id] = "poll is not tested"
		}
		skip["SSF-6.1.2-01"], skip["SSF-8.1.2-03"] = "", ""
	}
	return skip
}

// ofInactivity are what follows from an inactivity_timeout.
func ofInactivity() []string {
	return []string{"SSF-8.1.1-04", "SSF-8.1.1-06", "SSF-8.1.2-01", "SSF-8.1.5-01"}
}

func (v verdicts) checkSkipped(t *testing.T, may map[string]string) {
	t.Helper()
	for _, r := range v.Results {
		if r.Verdict != "skipped" || r.Untestable {
			continue
		}
		if want, ok := may[r.ID]; !ok || !strings.Contains(r.Reason, want) {
			t.Errorf("%s: got it skipped (%s), want it decided", r.ID, r.Reason)
		}
	}
}

// Our transmitter keeps all that can be seen of it, in every variant: push and poll,
// tokens that stay and tokens of the token endpoint, both settings of default_subjects;
// and by https from end to end, with certificates that both sides check. The README's
// table is of these runs.
//
// go test ./cmd/tocsin/internal/proctest/suites -run ConformanceOfOurs -update writes the table.
func TestConformanceOfOurs(t *testing.T) {
	var mu sync.Mutex
	var all []verdicts
	keep := func(report verdicts) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, report)
	}
	t.Run("variants", func(t *testing.T) {
		for _, subjects := range []string{"ALL", "NONE"} {
			server := startOurs(t, nil, "--default-subjects", subjects)
			for _, delivery := range []string{"push", "poll"} {
				for _, dynamic := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %s dynamic %v", subjects, delivery, dynamic), func(t *testing.T) {
						t.Parallel()
						report := server.suite(t, fmt.Sprintf("%s-%v", delivery, dynamic), dynamic, "--insecure-loopback", "--delivery", delivery)
						report.checkSkipped(t, mayBeSkipped(delivery, subjects, dynamic, false))
						keep(report)
					})
				}
			}
		}
		t.Run("https", func(t *testing.T) {
			t.Parallel()
			server, args := secureOurs(t, "ALL")
			report := server.suite(t, "secure", true, args...)
			report.checkSkipped(t, mayBeSkipped("both", "ALL", true, true))
			keep(report)
		})
		t.Run("left alone", func(t *testing.T) {
			t.Parallel()
			server := startOurs(t, nil, "--inactivity-timeout", "6s")
			report := server.suite(t, "alone", false, "--insecure-loopback", "--delivery", "push",
				"--only", strings.Join(append(ofInactivity(), "SSF-8.1.5-03"), ","))
			report.checkSkipped(t, nil)
			keep(report)
		})
	})
	if !t.Failed() {
		checkSupportTable(t, all)
	}
}

// Marks of the README's table.
const (
	tableBegin = "<!-- generated by: go test ./cmd/tocsin/internal/proctest/suites -run ConformanceOfOurs -update -->\n"
	tableEnd   = "<!-- end -->"
)

// checkSupportTable compares the README's table with what runs found, or writes it.
func checkSupportTable(t *testing.T, all []verdicts) {
	t.Helper()
	name := "../../../../../README.md"
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(raw), tableBegin)
	old, after, ended := strings.Cut(rest, tableEnd)
	if !begun || !ended {
		t.Fatal("got no place for the table in the README, want it")
	}
	table := supportTable(t, all)
	if *updateTable {
		if err := os.WriteFile(name, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != table {
		t.Errorf("got a table in the README that is not what the runs found (-update writes it); want\n%s", table)
	}
}

var updateTable = flag.Bool("update", false, "rewrite the README's support table")

// supportTable counts, by chapter of the checklist, what was seen kept in a run at least,
// and violated in none.
func supportTable(t *testing.T, all []verdicts) string {
	t.Helper()
	list, err := conformance.ReadChecklist()
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ kept, broken, open, unseen int }
	rows, best := map[int]*row{}, map[string]string{}
	rank := func(verdict string) int {
		return slices.Index([]string{"", "unseen", "skipped", "passed", "warned", "failed"}, verdict)
	}
	for _, report := range all {
		for _, r := range report.Results {
			verdict := r.Verdict
			if r.Untestable {
				verdict = "unseen"
			}
			if rank(verdict) > rank(best[r.ID]) {
				best[r.ID] = verdict
			}
		}
	}
	for _, r := range list.Requirements {
		if rows[r.Section] == nil {
			rows[r.Section] = &row{}
		}
		switch best[r.ID] {
		case "passed":
			rows[r.Section].kept++
		case "warned", "failed":
			rows[r.Section].broken++
		case "skipped":
			rows[r.Section].open++
		case "unseen":
			rows[r.Section].unseen++
		}
	}
	var b strings.Builder
	b.WriteString("| Requirements of a transmitter | Kept | Not kept | Not offered | Not to be seen from outside |\n|---|---|---|---|---|\n")
	for _, section := range list.Sections {
		if r := rows[section.Number]; r != nil && *r != (row{}) {
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", section.Title, r.kept, r.broken, r.open, r.unseen)
		}
	}
	return b.String()
}

// secureOurs starts a server by https, and returns the flags by which the suite trusts it
// and is trusted.
func secureOurs(t *testing.T, subjects string) (ours, []string) {
	t.Helper()
	dir := t.TempDir()
	leaf, ca, err := localca.Certificate(dir, []string{"127.0.0.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := startOurs(t, func(s *proctest.Server) { s.Secure = true },
		"--default-subjects", subjects, "--push-ca", ca, "--push-allow", "127.0.0.0/8")
	return server, []string{"--ca", filepath.Join(server.Dir, localca.CertFile), "--listen-cert", cert, "--listen-key", key}
}
