package transmitter

import (
	"context"
	"time"
)

// Upkeep does once what Run does every 15 seconds.
func (t *Transmitter) Upkeep(ctx context.Context) {
	t.sweep(ctx)
	t.upkeep(ctx)
}

// Formats is the memory of applications' preferred formats.
type Formats struct{ formats }

// Get, Put and Known look into it.
func (f *Formats) Get(owner string, now time.Time) (string, bool) { return f.get(owner, now) }
func (f *Formats) Put(owner, name string, now time.Time)          { f.put(owner, name, now) }
func (f *Formats) Known() int                                     { return len(f.known) }
