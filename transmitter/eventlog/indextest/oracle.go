package indextest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// known is an event as the oracle has it: with what was said of it.
type known struct {
	*eventlog.Record
	said []note
	now  eventlog.Attributes // as the last query's owner sees it
}

// note is an annotation as it stands in the log.
type note struct {
	Event, Application string
	Suspect            json.RawMessage
	LinkedID           json.RawMessage `json:"linked_id"`
	Tags               map[string]*string
	NoTags             bool `json:"no_tags"`
}

// everything reads the log and applies all annotations, one after the other.
func everything(tb testing.TB, l eventlog.Log) []*known {
	tb.Helper()
	var all []*known
	byID := map[string]*known{}
	for after := uint64(0); ; {
		records, err := l.Read(tb.Context(), after, 100)
		if err != nil {
			tb.Fatal(err)
		}
		if len(records) == 0 {
			return all
		}
		for _, r := range records {
			after = r.Seq
			if r.Kind == eventlog.KindEvent && !r.Erased {
				k := &known{Record: r}
				all, byID[r.ID] = append(all, k), k
			}
			if r.Kind == eventlog.KindAnnotation {
				var body note
				if err := json.Unmarshal(r.Entry, &body); err != nil {
					tb.Fatal(err)
				}
				if k := byID[body.Event]; k != nil {
					k.said = append(k.said, body)
				}
			}
		}
	}
}

// look makes now what a viewer sees.
func (k *known) look(viewer string) {
	k.now = k.Record.Attributes
	for _, n := range k.said {
		if viewer != "" && n.Application != "" && n.Application != viewer {
			continue
		}
		if suspect := string(n.Suspect); suspect != "" {
			k.now.Suspect = nil
			if suspect != "null" {
				is := suspect == "true"
				k.now.Suspect = &is
			}
		}
		if linked := string(n.LinkedID); linked != "" {
			k.now.LinkedID = strings.Trim(strings.TrimPrefix(linked, "null"), `"`)
		}
		now := map[string]string{}
		for name, value := range k.now.Tags {
			if !n.NoTags {
				now[name] = value
			}
		}
		for name, value := range n.Tags {
			delete(now, name)
			if value != nil {
				now[name] = *value
			}
		}
		k.now.Tags = now
	}
}

func (k *known) mentions(ids []subject.Identifier) bool {
	var texts []string
	var look func(of []subject.Identifier)
	look = func(of []subject.Identifier) {
		for _, id := range of {
			texts = append(texts, id.Canonical())
			look(id.Identifiers())
			for _, name := range id.MemberNames() {
				m, _ := id.Member(name)
				look([]subject.Identifier{m})
			}
		}
	}
	look(k.Subjects)
	for _, m := range k.Mapped {
		look(m.Subjects)
	}
	for _, a := range []subject.Identifier{subject.Email(k.Record.Attributes.Email), subject.Opaque(k.Record.Attributes.Identifier)} {
		texts = append(texts, a.Canonical())
	}
	return slices.ContainsFunc(ids, func(id subject.Identifier) bool { return slices.Contains(texts, id.Canonical()) })
}

func (k *known) millis() int64 {
	if k.Time.IsZero() {
		return k.Recorded.UnixMilli()
	}
	return k.Time.UnixMilli()
}

// answer is the search by a look at every event.
func answer(all []*known, q *eventlog.Query) []uint64 {
	var found []*known
	for _, k := range all {
		if k.matches(q) {
			found = append(found, k)
		}
	}
	sort.SliceStable(found, func(i, j int) bool {
		a, b := found[i], found[j]
		if q.Reverse {
			a, b = b, a
		}
		if a.millis() != b.millis() {
			return a.millis() > b.millis()
		}
		return a.Seq > b.Seq
	})
	var seqs []uint64
	for _, k := range found {
		seqs = append(seqs, k.Seq)
	}
	return seqs
}

