package figures

import (
	"math"
	"time"
)

// ring holds the newest slots of one step. Slot n is the time from n steps after the
// Unix epoch on. A value of a slot stands at n modulo the number of slots.
type ring struct {
	step   time.Duration
	newest int64 // number of the newest slot

	seen    []float32   // seconds of the slot that samples tell of; 0: nothing is known
	values  [][]float32 // by figure: growth of a Count, highest of a Level (NaN: unknown)
	spreads [][]uint32  // by figure: buckets of one slot after those of the other; nil until known
}

func newRing(step time.Duration, slots int, figures []Figure) *ring {
	r := &ring{step: step, seen: make([]float32, slots), values: make([][]float32, len(figures)), spreads: make([][]uint32, len(figures))}
	for i, f := range figures {
		if f.Kind != Spread {
			r.values[i] = make([]float32, slots)
		}
	}
	return r
}

func (r *ring) slots() int { return len(r.seen) }

// number returns the slot of a time.
func (r *ring) number(at time.Time) int64 {
	return max(at.Unix(), 0) / int64(r.step/time.Second)
}

// place returns where the slot n stands.
func (r *ring) place(n int64) int { return int(n % int64(r.slots())) }

// holds reports whether slot n is in the ring.
func (r *ring) holds(n int64) bool { return n <= r.newest && n > r.newest-int64(r.slots()) && n >= 0 }

// move makes n the newest slot. Slots between are empty; where the clock was set back,
// those that lie ahead now are forgotten.
func (r *ring) move(n int64) {
	from, to := r.newest+1, n
	if n < r.newest {
		from, to = n+1, r.newest
	}
	if to-from >= int64(r.slots()) {
		from = to - int64(r.slots()) + 1
	}
	for i := from; i <= to; i++ {
		r.clear(r.place(i))
	}
	r.newest = n
}

func (r *ring) clear(at int) {
	r.seen[at] = 0
	for _, v := range r.values {
		if v != nil {
			v[at] = 0
		}
	}
	for _, s := range r.spreads {
		if s != nil {
			width := len(s) / r.slots()
			clear(s[at*width : (at+1)*width])
		}
	}
}

// add adds a sample to its slot.
func (r *ring) add(at time.Time, s sample) {
	n := r.number(at)
	if n != r.newest {
		r.move(n)
	}
	i := r.place(n)
	first := r.seen[i] == 0
	r.seen[i] += float32(s.seconds)
	for f, kept := range r.values {
		if kept == nil {
			continue
		}
		value, unknown := float32(s.values[f]), first || math.IsNaN(float64(kept[i]))
		switch {
		case unknown:
			kept[i] = value
		case s.levels[f]:
			if value > kept[i] {
				kept[i] = value
			}
		default:
			kept[i] += value
		}
	}
	for f, one := range s.spreads {
		if one == nil {
			continue
		}
		width := len(one.counts)
		slot := r.spreads[f][i*width : (i+1)*width]
		for b, n := range one.counts {
			slot[b] = uint32(min(uint64(slot[b])+n, math.MaxUint32))
		}
	}
}
