package sqliteindex

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// kind says what a term is of; part of its hash, so of the file's format.
type kind byte

const (
	kindType        kind = 't'
	kindCategory    kind = 'c'
	kindSource      kind = 'o'
	kindEnvironment kind = 'e'
	kindSubject     kind = 's'
	kindIdentifier  kind = 'i'
	kindEmail       kind = 'm'
	kindActor       kind = 'a'
	kindSession     kind = 'S'
	kindApplication kind = 'p'
	kindLinkedID    kind = 'l'
	kindFingerprint kind = 'f'
	kindNetwork     kind = 'n'
	kindSuspect     kind = 'u'
	kindSignal      kind = 'g'
	kindTag         kind = 'T'
	kindOwner       kind = 'O'
	kindAnybody     kind = '*' // for all applications
	kindView        kind = 'v' // the viewer sees annotations of its own
	kindViewed      kind = 'V' // what it sees then
)

// term is a keyed hash of what an event has: 64 bits, of which two are the same
// by chance as good as never.
type term int64

// terms makes them, under the file's secret: without it they tell nothing.
type terms struct {
	secret *[KeySize]byte
	buf    []byte
}

// of returns the term of a kind's texts.
func (t *terms) of(k kind, texts ...string) term {
	b := append(t.buf[:0], t.secret[:]...)
	b = append(b, byte(k))
	for i, text := range texts {
		if i < len(texts)-1 {
			b = binary.AppendUvarint(b, uint64(len(text)))
		}
		b = append(b, text...)
	}
	t.buf = b
	sum := sha256.Sum256(b)
	return term(binary.BigEndian.Uint64(sum[:8]))
}

// short are the bits of a type's term that stand in the lists.
func (k term) short() int64 { return int64(int32(k >> 32)) }

// ofSignal returns the term of a signal with its value.
func (t *terms) ofSignal(name string, value bool) term {
	return t.of(kindSignal, name, fmt.Sprint(value))
}