func (k *known) matches(q *eventlog.Query) bool {
	k.look(q.Owner)
	has := map[string]bool{}
	for name, value := range map[string]string{
		"type": k.Type, "category": k.now.Category, "source": k.Source, "environment": k.Environment,
		"identifier": k.now.Identifier, "email": k.now.Email, "actor": k.now.Actor, "session": k.now.Session,
		"application": k.now.Application, "linked": k.now.LinkedID, "fingerprint": k.now.Fingerprint,
	} {
		has[name+"="+value] = value != ""
	}
	for name, values := range map[string][]string{
		"type": q.Types, "category": q.Categories, "source": q.Sources, "environment": q.Environments,
		"identifier": q.Identifiers, "email": q.Emails, "actor": q.Actors, "session": q.Sessions,
		"application": q.Applications, "linked": q.LinkedIDs, "fingerprint": q.Fingerprints,
	} {
		if values != nil && !slices.ContainsFunc(values, func(v string) bool { return has[name+"="+v] }) {
			return false
		}
	}
	for name, want := range q.Signals {
		if fmt.Sprint(k.now.Signals[name]) != fmt.Sprint(want) {
			return false
		}
		if _, there := k.now.Signals[name]; !there {
			return false
		}
	}
	for name, want := range q.Tags {
		if v, there := k.now.Tags[name]; !there || v != want {
			return false
		}
	}
	inside := q.Addresses == nil
	for _, p := range q.Addresses {
		inside = inside || k.now.Address.IsValid() && p.Contains(k.now.Address)
	}
	switch {
	case !inside,
		q.Suspect != nil && (k.now.Suspect == nil || *k.now.Suspect != *q.Suspect),
		q.MinScore != nil && (k.now.RiskScore == nil || *k.now.RiskScore < *q.MinScore),
		q.Subjects != nil && !k.mentions(q.Subjects),
		q.Owner != "" && k.Record.Applications != nil && !slices.Contains(k.Record.Applications, q.Owner),
		!q.Start.IsZero() && k.millis() <= q.Start.UnixMilli(),
		!q.End.IsZero() && k.millis() >= q.End.UnixMilli(),
		q.Head > 0 && k.Seq > q.Head:
		return false
	}
	return true
}

// epoch is around when the events happened.
var epoch = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func pick(rng *rand.Rand, prefix string, n int) string { return fmt.Sprint(prefix, rng.IntN(n)) }

// maybe returns a text one time out of two.
func maybe(rng *rand.Rand, prefix string, n int) string {
	if rng.IntN(2) == 0 {
		return ""
	}
	return pick(rng, prefix, n)
}

func mail(rng *rand.Rand) string {
	if u := maybe(rng, "u", 9); u != "" {
		return u + "@example.com"
	}
	return ""
}

func coin(rng *rand.Rand) *bool {
	v := rng.IntN(2) == 0
	return &v
}

// subjectsFrom returns identifiers of a few people, simple and complex.
func subjectsFrom(rng *rand.Rand, n int) []subject.Identifier {
	var ids []subject.Identifier
	for range n {
		user := subject.Email(pick(rng, "u", 6) + "@example.com")
		if rng.IntN(3) == 0 {
			user = subject.IssSub("https://issuer.example", pick(rng, "u", 6))
		}
		switch rng.IntN(6) {
		case 0:
			c, err := subject.Complex(map[string]subject.Identifier{"user": user, "session": subject.Opaque(pick(rng, "s", 4))})
			if err == nil {
				user = c
			}
		case 1:
			user = subject.Aliases(user, subject.Phone("+1206555010"+fmt.Sprint(rng.IntN(4))))
		}
		ids = append(ids, user)
	}
	return ids
}

func address(rng *rand.Rand) netip.Addr {
	switch rng.IntN(4) {
	case 0:
		return netip.Addr{}
	case 1:
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(rng.IntN(2)), byte(rng.IntN(3)), byte(rng.IntN(2)), 15: byte(rng.IntN(4))})
	}
	return netip.AddrFrom4([4]byte{203, byte(rng.IntN(2)), byte(16 * rng.IntN(3)), byte(rng.IntN(256))})
}

// events returns random events whose values come again and again.
func events(rng *rand.Rand, n int) []eventlog.Event {
	list := make([]eventlog.Event, n)
	for i := range list {
		e := eventlog.Event{
			Source: pick(rng, "source", 3), Type: pick(rng, "type", 5), Environment: maybe(rng, "env", 2),
			Subjects: subjectsFrom(rng, rng.IntN(3)),
			Attributes: eventlog.Attributes{
				Category: maybe(rng, "cat", 3), Identifier: maybe(rng, "u", 9), Email: mail(rng), Application: maybe(rng, "app", 3),
				Session: maybe(rng, "session", 30), Fingerprint: maybe(rng, "fp", 9), Actor: maybe(rng, "u", 9), LinkedID: maybe(rng, "l", 9),
				Address: address(rng),
			},
		}
		if rng.IntN(5) > 0 { // few instants: many events share one
			e.Time = epoch.Add(time.Duration(rng.IntN(40)) * 100 * time.Millisecond)
		}
		if rng.IntN(3) == 0 {
			e.Mapped = []eventlog.Mapped{{Type: "m", Payload: json.RawMessage(`{}`), Subjects: subjectsFrom(rng, 1)}}
		}
		switch rng.IntN(3) {
		case 0:
			e.Applications = []string{pick(rng, "owner", 2)}
		case 1:
			e.Applications = []string{"owner0", "owner1", "owner2"}[:rng.IntN(4)]
		}
		if rng.IntN(2) == 0 {
			score := float64(rng.IntN(100))
			e.Attributes.RiskScore = &score
		}
		if rng.IntN(2) == 0 {
			e.Attributes.Suspect = coin(rng)
		}
		for _, name := range []string{"vpn", "tor", "proxy"} {
			if rng.IntN(2) == 0 {
				if e.Attributes.Signals == nil {
					e.Attributes.Signals = map[string]bool{}
				}
				e.Attributes.Signals[name] = *coin(rng)
			}
		}
		if rng.IntN(2) == 0 {
			e.Attributes.Tags = map[string]string{pick(rng, "k", 2): pick(rng, "v", 2), "k": "v"}
		}
		list[i] = e
	}
	return list
}

