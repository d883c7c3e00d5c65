package push

import "context"

// idleSenders bounds the goroutines that wait for something to send.
const idleSenders = 64

// start has f carried out beside its caller. A goroutine that signed before
// has the stack for it: growing a new one for each SET would cost a fourth of
// the signature. One that finds nothing more to do waits for work until ctx
// ends, unless enough others do.
func (p *Pusher) start(ctx context.Context, f func()) {
	select {
	case p.work <- f:
		return
	default:
	}
	p.done.Go(func() {
		f()
		select {
		case p.idle <- struct{}{}:
		default:
			return
		}
		defer func() { <-p.idle }()
		for {
			select {
			case f := <-p.work:
				f()
			case <-ctx.Done():
				return
			}
		}
	})
}
