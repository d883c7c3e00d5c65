package push

import (
	"context"
	"time"
)

// An event may be for very many streams, which all come due at once. They
// begin a few at a time: all together they would keep the CPUs from whoever
// else has little to do, such as the sender of the next event.
const (
	startsPerCPU = 8
	startTime    = 4 * time.Millisecond
)

// pace bounds the streams that begin within startTime.
type pace struct {
	most  int
	since time.Time
	begun int // since then
}

// wait returns how many streams may begin now, at least one; it waits until
// one may, or until ctx ends.
func (p *pace) wait(ctx context.Context) int {
	if left := startTime - time.Since(p.since); p.begun >= p.most && left > 0 {
		sleep(ctx, left)
	}
	if p.begun >= p.most {
		p.began(0)
		p.begun = min(p.begun, p.most-1) // only if ctx has ended
	}
	return p.most - p.begun
}

// began notes that n streams begin now.
func (p *pace) began(n int) {
	if now := time.Now(); now.Sub(p.since) >= startTime {
		p.since, p.begun = now, 0
	}
	p.begun += n
}
