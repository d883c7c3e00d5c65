package redisstore

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
)

// ledger is what the holder of a partition knows of its own calls. A nil one is that of who
// holds nothing. Safe for concurrent use.
//
// The server counts the holder's puts, and every call tells how many the holder was told
// of: where the server has fewer, it has gone back behind them, as it does in a failover to
// a replica that lagged, quicker than a lease ends. What was lost nobody would put again:
// the holder is further in the log. So its work ends, and begins anew from the place that
// the server has, which is of the same moment as its queues.
type ledger struct {
	puts atomic.Uint64
	lost func() // ends the work

	mu   sync.Mutex
	open map[string]string // calls without an answer, by what they asked
}

// told notes how many puts the server has counted.
func (l *ledger) told(puts uint64) {
	if l == nil {
		return
	}
	for known := l.puts.Load(); known < puts && !l.puts.CompareAndSwap(known, puts); known = l.puts.Load() {
	}
}

// known returns how many puts the server has at least.
func (l *ledger) known() uint64 {
	if l == nil {
		return 0
	}
	return l.puts.Load()
}

// call names a call that asks for what is answered once. If one that asked the same had no
// answer it is that one: the server may have carried it out, and has its answer for half a
// minute.
func (l *ledger) call(what string) string {
	if l != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if id, ok := l.open[what]; ok {
			delete(l.open, what)
			return id
		}
	}
	return rand.Text()
}

// unanswered notes that a call had no answer.
func (l *ledger) unanswered(what, id string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[string]string)
	}
	l.open[what] = id
}
