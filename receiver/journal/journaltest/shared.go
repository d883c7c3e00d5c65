package journaltest

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// RunShared runs what is promised when several processes have one journal: two that open
// opens in one folder at once. Such a backend passes Run and RunDurable, too.
func RunShared(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		test func(a, b *suite)
	}{
		{"one sees what the other records", seesOthers},
		{"an attempt at the other takes the place", attemptElsewhere},
		{"places are of both", placesOfBoth},
		{"states are of both", statesOfBoth},
		{"denials are of both", denialsOfBoth},
		{"what both keep is bounded", boundedTogether},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				a, b := &suite{T: t, open: open, dir: dir}, &suite{T: t, open: open, dir: dir}
				a.j, b.j = open(t, dir, Max), open(t, dir, Max)
				defer func() { a.check(a.j.Close()); b.check(b.j.Close()) }()
				tt.test(a, b)
			})
		})
	}
}

func seesOthers(a, b *suite) {
	a.record(entry("a", "redis"))
	b.wants("of the event", b.of("a"), "a redis end done")
	b.wants("of the hook", b.list(journal.Query{Hook: "redis", Max: 10}), "a redis end done")
	if got, err := b.j.Totals(b.Context()); err != nil || len(got) != 1 || got[0].Entries != 1 {
		b.Errorf("got totals %v %v, want the other's entry", got, err)
	}
}

func attemptElsewhere(a, b *suite) {
	failed := entry("a", "redis")
	failed.Verdict = journal.Failed
	a.record(failed)
	first := b.of("a")[0].Seq
	b.record(entry("a", "redis"))
	got := a.of("a")
	a.wants("after the second attempt", got, "a redis end done")
	if got[0].Seq <= first {
		a.Errorf("got place %d of the second attempt, want one behind %d", got[0].Seq, first)
	}
	a.record(failed) // it was frozen
	b.wants("after a late word of the first", b.of("a"), "a redis end done")
}

func placesOfBoth(a, b *suite) {
	want := []string{}
	for n := range 10 {
		id := "e" + strconv.Itoa(n)
		[]*suite{a, b}[n%2].record(entry(id, "redis"))
		want = append(want, id+" redis end done")
	}
	slices.Reverse(want)
	a.wants("newest first", a.list(journal.Query{Max: 10}), want...)
}

func statesOfBoth(a, b *suite) {
	at := time.UnixMilli(1700000000000)
	a.record(told("a", "deny", at))
	b.record(told("b", "allow", at.Add(-time.Second)))
	a.state("deny", at)
	b.record(told("c", "allow", at.Add(time.Second)))
	a.state("allow", at.Add(time.Second))
}

func boundedTogether(a, b *suite) {
	for n := range Max {
		a.record(entry("a"+strconv.Itoa(n), "redis"))
		b.record(entry("b"+strconv.Itoa(n), "redis"))
	}
	if got := a.list(journal.Query{Max: journal.MaxPage}); len(got) != Max {
		a.Errorf("got %d entries of both, want %d", len(got), Max)
	}
}
