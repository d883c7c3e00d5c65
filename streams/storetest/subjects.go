package storetest

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

func mail(name string) subject.Identifier { return subject.Email(name + "@example.com") }

// parts is a complex subject of members written as name and value in turn.
func parts(x *fixture, pairs ...string) subject.Identifier {
	x.Helper()
	members := make(map[string]subject.Identifier)
	for i := 0; i < len(pairs); i += 2 {
		members[pairs[i]] = subject.Opaque(pairs[i+1])
	}
	id, err := subject.Complex(members)
	x.must(err)
	return id
}

func (x *fixture) count(stream string) int {
	x.Helper()
	n, err := x.store.SubjectCount(x.ctx, stream)
	x.must(err)
	return n
}

func (x *fixture) add(stream string, ids ...subject.Identifier) {
	x.Helper()
	for _, id := range ids {
		x.must(x.store.Add(x.ctx, stream, id, 0))
	}
}

func (x *fixture) remove(stream string, ids ...subject.Identifier) {
	x.Helper()
	for _, id := range ids {
		x.must(x.store.Remove(x.ctx, stream, id, 0))
	}
}

func subjectCases() []testCase {
	return []testCase{
		// SSF-8.1.3-02.
		{"AddAndRemoveAreIdempotent", func(x *fixture) {
			x.stream("s1", none)
			x.add("s1", mail("a"), mail("a"), mail("b"))
			equal(x, "entries", x.count("s1"), 2)
			x.remove("s1", mail("a"), mail("a"), mail("unknown"))
			equal(x, "entries after Remove", x.count("s1"), 1)
			equal(x, "Match", x.match(1, mail("a"), mail("b")), "s1:1")
		}},
		{"ComparedByCanonicalForm", func(x *fixture) {
			x.stream("s1", none)
			one, err := subject.Parse([]byte(`{"format":"iss_sub","iss":"https://i.example","sub":"1"}`))
			x.must(err)
			two, err := subject.Parse([]byte(` { "sub" : "1", "iss":"https:\/\/i.example", "format":"iss_sub" }`))
			x.must(err)
			x.add("s1", one, two)
			equal(x, "entries", x.count("s1"), 1)
			x.remove("s1", two)
			equal(x, "entries after Remove", x.count("s1"), 0)
		}},
		{"LimitIsErrFull", func(x *fixture) {
			x.stream("s1", none)
			x.stream("all")
			for _, n := range []string{"a", "b", "a"} {
				x.must(x.store.Add(x.ctx, "s1", mail(n), 2))
				x.must(x.store.Remove(x.ctx, "all", mail(n), 2))
			}
			x.is("Add above the limit", x.store.Add(x.ctx, "s1", mail("c"), 2), streams.ErrFull)
			x.is("Remove above the limit", x.store.Remove(x.ctx, "all", mail("c"), 2), streams.ErrFull)
			equal(x, "entries", x.count("s1"), 2)
			equal(x, "exclusions", x.count("all"), 2)
			x.must(x.store.Remove(x.ctx, "s1", mail("a"), 2))
			x.must(x.store.Add(x.ctx, "s1", mail("c"), 2))
		}},
		// U7.
		{"RemoveExcludesAndAddLiftsIt", func(x *fixture) {
			x.stream("all")
			x.remove("all", mail("a"))
			equal(x, "Match of the excluded", x.match(1, mail("a")), "")
			equal(x, "Match of another", x.match(1, mail("b")), "all:-1")
			x.add("all", mail("a"))
			equal(x, "Match after Add", x.match(1, mail("a")), "all:-1")
		}},
		{"DurableOnReturn", func(x *fixture) {
			x.stream("s1", none)
			x.stream("all")
			x.add("s1", mail("a"), parts(x, "user", "u", "tenant", "t"))
			x.remove("all", mail("a"))
			x.reopen(true)
			equal(x, "entries", x.count("s1"), 2)
			equal(x, "exclusions", x.count("all"), 1)
			equal(x, "Match", x.match(1, mail("a")), "s1:0")
			equal(x, "Match of a complex subject", x.match(1, parts(x, "user", "u")), "all:-1 s1:0")
			x.remove("s1", mail("a"))
			x.reopen(true)
			equal(x, "Match after Remove and a kill", x.match(1, mail("a")), "")
		}},
	}
}

