package transmitter

import (
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
)

// newEraser returns what erases; nil without an index, which finds what is to
// be erased.
func (t *Transmitter) newEraser() *erase.Eraser {
	if t.cfg.Index == nil {
		return nil
	}
	return erase.New(erase.Config{
		Log: t.cfg.Log, Index: t.cfg.Index, Streams: t.cfg.Streams, Follower: fanout.Follower, Forget: t.outbox.Forget,
		Retention: t.cfg.Retention, RetainEvery: t.cfg.RetainEvery, Crash: t.cfg.Crash, Now: t.cfg.Now, Logger: t.cfg.Logger,
	})
}