// query returns a random search with about two filters.
func query(rng *rand.Rand, all []*known) eventlog.Query {
	q := eventlog.Query{Reverse: rng.IntN(2) == 0, Limit: 4 + rng.IntN(40)}
	some := func(prefix string, n int) []string {
		list := []string{pick(rng, prefix, n)}
		if rng.IntN(3) == 0 {
			list = append(list, pick(rng, prefix, n), list[0])
		}
		return list
	}
	filters := []func(){
		func() { q.Types = some("type", 5) },
		func() { q.Categories = some("cat", 3) },
		func() { q.Sources = some("source", 3) },
		func() { q.Environments = some("env", 2) },
		func() { q.Subjects = subjectsFrom(rng, 1+rng.IntN(2)) },
		func() { q.Identifiers = some("u", 9) },
		func() { q.Emails = []string{pick(rng, "u", 9) + "@example.com"} },
		func() { q.Actors = some("u", 9) },
		func() { q.Sessions = some("session", 30) },
		func() { q.Applications = some("app", 3) },
		func() { q.LinkedIDs = some("l", 9) },
		func() { q.Fingerprints = some("fp", 9) },
		func() { q.Addresses = networks(rng, all) },
		func() { q.Suspect = coin(rng) },
		func() { q.Signals = map[string]bool{[]string{"vpn", "tor"}[rng.IntN(2)]: *coin(rng)} },
		func() { q.Tags = map[string]string{pick(rng, "k", 2): pick(rng, "v", 2)} },
		func() { score := float64(rng.IntN(100)); q.MinScore = &score },
		func() { q.Owner = pick(rng, "owner", 3) },
		func() { q.Owner, q.Suspect = pick(rng, "owner", 3), coin(rng) },
		func() { q.Owner, q.Tags = pick(rng, "owner", 3), map[string]string{"k": "v"} },
		func() { q.Start = epoch.Add(time.Duration(rng.IntN(40)) * 100 * time.Millisecond) },
		func() { q.End = epoch.Add(time.Duration(rng.IntN(50)) * 100 * time.Millisecond) },
		func() { q.Head = all[rng.IntN(len(all))].Seq },
	}
	for range rng.IntN(4) {
		filters[rng.IntN(len(filters))]()
	}
	return q
}

// networks returns networks of any size around addresses that are there.
func networks(rng *rand.Rand, all []*known) []netip.Prefix {
	var list []netip.Prefix
	for range 1 + rng.IntN(2) {
		a := all[rng.IntN(len(all))].Attributes.Address
		if !a.IsValid() {
			a = netip.MustParseAddr("203.0.16.200")
		}
		list = append(list, netip.PrefixFrom(a, rng.IntN(a.BitLen()+1)).Masked())
	}
	return list
}

// say notes an annotation of the event at seq; body is its members but the event.
func say(tb testing.TB, s *Store, seq uint64, body string) {
	tb.Helper()
	r, err := s.Log.Record(tb.Context(), seq)
	if err != nil {
		tb.Fatal(err)
	}
	var a eventlog.Annotation
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		tb.Fatal(err)
	}
	a.Event = r.ID
	e, err := a.Entry(seq)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.Log.Note(tb.Context(), e); err != nil {
		tb.Fatal(err)
	}
}

// annotate says random things of random events.
func annotate(tb testing.TB, s *Store, rng *rand.Rand, n int) {
	tb.Helper()
	all := everything(tb, s.Log)
	for range n {
		body := []string{
			`{"suspect":true}`, `{"suspect":null}`, `{"suspect":false,"linked_id":"l1"}`, `{"linked_id":null}`,
			`{"tags":{"k0":"v0","k":null}}`, `{"no_tags":true}`, `{"no_tags":true,"tags":{"k1":"v1"}}`,
		}[rng.IntN(7)]
		if app := maybe(rng, "owner", 3); app != "" {
			body = `{"application":"` + app + `",` + body[1:]
		}
		say(tb, s, all[rng.IntN(len(all))].Seq, body)
	}
}
