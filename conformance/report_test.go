package conformance_test

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/conformance"
)

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func sample(t *testing.T) *conformance.Report {
	t.Helper()
	s := suite(expecting("kept", "SSF-7.1-01", true), expecting("broken", "SSF-7.1-02", false), expecting("should", "SSF-7.1-03", false))
	s.Peer = "https://peer.example/<script>alert(1)</script>"
	s.Untestable = map[string]string{"SET-5.3-01": "nobody sees how it orders"}
	return run(t, s, conformance.Options{Profile: profile(t, "ssf")})
}

// The JSON of a report is what other programs read.
func TestReportJSON(t *testing.T) {
	var got struct {
		Role, Peer, Profile string
		Duration            *float64 `json:"duration_seconds"`
		Summary             map[string]int
		Results             []struct {
			ID, Level, Who, Verdict, Reason string
			Untestable                      bool
			Findings                        []struct{ Check, Verdict, Text string }
		}
	}
	if err := json.Unmarshal(marshal(t, sample(t)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Role != "transmitter" || got.Profile != "ssf" || got.Duration == nil || got.Summary["failed"] != 1 || got.Summary["untestable"] != 1 {
		t.Errorf("got %+v, want role, profile, duration and counts", got)
	}
	for _, r := range got.Results {
		if r.ID == "SSF-7.1-02" && (r.Verdict != "failed" || r.Level != "MUST" || len(r.Findings) != 1 || r.Findings[0].Check != "broken") {
			t.Errorf("got %+v, want the failure with its finding", r)
		}
	}
}

// The JUnit report is XML that counts right.
func TestReportJUnit(t *testing.T) {
	var b strings.Builder
	report := sample(t)
	if err := report.WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	failures, skipped, cases := 0, 0, 0
	for _, s := range got.Suites {
		for _, c := range s.Cases {
			cases++
			if c.Failure != nil {
				failures++
				if !strings.HasPrefix(c.Name, "SSF-7.1-02 MUST") || c.Failure.Message == "" {
					t.Errorf("got failure %+v, want that of SSF-7.1-02", c)
				}
			}
			if c.Skipped != nil {
				skipped++
			}
		}
	}
	if got.Tests != len(report.Results) || cases != got.Tests || failures != 1 || got.Failures != 1 || skipped != got.Skipped || skipped != report.Summary.Skipped+report.Summary.Untestable {
		t.Errorf("got %d tests, %d failures, %d skipped, and %d, %d, %d elements", got.Tests, got.Failures, got.Skipped, cases, failures, skipped)
	}
}

// The page needs nothing from elsewhere, has no script, and shows what a peer says as
// text.
func TestReportHTML(t *testing.T) {
	var b strings.Builder
	if err := sample(t).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, no := range []string{"<script", "<link", "<img", "src=", "@import", "url("} {
		if strings.Contains(page, no) {
			t.Errorf("got %s in the page, want none", no)
		}
	}
	for _, want := range []string{"&lt;script&gt;", `id="SSF-7.1-02"`, "prefers-color-scheme", "1 failed", "cannot be seen from outside"} {
		if !strings.Contains(page, want) {
			t.Errorf("got no %s in the page, want it", want)
		}
	}
}

func TestReadReasons(t *testing.T) {
	got, err := conformance.ReadReasons("SET-5.3-01 # why\n\nSET-6-01 # because # of it\n")
	if err != nil || len(got) != 2 || got["SET-6-01"] != "because # of it" {
		t.Errorf("got %q, %v, want two reasons", got, err)
	}
	for _, wrong := range []string{"SET-5.3-01", "SET-5.3-01 #", "# why", "SET-5.3-01 # a\nSET-5.3-01 # b"} {
		if _, err := conformance.ReadReasons(wrong); err == nil {
			t.Errorf("%q: got no error, want one", wrong)
		}
	}
}
