package push

import "context"

// idleSenders bounds the goroutines that wait for something to send.
const idleSenders = 64

// start has f carried out beside its caller. A goroutine that signed before
// has the stack for it: growing a new one for each SET would cost a fourth of
// the signature. One that finds nothing more to do waits for work until ctx
// ends, unless enough others do.
func (r *run) start(ctx context.Context, f func()) {
	select {
	case r.work <- f:
		return
	default:
	}
	r.done.Go(func() {
		f()
		select {
		case r.idle <- struct{}{}:
		default:
			return
		}
		defer func() { <-r.idle }()
		for {
			select {
			case f := <-r.work:
				f()
			case <-ctx.Done():
				return
			}
		}
	})
}
