package sessionstest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"pgregory.net/rapid"
)

// draw makes sessions and scopes out of few identifiers, so that they often meet.
type draw struct {
	t   *rapid.T
	run string
	now time.Time
}

func (d draw) identifier(label string) subject.Identifier {
	n := rapid.IntRange(0, 2).Draw(d.t, label)
	text := fmt.Sprintf("%s-%d", d.run, n)
	switch rapid.IntRange(0, 3).Draw(d.t, label+" format") {
	case 0:
		return subject.Email(text + "@example.com")
	case 1:
		return subject.IssSub("https://idp.example", text)
	case 2:
		return subject.URI("urn:example:" + text)
	}
	return subject.Opaque(text)
}

func (d draw) name(label string) string {
	return rapid.SampledFrom([]string{"user", "user", "session", "device", "tenant", "ward"}).Draw(d.t, label)
}

func (d draw) session(id string) sessions.Session {
	s := sessions.Session{ID: id, Members: members{}, Begun: d.at("begun")}
	for range rapid.IntRange(1, 6).Draw(d.t, "identifiers") {
		name := d.name("member")
		s.Members[name] = append(s.Members[name], d.identifier("identifier"))
	}
	return s
}

func (d draw) at(label string) time.Time {
	return d.now.Add(time.Duration(rapid.IntRange(-5, 5).Draw(d.t, label)) * time.Second)
}

func (d draw) scope() receiver.Scope {
	if rapid.Bool().Draw(d.t, "simple") {
		return receiver.ScopeOf(d.identifier("subject"))
	}
	of := map[string]subject.Identifier{}
	for range rapid.IntRange(1, 3).Draw(d.t, "members") {
		id := d.identifier("member's identifier")
		if rapid.Bool().Draw(d.t, "aliases") {
			id = subject.Aliases(id, d.identifier("alias"))
		}
		of[d.name("member's name")] = id
	}
	return complexScope(d.t, of)
}

// indexModel: what is found is what Session.In says of each session.
func indexModel(x *index) {
	run := 0
	rapid.Check(x, func(t *rapid.T) {
		run++
		d := draw{t, fmt.Sprint("run", run), x.Now()}
		var list []sessions.Session
		for i := range rapid.IntRange(1, 6).Draw(d.t, "sessions") {
			s := d.session(fmt.Sprintf("%s-s%d", d.run, i))
			list = append(list, s)
			x.add(s)
		}
		for range 5 {
			scope, until := d.scope(), d.at("until")
			var want []string
			for _, s := range list {
				if s.In(scope, until) {
					want = append(want, s.ID)
				}
			}
			if got := x.page(scope, until, "", sessions.MaxPage); !slices.Equal(got, want) {
				t.Fatalf("got %q for the scope %v until %v, want %q", got, scope, until.Sub(d.now), want)
			}
		}
	})
}

// revocationsModel: a check says of each session what Session.In says of each call.
func revocationsModel(x *revocations) {
	run := 0
	rapid.Check(x, func(t *rapid.T) {
		run++
		d := draw{t, fmt.Sprint("run", run), x.Now()}
		type call struct {
			scope receiver.Scope
			until time.Time
		}
		var calls []call
		for range rapid.IntRange(1, 4).Draw(d.t, "calls") {
			c := call{d.scope(), d.at("until")}
			calls = append(calls, c)
			x.revoke(c.scope, c.until)
		}
		for range 6 {
			s := d.session("a")
			want := sessions.Good
			if slices.ContainsFunc(calls, func(c call) bool { return s.In(c.scope, c.until) }) {
				want = sessions.Revoked
			}
			if got := x.gate.Session(s); got != want {
				t.Fatalf("got %v for a session of %v begun at %v, want %v", got, s.Members, s.Begun.Sub(d.now), want)
			}
			if got := x.gate.Bearer(s.Bearer()); got != want {
				t.Fatalf("got %v for its bearer, want %v", got, want)
			}
		}
	})
}
