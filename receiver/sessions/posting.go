package sessions

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"
)

// posting is the sessions of one digest. Those added are at the end until they are
// wanted in order; those gone stay until they are half of all. So a tenant of a million
// sessions costs as little per login as a user of one.
type posting struct {
	entries []*entry
	sorted  int // how many from the start are in order
	gone    int
}

func (p *posting) add(e *entry) { p.entries = append(p.entries, e) }

// removed notes that one entry is gone.
func (p *posting) removed() {
	if p.gone++; 2*p.gone <= len(p.entries) {
		return
	}
	p.order()
	p.entries = slices.DeleteFunc(p.entries, func(e *entry) bool { return e.gone })
	p.entries, p.sorted, p.gone = slices.Clip(p.entries), len(p.entries), 0
}

func (p *posting) empty() bool { return p.gone == len(p.entries) }

func (p *posting) order() {
	if p.sorted < len(p.entries) {
		slices.SortStableFunc(p.entries, func(a, b *entry) int { return cmp.Compare(a.id, b.id) })
		p.sorted = len(p.entries)
	}
}

// above returns the entries with an ID above after, in order. It may be nil.
func (p *posting) above(after string) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		if p == nil {
			return
		}
		p.order()
		from, exact := slices.BinarySearchFunc(p.entries, after, func(e *entry, id string) int { return cmp.Compare(e.id, id) })
		for _, e := range p.entries[from:] {
			if exact && e.id == after || e.gone {
				continue
			}
			if !yield(e) {
				return
			}
		}
	}
}

// byExpiry is a heap of sessions, the first to expire at its head.
type byExpiry []*entry

var _ heap.Interface = (*byExpiry)(nil)

func (h byExpiry) Len() int           { return len(h) }
func (h byExpiry) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }

func (h byExpiry) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push appends an entry.
func (h *byExpiry) Push(x any) {
	e := x.(*entry)
	e.at = len(*h)
	*h = append(*h, e)
}

// Pop takes the last entry.
func (h *byExpiry) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
