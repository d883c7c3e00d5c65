package conformance

import (
	"context"
	"fmt"
	"slices"
)

// Bounds on what of a check is kept.
const (
	maxFindings  = 8  // violations of one requirement in one check
	maxEvidence  = 4  // exchanges of one finding
	maxExchanges = 64 // exchanges of one check, the last ones
	maxText      = 600
)

// Check is one thing that a suite does to a peer, and the requirements that it decides
// by it.
type Check struct {
	Name    string   // short and unique in its suite, such as create-push
	Title   string   // what it does, for people: "creates a stream for push"
	Decides []string // ids of the checklist
	// Run does it. An error says why it could come to no verdict, such as a missing
	// pre-condition: whatever it has not decided by then is skipped with that reason. It
	// ends when ctx does.
	Run func(ctx context.Context, t *T) error
}

// Finding is what a check has seen of one requirement.
type Finding struct {
	Check    string     `json:"check"`
	Verdict  Verdict    `json:"verdict"`
	Text     string     `json:"text"` // what was seen and what is wanted
	Evidence []Exchange `json:"evidence,omitempty"`
}

// T is a check at work: it takes what is seen, and the exchanges that show it. It is of
// one goroutine.
type T struct {
	check    *Check
	list     map[string]Requirement
	mask     *Mask
	evidence []Exchange // what findings show; nil: the last exchange
	log      *record
}

// record is what is shared by the T of one check.
type record struct {
	exchanges []Exchange
	findings  map[string][]Finding
	skips     map[string]string
}

func newT(check *Check, list map[string]Requirement, mask *Mask) *T {
	return &T{check: check, list: list, mask: mask, log: &record{findings: map[string][]Finding{}, skips: map[string]string{}}}
}

// Record adds an exchange to those that findings can show.
func (t *T) Record(e Exchange) {
	if len(t.log.exchanges) == maxExchanges {
		t.log.exchanges = slices.Delete(t.log.exchanges, 0, 1)
	}
	t.log.exchanges = append(t.log.exchanges, e)
}

// With returns a T whose findings show these exchanges instead of the last one that was
// recorded.
func (t *T) With(evidence ...Exchange) *T {
	of := *t
	of.evidence = slices.Clone(evidence[:min(len(evidence), maxEvidence)])
	return &of
}

// Last returns a T whose findings show the last n exchanges.
func (t *T) Last(n int) *T {
	all := t.log.exchanges
	return t.With(all[max(0, len(all)-min(n, maxEvidence)):]...)
}

// Mask is what hides secrets in evidence.
func (t *T) Mask() *Mask { return t.mask }

// Expect decides a requirement: kept if ok, else violated. The text says in both cases
// what is wanted, and what was got: "got 200 for a create, want 201". Secrets in it are
// hidden. It returns ok.
func (t *T) Expect(id string, ok bool, format string, args ...any) bool {
	requirement, known := t.list[id]
	if !known || !slices.Contains(t.check.Decides, id) {
		panic(fmt.Sprintf("check %s decides %s, which is not among its own", t.check.Name, id))
	}
	verdict := Passed
	if !ok {
		verdict = requirement.Violation()
	}
	found := t.log.findings[id]
	if ok && slices.ContainsFunc(found, func(f Finding) bool { return f.Verdict == Passed }) || len(found) >= maxFindings {
		return ok // one is enough to show it
	}
	text, _ := cut(t.mask.Text(fmt.Sprintf(format, args...)), maxText)
	t.log.findings[id] = append(found, Finding{t.check.Name, verdict, text, t.shown()})
	return ok
}

func (t *T) shown() []Exchange {
	if t.evidence != nil {
		return t.evidence
	}
	if n := len(t.log.exchanges); n > 0 {
		return []Exchange{t.log.exchanges[n-1]}
	}
	return nil
}

// Skip says why a requirement is not decided. What is decided besides counts all the
// same.
func (t *T) Skip(id, format string, args ...any) {
	if !slices.Contains(t.check.Decides, id) {
		panic(fmt.Sprintf("check %s skips %s, which is not among its own", t.check.Name, id))
	}
	if t.log.skips[id] == "" {
		t.log.skips[id], _ = cut(t.mask.Text(fmt.Sprintf(format, args...)), maxText)
	}
}

// Decided reports whether something was said about a requirement.
func (t *T) Decided(id string) bool { return len(t.log.findings[id]) > 0 }
