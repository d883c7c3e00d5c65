package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The elements of a JUnit report, as CI servers read them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string      `xml:"name,attr"`
		Class     string      `xml:"classname,attr"`
		Failure   *junitNote  `xml:"failure,omitempty"`
		Skipped   *junitNote  `xml:"skipped,omitempty"`
		SystemOut *junitPlain `xml:"system-out,omitempty"`
	}
	junitNote struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitPlain struct {
		Text string `xml:",chardata"`
	}
)

// WriteJUnit writes the report as JUnit XML: a test suite for each chapter of the
// checklist, a test case for each requirement. A warning is a case that passes, and says
// so in its output. What cannot be seen from outside is skipped.
func (r *Report) WriteJUnit(w io.Writer) error {
	chapters, err := r.chapters()
	if err != nil {
		return err
	}
	all := junitSuites{Name: fmt.Sprintf("conformance %s %s (%s)", r.Role, r.Peer, r.Profile), Time: fmt.Sprintf("%.3f", time.Duration(r.Duration).Seconds())}
	for _, chapter := range chapters {
		suite := junitSuite{Name: chapter.Title, Timestamp: r.Started.Format("2006-01-02T15:04:05")}
		for _, result := range chapter.Results {
			suite.add(result.junit(r.Role))
		}
		all.Tests += suite.Tests
		all.Failures += suite.Failures
		all.Skipped += suite.Skipped
		all.Suites = append(all.Suites, suite)
	}
	if len(r.Faults) > 0 || r.Interrupted {
		text := strings.Join(append(r.Faults, map[bool]string{true: "the run was interrupted"}[r.Interrupted]), "\n")
		suite := junitSuite{Name: "the run itself", Timestamp: r.Started.Format("2006-01-02T15:04:05")}
		suite.add(junitCase{Name: "came to its end", Class: "conformance." + string(r.Role), Failure: &junitNote{"the run did not come to its end", text}})
		all.Tests, all.Failures = all.Tests+1, all.Failures+1
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Skipped != nil {
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func (r Result) junit(role Role) junitCase {
	c := junitCase{Name: r.ID + " " + r.Level + " " + r.Text, Class: "conformance." + string(role)}
	switch r.Verdict {
	case Failed:
		c.Failure = &junitNote{r.Reason, r.evidence()}
	case Warned:
		c.SystemOut = &junitPlain{"warned: " + r.Reason + "\n" + r.evidence()}
	case Skipped:
		c.Skipped = &junitNote{Message: r.Reason}
	}
	return c
}

// evidence is what shows the violations, as text.
func (r Result) evidence() string {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.Verdict == Passed {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Check, f.Text)
		for _, e := range f.Evidence {
			e.write(&b)
		}
	}
	return b.String()
}

func (e Exchange) write(b *strings.Builder) {
	for _, half := range []struct {
		mark string
		Message
	}{{"> ", e.Request}, {"< ", e.Response}} {
		for _, line := range append([]string{half.Line}, half.Header...) {
			if line != "" {
				b.WriteString(half.mark + line + "\n")
			}
		}
		if half.Body != "" {
			b.WriteString(half.mark + "\n" + half.mark + strings.ReplaceAll(half.Body, "\n", "\n"+half.mark) + "\n")
		}
	}
	if e.Error != "" {
		b.WriteString("! " + e.Error + "\n")
	}
}

// chapter is a section of the checklist with its results.
type chapter struct {
	Section
	Results []Result
	Summary Summary
}

// chapters returns the results by the section of the checklist, without empty ones.
func (r *Report) chapters() ([]chapter, error) {
	checklist, err := ReadChecklist()
	if err != nil {
		return nil, err
	}
	var out []chapter
	for _, section := range checklist.Sections {
		c := chapter{Section: section}
		for _, result := range r.Results {
			if result.Section == section.Number {
				c.Results = append(c.Results, result)
				c.Summary.count(result)
			}
		}
		if len(c.Results) > 0 {
			out = append(out, c)
		}
	}
	return out, nil
}