func matchCases() []testCase {
	type pairing struct {
		stream, event []string
		match         bool
	}
	return []testCase{
		{"TypeMustBeDelivered", func(x *fixture) {
			only := func(s *streams.Stream) { s.EventsDelivered = []string{typeB} }
			x.stream("all", only)
			x.stream("none", only, none)
			x.add("none", mail("a"))
			equal(x, "typeA", x.match(1, mail("a")), "")
			equal(x, "typeB", x.query(streams.Query{Seq: 1, Type: typeB, Subjects: []subject.Identifier{mail("a")}}), "all:-1 none:0")
			x.update("all", func(s *streams.Stream) { s.EventsDelivered = []string{typeA} })
			x.update("none", func(s *streams.Stream) { s.EventsDelivered = []string{typeA, typeB} })
			equal(x, "typeA after updates", x.match(1, mail("a")), "all:-1 none:0")
			equal(x, "typeB after updates", x.query(streams.Query{Seq: 1, Type: typeB, Subjects: []subject.Identifier{mail("a")}}), "none:0")
		}},
		{"OwnersBound", func(x *fixture) {
			for _, owner := range []string{"o1", "o2", "o3"} {
				of := func(s *streams.Stream) { s.Owner = owner }
				x.stream("all-"+owner, of)
				x.stream("none-"+owner, of, none)
				x.add("none-"+owner, mail("a"))
			}
			q := streams.Query{Seq: 1, Type: typeA, Subjects: []subject.Identifier{mail("a")}}
			q.Owners = []string{"o1", "o3"}
			equal(x, "two owners", x.query(q), "all-o1:-1 all-o3:-1 none-o1:0 none-o3:0")
			q.Owners = []string{}
			equal(x, "no owner", x.query(q), "")
		}},
		// contracts.md §3: from.
		{"StreamsBeginAfterFrom", func(x *fixture) {
			x.stream("s1", func(s *streams.Stream) { s.From = 10 })
			x.stream("s2", none, func(s *streams.Stream) { s.From = 10 })
			x.add("s2", mail("a"))
			equal(x, "at from", x.match(10, mail("a")), "")
			equal(x, "after from", x.match(11, mail("a")), "s1:-1 s2:0")
		}},
		{"DisabledStreamsDoNotMatch", func(x *fixture) {
			for _, id := range []string{"all", "none"} {
				x.stream(id)
			}
			x.update("none", none)
			x.add("none", mail("a"))
			x.setStatus("all", streams.Paused)
			x.setStatus("none", streams.Paused)
			equal(x, "paused", x.match(1, mail("a")), "all:-1 none:0")
			x.disable("all")
			x.disable("none")
			equal(x, "disabled", x.match(1, mail("a")), "")
			x.setStatus("all", streams.Enabled)
			found, err := x.store.Match(x.ctx, streams.Query{Seq: 1, Type: typeA, Subjects: []subject.Identifier{mail("a")}})
			x.must(err)
			same(x, "enabled again", found, []streams.Candidate{{Stream: "all", Owner: "app", Epoch: 2, Subject: -1}})
		}},
		// A webhook takes events that are about nobody.
		{"WithoutSubjectsAllMatch", func(x *fixture) {
			x.stream("all")
			x.stream("excludes")
			x.remove("excludes", mail("a"))
			x.stream("none", none)
			x.add("none", mail("a"))
			equal(x, "Match", x.match(1), "all:-1 excludes:-1")
		}},
		{"EachStreamOnceByItsFirstSubject", func(x *fixture) {
			x.stream("s1", none)
			x.stream("s2", none)
			x.add("s1", mail("c"), mail("b"), parts(x, "user", "u"), parts(x, "user", "u", "tenant", "t"))
			x.add("s2", parts(x, "tenant", "t"))
			equal(x, "Match", x.match(1, mail("a"), mail("b"), mail("c")), "s1:1")
			equal(x, "Match of complex ones", x.match(1, mail("a"), parts(x, "user", "u", "tenant", "t")), "s1:1 s2:1")
		}},
		// SSF-8.1.3.1-01, -02; U5, U6.
		{"ComplexSubjectsBySharedMembers", func(x *fixture) {
			for i, p := range []pairing{
				{[]string{"tenant", "t"}, []string{"tenant", "t", "user", "u"}, true},
				{[]string{"user", "u", "device", "d"}, []string{"user", "u"}, true},
				{[]string{"user", "u", "group", "g1"}, []string{"user", "u", "group", "g2"}, false},
				{[]string{"user", "u", "group", "g1"}, []string{"user", "u", "tenant", "t"}, true},
				{[]string{"user", "u"}, []string{"tenant", "t"}, false},
				{[]string{"user", "u"}, []string{"user", "v"}, false},
			} {
				x.stream(fmt.Sprint("s", i), none)
				x.add(fmt.Sprint("s", i), parts(x, p.stream...))
				want := ""
				if p.match {
					want = fmt.Sprintf("s%d:0", i)
				}
				equal(x, fmt.Sprint(p), x.match(1, parts(x, p.event...)), want)
				x.must(x.store.Delete(x.ctx, fmt.Sprint("s", i)))
			}
		}},
		{"SimpleNeverMatchesComplex", func(x *fixture) {
			x.stream("s1", none)
			x.add("s1", parts(x, "user", "u"))
			equal(x, "Match", x.match(1, subject.Opaque("u")), "")
			x.add("s1", subject.Opaque("v"))
			equal(x, "Match", x.match(1, parts(x, "user", "v")), "")
		}},
		{"RemoveOfOneLeavesAnotherWithItsMembers", func(x *fixture) {
			x.stream("s1", none)
			x.add("s1", parts(x, "user", "u", "tenant", "t"), parts(x, "user", "v", "tenant", "t"))
			x.remove("s1", parts(x, "user", "u", "tenant", "t"))
			equal(x, "what they share", x.match(1, parts(x, "tenant", "t")), "s1:0")
			equal(x, "what was removed", x.match(1, parts(x, "user", "u", "tenant", "t")), "")
		}},
		// U7: exclusion is no wildcard.
		{"ExclusionsNeedAllTheirMembers", func(x *fixture) {
			x.stream("all")
			x.remove("all", parts(x, "user", "u", "tenant", "t"))
			equal(x, "the same", x.match(1, parts(x, "user", "u", "tenant", "t")), "")
			equal(x, "with another member", x.match(1, parts(x, "user", "u", "tenant", "t", "device", "d")), "")
			equal(x, "the whole tenant", x.match(1, parts(x, "tenant", "t")), "all:-1")
			equal(x, "another user", x.match(1, parts(x, "user", "v", "tenant", "t")), "all:-1")
		}},
		{"AnyExcludedIdentifierExcludes", func(x *fixture) {
			x.stream("all")
			x.remove("all", mail("a"))
			equal(x, "Match", x.match(1, subject.Opaque("1"), mail("a")), "")
		}},
		{"EventsWithoutSubject", func(x *fixture) {
			x.stream("all")
			x.stream("none", none)
			equal(x, "Match", x.match(1), "all:-1")
		}},
	}
}
