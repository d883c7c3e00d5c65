package eventlog

import (
	"net/netip"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Matches reports whether the record is an event that the query's filters and
// bounds let through, with the attributes that it has after its annotations.
// Order, After and Limit play no part.
func (q *Query) Matches(r *Record, a *Attributes) bool {
	if r.Kind != KindEvent || r.Erased || q.Head > 0 && r.Seq > q.Head {
		return false
	}
	at := r.At()
	if !q.Start.IsZero() && at <= q.Start.UnixMilli() || !q.End.IsZero() && at >= q.End.UnixMilli() {
		return false
	}
	if q.Owner != "" && r.Applications != nil && !slices.Contains(r.Applications, q.Owner) {
		return false
	}
	return q.matchesTexts(r, a) && q.matchesValues(a) && q.matchesSubject(r)
}

func (q *Query) matchesTexts(r *Record, a *Attributes) bool {
	for _, f := range []struct {
		any []string
		has string
	}{
		{q.Types, r.Type},
		{q.Categories, a.Category},
		{q.Sources, r.Source},
		{q.Environments, r.Environment},
		{q.Identifiers, a.Identifier},
		{q.Emails, a.Email},
		{q.Actors, a.Actor},
		{q.Sessions, a.Session},
		{q.Applications, a.Application},
		{q.LinkedIDs, a.LinkedID},
		{q.Fingerprints, a.Fingerprint},
	} {
		if len(f.any) > 0 && (f.has == "" || !slices.Contains(f.any, f.has)) {
			return false
		}
	}
	return true
}

func (q *Query) matchesValues(a *Attributes) bool {
	if len(q.Addresses) > 0 && !slices.ContainsFunc(q.Addresses, func(p netip.Prefix) bool { return p.Contains(a.Address) }) {
		return false
	}
	if q.Suspect != nil && (a.Suspect == nil || *a.Suspect != *q.Suspect) {
		return false
	}
	if q.MinScore != nil && (a.RiskScore == nil || *a.RiskScore < *q.MinScore) {
		return false
	}
	for name, want := range q.Signals {
		if has, known := a.Signals[name]; !known || has != want {
			return false
		}
	}
	for name, want := range q.Tags {
		if has, known := a.Tags[name]; !known || has != want {
			return false
		}
	}
	return true
}

func (q *Query) matchesSubject(r *Record) bool {
	if len(q.Subjects) == 0 {
		return true
	}
	return MentionsAny(&r.Event, q.Subjects)
}

// MentionsAny reports whether the event is about one of the identifiers.
func MentionsAny(e *Event, ids []subject.Identifier) bool {
	return slices.ContainsFunc(Mentions(e), func(m subject.Identifier) bool {
		return slices.ContainsFunc(ids, func(id subject.Identifier) bool { return !id.IsZero() && m.Equal(id) })
	})
}
