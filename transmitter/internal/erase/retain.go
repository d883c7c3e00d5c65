package erase

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// retainBatch is how many records are looked at before what has come of age of
// them is erased.
const retainBatch = 4096

// retentionEntry is the body of an entry of KindRetention: all events up to a
// record that are older than a time are erased, but those on hold.
type retentionEntry struct {
	UpTo   uint64    `json:"up_to"`
	Before time.Time `json:"before"`
	Count  int       `json:"count"`
	Held   int       `json:"held"`
}

// Retain erases the events that are older than Config.Retention, with what was
// said of them, and returns how many. It never goes past the first record that
// an undelivered SET points at, nor past what the fan-out has read. Decisions,
// holds and erasures stay.
func (e *Eraser) Retain(ctx context.Context) (int, error) {
	cutoff := e.cfg.Now().Add(-e.cfg.Retention)
	after, err := e.retained(ctx)
	if err != nil {
		return 0, fmt.Errorf("erase: reading how far retention has come: %w", err)
	}
	total := 0
	for {
		limit, err := e.undelivered(ctx)
		if err != nil {
			return total, fmt.Errorf("erase: %w", err)
		}
		n, next, err := e.retainBatch(ctx, after, limit, cutoff)
		total += n
		if err != nil {
			return total, fmt.Errorf("erase: retention: %w", err)
		}
		if next == after {
			return total, nil
		}
		after = next
	}
}

// undelivered returns the first record that is still needed for delivery.
func (e *Eraser) undelivered(ctx context.Context) (uint64, error) {
	place, err := e.cfg.Streams.Cursor(ctx, e.cfg.Follower)
	if err != nil {
		return 0, err
	}
	first, err := e.cfg.Streams.Earliest(ctx)
	if err != nil {
		return 0, err
	}
	if first == 0 || first > place {
		first = place + 1
	}
	return first, nil
}

// retained returns a place behind which all is erased that has come of age; 0
// after a hold was lifted since, for what it kept is to be looked at again.
// What the last entry says may not have been done to its end, so the place is
// that of the one before.
func (e *Eraser) retained(ctx context.Context) (uint64, error) {
	last, err := e.cfg.Log.Entries(ctx, eventlog.KindRetention, eventlog.RefAll, eventlog.Span{Newest: true, Max: 2})
	if err != nil || len(last) < 2 {
		return 0, err
	}
	hold, err := e.cfg.Log.Entries(ctx, eventlog.KindHold, eventlog.RefAll, eventlog.Span{Newest: true, Max: 1})
	if err != nil || len(hold) > 0 && hold[0].Seq > last[1].Seq {
		return 0, err
	}
	var body retentionEntry
	err = json.Unmarshal(last[1].Entry, &body)
	return body.UpTo, err
}

// retainBatch erases what has come of age of the next records before limit. It
// returns how many events, and the last record looked at.
func (e *Eraser) retainBatch(ctx context.Context, after, limit uint64, cutoff time.Time) (int, uint64, error) {
	e.work.Lock()
	defer e.work.Unlock()
	records, err := e.cfg.Log.Read(ctx, after, retainBatch)
	if err != nil {
		return 0, after, err
	}
	asked, err := e.anyHold(ctx)
	if err != nil {
		return 0, after, err
	}
	var p plan
	last, held := after, 0
	for _, r := range records {
		if r.Seq >= limit || !r.Recorded.Before(cutoff) {
			break
		}
		last = r.Seq
		if r.Kind != eventlog.KindEvent || r.Erased {
			continue
		}
		if asked {
			active, err := e.active(ctx, subjectsOf(r))
			if err != nil {
				return 0, after, err
			}
			if len(active) > 0 {
				held++
				continue
			}
		}
		p.records = append(p.records, r.Seq)
	}
	if len(p.records) == 0 {
		return 0, last, nil
	}
	for _, seq := range p.records {
		err := e.each(ctx, eventlog.KindAnnotation, eventlog.Ref(seq), eventlog.Span{}, func(r *eventlog.Record) bool {
			if !r.Erased {
				p.entries = append(p.entries, r.Seq)
			}
			return true
		})
		if err != nil {
			return 0, after, err
		}
	}
	if queued, _, err := e.pointing(ctx, p.records); err != nil || len(queued) > 0 {
		return 0, after, err // a dead letter was sent again meanwhile
	}
	body := retentionEntry{UpTo: last, Before: cutoff.UTC(), Count: len(p.records), Held: held}
	if _, err := e.note(ctx, eventlog.KindRetention, body, nil); err != nil {
		return 0, after, err
	}
	e.cfg.Crash(CrashAfterReport)
	return len(p.records), last, e.remove(ctx, p)
}
