package storetest

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// recorder is a testing.TB that notes a failure instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

func (r *recorder) fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Helper()               {}
func (r *recorder) Log(...any)            {}
func (r *recorder) Logf(string, ...any)   {}
func (r *recorder) Fail()                 { r.fail() }
func (r *recorder) Error(...any)          { r.fail() }
func (r *recorder) Errorf(string, ...any) { r.fail() }
func (r *recorder) FailNow()              { r.fail(); runtime.Goexit() }
func (r *recorder) Fatal(...any)          { r.FailNow() }
func (r *recorder) Fatalf(string, ...any) { r.FailNow() }
func (r *recorder) Cleanup(f func())      { r.cleanups = append(r.cleanups, f) }

// record runs a case and reports whether it failed.
func record(t *testing.T, c testCase, place Harness) bool {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range slices.Backward(r.cleanups) {
				f()
			}
		}()
		defer func() {
			if p := recover(); p != nil {
				r.fail() // a broken store may break the case too
			}
		}()
		c.run(newFixture(r, place, Options{}))
	}()
	<-done
	return r.failed
}

// broken is Memory with a fault.
type broken struct {
	*Memory
	fault fault
}

// fault is what may be wrong; nil functions are right.
type fault struct {
	put     func(*Memory, []streams.Item) []streams.Item
	took    func(*Memory, string, []streams.Item) []streams.Item
	settle  func(*Memory, string, []streams.Outcome, *streams.Health) ([]streams.Outcome, *streams.Health)
	settled func(*Memory, string)
	ready   func([]string) []string
	update  func(m *Memory, before, after streams.Stream)
	reopen  func(*Memory)
	match   func(*Memory, []streams.Candidate) []streams.Candidate
	query   func(*streams.Query)
	create  func(*streams.Stream)
	deleted func(*Memory, string)
	subject func(subject.Identifier) subject.Identifier
	resent  func(*Memory, string, string)
	expire  func(*time.Time)
	points  func(queued, dead []streams.Item) ([]streams.Item, []streams.Item)
	forget  func(subject.Identifier) subject.Identifier
}

func (b *broken) Pointing(ctx context.Context, records []uint64, max int) (queued, dead []streams.Item, err error) {
	queued, dead, err = b.Memory.Pointing(ctx, records, max)
	if b.fault.points != nil {
		queued, dead = b.fault.points(queued, dead)
	}
	return queued, dead, err
}

func (b *broken) Forget(ctx context.Context, owner string, id subject.Identifier) (int, error) {
	if b.fault.forget != nil {
		id = b.fault.forget(id)
	}
	return b.Memory.Forget(ctx, owner, id)
}

func (b *broken) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	if b.fault.put != nil {
		items = b.fault.put(b.Memory, items)
	}
	return b.Memory.Put(ctx, items...)
}

func (b *broken) Take(ctx context.Context, id string, opts streams.TakeOptions) ([]streams.Item, error) {
	items, err := b.Memory.Take(ctx, id, opts)
	if b.fault.took != nil && err == nil {
		items = b.fault.took(b.Memory, id, items)
	}
	return items, err
}

func (b *broken) Settle(ctx context.Context, id string, outcomes []streams.Outcome, h *streams.Health) ([]streams.Item, error) {
	if b.fault.settle != nil {
		outcomes, h = b.fault.settle(b.Memory, id, outcomes, h)
	}
	items, err := b.Memory.Settle(ctx, id, outcomes, h)
	if b.fault.settled != nil {
		b.fault.settled(b.Memory, id)
	}
	return items, err
}

func (b *broken) Ready(ctx context.Context, max int) ([]string, error) {
	for {
		ids, err := b.Memory.Ready(ctx, max)
		if b.fault.ready != nil && err == nil {
			if ids = b.fault.ready(ids); len(ids) == 0 {
				continue
			}
		}
		return ids, err
	}
}

func (b *broken) Update(ctx context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, error) {
	before, _ := b.Memory.Stream(ctx, id)
	after, err := b.Memory.Update(ctx, id, change)
	if b.fault.update != nil && err == nil {
		b.fault.update(b.Memory, before, after)
	}
	return after, err
}

func (b *broken) Match(ctx context.Context, q streams.Query) ([]streams.Candidate, error) {
	if b.fault.query != nil {
		b.fault.query(&q)
	}
	found, err := b.Memory.Match(ctx, q)
	if b.fault.match != nil {
		found = b.fault.match(b.Memory, found)
	}
	return found, err
}

func (b *broken) Create(ctx context.Context, s streams.Stream, limit int) error {
	if b.fault.create != nil {
		b.fault.create(&s)
	}
	return b.Memory.Create(ctx, s, limit)
}

func (b *broken) Delete(ctx context.Context, id string) error {
	err := b.Memory.Delete(ctx, id)
	if b.fault.deleted != nil {
		b.fault.deleted(b.Memory, id)
	}
	return err
}

func (b *broken) Add(ctx context.Context, id string, sub subject.Identifier, limit int) error {
	if b.fault.subject != nil {
		sub = b.fault.subject(sub)
	}
	return b.Memory.Add(ctx, id, sub, limit)
}

func (b *broken) Resend(ctx context.Context, id, jti string) error {
	err := b.Memory.Resend(ctx, id, jti)
	if b.fault.resent != nil && err == nil {
		b.fault.resent(b.Memory, id, jti)
	}
	return err
}

func (b *broken) Expire(ctx context.Context, before time.Time, max int) (map[string]int, error) {
	if b.fault.expire != nil {
		b.fault.expire(&before)
	}
	return b.Memory.Expire(ctx, before, max)
}

// brokenPlace is the harness of a broken store.
type brokenPlace struct {
	store *broken
	fault fault
}

func (p *brokenPlace) Open(_ context.Context, opts Options) (streams.Store, error) {
	if p.store == nil {
		p.store = &broken{NewMemory(opts), p.fault}
		return p.store, nil
	}
	p.store.Restart(opts)
	if p.fault.reopen != nil {
		p.fault.reopen(p.store.Memory)
	}
	return p.store, nil
}

func (p *brokenPlace) Close() error { return nil }
func (p *brokenPlace) Kill() error  { return nil }

// each calls f for every stream under the lock.
func (m *Memory) each(f func(*memoryStream)) {
	defer m.lock()()
	for _, s := range m.order {
		f(s)
	}
}

// one calls f for one stream, if it is there, under the lock.
func (m *Memory) one(id string, f func(*memoryStream)) {
	defer m.lock()()
	if s := m.streams[id]; s != nil {
		f(s)
	}
}

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
