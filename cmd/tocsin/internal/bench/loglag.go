package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

const (
	lagBatch = 100                  // events of an append
	lagTick  = 2 * time.Millisecond // between two looks at the index
	lagWrap  = 1_000_000            // synthetic events, before they begin anew under other source ids
)

// lagCall has writers append events for a while, as fast as the index lets them.
type lagCall struct {
	Writers int           `json:"writers"`
	For     time.Duration `json:"for"`
}

// lagAnswer says how far the index trailed.
type lagAnswer struct {
	Longest float64 `json:"longest"` // ms
	Rate    float64 `json:"rate"`    // events a second
}

// lag appends as a server does, that is with its back-pressure, and measures
// until the index has all.
func (s *store) lag(ctx context.Context, c lagCall) (lagAnswer, error) {
	from := newSynthetic(lagWrap, time.Now())
	begin, err := s.log.Head(ctx)
	if err != nil {
		return lagAnswer{}, err
	}
	var over atomic.Bool
	watched := make(chan error, 1)
	var longest time.Duration
	go func() {
		var err error
		longest, err = s.watch(ctx, over.Load)
		watched <- err
	}()
	start := time.Now()
	err = s.saturate(ctx, c, from)
	took := time.Since(start)
	over.Store(true)
	if err = errors.Join(err, <-watched); err != nil {
		return lagAnswer{}, err
	}
	end, err := s.log.Head(ctx)
	return lagAnswer{Longest: millis(longest), Rate: float64(end-begin) / took.Seconds()}, err
}

// saturate appends for a while.
func (s *store) saturate(ctx context.Context, c lagCall, from synthetic) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var next atomic.Int64
	next.Store(int64(s.made))
	until := time.Now().Add(c.For)
	for range c.Writers {
		wg.Go(func() {
			for time.Now().Before(until) && ctx.Err() == nil {
				err := s.index.Pace(ctx)
				if errors.Is(err, eventlog.ErrPaced) {
					continue // a client would be told to come again
				}
				if err == nil {
					first := int(next.Add(lagBatch)) - lagBatch
					err = s.appendBatch(ctx, from, first, lagBatch)
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	s.made = int(next.Load())
	return context.Cause(ctx)
}

// appendBatch appends synthetic events. Their source ids go on where those
// begin anew.
func (s *store) appendBatch(ctx context.Context, from synthetic, first, count int) error {
	events := make([]eventlog.Event, count)
	for i := range events {
		n := first + i
		events[i] = from.event(fmt.Sprint("event-", n/from.n, "-"), n%from.n)
	}
	done, err := s.log.Append(ctx, events...)
	for i := range done {
		if done[i].Duplicate || done[i].Err != nil {
			return fmt.Errorf("the log has an event already: %w", done[i].Err)
		}
	}
	return err
}

// watch returns the longest time for which an event stood in the log and not
// in the index, from now until all do after the end.
func (s *store) watch(ctx context.Context, over func() bool) (longest time.Duration, err error) {
	type seen struct {
		head uint64
		at   time.Time
	}
	var ahead []seen // where the log stood, and since when; oldest first
	last := s.index.Place()
	for ticker := time.NewTicker(lagTick); ; {
		ended := over()
		head, err := s.log.Head(ctx)
		if err != nil {
			return 0, err
		}
		now := time.Now()
		if head > last {
			ahead, last = append(ahead, seen{head, now}), head
		}
		place := s.index.Place()
		for len(ahead) > 0 && ahead[0].head <= place {
			longest = max(longest, now.Sub(ahead[0].at))
			ahead = ahead[1:]
		}
		if ended && len(ahead) == 0 {
			ticker.Stop()
			return longest, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// missing counts the records of the log, all of them events, that the index
// does not find by time, by source or by subject.
func (s *store) missing(ctx context.Context) (int, error) {
	head, err := s.log.Head(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.index.Wait(ctx, head); err != nil {
		return 0, err
	}
	found := make([]int, head+1)
	for _, q := range []eventlog.Query{{}, {Sources: []string{eventSource}}} {
		q.Limit = eventlog.MaxPage
		for more := true; more; {
			page, err := s.index.Search(ctx, &q)
			if err != nil {
				return 0, err
			}
			for _, h := range page.Hits {
				found[h.Seq]++
			}
			if more = page.More; more {
				q.After = &page.Hits[len(page.Hits)-1]
			}
		}
	}
	if err := s.mentioned(ctx, head, found); err != nil {
		return 0, err
	}
	missing := 0
	for _, times := range found[1:] {
		if times != 3 { // once each
			missing++
		}
	}
	return missing, nil
}

// mentioned counts what is found of the e-mail addresses in the log.
func (s *store) mentioned(ctx context.Context, head uint64, found []int) error {
	emails := map[string]bool{}
	for place := uint64(0); place < head; {
		records, err := s.log.Read(ctx, place, sqlitelog.MaxRead)
		if err != nil {
			return err
		}
		for _, r := range records {
			emails[r.Attributes.Email] = true
			place = r.Seq
		}
	}
	for email := range emails {
		seqs, err := s.index.Of(ctx, []subject.Identifier{subject.Email(email)}, 0, 0, int(head))
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			found[seq]++
		}
	}
	return nil
}
