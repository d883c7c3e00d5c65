package redislog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// place is what this process knows of the log. It only grows.
type place struct {
	mu     sync.Mutex
	edge   *eventlog.Edge
	leaf   eventlog.Hash // of the last record
	millis int64         // its time
	erased uint64        // records erased ever, all of which left the tail
	looked time.Time     // when the server was asked last
	lost   error         // once it is lost
	grown  chan struct{} // closed by the next change; nil: nobody waits
}

func (p *place) start(edge *eventlog.Edge, h head) {
	p.edge, p.leaf, p.millis, p.erased, p.looked = edge, h.leaf, h.millis, h.erased, time.Now()
}

// base is a copy of a place, to append at.
type base struct {
	head
	edge *eventlog.Edge
}

func (p *place) base() base {
	p.mu.Lock()
	defer p.mu.Unlock()
	return base{head: p.head(), edge: p.edge.Clone()}
}

func (p *place) head() head {
	return head{size: p.edge.Size(), leaf: p.leaf, millis: p.millis, erased: p.erased}
}

func (p *place) size() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.edge.Size()
}

// state returns the size, when the server was asked last, and ErrLost.
func (p *place) state() (size uint64, looked time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.edge.Size(), p.looked, p.lost
}

// tree returns the tree over the records that are known.
func (p *place) tree() eventlog.Tree {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.edge.Tree()
}

// change returns a channel that is closed at the next change.
func (p *place) change() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.grown == nil {
		p.grown = make(chan struct{})
	}
	return p.grown
}

// tell wakes who waits for a change; the caller holds mu.
func (p *place) tell() {
	if p.grown != nil {
		close(p.grown)
		p.grown = nil
	}
}

// add takes rows in that follow the record from.
func (p *place) add(from uint64, rows []row) {
	size := p.edge.Size()
	if from > size || from+uint64(len(rows)) <= size {
		return // told already, or from beyond what is known
	}
	for _, r := range rows[size-from:] {
		p.edge.Add(r.leaf, func(eventlog.Node) {})
		p.leaf, p.millis = r.leaf, r.millis
	}
	p.tell()
}

// jump goes on to an edge further on.
func (p *place) jump(edge *eventlog.Edge, h head) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if edge.Size() <= p.edge.Size() {
		return
	}
	p.edge, p.leaf, p.millis = edge, h.leaf, h.millis
	p.tell()
}

// take takes in what a script told a process that knew the log up to b.
func (l *Log) take(b head, t *told, asked time.Time) error {
	l.clock.set(t.millis)
	p := &l.place
	p.mu.Lock()
	defer p.mu.Unlock()
	if asked.After(p.looked) {
		p.looked = asked
	}
	if t.code == codeLost {
		if p.lost == nil {
			p.lost = fmt.Errorf("%w: it has %d, and had %d with other ones or more", ErrLost, t.head.size, b.size)
			p.tell()
		}
		return p.lost
	}
	p.add(b.size, t.rows)
	if t.head.erased <= p.erased {
		return p.lost
	}
	if t.all {
		l.tail.Reset(l.tail.Head())
	} else {
		l.tail.Erase(t.gone)
	}
	p.erased = t.head.erased
	return p.lost
}

// keep puts records into the tail that were read, or written, when so many had
// been erased. Where the tail is elsewhere they are left out; they are read
// when somebody wants them.
func (l *Log) keep(records []*eventlog.Record, erased uint64) {
	l.place.mu.Lock()
	defer l.place.mu.Unlock()
	if erased >= l.place.erased && len(records) > 0 && l.tail.Head()+1 == records[0].Seq {
		l.tail.Add(records)
	}
}

// clock is the server's, as far as it can be told from here.
type clock struct {
	now func() time.Time // replaces it; nil: none

	mu     sync.Mutex
	millis int64
	at     time.Time
}

// set says what the server's time was a moment ago.
func (c *clock) set(millis int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.millis, c.at = millis, time.Now()
}

// unixMilli returns the time.
func (c *clock) unixMilli() int64 {
	if c.now != nil {
		return c.now().UnixMilli()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.millis + time.Since(c.at).Milliseconds()
}

// compared are the keys and arguments that head.lua wants.
func (l *Log) compared(b head) ([]string, []any) {
	segment := uint64(0)
	if b.size > 0 {
		segment, _ = placeOf(b.size)
	}
	return []string{l.keys.head, l.keys.rows(segment), l.keys.rows(segment + 1), l.keys.erased},
		[]any{l.name, b.size, b.leaf[:], b.erased}
}

// ask asks where the log stands, once, and takes it in.
func (l *Log) ask(ctx context.Context) (*told, error) {
	l.place.mu.Lock()
	b := l.place.head()
	l.place.mu.Unlock()
	keys, args := l.compared(b)
	asked := time.Now()
	answer, err := l.db.Run(ctx, l.scripts.look, keys, args...)
	if err != nil {
		return nil, err
	}
	t, err := toldOf(answer)
	if err != nil {
		return nil, err
	}
	return t, l.take(b, t, asked)
}
