package storetest

import (
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

func eraseCases() []testCase {
	return []testCase{
		{"PointingFindsQueuedAndDead", func(x *fixture) {
			x.stream("s1")
			x.stream("s2")
			x.stream("s3", poll)
			x.events("s1", 1, 2, 3, 4)
			x.events("s2", 2, 4)
			x.put(control("s1", "c1"))
			x.items("s1", 3)                                 // leased ones count
			x.settle("s1", streams.Refused, "e2")            // dead in s1
			x.settle("s2", streams.Delivered, "e4")          // gone
			equal(x, "before", x.pointing(9), "queued dead") // another record
			equal(x, "of two", x.pointing(2, 3), "queued e2@s2 e3@s1 dead e2@s1")
			equal(x, "of none", x.pointing(), "queued dead")
			x.reopen(true)
			equal(x, "after a kill", x.pointing(2, 3, 4), "queued e2@s2 e3@s1 e4@s1 dead e2@s1")
			for _, s := range []string{"s1", "s2"} {
				x.settle(s, streams.Delivered, "e2", "e3", "e4")
			}
			x.reopen(true)
			equal(x, "settled", x.pointing(1, 2, 3, 4), "queued e1@s1 dead")
		}},
		{"PointingIsBounded", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3)
			queued, _, err := x.store.Pointing(x.ctx, []uint64{1, 2, 3}, 2)
			x.must(err)
			equal(x, "at most two", len(queued), 2)
		}},
		{"PointingFindsResent", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1)
			x.items("s1", 1)
			x.settle("s1", streams.Refused, "e1")
			x.must(x.store.Resend(x.ctx, "s1", "e1"))
			equal(x, "resent", x.pointing(1), "queued e1@s1 dead")
		}},
		{"PointingFindsTheEventNotItsCause", func(x *fixture) {
			x.stream("s1")
			x.put(released("s1", 9, 2, 0), released("s1", 9, 3, 0))
			equal(x, "Earliest", x.earliest(), 2)
			equal(x, "the event", x.pointing(2), "queued r2.0@s1 dead")
			equal(x, "its cause", x.pointing(9), "queued dead")
			x.settle("s1", streams.Refused, "r2.0")
			x.reopen(true)
			equal(x, "dead", x.pointing(2, 3, 9), "queued r3.0@s1 dead r2.0@s1")
			x.events("s1", 10)
			equal(x, "Earliest of the rest", x.earliest(), 3)
		}},
		{"ForgetRemovesEntriesAndExclusions", func(x *fixture) {
			jo, al := subject.Email("jo@example.com"), subject.Email("al@example.com")
			joAt, err := subject.Complex(map[string]subject.Identifier{"user": jo, "tenant": subject.Opaque("t1")})
			x.must(err)
			alAt, err := subject.Complex(map[string]subject.Identifier{"user": al, "tenant": subject.Opaque("t1")})
			x.must(err)
			x.stream("some", none)
			x.stream("all")
			for _, id := range []subject.Identifier{jo, al, joAt, alAt} {
				x.must(x.store.Add(x.ctx, "some", id, 0))
				x.must(x.store.Remove(x.ctx, "all", id, 0))
			}
			equal(x, "match before", x.match(1, jo), "some:0")
			n, err := x.store.Forget(x.ctx, "another", jo)
			x.must(err)
			equal(x, "of another owner", n, 0)
			for i, want := range []int{4, 0} {
				owner := []string{"app", ""}[i]
				n, err := x.store.Forget(x.ctx, owner, jo)
				x.must(err)
				if n != want {
					x.Errorf("Forget, call %d: got %d, want %d", i+1, n, want)
				}
			}
			for range 2 {
				equal(x, "jo is no subject", x.match(1, jo), "all:-1")
				equal(x, "nor as a member", x.match(1, joAt), "all:-1")
				equal(x, "al stays", x.match(1, al), "some:0")
				for _, s := range []string{"some", "all"} {
					n, err := x.store.SubjectCount(x.ctx, s)
					x.must(err)
					equal(x, "subjects of "+s, n, 2)
				}
				x.reopen(true)
			}
		}},
		{"ScrubChangesNothingElse", func(x *fixture) {
			x.stream("s1")
			x.must(x.store.Scrub(x.ctx))
			x.events("s1", 1, 2)
			x.settle("s1", streams.Delivered, "e1")
			x.must(x.store.Scrub(x.ctx))
			equal(x, "Take", x.take("s1", 10), "e2")
		}},
		{"EarliestIsOfTheQueues", func(x *fixture) {
			x.stream("s1")
			x.stream("s2")
			equal(x, "nothing queued", x.earliest(), 0)
			x.events("s1", 3, 4)
			x.events("s2", 2)
			x.put(control("s1", "c1"))
			equal(x, "both", x.earliest(), 2)
			x.settle("s2", streams.Refused, "e2")
			equal(x, "dead letters do not count", x.earliest(), 3)
			x.reopen(true)
			equal(x, "after a kill", x.earliest(), 3)
			x.settle("s1", streams.Delivered, "e3", "e4")
			equal(x, "at the end", x.earliest(), 0)
		}},
	}
}

// pointing tells what points at records, as jti@stream in the order of streams.
func (x *fixture) pointing(records ...uint64) string {
	x.Helper()
	queued, dead, err := x.store.Pointing(x.ctx, records, 100)
	x.must(err)
	return "queued" + at(queued) + " dead" + at(dead)
}

func (x *fixture) earliest() uint64 {
	x.Helper()
	seq, err := x.store.Earliest(x.ctx)
	x.must(err)
	return seq
}
