package conformance

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// TextProgress returns a function for [Options.Progress] that writes a line for each
// check that is done, and one for each requirement that it found violated.
func TextProgress(w io.Writer) func(Progress) {
	return func(p Progress) {
		if !p.Done {
			return
		}
		counts := map[Verdict]int{}
		for _, f := range p.Findings {
			counts[f.Verdict]++
		}
		var said []string
		for _, v := range []Verdict{Passed, Warned, Failed} {
			if counts[v] > 0 {
				said = append(said, fmt.Sprintf("%d %s", counts[v], v))
			}
		}
		if len(said) == 0 {
			said = []string{string(Skipped)}
		}
		fmt.Fprintf(w, "%3d/%d  %-26s %s (%v)\n", p.N, p.Of, p.Check.Name, strings.Join(said, ", "), Seconds(p.Took))
		for _, id := range slices.Sorted(maps.Keys(p.Findings)) {
			if f := p.Findings[id]; f.Verdict != Passed {
				fmt.Fprintf(w, "        %-6s %s: %s\n", strings.ToUpper(string(f.Verdict)), id, oneLine(f.Text))
			}
		}
		if p.Reason != "" {
			fmt.Fprintf(w, "        stopped: %s\n", oneLine(p.Reason))
		}
	}
}

// WriteText writes what a report comes to: what was violated, what was skipped and why,
// and the counts.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, list := range []struct {
		title   string
		verdict Verdict
	}{{"Violated:", Failed}, {"Not kept, and only a SHOULD:", Warned}, {"Skipped:", Skipped}} {
		lines := 0
		for _, result := range r.Results {
			if result.Verdict != list.verdict || result.Untestable {
				continue
			}
			if lines == 0 {
				fmt.Fprintf(&b, "\n%s\n", list.title)
			}
			lines++
			fmt.Fprintf(&b, "  %-18s %s\n", result.ID, oneLine(result.Reason))
		}
	}
	for _, note := range slices.Concat(r.Notes, r.Faults) {
		fmt.Fprintf(&b, "\nNote: %s\n", oneLine(note))
	}
	fmt.Fprintf(&b, "\n%s %s, profile %s, in %v\n%s\n", r.Role, r.Peer, r.Profile, r.Duration, r.Summary)
	if r.Interrupted {
		b.WriteString("The run was interrupted.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String tells the counts.
func (s Summary) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d warned, %d skipped; %d more cannot be seen from outside", s.Passed, s.Failed, s.Warned, s.Skipped, s.Untestable)
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