// ofSubjects returns the terms of subject identifiers, each once.
func (t *terms) ofSubjects(ids []subject.Identifier) []term {
	var all []term
	for _, id := range ids {
		if id.IsZero() {
			continue
		}
		if k := t.of(kindSubject, id.Canonical()); !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}

// The networks around an address that are terms, by their bits, and how many of
// them may stand for a network between two of them.
const maxNetworks = 16

func networkBits(v4 bool) []int {
	if v4 {
		return []int{8, 16, 20, 24, 32}
	}
	return []int{32, 40, 48, 56, 64, 128}
}

// ofNetwork returns the term of a network of one of those sizes.
func (t *terms) ofNetwork(p netip.Prefix) term {
	b := p.Masked().Addr().AsSlice()
	return t.of(kindNetwork, string(rune(p.Bits())), string(b))
}

// ofAddress returns the terms of the networks around an address.
func (t *terms) ofAddress(dst []term, a netip.Addr) []term {
	for _, bits := range networkBits(a.Is4()) {
		dst = append(dst, t.ofNetwork(netip.PrefixFrom(a, bits)))
	}
	return dst
}

// ofPrefix returns the terms that have all addresses of a network between them,
// and perhaps others; none if only all events have.
func (t *terms) ofPrefix(p netip.Prefix) []term {
	p = p.Masked()
	around := 0
	for _, bits := range networkBits(p.Addr().Is4()) {
		if bits < p.Bits() {
			around = bits
			continue
		}
		if n := bits - p.Bits(); n < 31 && 1<<n <= maxNetworks {
			return t.split(p, bits)
		}
		break
	}
	if around == 0 {
		return nil
	}
	return []term{t.ofNetwork(netip.PrefixFrom(p.Addr(), around))}
}

// split returns the terms of the networks of a size that a network has.
func (t *terms) split(p netip.Prefix, bits int) []term {
	count := 1 << (bits - p.Bits())
	all := make([]term, 0, count)
	for i := range count {
		b := p.Addr().AsSlice()
		for bit := range bits - p.Bits() { // the lowest bit of i stands last
			if i>>bit&1 == 1 {
				at := bits - 1 - bit
				b[at/8] |= 0x80 >> (at % 8)
			}
		}
		a, _ := netip.AddrFromSlice(b) // it has the length of an address
		all = append(all, t.ofNetwork(netip.PrefixFrom(a, bits)))
	}
	return all
}

// entry is what the index keeps of an event.
type entry struct {
	seq      uint64
	at       int64
	kind     int64 // of its type
	score    any   // float64 or nil
	addr     any   // []byte or nil
	noted    bool
	posted   []term // with a list
	plain    []term // without one
	mentions []term // of subjects; a part of posted
}

// keys returns all terms as they stand beside the event.
func (e *entry) keys() []byte {
	b := make([]byte, 0, 8*(len(e.posted)+len(e.plain)))
	for _, list := range [][]term{e.posted, e.plain} {
		for _, k := range list {
			b = appendTerm(b, k)
		}
	}
	return b
}

func appendTerm(b []byte, k term) []byte { return binary.BigEndian.AppendUint64(b, uint64(k)) }

// entryOf returns what is kept of an event with attributes that all see.
// Signals that are false, and environments, have no list: most events have them.
func (t *terms) entryOf(r *eventlog.Record, a *eventlog.Attributes) *entry {
	e := &entry{seq: r.Seq, at: r.At(), kind: t.of(kindType, r.Type).short()}
	for _, f := range []struct {
		kind kind
		text string
	}{
		{kindType, r.Type},
		{kindCategory, a.Category},
		{kindSource, r.Source},
		{kindIdentifier, a.Identifier},
		{kindEmail, a.Email},
		{kindActor, a.Actor},
		{kindSession, a.Session},
		{kindApplication, a.Application},
		{kindFingerprint, a.Fingerprint},
	} {
		if f.text != "" {
			e.posted = append(e.posted, t.of(f.kind, f.text))
		}
	}
	e.mentions = t.ofSubjects(eventlog.Mentions(&r.Event))
	e.posted = append(e.posted, e.mentions...)
	if r.Applications == nil {
		e.posted = append(e.posted, t.of(kindAnybody))
	}
	for _, app := range r.Applications {
		e.posted = append(e.posted, t.of(kindOwner, app))
	}
	if r.Environment != "" {
		e.plain = append(e.plain, t.of(kindEnvironment, r.Environment))
	}
	t.values(e, a)
	e.posted = append(e.posted, t.ofNotes(nil, a)...)
	e.order()
	return e
}

// order puts the terms with lists in order, each once.
func (e *entry) order() {
	slices.Sort(e.posted)
	e.posted = slices.Compact(e.posted)
}

// annotatedEntry returns what is kept of an annotated event. What all see is
// what operators said; an application that said more sees that besides, and
// operators see all: these have terms of their own.
func (t *terms) annotatedEntry(r *eventlog.Record, said []eventlog.Annotation) *entry {
	base := r.Attributes
	var views []string
	for i := range said {
		if app := said[i].Application; app == "" {
			base = said[i].Apply(base)
		} else if !slices.Contains(views, app) {
			views = append(views, app)
		}
	}
	e := t.entryOf(r, &base)
	e.noted = true
	if len(views) > 0 {
		views = append(views, "") // operators
	}
	for _, viewer := range views {
		e.plain = append(e.plain, t.of(kindView, viewer))
		a := eventlog.Merge(r.Attributes, said, viewer)
		e.posted = append(e.posted, t.ofNotes(&viewer, &a)...)
	}
	e.order()
	return e
}

// ofNotes returns the terms of what annotations change, as all see it or as a
// viewer does.
func (t *terms) ofNotes(viewer *string, a *eventlog.Attributes) []term {
	var all []term
	if a.LinkedID != "" {
		all = append(all, t.ofNote(viewer, kindLinkedID, a.LinkedID))
	}
	if a.Suspect != nil {
		all = append(all, t.ofNote(viewer, kindSuspect, fmt.Sprint(*a.Suspect)))
	}
	for name, value := range a.Tags {
		all = append(all, t.ofNote(viewer, kindTag, name, value))
	}
	return all
}

func (t *terms) ofNote(viewer *string, k kind, texts ...string) term {
	if viewer == nil {
		return t.of(k, texts...)
	}
	return t.of(kindViewed, append([]string{*viewer, string(rune(k))}, texts...)...)
}

// values adds the attributes that are no texts.
func (t *terms) values(e *entry, a *eventlog.Attributes) {
	if a.Address.IsValid() && a.Address.Zone() == "" {
		e.addr = a.Address.AsSlice()
		e.posted = t.ofAddress(e.posted, a.Address)
	}
	if a.RiskScore != nil {
		e.score = *a.RiskScore
	}
	for name, value := range a.Signals {
		k := t.ofSignal(name, value)
		if value {
			e.posted = append(e.posted, k)
		} else {
			e.plain = append(e.plain, k)
		}
	}
}
