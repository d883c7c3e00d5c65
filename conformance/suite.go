package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Defaults of [Options].
const (
	DefaultTimeout      = 15 * time.Minute
	DefaultCheckTimeout = 90 * time.Second
	cleanTime           = 30 * time.Second
)

// Suite is a list of checks against one peer.
type Suite struct {
	Role Role
	Peer string // an issuer or another name of it
	// Checks run one after the other, in this order. They share what they have learnt;
	// each can also run alone.
	Checks []Check
	// Untestable are the binding requirements that nobody can see from outside, with
	// why. See [ReadReasons].
	Untestable map[string]string
	// Mask hides secrets in evidence; nil: what is one by its place alone.
	Mask *Mask
	// Clean undoes what the checks did to the peer, also after an interruption; nil:
	// nothing. The error says what is left.
	Clean func(ctx context.Context) error
}

// Options say what of a suite is run.
type Options struct {
	Profile Profile  // the zero value: all
	Only    []string // ids; the checks that decide one of them run, and those ids are told of; none: all
	// Timeout bounds the whole run, CheckTimeout one check; 0: the defaults.
	Timeout, CheckTimeout time.Duration
	// Progress is told of every check before and after it; nil: nobody.
	Progress func(Progress)
}

// Progress is how far a run has come.
type Progress struct {
	Check    Check
	N, Of    int // this one's number, from 1
	Done     bool
	Took     time.Duration
	Findings map[string]Finding // by requirement, the worst one; when Done
	Reason   string             // why it came to no end
}

// Run runs the checks of a suite and returns what they found. It returns a report also
// if ctx ends: what was not run is skipped then.
//
// Errors: a suite or options that are wrong in themselves.
func Run(ctx context.Context, s Suite, o Options) (*Report, error) {
	list, err := s.prepare(&o)
	if err != nil {
		return nil, err
	}
	r := &run{suite: s, options: o, list: list, seen: map[string][]Finding{}, skips: map[string][]string{}}
	started := time.Now()
	running, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	chosen := s.chosen(o)
	for i := range chosen {
		r.check(running, &chosen[i], i+1, len(chosen))
	}
	report := r.report(started)
	report.Interrupted = ctx.Err() != nil
	if s.Clean != nil {
		clean, done := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
		defer done()
		if err := s.Clean(clean); err != nil {
			text, _ := cut(r.suite.Mask.Text(err.Error()), maxText)
			report.Notes = append(report.Notes, "not all could be cleaned up: "+text)
		}
	}
	report.Duration = Seconds(time.Since(started))
	return report, nil
}

// prepare fills in defaults and returns the checklist by id.
func (s *Suite) prepare(o *Options) (map[string]Requirement, error) {
	checklist, err := ReadChecklist()
	if err != nil {
		return nil, err
	}
	list := map[string]Requirement{}
	for _, r := range checklist.Requirements {
		list[r.ID] = r
	}
	if o.Profile.Name == "" {
		o.Profile, _ = ProfileNamed("all")
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.CheckTimeout <= 0 {
		o.CheckTimeout = DefaultCheckTimeout
	}
	if s.Mask == nil {
		s.Mask = &Mask{}
	}
	names := map[string]bool{}
	for _, c := range s.Checks {
		if names[c.Name] {
			return nil, fmt.Errorf("two checks are called %s", c.Name)
		}
		names[c.Name] = true
		for _, id := range c.Decides {
			if _, ok := list[id]; !ok {
				return nil, fmt.Errorf("check %s decides %s, which is not in the checklist", c.Name, id)
			}
		}
	}
	for _, id := range o.Only {
		if _, ok := list[id]; !ok {
			return nil, fmt.Errorf("no requirement is called %s", id)
		}
	}
	return list, nil
}

// chosen returns the checks that decide something that is wanted.
func (s *Suite) chosen(o Options) []Check {
	return slices.DeleteFunc(slices.Clone(s.Checks), func(c Check) bool {
		return !slices.ContainsFunc(c.Decides, o.wants)
	})
}

// wants reports whether a requirement is to be told of.
func (o Options) wants(id string) bool {
	return o.Profile.Contains(id) && (len(o.Only) == 0 || slices.Contains(o.Only, id))
}

// run is a run at work.
type run struct {
	suite   Suite
	options Options
	list    map[string]Requirement
	seen    map[string][]Finding
	skips   map[string][]string
	faults  []string
}

// check runs one check and takes what it found.
func (r *run) check(ctx context.Context, c *Check, n, of int) {
	tell := r.options.Progress
	if tell == nil {
		tell = func(Progress) {}
	}
	tell(Progress{Check: *c, N: n, Of: of})
	t := newT(c, r.list, r.suite.Mask)
	started := time.Now()
	err := ctx.Err()
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, r.options.CheckTimeout)
		err = r.guarded(limited, c, t)
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("it took more than %v: %w", r.options.CheckTimeout, err)
		}
		cancel()
	}
	if ctx.Err() != nil {
		err = interrupted(ctx)
	}
	reason := ""
	if err != nil {
		reason, _ = cut(r.suite.Mask.Text(err.Error()), maxText)
	}
	done := Progress{Check: *c, N: n, Of: of, Done: true, Took: time.Since(started), Findings: map[string]Finding{}, Reason: reason}
	for _, id := range c.Decides {
		if !r.options.wants(id) {
			continue
		}
		found := t.log.findings[id]
		r.seen[id] = append(r.seen[id], found...)
		if len(found) > 0 {
			done.Findings[id] = worst(found)
			continue
		}
		r.skips[id] = append(r.skips[id], skipReason(t.log.skips[id], reason))
	}
	tell(done)
}

func skipReason(said, reason string) string {
	switch {
	case said != "":
		return said
	case reason != "":
		return reason
	}
	return "the peer showed nothing by which it could be decided"
}

// guarded runs a check; a panic of it is a fault of the suite, and no more than that.
func (r *run) guarded(ctx context.Context, c *Check, t *T) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fault := fmt.Sprintf("check %s panicked: %v", c.Name, p)
			r.faults = append(r.faults, fault)
			err = errors.New("a fault of the suite: " + fault)
		}
	}()
	return c.Run(ctx, t)
}

func interrupted(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("the time for the whole run was over")
	}
	return errors.New("the run was interrupted")
}

// worst returns the finding that counts.
func worst(findings []Finding) Finding {
	return slices.MaxFunc(findings, func(a, b Finding) int { return a.Verdict.weight() - b.Verdict.weight() })
}

func (v Verdict) weight() int {
	return slices.Index([]Verdict{Skipped, Passed, Warned, Failed}, v)
}

// ReadReasons reads a list of requirements that are not testable from outside: one line
// each, the id, "#", and why.
func ReadReasons(text string) (map[string]string, error) {
	reasons := map[string]string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		id, reason, ok := strings.Cut(line, "#")
		id, reason = strings.TrimSpace(id), strings.TrimSpace(reason)
		if !ok || id == "" || reason == "" || reasons[id] != "" {
			return nil, fmt.Errorf("the line %q is not an id that is listed once, # and a reason", line)
		}
		reasons[id] = reason
	}
	return reasons, nil
}
