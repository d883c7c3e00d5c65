package admin

import (
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Names of rules that change a stream, or set something of it aside, by themselves.
const (
	// ruleInactive pauses a stream without activity (SSF-8.1.1-05).
	ruleInactive = "inactivity"
	// ruleGiveUp pauses a push stream that had no success for long, with the attempt that
	// fails next.
	ruleGiveUp = "give_up"
	// ruleRefusals pauses a push stream whose receiver refuses one SET after the other.
	ruleRefusals = "refusals"
	// ruleExpiry makes dead letters of SETs that were not delivered for long.
	ruleExpiry = "expiry"
)

// StreamRules are the settings of those rules. Zero: the rule is never applied.
type StreamRules struct {
	// ActivityLag is how much later than its inactivity_timeout says a stream is paused.
	ActivityLag time.Duration
	// GiveUp pauses a push stream that had no success for so long.
	GiveUp time.Duration
	// Refusals pauses it after so many refused SETs in a row.
	Refusals int
	// Expiry is after how long a SET becomes a dead letter.
	Expiry time.Duration
}

// Rule is a rule that will be applied to a stream if nothing happens before.
type Rule struct {
	Rule string `json:"rule"`
	// At is when; zero for a rule that counts.
	At time.Time `json:"at,omitzero"`
	// Left is how many refused SETs are left until then (refusals).
	Left int `json:"left,omitzero"`
}

// rulesOf returns the rules that run towards a stream; [] if none does.
func (r StreamRules) rulesOf(s streams.Stream, depth streams.Depth, health streams.Health) []Rule {
	rules := []Rule{}
	watched := s.Status == streams.Enabled || s.Status == streams.Paused && s.StatusBy == streams.ByReceiver
	if watched && s.InactivityTimeout > 0 {
		rules = append(rules, Rule{Rule: ruleInactive, At: s.Active.Add(s.InactivityTimeout + r.ActivityLag).UTC()})
	}
	pushed := s.Status == streams.Enabled && s.Delivery.Method == delivery.MethodPush
	if pushed && r.GiveUp > 0 && !health.FirstFailure.IsZero() {
		rules = append(rules, Rule{Rule: ruleGiveUp, At: health.FirstFailure.Add(r.GiveUp).UTC()})
	}
	if pushed && r.Refusals > 0 && health.Refusals > 0 {
		rules = append(rules, Rule{Rule: ruleRefusals, Left: max(1, r.Refusals-health.Refusals)})
	}
	if r.Expiry > 0 && !depth.Oldest.IsZero() {
		rules = append(rules, Rule{Rule: ruleExpiry, At: depth.Oldest.Add(r.Expiry).UTC()})
	}
	return rules
}
