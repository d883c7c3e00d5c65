package figures

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Bounds of what a body may hold.
const (
	maxFigures   = 256
	maxNameBytes = 64
	maxRings     = 8
	maxSlots     = 1 << 14
	maxNumber    = 1 << 40 // of a slot
)

// body is what a file holds.
type body struct {
	figures []Figure // name and kind alone
	bounds  [][]float64
	slots   map[int64][]slot // by seconds of their step, oldest first
}

// slot is one of a ring.
type slot struct {
	number  int64
	seen    float32
	values  []float32  // by figure
	spreads [][]uint32 // by figure
}

// decode reads a file.
func decode(raw []byte) (*body, error) {
	plain, err := open(raw)
	if err != nil {
		return nil, err
	}
	d := &decoder{rest: plain}
	b := &body{slots: map[int64][]slot{}}
	for range d.number(maxFigures) {
		f := Figure{Name: string(d.bytes(int(d.number(maxNameBytes))))}
		if kind := d.bytes(1); kind != nil {
			f.Kind = Kind(kind[0])
		}
		var bounds []float64
		for range d.number(maxBuckets) {
			bounds = append(bounds, math.Float64frombits(d.uint64()))
		}
		d.check(f.Kind >= Count && f.Kind <= Spread, "a figure of no kind")
		b.figures, b.bounds = append(b.figures, f), append(b.bounds, bounds)
	}
	for range d.number(maxRings) {
		step := int64(d.number(1 << 20))
		b.slots[step] = d.ring(b)
	}
	d.check(len(d.rest) == 0, "bytes behind its end")
	return b, d.err
}

// decoder reads what is left, until it has met an error: then all is zero.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) check(ok bool, what string) {
	if !ok && d.err == nil {
		d.err = fmt.Errorf("%w: %s", errFormat, what)
		d.rest = nil
	}
}

// number reads a varint of at most most.
func (d *decoder) number(most uint64) uint64 {
	n, size := binary.Uvarint(d.rest)
	d.check(size > 0 && n <= most, "a number that is not one, or too large")
	if d.err != nil {
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) bytes(n int) []byte {
	d.check(n <= len(d.rest), "it ends early")
	if d.err != nil {
		return nil
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) float32() float32 {
	if b := d.bytes(4); b != nil {
		return math.Float32frombits(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) ring(b *body) []slot {
	newest := int64(d.number(maxNumber))
	var out []slot
	before := int64(-1)
	for range d.number(maxSlots) {
		age := int64(d.number(maxSlots))
		d.check(age > before && age <= newest, "slots in no order")
		if d.err != nil {
			return nil
		}
		before = age
		out = append(out, d.slot(b, newest-age))
	}
	slices.Reverse(out)
	return out
}

func (d *decoder) slot(b *body, number int64) slot {
	s := slot{number: number, seen: d.float32(), values: make([]float32, len(b.figures)), spreads: make([][]uint32, len(b.figures))}
	d.check(s.seen > 0 && !math.IsInf(float64(s.seen), 0), "a slot of no length")
	for i, f := range b.figures {
		if f.Kind != Spread {
			s.values[i] = d.float32()
			continue
		}
		n := d.number(uint64(len(b.bounds[i]) + 1))
		for range n {
			s.spreads[i] = append(s.spreads[i], uint32(d.number(math.MaxUint32)))
		}
	}
	return s
}
