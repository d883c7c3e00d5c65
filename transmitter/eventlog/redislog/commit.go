package redislog

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	// turnLife is how long a process that came too late is kept its turn, if it
	// does not take it.
	turnLife = 100 * time.Millisecond
	// minPause and maxPause bound how long one waits for another's turn to pass.
	minPause = 100 * time.Microsecond
	maxPause = 20 * time.Millisecond
)

// attempt is what one script is to append to the log as it was at a base.
type attempt struct {
	base    base
	millis  int64
	edge    *eventlog.Edge // with the new records
	records []*eventlog.Record
	nodes   []eventlog.Node
	items   []*item // those of the records, in order
	keyed   []*item // those of them that have a key
}

// commit appends the items, all of them or none.
func (l *Log) commit(ctx context.Context, items []*item) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	if _, _, err := l.place.state(); err != nil {
		return err
	}
	for {
		a := l.prepare(items)
		if len(a.records) == 0 {
			return nil // the script that said so was acknowledged by the replicas
		}
		keys, args := l.appendArgs(a)
		asked := time.Now()
		answer, err := l.db.Write(ctx, l.scripts.append, keys, args...)
		if err != nil {
			return err
		}
		t, err := toldOf(answer)
		if err != nil {
			return err
		}
		if err := l.take(a.base.head, t, asked); err != nil {
			return err
		}
		done, err := l.settle(ctx, a, t, time.Since(asked))
		if done || err != nil {
			return err
		}
	}
}

// settle goes on by what the script told, and says whether the attempt's
// records are in the log.
func (l *Log) settle(ctx context.Context, a *attempt, t *told, took time.Duration) (bool, error) {
	switch t.code {
	case codeOK:
		l.committed(a, t)
		return true, nil
	case codeKnown:
		return false, a.know(t.more)
	case codeConflict, codeTurn:
	default:
		return false, errAnswer
	}
	mine, err := l.mine(ctx, a, t)
	if err != nil {
		return false, err
	}
	if err := l.reach(ctx, t.head); err != nil {
		return false, err
	}
	if mine || t.code == codeConflict {
		return mine, nil
	}
	return false, wait(ctx, took)
}

// wait waits about as long as an exchange takes.
func wait(ctx context.Context, took time.Duration) error {
	d := min(max(took, minPause), maxPause)
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mine says whether the log went on with the attempt's records: the client
// repeats a script whose answer was lost, and it is told then of a conflict
// with what it wrote itself. A leaf is never that of another record.
func (l *Log) mine(ctx context.Context, a *attempt, t *told) (bool, error) {
	if t.head.size <= a.base.size {
		return false, nil
	}
	want := a.records[0]
	if len(t.rows) > 0 {
		return t.rows[0].leaf == want.Leaf, nil
	}
	segment, at := placeOf(want.Seq)
	leaf, err := l.tile(ctx, 0, segment, at, 1)
	return len(leaf) == 1 && leaf[0] == want.Leaf, err
}

// committed takes in what the attempt wrote.
func (l *Log) committed(a *attempt, t *told) {
	p := &l.place
	p.mu.Lock()
	if p.edge.Size() == a.base.size {
		last := a.records[len(a.records)-1]
		p.edge, p.leaf, p.millis = a.edge, last.Leaf, a.millis
		p.tell()
	}
	p.mu.Unlock()
	l.keep(a.records, t.head.erased)
}

// know notes which keys the log knows already.
func (a *attempt) know(more []any) error {
	for i := 0; i+1 < len(more); i += 2 {
		n, ok := more[i].(int64)
		if !ok || n < 0 || int(n) >= len(a.keyed) {
			return errAnswer
		}
		var err error
		if a.keyed[n].known, err = firstOf(redisdb.Text(more[i+1])); err != nil {
			return err
		}
	}
	if len(more) == 0 {
		return errAnswer
	}
	return nil
}

// prepare makes the records of items for the log as this process knows it.
func (l *Log) prepare(items []*item) *attempt {
	a := &attempt{base: l.place.base()}
	a.millis, a.edge = max(l.clock.unixMilli(), a.base.millis), a.base.edge
	at := time.UnixMilli(a.millis)
	firsts := make(map[eventlog.Key]*item)
	for _, it := range items {
		it.record, it.twin = nil, nil
		if it.keyed {
			if f := firsts[it.key]; f != nil {
				it.twin, it.known = f, f.known
				continue
			}
			firsts[it.key] = it
			if it.known != nil {
				continue
			}
			a.keyed = append(a.keyed, it)
		}
		seq := a.edge.Size() + 1
		it.record = it.draft.Record(seq, l.ids.ID(seq), at)
		a.edge.Add(it.record.Leaf, func(n eventlog.Node) { a.nodes = append(a.nodes, n) })
		a.records, a.items = append(a.records, it.record), append(a.items, it)
	}
	return a
}

// appendArgs are the keys and arguments of append.lua.
func (l *Log) appendArgs(a *attempt) ([]string, []any) {
	keys, args := l.compared(a.base.head)
	keys = append(keys, l.keys.turn, l.keys.ids, l.keys.order, l.keys.refs)
	var ids, values, refs []byte
	for _, it := range a.keyed {
		ids = append(ids, it.key[:]...)
		values = appendValue(values, it.digest, it.record.Seq, a.millis)
	}
	for _, it := range a.items {
		for _, ref := range it.refs {
			refs = appendRef(refs, it.record.Kind, ref, it.record.Seq)
		}
	}
	last := a.records[len(a.records)-1]
	args = append(args, l.token, turnLife.Milliseconds(), l.db.Channel(wakeTopic), last.Seq, last.Leaf[:],
		a.millis, a.millis-l.cfg.KeyMemory.Milliseconds(), ids, values, refs)
	keys, args = l.segmentArgs(keys, args, a.records)
	for _, n := range a.nodes {
		keys = append(keys, l.keys.nodes(n.Level, n.N/eventlog.TileWidth))
		args = append(args, strconv.FormatUint(n.N%eventlog.TileWidth*eventlog.HashSize, 10), n.Hash[:])
	}
	return keys, args
}

// segmentArgs adds the records by their segments.
func (l *Log) segmentArgs(keys []string, args []any, records []*eventlog.Record) ([]string, []any) {
	count := len(args)
	args = append(args, 0)
	segments := 0
	for len(records) > 0 {
		segment, at := placeOf(records[0].Seq)
		part := records[:min(len(records), segmentSize-at)]
		records = records[len(part):]
		var rows []byte
		for _, r := range part {
			rows = appendRow(rows, r)
		}
		keys = append(keys, l.keys.rows(segment), l.keys.bodies(segment))
		args = append(args, at*rowSize, rows, len(part))
		for _, r := range part {
			if r.Erased {
				args = append(args, "")
				continue
			}
			args = append(args, append(append(make([]byte, 0, len(r.Salt)+len(r.Canonical)), r.Salt[:]...), r.Canonical...))
		}
		segments++
	}
	args[count] = segments
	return keys, args
}
