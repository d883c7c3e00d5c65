package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Event types and times that the cases use.
const (
	typeA = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	typeB = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"

	lease = time.Minute
	// patience is how long a case waits, in the bubble's time, for what must
	// come at once.
	patience = time.Second
)

// fixture is a store under test.
type fixture struct {
	testing.TB
	ctx   context.Context
	place Harness
	opts  Options
	store streams.Store
}

func newFixture(t testing.TB, place Harness, opts Options) *fixture {
	ctx, cancel := context.WithCancel(context.Background())
	x := &fixture{TB: t, ctx: ctx, place: place, opts: opts}
	t.Cleanup(func() {
		cancel()
		if x.store == nil {
			return
		}
		if err := place.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	x.open()
	return x
}

func (x *fixture) open() {
	x.Helper()
	s, err := x.place.Open(x.ctx, x.opts)
	x.must(err)
	x.store = s
}

// reopen closes the store, or kills it, and opens it again.
func (x *fixture) reopen(kill bool) {
	x.Helper()
	x.store = nil
	if kill {
		x.must(x.place.Kill())
	} else {
		x.must(x.place.Close())
	}
	x.open()
}

// bound reopens the store with a bound on its queues.
func (x *fixture) bound(depth int) {
	x.Helper()
	x.opts.MaxDepth = depth
	x.reopen(false)
}

func (x *fixture) must(err error) {
	x.Helper()
	if err != nil {
		x.Fatalf("got error %v, want none", err)
	}
}

// is fails unless err is want.
func (x *fixture) is(what string, err, want error) {
	x.Helper()
	if !isError(err, want) {
		x.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

func equal[T comparable](x *fixture, what string, got, want T) {
	x.Helper()
	if got != want {
		x.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// base is an enabled push stream of all subjects.
func base(id string) streams.Stream {
	return streams.Stream{
		ID: id, Owner: "app", Issuer: "https://tx.example", Audience: []string{"https://rx.example"},
		EventsSupported: []string{typeA, typeB}, EventsRequested: []string{typeA, typeB}, EventsDelivered: []string{typeA, typeB},
		Delivery:        streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://rx.example/" + id},
		DefaultSubjects: streams.SubjectsAll, Status: streams.Enabled, StatusBy: streams.ByReceiver, Epoch: 1,
		Created: time.Now().UTC(), Active: time.Now().UTC(),
	}
}

// stream creates a stream.
func (x *fixture) stream(id string, change ...func(*streams.Stream)) {
	x.Helper()
	s := base(id)
	for _, c := range change {
		c(&s)
	}
	x.must(x.store.Create(x.ctx, s, 0))
}

func poll(s *streams.Stream)   { s.Delivery.Method = delivery.MethodPoll }
func none(s *streams.Stream)   { s.DefaultSubjects = streams.SubjectsNone }
func paused(s *streams.Stream) { s.Status = streams.Paused }

// update changes a stream.
func (x *fixture) update(id string, change func(*streams.Stream)) streams.Stream {
	x.Helper()
	s, err := x.store.Update(x.ctx, id, func(s *streams.Stream) ([]streams.Item, error) {
		change(s)
		return nil, nil
	})
	x.must(err)
	return s
}

func (x *fixture) setStatus(id string, to streams.Status) {
	x.Helper()
	x.update(id, func(s *streams.Stream) { s.Status = to })
}

// disable disables as the catalog does: with a higher epoch.
func (x *fixture) disable(id string) {
	x.Helper()
	x.update(id, func(s *streams.Stream) { s.Status = streams.Disabled; s.Epoch++ })
}

// event is an item of the events lane at seq, with jti "e<seq>".
func event(stream string, seq uint64, key string) streams.Item {
	return streams.Item{
		Stream: stream, Epoch: 1, Pos: streams.Position{Seq: seq}, ID: fmt.Sprintf("e%d", seq),
		Type: typeA, OrderKey: key, Added: time.Now().UTC(),
	}
}

// released is an item at seq for the n-th event of the record ref, with jti
// "r<ref>.<n>".
func released(stream string, seq, ref uint64, n uint32) streams.Item {
	it := event(stream, seq, "")
	it.Ref, it.ID = streams.Position{Seq: ref, N: n}, fmt.Sprintf("r%d.%d", ref, n)
	return it
}

// control is a verification item.
func control(stream, jti string) streams.Item {
	return streams.Item{
		Stream: stream, Epoch: 1, Lane: streams.LaneControl, ID: jti,
		Type: streams.TypeVerification, Payload: []byte(`{"state":"x"}`), Added: time.Now().UTC(),
	}
}

// updated is a stream-updated item.
func updated(stream, jti string) streams.Item {
	it := control(stream, jti)
	it.Type = streams.TypeStreamUpdated
	return it
}

func (x *fixture) put(items ...streams.Item) streams.PutReport {
	x.Helper()
	r, err := x.store.Put(x.ctx, items...)
	x.must(err)
	return r
}

// events puts events with the numbers and no order key.
func (x *fixture) events(stream string, seqs ...uint64) streams.PutReport {
	x.Helper()
	var items []streams.Item
	for _, n := range seqs {
		items = append(items, event(stream, n, ""))
	}
	return x.put(items...)
}

// take takes up to max items and returns their jtis, in order.
func (x *fixture) take(stream string, max int) string {
	x.Helper()
	return jtis(x.items(stream, max))
}

func (x *fixture) items(stream string, max int) []streams.Item {
	x.Helper()
	items, err := x.store.Take(x.ctx, stream, streams.TakeOptions{Max: max, Lease: lease})
	x.must(err)
	return items
}

// settle gives all jtis one verdict.
func (x *fixture) settle(stream string, v streams.Verdict, ids ...string) []streams.Item {
	x.Helper()
	var outcomes []streams.Outcome
	for _, id := range ids {
		outcomes = append(outcomes, streams.Outcome{ID: id, Verdict: v, Code: "code", Description: "text"})
	}
	items, err := x.store.Settle(x.ctx, stream, outcomes, nil)
	x.must(err)
	return items
}

func (x *fixture) depth(stream string) streams.Depth {
	x.Helper()
	d, err := x.store.Depth(x.ctx, stream)
	x.must(err)
	return d
}

func (x *fixture) more(stream string) bool {
	x.Helper()
	m, err := x.store.More(x.ctx, stream)
	x.must(err)
	return m
}

// ready returns the streams that Ready tells of within patience, sorted.
func (x *fixture) ready() string {
	x.Helper()
	var all []string
	for {
		ctx, cancel := context.WithTimeout(x.ctx, patience)
		ids, err := x.store.Ready(ctx, 100)
		cancel()
		if err != nil {
			x.is("Ready", err, context.DeadlineExceeded)
			break
		}
		all = append(all, ids...)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// dead returns the jtis of the dead letters, in order.
func (x *fixture) dead(stream string) string {
	x.Helper()
	var ids []string
	for after := ""; ; {
		page, next, err := x.store.DeadLetters(x.ctx, stream, after, 2)
		x.must(err)
		for _, l := range page {
			ids = append(ids, l.ID)
		}
		if next == "" {
			return strings.Join(ids, " ")
		}
		after = next
	}
}

// match returns the streams that an event of typeA about subjects goes to,
// each as id:subject, sorted.
func (x *fixture) match(seq uint64, subjects ...subject.Identifier) string {
	x.Helper()
	return x.query(streams.Query{Seq: seq, Type: typeA, Subjects: subjects})
}

func (x *fixture) query(q streams.Query) string {
	x.Helper()
	found, err := x.store.Match(x.ctx, q)
	x.must(err)
	return candidates(found)
}

func candidates(found []streams.Candidate) string {
	var list []string
	for _, c := range found {
		list = append(list, fmt.Sprintf("%s:%d", c.Stream, c.Subject))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func jtis(items []streams.Item) string {
	var ids []string
	for _, it := range items {
		ids = append(ids, it.ID)
	}
	return strings.Join(ids, " ")
}

// sorted is jtis in the order of the alphabet.
func sorted(items []streams.Item) string {
	ids := strings.Fields(jtis(items))
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// eventually takes from a goroutine with Wait and returns a function that
// waits for the outcome for up to patience.
func (x *fixture) eventually(stream string) func() string {
	x.Helper()
	type outcome struct {
		ids string
		err error
	}
	done := make(chan outcome, 1)
	ctx, cancel := context.WithTimeout(x.ctx, 24*time.Hour)
	go func() {
		defer cancel()
		items, err := x.store.Take(ctx, stream, streams.TakeOptions{Max: 10, Lease: lease, Wait: true})
		done <- outcome{jtis(items), err}
	}()
	return func() string {
		select {
		case o := <-done:
			if o.err != nil {
				return o.err.Error()
			}
			return o.ids
		case <-time.After(patience):
			cancel()
			return "nothing: still waiting"
		}
	}
}

func report(r streams.PutReport) string {
	return fmt.Sprintf("kept %d seen %d gone %d full %v", r.Kept, r.Seen, r.Gone, r.Full)
}

// at lists items as jti@stream, sorted.
func at(items []streams.Item) string {
	var list []string
	for _, it := range items {
		list = append(list, it.ID+"@"+it.Stream)
	}
	slices.Sort(list)
	if len(list) == 0 {
		return ""
	}
	return " " + strings.Join(list, " ")
}
