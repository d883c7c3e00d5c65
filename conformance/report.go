package conformance

import (
	"strings"
	"time"
)

// Report is what a run found.
type Report struct {
	Role        Role      `json:"role"`
	Peer        string    `json:"peer"`
	Profile     string    `json:"profile"`
	Started     time.Time `json:"started"`
	Duration    Seconds   `json:"duration_seconds"`
	Interrupted bool      `json:"interrupted,omitempty"`
	Summary     Summary   `json:"summary"`
	Results     []Result  `json:"results"`         // in the order of the checklist
	Notes       []string  `json:"notes,omitempty"` // what else is to be known, such as what was left behind
	Faults      []string  `json:"faults,omitempty"`
}

// Summary counts verdicts.
type Summary struct {
	Passed     int `json:"passed"`
	Warned     int `json:"warned"`
	Failed     int `json:"failed"`
	Skipped    int `json:"skipped"`
	Untestable int `json:"untestable"` // not among the skipped ones
}

// Result is what a run says about one requirement.
type Result struct {
	Requirement
	Verdict Verdict `json:"verdict"`
	// Reason says why it is skipped, or what was violated.
	Reason string `json:"reason,omitempty"`
	// Untestable says that nobody can see it from outside.
	Untestable bool      `json:"untestable,omitempty"`
	Findings   []Finding `json:"findings,omitempty"`
}

// OK reports whether the peer kept every MUST that was decided, and the run itself came
// to its end.
func (r *Report) OK() bool {
	return r.Summary.Failed == 0 && len(r.Faults) == 0 && !r.Interrupted
}

// Result returns what was found of one requirement.
func (r *Report) Result(id string) (Result, bool) {
	for _, result := range r.Results {
		if result.ID == id {
			return result, true
		}
	}
	return Result{}, false
}

// Violations returns the results that failed or warned.
func (r *Report) Violations() []Result {
	var out []Result
	for _, result := range r.Results {
		if result.Verdict == Failed || result.Verdict == Warned {
			out = append(out, result)
		}
	}
	return out
}

// report puts together what was found.
func (r *run) report(started time.Time) *Report {
	report := &Report{
		Role: r.suite.Role, Peer: r.suite.Peer, Profile: r.options.Profile.Name, Started: started.UTC().Truncate(time.Millisecond),
		Faults: r.faults,
	}
	checklist, err := ReadChecklist()
	if err != nil { // it was read before
		report.Faults = append(report.Faults, err.Error())
		return report
	}
	for _, requirement := range checklist.Requirements {
		if !r.options.wants(requirement.ID) {
			continue
		}
		if result, ok := r.result(requirement); ok {
			report.Summary.count(result)
			report.Results = append(report.Results, result)
		}
	}
	return report
}

// result returns what is said about a requirement; false: nothing, it is not of this
// suite.
func (r *run) result(requirement Requirement) (Result, bool) {
	result := Result{Requirement: requirement, Verdict: Skipped, Findings: r.seen[requirement.ID]}
	skips, decided := r.skips[requirement.ID]
	why, untestable := r.suite.Untestable[requirement.ID]
	switch {
	case len(result.Findings) > 0:
		found := worst(result.Findings)
		result.Verdict = found.Verdict
		if found.Verdict != Passed {
			result.Reason = found.Text
		}
	case decided:
		result.Reason = strings.Join(distinct(skips), "; ")
	case untestable:
		result.Reason, result.Untestable = why, true
	case requirement.Binding(r.suite.Role):
		result.Reason = "no check of this suite decides it"
	default:
		return result, false
	}
	return result, true
}

func distinct(texts []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, text := range texts {
		if !seen[text] {
			seen[text] = true
			out = append(out, text)
		}
	}
	return out
}

func (s *Summary) count(r Result) {
	switch {
	case r.Untestable:
		s.Untestable++
	case r.Verdict == Passed:
		s.Passed++
	case r.Verdict == Warned:
		s.Warned++
	case r.Verdict == Failed:
		s.Failed++
	default:
		s.Skipped++
	}
}
