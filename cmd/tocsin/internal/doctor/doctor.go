// Package doctor looks at a configuration, at what it names and at a server that runs on
// it, and says of each thing whether it is well, what it means if it is not, and what to
// do. It changes nothing: it reads files, makes connections and requests that only read.
// No finding holds a secret or a subject.
package doctor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Verdict is what a finding comes to.
type Verdict string

// The verdicts.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn" // it works, and will not for ever, or not for everybody
	Fail Verdict = "fail" // something does not work, or is not safe
)

// Finding is one thing that was looked at.
type Finding struct {
	// Check is what was looked at, such as tls.expiry; Of is of whom: a file, an issuer, a
	// stream. Empty: of the whole.
	Check   string  `json:"check"`
	Of      string  `json:"of,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Says is what was found and what it means; Do what to do about it: a setting, a
	// command. Empty where it is well.
	Says string `json:"says"`
	Do   string `json:"do,omitempty"`
}

// Report gathers findings. The zero value is empty; one goroutine uses it at a time.
type Report struct {
	Findings []Finding `json:"findings"`
}

// OK notes that something is well.
func (r *Report) OK(check, of, says string, args ...any) { r.note(OK, check, of, "", says, args) }

// Warn notes what will not be well for ever. do is what helps.
func (r *Report) Warn(check, of, do, says string, args ...any) {
	r.note(Warn, check, of, do, says, args)
}

// Fail notes what does not work, or is not safe. do is what helps.
func (r *Report) Fail(check, of, do, says string, args ...any) {
	r.note(Fail, check, of, do, says, args)
}

func (r *Report) note(v Verdict, check, of, do, says string, args []any) {
	r.Findings = append(r.Findings, Finding{Check: check, Of: printable(of), Verdict: v, Says: printable(fmt.Sprintf(says, args...)), Do: printable(do)})
}

// add takes the findings of another report.
func (r *Report) add(other *Report) { r.Findings = append(r.Findings, other.Findings...) }

// Count returns how many findings came to v.
func (r *Report) Count(v Verdict) (n int) {
	for _, f := range r.Findings {
		if f.Verdict == v {
			n++
		}
	}
	return n
}

// Sort puts the worst first.
func (r *Report) Sort() {
	rank := map[Verdict]int{Fail: 0, Warn: 1, OK: 2}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(rank[a.Verdict], rank[b.Verdict]) })
}

// MarshalJSON adds the counts.
func (r *Report) MarshalJSON() ([]byte, error) {
	found := r.Findings
	if found == nil {
		found = []Finding{}
	}
	return json.Marshal(struct {
		OK       int       `json:"ok"`
		Warn     int       `json:"warn"`
		Fail     int       `json:"fail"`
		Findings []Finding `json:"findings"`
	}{r.Count(OK), r.Count(Warn), r.Count(Fail), found})
}

// WriteTo prints the report for people: a line for each finding, and below it what to do.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	var n int64
	say := func(format string, args ...any) error {
		m, err := fmt.Fprintf(w, format, args...)
		n += int64(m)
		return err
	}
	for _, f := range r.Findings {
		what := f.Check
		if f.Of != "" {
			what += " " + f.Of
		}
		if err := say("%-4s  %s: %s\n", f.Verdict, what, f.Says); err != nil {
			return n, err
		}
		if f.Do != "" {
			if err := say("      do: %s\n", f.Do); err != nil {
				return n, err
			}
		}
	}
	return n, say("%d ok, %d warn, %d fail\n", r.Count(OK), r.Count(Warn), r.Count(Fail))
}
