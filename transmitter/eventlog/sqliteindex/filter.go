package sqliteindex

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// group is one filter: an event has one of its terms.
type group struct {
	any   []term
	lists bool // each term has a list
	// Of what annotations change: those terms that count where the viewer sees
	// annotations of its own, and those elsewhere.
	own, common []term
}

// filters are a query as the index reads it.
type filters struct {
	groups   []group        // each must hold
	networks []netip.Prefix // one must hold, unless there are none
	types    []term         // those that were asked for, beside their group
	view     term           // that an event has where the viewer sees annotations of its own
	score    *float64
	head     uint64
	none     bool // nothing can match
}

// filtersOf reads a query; the most selective kinds come first.
func (t *terms) filtersOf(q *eventlog.Query) *filters {
	f := &filters{score: q.MinScore, head: math.MaxInt64, view: t.of(kindView, q.Owner)}
	if q.Head > 0 {
		f.head = q.Head
	}
	f.texts(t, kindSession, q.Sessions)
	if len(q.LinkedIDs) > 0 {
		f.notes(t, q.Owner, kindLinkedID, q.LinkedIDs)
	}
	f.texts(t, kindFingerprint, q.Fingerprints)
	if len(q.Subjects) > 0 {
		f.group(t.ofSubjects(q.Subjects), true)
	}
	f.texts(t, kindIdentifier, q.Identifiers)
	f.texts(t, kindEmail, q.Emails)
	f.texts(t, kindActor, q.Actors)
	for name, value := range q.Tags {
		f.notes(t, q.Owner, kindTag, []string{value}, name)
	}
	if q.Suspect != nil {
		f.notes(t, q.Owner, kindSuspect, []string{fmt.Sprint(*q.Suspect)})
	}
	for name, value := range q.Signals {
		f.group([]term{t.ofSignal(name, value)}, value)
	}
	f.addresses(t, q.Addresses)
	f.texts(t, kindApplication, q.Applications)
	f.texts(t, kindType, q.Types)
	f.types = t.ofTexts(kindType, q.Types)
	f.texts(t, kindCategory, q.Categories)
	f.texts(t, kindSource, q.Sources)
	if q.Owner != "" {
		f.group([]term{t.of(kindOwner, q.Owner), t.of(kindAnybody)}, true)
	}
	if len(q.Environments) > 0 {
		f.group(t.ofTexts(kindEnvironment, q.Environments), false)
	}
	return f
}

func (t *terms) ofTexts(k kind, texts []string) []term {
	all := make([]term, 0, len(texts))
	for _, text := range texts {
		if text == "" {
			continue // nothing has it
		}
		if one := t.of(k, text); !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

func (f *filters) texts(t *terms, k kind, texts []string) {
	if len(texts) > 0 {
		f.group(t.ofTexts(k, texts), true)
	}
}

func (f *filters) group(any []term, lists bool) {
	f.none = f.none || len(any) == 0
	f.groups = append(f.groups, group{any: any, lists: lists})
}

// notes adds a filter by one of the values of what annotations change.
func (f *filters) notes(t *terms, viewer string, k kind, values []string, name ...string) {
	g := group{lists: true}
	for _, value := range values {
		if value == "" && k == kindLinkedID {
			continue // nothing has it
		}
		texts := append(slices.Clone(name), value)
		g.common = append(g.common, t.ofNote(nil, k, texts...))
		g.own = append(g.own, t.ofNote(&viewer, k, texts...))
	}
	g.any = append(slices.Clone(g.common), g.own...)
	slices.Sort(g.any)
	g.any = slices.Compact(g.any)
	f.none = f.none || len(g.any) == 0
	f.groups = append(f.groups, g)
}

// addresses adds the filter by networks, and the lists that have all of them,
// and perhaps others, if each of them has some.
func (f *filters) addresses(t *terms, networks []netip.Prefix) {
	f.networks = networks
	var any []term
	for _, p := range networks {
		around := t.ofPrefix(p)
		if around == nil {
			return
		}
		any = append(any, around...)
	}
	if len(any) > 0 {
		slices.Sort(any)
		f.group(slices.Compact(any), true)
	}
}

// candidate is an event as it stands in the file.
type candidate struct {
	eventlog.Hit
	score any
	addr  []byte
	keys  []byte
}

// match reports whether all filters hold.
func (f *filters) match(c *candidate) bool {
	if c.Seq > f.head {
		return false
	}
	for i := range f.groups {
		any := f.groups[i].any
		if f.groups[i].own != nil {
			if any = f.groups[i].common; c.Noted && has(c.keys, []term{f.view}) {
				any = f.groups[i].own
			}
		}
		if !has(c.keys, any) {
			return false
		}
	}
	if f.score != nil {
		if score, known := c.score.(float64); !known || score < *f.score {
			return false
		}
	}
	if len(f.networks) == 0 {
		return true
	}
	a, ok := netip.AddrFromSlice(c.addr)
	return ok && slices.ContainsFunc(f.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// has reports whether one of the terms is among an event's.
func has(keys []byte, any []term) bool {
	for ; len(keys) >= 8; keys = keys[8:] {
		if slices.Contains(any, term(binary.BigEndian.Uint64(keys))) {
			return true
		}
	}
	return false
}
