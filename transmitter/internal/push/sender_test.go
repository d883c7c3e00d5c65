package push_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// All that is started runs side by side, however many senders wait; those
// that may wait are bounded, take what comes next, and end with the context.
func TestSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := push.New(push.Config{}).Senders()
		ctx, cancel := context.WithCancel(t.Context())
		var running atomic.Int64
		for range 2 {
			let := make(chan struct{})
			for range 2 * push.IdleSenders {
				p.Start(ctx, func() {
					running.Add(1)
					<-let
					running.Add(-1)
				})
			}
			synctest.Wait()
			if got := running.Load(); got != 2*push.IdleSenders {
				t.Errorf("side by side: got %d, want %d", got, 2*push.IdleSenders)
			}
			close(let)
			synctest.Wait()
			if got := p.Idle(); got != push.IdleSenders {
				t.Errorf("waiting: got %d, want %d", got, push.IdleSenders)
			}
		}
		cancel()
		p.Wait()
		if got := p.Idle(); got != 0 {
			t.Errorf("after the end: got %d that wait, want 0", got)
		}
	})
}
