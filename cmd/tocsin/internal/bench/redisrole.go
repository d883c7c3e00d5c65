package bench

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// openRedisCall opens the stores of a prefix.
type openRedisCall struct {
	URL    string `json:"url"`
	Prefix string `json:"prefix"`
}

// workCall asks for calls of one kind, each with as many items.
type workCall struct {
	Kind  string `json:"kind"`
	Batch int    `json:"batch"`
	Calls int    `json:"calls"`
}

// growCall makes streams, each with subjects of its own.
type growCall struct {
	Streams  int `json:"streams"`
	Subjects int `json:"subjects"` // of each
}

// growers is how many calls make streams and subjects at once.
const growers = 32

// sharing has the stores of a prefix as a node has them, without a server.
type sharing struct {
	db      *redisdb.DB
	log     *redislog.Log
	store   *redisstore.Store
	parts   [streams.Partitions]sharePart // all are held
	events  synthetic
	made    atomic.Int64 // events so far, and numbers of the log
	read    uint64
	grown   int // streams so far
	closers []func() error
}

// sharePart is a partition.
type sharePart struct {
	streams.Partition
	ids   []string
	next  int              // of ids, the one to take from
	taken [][]streams.Item // each by one call
}

func (s *sharing) role() role {
	return role{
		"open": with(func(ctx context.Context, c openRedisCall) (any, error) { return nil, s.open(ctx, c) }),
		"grow": with(func(ctx context.Context, c growCall) (any, error) { return nil, s.grow(ctx, c) }),
		"work": with(func(ctx context.Context, c workCall) (any, error) { return s.work(ctx, c) }),
	}
}

func (s *sharing) open(ctx context.Context, c openRedisCall) (err error) {
	if s.db, err = redisdb.Open(ctx, redisdb.Config{URL: c.URL, Prefix: c.Prefix, Volatile: true}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.db.Close)
	if s.log, err = redislog.Open(ctx, redislog.Config{DB: s.db}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.log.Close)
	if s.store, err = redisstore.Open(ctx, redisstore.Config{DB: s.db}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.store.Close)
	s.events = newSynthetic(quickEvents, time.Now())
	return s.hold(ctx)
}

// hold takes all partitions.
func (s *sharing) hold(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	got, ended := make(chan streams.Partition), make(chan error, 1)
	go func() {
		ended <- s.store.Hold(ctx, func(ctx context.Context, p streams.Partition) {
			select {
			case got <- p:
			case <-ctx.Done():
			}
			<-ctx.Done()
		})
	}()
	s.closers = append(s.closers, func() error { cancel(); return <-ended })
	deadline := time.NewTimer(callTime)
	defer deadline.Stop()
	for range s.parts {
		select {
		case p := <-got:
			s.parts[p.Number()].Partition = p
		case <-deadline.C:
			return errors.New("the partitions are held by another process")
		}
	}
	return nil
}

func (s *sharing) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// grow makes streams and then their subjects.
func (s *sharing) grow(ctx context.Context, c growCall) error {
	first := s.grown
	s.grown += c.Streams
	name := func(i int) string { return fmt.Sprintf("stream-%022d", first+i) }
	for i := range c.Streams {
		part := &s.parts[streams.PartitionOf(name(i))]
		part.ids = append(part.ids, name(i))
	}
	err := spread(ctx, c.Streams, func(ctx context.Context, i int) error { return s.store.Create(ctx, benchStream(name(i)), 0) })
	if err != nil || c.Subjects == 0 {
		return err
	}
	return spread(ctx, c.Streams*c.Subjects, func(ctx context.Context, i int) error {
		return s.store.Add(ctx, name(i/c.Subjects), subject.Email(fmt.Sprint("user", first*c.Subjects+i, subjectHost)), 0)
	})
}

