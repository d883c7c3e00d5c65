package sqlitedb

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// plenty of writes in line are worth a sync at once.
const plenty = 32

// committer combines concurrent writes into one transaction (group commit).
//
// It has no goroutine of its own: the first caller leads, that is, it commits
// all that waits, and on its way out makes the first of those who came
// meanwhile the next leader. So a lone caller never switches goroutines, and
// the more callers there are, the more share a sync. Only a database whose
// Config.Gather is set waits for them, and only after a batch that was shared.
type committer struct {
	mu      sync.Mutex
	idle    sync.Cond // signalled when leading ends
	queue   []*op     // in order of arrival; the leader's own op is the first
	leading bool
	lingers bool // the leader waits for others
	closed  bool
	pool    sync.Pool

	// The rest belongs to the leader.
	conn    *conn
	base    Synchronous // of the database
	current Synchronous // of the connection
	observe func(int, time.Duration)
	gather  time.Duration
	enough  chan struct{} // told while the leader lingers, once enough is in line
	batch   []*op
	shared  bool // the last batch had more than one op
	tx      Tx
}

// op is one call that waits.
type op struct {
	fn     func(*Tx) error
	alone  func(*conn) error // instead of fn: runs outside of a transaction
	full   bool
	taken  bool      // by a leader, or chosen to lead: cannot be taken back
	wake   chan bool // true: lead; false: done
	err    error
	failed bool // fn itself failed, so its error stands
}

func (c *committer) init(w *conn, cfg Config) {
	c.idle.L = &c.mu
	c.conn, c.base, c.current = w, cfg.Synchronous, cfg.Synchronous
	c.observe, c.gather, c.enough = cfg.Observe, cfg.Gather, make(chan struct{}, 1)
	c.pool.New = func() any { return &op{wake: make(chan bool, 1)} }
}

// do queues a call and returns its outcome.
func (c *committer) do(ctx context.Context, fn func(*Tx) error, alone func(*conn) error, full bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := c.pool.Get().(*op)
	*o = op{fn: fn, alone: alone, full: full, wake: o.wake}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.queue = append(c.queue, o)
	if c.lingers && len(c.queue) >= plenty {
		select {
		case c.enough <- struct{}{}:
		default: // told already
		}
	}
	lead := !c.leading
	if lead {
		c.leading, o.taken = true, true
	}
	c.mu.Unlock()
	if !lead {
		select {
		case lead = <-o.wake:
		case <-ctx.Done():
			if c.withdraw(o) {
				return ctx.Err()
			}
			lead = <-o.wake
		}
	}
	if lead {
		c.lead(o)
	}
	err := o.err
	o.fn, o.alone, o.err = nil, nil, nil
	c.pool.Put(o)
	return err
}

// withdraw takes o off the queue; false if its turn has come.
func (c *committer) withdraw(o *op) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.taken {
		return false
	}
	for i, q := range c.queue {
		if q == o {
			c.queue = append(c.queue[:i], c.queue[i+1:]...)
			break
		}
	}
	return true
}

// lead carries out what waits, own first, passes the lead on and wakes all.
func (c *committer) lead(own *op) {
	if c.shared {
		// Let those who were just woken, or are about to call, get in line:
		// larger batches for next to no time (a quarter less CPU with 8
		// callers). A lone caller does not pay for it.
		c.linger()
	}
	c.collect()
	batch := c.batch
	c.shared = len(batch) > 1
	if first := batch[0]; first.alone != nil {
		first.err = contain(func() error { return first.alone(c.conn) })
	} else {
		c.run(batch)
	}
	// The next leader reuses c.batch, so wake from a copy that stays.
	var few [32]*op
	waiting := append(few[:0], batch...)
	c.passOn()
	for _, o := range waiting {
		if o != own {
			o.wake <- false
		}
	}
}

// linger gives others a moment to get in line, until plenty are.
func (c *committer) linger() {
	if c.gather <= 0 {
		runtime.Gosched()
		return
	}
	c.mu.Lock()
	c.lingers = len(c.queue) < plenty
	wait := c.lingers
	c.mu.Unlock()
	if !wait {
		return
	}
	timer := time.NewTimer(c.gather)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.enough:
	}
	c.mu.Lock()
	c.lingers = false
	c.mu.Unlock()
	select { // told after the time was up
	case <-c.enough:
	default:
	}
}

// collect moves the next batch from the queue to c.batch.
func (c *committer) collect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.queue) && n < MaxBatch {
		o := c.queue[n]
		if o.alone != nil && n > 0 {
			break
		}
		o.taken = true
		n++
		if o.alone != nil {
			break
		}
	}
	c.batch = append(c.batch[:0], c.queue[:n]...)
	rest := copy(c.queue, c.queue[n:])
	clear(c.queue[rest:])
	c.queue = c.queue[:rest]
}

// passOn makes the first that waits the leader, or ends the lead.
func (c *committer) passOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.batch)
	if len(c.queue) > 0 {
		next := c.queue[0]
		next.taken = true
		next.wake <- true
		return
	}
	c.leading = false
	c.idle.Broadcast()
}

// exclusive runs fn on the writing connection outside of a transaction.
func (c *committer) exclusive(ctx context.Context, fn func(*conn) error) error {
	return c.do(ctx, nil, fn, false)
}

func (c *committer) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// stop refuses new calls and waits for those that are in.
func (c *committer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.leading {
		c.idle.Wait()
	}
}
