package storetest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// TestBrokenStores shows that each case named can fail: a store with the
// fault turns it red.
func TestBrokenStores(t *testing.T) {
	all := make(map[string]testCase)
	for _, c := range cases() {
		all[c.name] = c
	}
	for _, b := range brokenStores() {
		for _, name := range b.caught {
			t.Run(b.name+"/"+name, func(t *testing.T) {
				c, ok := all[name]
				if !ok {
					t.Fatalf("got no case %s, want one", name)
				}
				synctest.Test(t, func(t *testing.T) {
					if !record(t, c, &brokenPlace{fault: b.fault}) {
						t.Errorf("got a pass, want the case to fail: the store %s", b.name)
					}
				})
			})
		}
	}
}

type brokenStore struct {
	name   string
	fault  fault
	caught []string
}

// brokenStores are the faults, each with cases that must catch it.
func brokenStores() []brokenStore {
	forgetHigh := func(s *memoryStream) { s.high = streams.Position{} }
	return []brokenStore{
		{"forgets the highest position at once", fault{put: func(m *Memory, in []streams.Item) []streams.Item {
			m.each(forgetHigh)
			return in
		}}, []string{"Put/AtOrBelowTheHighestPositionDoesNothing", "Concurrent/EachPositionOnce"}},
		{"forgets the highest position of an empty queue", fault{settled: func(m *Memory, id string) {
			m.one(id, func(s *memoryStream) {
				if len(s.items) == 0 {
					forgetHigh(s)
				}
			})
		}}, []string{"Put/AtOrBelowTheHighestPositionDoesNothing"}},
		{
			"forgets the highest position with the process",
			fault{reopen: func(m *Memory) { m.each(forgetHigh) }},
			[]string{"Put/AtOrBelowTheHighestPositionDoesNothing", "Reopen/FanOutMayBeginAgain"},
		},
		{"reorders", fault{took: func(_ *Memory, _ string, items []streams.Item) []streams.Item {
			slices.Reverse(items)
			return items
		}}, []string{"Take/ControlFirstThenByPosition", "Take/LongQueuesKeepTheirOrder", "Concurrent/NothingLostNothingTwiceInOrder"}},
		{"drops the epoch check", fault{put: func(m *Memory, in []streams.Item) []streams.Item {
			in = slices.Clone(in)
			for i := range in {
				m.one(in[i].Stream, func(s *memoryStream) { in[i].Epoch = s.Epoch })
			}
			return in
		}}, []string{"Put/AnotherEpochIsGone"}},
		{"does not purge when the epoch is raised", fault{update: func(m *Memory, before, after streams.Stream) {
			if before.Epoch != after.Epoch {
				m.one(after.ID, func(s *memoryStream) { s.insert(&memoryItem{Item: event(after.ID, 1, "")}) })
			}
		}}, []string{"Registry/RaisedEpochPurges", "Concurrent/NothingOfAnOlderEpoch"}},
		{"keeps the health of an endpoint that was left", fault{update: func(m *Memory, before, after streams.Stream) {
			if before.Delivery != after.Delivery {
				m.one(after.ID, func(s *memoryStream) { s.health.Failures = 3 })
			}
		}}, []string{"Registry/EnablingAndANewDeliveryClearTheHealth"}},
		{"keeps the back-off of what was paused", fault{update: func(m *Memory, before, after streams.Stream) {
			if before.Status != after.Status && after.Status == streams.Enabled {
				m.one(after.ID, func(s *memoryStream) {
					s.health.NextDue = time.Now().Add(time.Hour)
					s.backingOff = true
				})
			}
		}}, []string{"Registry/EnablingAndANewDeliveryClearTheHealth"}},
		{"loses settlements", fault{settle: func(_ *Memory, _ string, o []streams.Outcome, h *streams.Health) ([]streams.Outcome, *streams.Health) {
			if len(o) > 0 {
				o = o[1:]
			}
			return o, h
		}}, []string{"Settle/InAnyOrderAndUnknownIgnored", "Model/Queue"}},
		{"loses settlements with the process", fault{reopen: func(m *Memory) {
			m.each(func(s *memoryStream) { s.insert(&memoryItem{Item: event(s.ID, 1, "")}) })
		}}, []string{"Settle/InAnyOrderAndUnknownIgnored", "Reopen/ManyRestarts"}},
		{"hands out an item while its key is out", fault{put: func(_ *Memory, in []streams.Item) []streams.Item {
			in = slices.Clone(in)
			for i := range in {
				in[i].OrderKey = ""
			}
			return in
		}}, []string{"Take/NoItemWhileAnEarlierOneWithItsKeyIsOut"}},
		{"forgets leases", fault{took: func(m *Memory, id string, items []streams.Item) []streams.Item {
			m.one(id, func(s *memoryStream) {
				for _, it := range s.items {
					it.until = time.Time{}
				}
			})
			return items
		}}, []string{"Take/LeasedItemsAreHiddenAndReturnToTheirPlace", "Concurrent/NothingLostNothingTwiceInOrder"}},
		{"never ends leases", fault{took: func(m *Memory, id string, items []streams.Item) []streams.Item {
			m.one(id, func(s *memoryStream) {
				for _, it := range s.items {
					if !it.until.IsZero() {
						it.until = it.until.Add(100 * time.Hour)
					}
				}
			})
			return items
		}}, []string{"Take/WaitWakesAtTheEndOfALease", "Ready/TellsOfAnEndedLease", "Concurrent/NothingLostNothingTwiceInOrder"}},
		{"loses items", fault{put: func(_ *Memory, in []streams.Item) []streams.Item {
			return slices.DeleteFunc(slices.Clone(in), func(it streams.Item) bool { return it.Pos.Seq == 17 })
		}}, []string{"Concurrent/NothingLostNothingTwiceInOrder", "Reopen/FanOutMayBeginAgain"}},
		{"hands out events while paused", fault{update: func(m *Memory, _, after streams.Stream) {
			if after.Status == streams.Paused {
				m.one(after.ID, func(s *memoryStream) { s.Status = streams.Enabled })
			}
		}}, []string{"Take/PausedHandsOutStreamUpdatedOnly"}},
		{
			"loses a wake-up of Ready",
			fault{ready: func(ids []string) []string { return ids[:len(ids)-1] }},
			[]string{"Ready/TellsOfAPut", "Ready/TellsOfWorkWhenOpened", "Concurrent/NoWakeUpIsLost"},
		},
		{
			"tells of nothing when opened",
			fault{reopen: func(m *Memory) { m.each(func(s *memoryStream) { s.cause = false }) }},
			[]string{"Ready/TellsOfWorkWhenOpened", "Model/Queue"},
		},
		{"does not tell of a key that is free", fault{settled: func(m *Memory, id string) {
			m.one(id, func(s *memoryStream) { s.cause = false })
		}}, []string{"Ready/TellsOfAKeyThatIsFree", "Ready/TellsOfAReturn", "Model/Queue"}},
		{
			"forgets health",
			fault{reopen: func(m *Memory) { m.each(func(s *memoryStream) { s.health, s.backingOff = streams.Health{}, false }) }},
			[]string{"Settle/HealthIsReplacedAndDurable", "Ready/TellsOfNextDueAfterARestart"},
		},
		{"ignores health", fault{settle: func(_ *Memory, _ string, o []streams.Outcome, _ *streams.Health) ([]streams.Outcome, *streams.Health) {
			return o, nil
		}}, []string{"Ready/NotWhileBackingOff", "Ready/TellsOfNextDue"}},
		{"counts releases", fault{settle: func(_ *Memory, _ string, o []streams.Outcome, h *streams.Health) ([]streams.Outcome, *streams.Health) {
			o = slices.Clone(o)
			for i := range o {
				if o[i].Verdict == streams.Released {
					o[i].Verdict = streams.Failed
				}
			}
			return o, h
		}}, []string{"Settle/FailedCountsAnAttemptReleasedDoesNot"}},
		{"keeps dead letters that were delivered", fault{settle: func(m *Memory, id string, o []streams.Outcome, h *streams.Health) ([]streams.Outcome, *streams.Health) {
			m.one(id, func(s *memoryStream) {
				o = slices.DeleteFunc(slices.Clone(o), func(v streams.Outcome) bool {
					_, err := s.letter(v.ID)
					return err == nil
				})
			})
			return o, h
		}}, []string{"DeadLetters/DeliveredErasesADeadLetter"}},
		{"ignores After", fault{settle: func(_ *Memory, _ string, o []streams.Outcome, h *streams.Health) ([]streams.Outcome, *streams.Health) {
			o = slices.Clone(o)
			for i := range o {
				o[i].After = 0
			}
			return o, h
		}}, []string{"Settle/FailedWithAfterHidesItemAndKey"}},
		{
			"ignores From",
			fault{create: func(s *streams.Stream) { s.From = 0 }},
			[]string{"Match/StreamsBeginAfterFrom", "Registry/CreateStoresAsGiven"},
		},
		{"ignores owners", fault{query: func(q *streams.Query) { q.Owners = nil }}, []string{"Match/OwnersBound"}},
		{
			"matches by the first subject alone",
			fault{query: func(q *streams.Query) { q.Subjects = q.Subjects[:min(1, len(q.Subjects))] }},
			[]string{"Match/EachStreamOnceByItsFirstSubject", "Match/AnyExcludedIdentifierExcludes"},
		},
		{
			"matches twice",
			fault{match: func(_ *Memory, c []streams.Candidate) []streams.Candidate { return append(c, c...) }},
			[]string{"Match/EachStreamOnceByItsFirstSubject"},
		},
		{
			"loses subjects with the process",
			fault{reopen: func(m *Memory) { m.each(func(s *memoryStream) { s.entries = nil }) }},
			[]string{"Subjects/DurableOnReturn", "Model/Match"},
		},
		{"forgets what caused an item", fault{put: func(_ *Memory, items []streams.Item) []streams.Item {
			for i := range items {
				items[i].Ref = streams.Position{}
			}
			return items
		}}, []string{"Put/ItemsOfAnotherRecordAreInTheOrderOfTheirRefs", "Erase/PointingFindsTheEventNotItsCause"}},
		{"overlooks dead letters", fault{points: func(queued, _ []streams.Item) ([]streams.Item, []streams.Item) {
			return queued, nil
		}}, []string{"Erase/PointingFindsQueuedAndDead"}},
		{"overlooks what was resent", fault{points: func(queued, dead []streams.Item) ([]streams.Item, []streams.Item) {
			return slices.DeleteFunc(queued, func(it streams.Item) bool { return it.Resent }), dead
		}}, []string{"Erase/PointingFindsResent"}},
		{"forgets nobody", fault{forget: func(subject.Identifier) subject.Identifier {
			return subject.Opaque("nobody")
		}}, []string{"Erase/ForgetRemovesEntriesAndExclusions"}},
		{"keeps only the user of complex subjects", fault{subject: func(id subject.Identifier) subject.Identifier {
			if u, ok := id.Member("user"); ok {
				c, err := subject.Complex(map[string]subject.Identifier{"user": u})
				if err == nil {
					return c
				}
			}
			return id
		}}, []string{"Match/ComplexSubjectsBySharedMembers", "Model/Match"}},
		{"deletes by half", fault{deleted: func(m *Memory, id string) {
			defer m.lock()()
			m.order = append(m.order, &memoryStream{Stream: base(id)})
		}}, []string{"Registry/OwnersAreThoseWithAStream", "Registry/DeleteErases"}},
		{"forgets used ids", fault{deleted: func(m *Memory, id string) {
			defer m.lock()()
			delete(m.used, id)
		}}, []string{"Registry/IDsAreNeverUsedTwice"}},
		{"puts resent items in their old place", fault{resent: func(m *Memory, id, jti string) {
			m.one(id, func(s *memoryStream) {
				it, _ := s.item(jti)
				it.Resent = false
				slices.SortStableFunc(s.items, place)
			})
		}}, []string{"DeadLetters/ResendGoesAheadWithoutOrder"}},
		{
			"expires what is young",
			fault{expire: func(before *time.Time) { *before = before.Add(time.Hour) }},
			[]string{"Depth/ExpireMakesDeadLetters", "DeadLetters/ResentItemsDoNotExpireAtOnce"},
		},
		{
			"forgets activity",
			fault{reopen: func(m *Memory) { m.each(func(s *memoryStream) { s.Active = s.Created }) }},
			[]string{"Activity/TouchIsSavedWithinAMinute"},
		},
		{
			"knows nothing of what was put once it is delivered",
			fault{settled: func(m *Memory, id string) { m.one(id, func(s *memoryStream) { s.high = streams.Position{} }) }},
			[]string{"Reopen/HighestIsOfCursorsQueuesAndFrom"},
		},
		{
			"forgets cursors",
			fault{reopen: func(m *Memory) { defer m.lock()(); clear(m.cursors) }},
			[]string{"Reopen/CursorsAreKept", "Reopen/HighestIsOfCursorsQueuesAndFrom"},
		},
	}
}

// TestCasesAreNamedOnce shows that no case hides another.
func TestCasesAreNamedOnce(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range cases() {
		if seen[c.name] {
			t.Errorf("got case %s twice, want once", c.name)
		}
		seen[c.name] = true
	}
	if len(seen) < 80 {
		t.Errorf("got %d cases, want them all", len(seen))
	}
}