// spread calls fn for 0..n-1, some at once.
func spread(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	work := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	for range growers {
		group.Go(func() error {
			for i := range work {
				if err := fn(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(work)
		for i := range n {
			select {
			case work <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

// benchStream is an enabled push stream as applications have them.
func benchStream(id string) streams.Stream {
	types := []string{typeWanted, typeOther}
	return streams.Stream{
		ID: id, Owner: "app-" + id, Issuer: "https://transmitter.bench.example", Audience: []string{audience},
		EventsSupported: types, EventsRequested: types, EventsDelivered: types,
		Delivery: streams.Delivery{
			Method: delivery.MethodPush, EndpointURL: audience + "/events",
			AuthorizationHeader: "Bearer 0123456789abcdef0123456789abcdef",
		},
		DefaultSubjects: streams.SubjectsNone, Status: streams.Enabled, StatusBy: streams.ByReceiver, Epoch: 1,
		Created: time.Now().UTC(), Active: time.Now().UTC(),
	}
}

// Kinds of work.
const (
	workAppend = "append"
	workPlain  = "append-plain" // without sources' ids
	workRead   = "read"
	workMatch  = "match"        // by the index in memory, in all partitions
	workAsk    = "match-server" // by the server, in all partitions
	workPut    = "put"
	workTake   = "take"
	workSettle = "settle"
	workPoll   = "poll"
)

// work makes calls and returns how many items they were for. Those of the log come one
// after the other, as a node makes them, those of partitions side by side.
func (s *sharing) work(ctx context.Context, c workCall) (int, error) {
	logs := map[string]func(ctx context.Context, call, batch int) (int, error){
		workAppend: s.append, workPlain: s.appendPlain, workRead: s.readOn,
	}
	if do, ok := logs[c.Kind]; ok {
		return s.workOnLog(ctx, c, do)
	}
	do, ok := map[string]func(ctx context.Context, p *sharePart, batch int) (int, error){
		workMatch: s.match, workAsk: s.matchAll, workPut: s.put, workTake: s.take, workSettle: s.settle, workPoll: s.poll,
	}[c.Kind]
	if !ok {
		return 0, fmt.Errorf("no such work: %s", c.Kind)
	}
	var items atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for i := range s.parts {
		group.Go(func() error {
			for call := i; call < c.Calls; call += len(s.parts) {
				n, err := do(ctx, &s.parts[i], c.Batch)
				if err != nil {
					return fmt.Errorf("%s: %w", c.Kind, err)
				}
				items.Add(int64(n))
			}
			return nil
		})
	}
	err := group.Wait()
	return int(items.Load()), err
}

func (s *sharing) workOnLog(ctx context.Context, c workCall, do func(ctx context.Context, call, batch int) (int, error)) (items int, err error) {
	if c.Kind == workRead { // what this process appended it knows
		log, err := redislog.Open(ctx, redislog.Config{DB: s.db})
		if err != nil {
			return 0, err
		}
		own := s.log
		s.log = log
		defer func() { s.log = own; _ = log.Close() }() // it was only read
	}
	for call := range c.Calls {
		n, err := do(ctx, call, c.Batch)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c.Kind, err)
		}
		items += n
	}
	return items, nil
}

func (s *sharing) append(ctx context.Context, _, batch int) (int, error) {
	return s.appendAll(ctx, batch, true)
}

func (s *sharing) appendPlain(ctx context.Context, _, batch int) (int, error) {
	return s.appendAll(ctx, batch, false)
}

func (s *sharing) appendAll(ctx context.Context, batch int, keyed bool) (int, error) {
	list := make([]eventlog.Event, batch)
	for i := range list {
		list[i] = s.events.event("shared-", int(s.made.Add(1)))
		if !keyed {
			list[i].SourceID = ""
		}
	}
	done, err := s.log.Append(ctx, list...)
	for _, d := range done {
		if err == nil && (d.Duplicate || d.Err != nil) {
			err = errors.New("the log has the event already")
		}
	}
	return batch, err
}

func (s *sharing) readOn(ctx context.Context, call, batch int) (int, error) {
	if call == 0 {
		s.read = 0
	}
	records, err := s.log.Read(ctx, s.read, batch)
	if err == nil && len(records) == 0 {
		err = fmt.Errorf("no record is behind %d", s.read)
	}
	s.read += uint64(len(records))
	return len(records), err
}

// match asks for the streams of a batch of events in each partition, as the followers of a
// process do, which read the log side by side.
func (s *sharing) match(ctx context.Context, _ *sharePart, batch int) (int, error) {
	return s.ask(ctx, batch, func(ctx context.Context, q streams.Query) error {
		for i := range s.parts {
			if _, err := s.parts[i].Match(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// matchAll asks the server about each event, in all partitions.
func (s *sharing) matchAll(ctx context.Context, _ *sharePart, batch int) (int, error) {
	return s.ask(ctx, batch, func(ctx context.Context, q streams.Query) error {
		_, err := s.store.Match(ctx, q)
		return err
	})
}

// ask asks about events that were not asked about before.
func (s *sharing) ask(ctx context.Context, batch int, match func(context.Context, streams.Query) error) (int, error) {
	head := s.made.Add(int64(batch))
	for i := range batch {
		seq := uint64(head) - uint64(batch-1-i)
		err := match(ctx, streams.Query{
			Seq: seq, Head: uint64(head), Type: typeWanted,
			Subjects: []subject.Identifier{subject.Email(fmt.Sprint("nobody", seq, subjectHost))},
		})
		if err != nil {
			return 0, err
		}
	}
	return batch, nil
}

// put puts SETs of the streams of a partition in turn.
func (s *sharing) put(ctx context.Context, p *sharePart, batch int) (int, error) {
	items := make([]streams.Item, batch)
	for i := range items {
		seq := int(s.made.Add(1))
		items[i] = streams.Item{
			Stream: p.ids[seq%len(p.ids)], Epoch: 1, Pos: streams.Position{Seq: uint64(seq)},
			ID: benchJTI(seq), Type: typeWanted,
			OrderKey: subject.Email(fmt.Sprint("user", seq, subjectHost)).Canonical(), Added: time.Now(),
		}
	}
	report, err := p.Put(ctx, items...)
	if err == nil && report.Kept != batch {
		err = fmt.Errorf("got %d of %d kept", report.Kept, batch)
	}
	return batch, err
}

// take takes SETs of one stream after the other.
func (s *sharing) take(ctx context.Context, p *sharePart, batch int) (int, error) {
	for ; p.next < len(p.ids); p.next++ {
		items, err := p.Take(ctx, p.ids[p.next], streams.TakeOptions{Max: batch, Lease: time.Minute})
		if err != nil {
			return 0, err
		}
		if len(items) > 0 {
			p.taken = append(p.taken, items)
			return len(items), nil
		}
	}
	return 0, fmt.Errorf("nothing is left in partition %d", p.Number())
}

// settle settles what one call took.
func (s *sharing) settle(ctx context.Context, p *sharePart, _ int) (int, error) {
	if len(p.taken) == 0 {
		return 0, fmt.Errorf("nothing is taken in partition %d", p.Number())
	}
	items := p.taken[0]
	p.taken = p.taken[1:]
	outcomes := make([]streams.Outcome, len(items))
	for i := range outcomes {
		outcomes[i].ID = items[i].ID
	}
	_, err := p.Settle(ctx, items[0].Stream, outcomes, nil)
	return len(items), err
}

// poll takes from a stream that has nothing.
func (s *sharing) poll(ctx context.Context, p *sharePart, _ int) (int, error) {
	_, err := s.store.Take(ctx, p.ids[0], streams.TakeOptions{Max: redisBatch, Lease: time.Minute})
	return 1, err
}

// benchJTI is as long as the jti of a SET.
func benchJTI(n int) string {
	var b [32]byte
	binary.BigEndian.PutUint64(b[:], uint64(n)*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(b[24:], uint64(n))
	return base64.RawURLEncoding.EncodeToString(b[:])
}
