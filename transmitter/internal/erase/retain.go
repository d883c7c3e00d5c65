package erase

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// retainBatch is how many records are looked at before what has come of age of
// them is erased.
const retainBatch = 4096

// retentionEntry is the body of an entry of KindRetention: all events up to a
// record that are older than a time are erased, but those on hold.
type retentionEntry struct {
	UpTo    uint64      `json:"up_to"`
	Before  time.Time   `json:"before"`
	Records [][2]uint64 `json:"records"` // first and last of each run
	Count   int         `json:"count"`
	Entries [][2]uint64 `json:"entries,omitempty"`
	Held    int         `json:"held"`
}

// Retain erases the events that are older than Config.Retention, with what was
// said of them, and returns how many. It never goes past the first record that
// an undelivered SET points at, nor past what the fan-out has read. Decisions,
// holds and erasures stay.
func (e *Eraser) Retain(ctx context.Context) (int, error) {
	cutoff := e.cfg.Now().Add(-e.cfg.Retention)
	after, hold, err := e.retained(ctx)
	if err != nil {
		return 0, fmt.Errorf("erase: reading how far retention has come: %w", err)
	}
	defer func() {
		e.work.Lock()
		defer e.work.Unlock()
		e.looked.at, e.looked.hold = after, hold
	}()
	total := 0
	for {
		limit, err := Undelivered(ctx, e.cfg.Streams, e.cfg.Follower)
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

// Undelivered returns the first record that is still needed for delivery: one that a SET
// points at which waits, or that the fan-out, the follower, has not read.
func Undelivered(ctx context.Context, store interface {
	Cursor(ctx context.Context, follower string) (uint64, error)
	Earliest(ctx context.Context) (uint64, error)
}, follower string,
) (uint64, error) {
	place, err := store.Cursor(ctx, follower)
	if err != nil {
		return 0, err
	}
	first, err := store.Earliest(ctx)
	if err != nil {
		return 0, err
	}
	if first == 0 || first > place {
		first = place + 1
	}
	return first, nil
}

// retained returns how far retention has come, and the newest entry about a
// hold; 0 after a hold was lifted since, for what it kept is to be looked at
// again. What was reported last and perhaps not done to its end is done first.
func (e *Eraser) retained(ctx context.Context) (after, hold uint64, err error) {
	e.work.Lock()
	defer e.work.Unlock()
	if hold, err = e.newestHold(ctx); err != nil {
		return 0, 0, err
	}
	if e.looked.hold == hold { // since then nothing was erased but by this Eraser
		after = e.looked.at
	}
	last, err := e.cfg.Log.Entries(ctx, eventlog.KindRetention, eventlog.RefAll, eventlog.Span{Newest: true, Max: 1})
	if err != nil || len(last) == 0 {
		return after, hold, err
	}
	var body retentionEntry
	if err := json.Unmarshal(last[0].Entry, &body); err != nil {
		return 0, 0, err
	}
	if !e.finished {
		if err := e.remove(ctx, plan{spread(body.Records), spread(body.Entries)}); err != nil {
			return 0, 0, err
		}
		e.finished = true
	}
	if hold > last[0].Seq {
		return after, hold, nil
	}
	return max(after, body.UpTo), hold, nil
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
	filed, holds, err := e.files(ctx) // behind reading: what it read as gone to a file is told
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
		if r.Kind != eventlog.KindEvent || r.Erased && r.Seq > filed {
			continue
		}
		on := r.Erased && len(holds.standing) > 0 // an index that was made since does not know which of those in files it is
		if !on {
			if on, err = e.held(ctx, r, &holds); err != nil {
				return 0, after, err
			}
		}
		if on {
			held++
			continue
		}
		p.records = append(p.records, r.Seq)
		err := e.each(ctx, eventlog.KindAnnotation, eventlog.Ref(r.Seq), eventlog.Span{}, func(note *eventlog.Record) bool {
			if !note.Erased {
				p.entries = append(p.entries, note.Seq)
			}
			return true
		})
		if err != nil {
			return 0, after, err
		}
		if len(p.entries) >= maxRecords {
			break // the report is bounded
		}
	}
	if len(p.records) == 0 {
		return 0, last, nil
	}
	if queued, _, err := e.pointing(ctx, p.records); err != nil || len(queued) > 0 {
		return 0, after, err // a dead letter was sent again meanwhile
	}
	body := retentionEntry{
		UpTo: last, Before: cutoff.UTC(), Records: runs(p.records), Count: len(p.records), Entries: runs(p.entries), Held: held,
	}
	e.finished = false
	if _, err := e.note(ctx, eventlog.KindRetention, body, nil); err != nil {
		return 0, after, err
	}
	e.cfg.Crash(CrashAfterReport)
	if err := e.remove(ctx, p); err != nil {
		return 0, after, err
	}
	late, err := e.annotationsOf(ctx, p.records)
	if err != nil {
		return 0, after, err
	}
	if len(late) > 0 { // what was said until the records were gone
		slices.Sort(late)
		if _, err := e.note(ctx, eventlog.KindRetention, retentionEntry{UpTo: last, Before: cutoff.UTC(), Records: [][2]uint64{}, Entries: runs(late)}, nil); err != nil {
			return 0, after, err
		}
		if err := e.remove(ctx, plan{entries: late}); err != nil {
			return 0, after, err
		}
	}
	e.finished = true
	return len(p.records), last, nil
}
