package redisstore

import (
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// digest is a key of a subject, or what tells complex entries apart that share one.
type digest [16]byte

// posting is a subject of a stream under one of its keys. There are many: it has no
// pointers, and the list of a key goes through next.
type posting struct {
	tail      digest
	stream    uint32
	next      uint32 // index of the next + 1; 0: it is the last
	exclusion bool
}

// mirrored is a stream in an index.
type mirrored struct {
	mirrorFacts
	postings int
	found    uint64 // the last match that found it by a subject
}

// mirrorIndex finds the streams of a partition. The zero value is empty and cannot be added
// to. Not safe for concurrent use.
type mirrorIndex struct {
	namesNumber string
	names       [][]string // sets of member names that complex entries have
	typesNumber string
	types       map[string]uint32 // numbers of event types

	numbers map[string]uint32 // of streams, by id
	streams []*mirrored       // by number; nil: free
	free    []uint32          // numbers
	// all holds, by event type and owner, the streams that hear of all subjects and are
	// not disabled.
	all map[uint32]map[string][]uint32

	first      map[digest]uint32 // index of a key's first posting + 1
	postings   []posting
	unused     uint32 // first of the postings that are free + 1, by next
	entries    int    // postings of each kind
	exclusions int
	asked      uint64 // matches
}

func (x *mirrorIndex) init() {
	*x = mirrorIndex{
		namesNumber: "0", typesNumber: "0", types: make(map[string]uint32),
		numbers: make(map[string]uint32), all: make(map[uint32]map[string][]uint32),
		first: make(map[digest]uint32),
	}
}

// size is what Config.MaxIndex bounds.
func (x *mirrorIndex) size() int { return x.entries + x.exclusions + len(x.numbers) }

// apply brings in what was seen, with all changes since the last time. Facts come first:
// subjects of streams that are gone do not count.
func (x *mirrorIndex) apply(seen *sight, changes []change) {
	swept := false
	for i := range seen.facts {
		if f := &seen.facts[i]; f.gone {
			swept = x.remove(f.id) || swept
		} else {
			x.describe(f)
		}
	}
	if swept {
		x.sweep()
	}
	for i := range changes {
		x.follow(&changes[i])
	}
	for _, m := range seen.members {
		if member := redisdb.Text(m); len(member) > memberStream {
			id, tail, _ := strings.Cut(member[memberStream:], "\x00")
			x.add(member[:memberKind], member[memberKind:memberStream], id, tail)
		}
	}
	if seen.typesNumber != x.typesNumber {
		x.typesNumber = seen.typesNumber
		clear(x.types)
		for i := 0; i+1 < len(seen.types); i += 2 {
			x.types[redisdb.Text(seen.types[i])] = uint32(redisdb.Number(seen.types[i+1]))
		}
	}
	if seen.namesNumber != x.namesNumber {
		x.namesNumber, x.names = seen.namesNumber, nil
		for _, set := range seen.names {
			x.names = append(x.names, splitNames(redisdb.Text(set)))
		}
	}
}

// follow does what a change says of a subject.
func (x *mirrorIndex) follow(c *change) {
	if len(c.what) != 2 {
		return
	}
	tail := strings.TrimPrefix(c.tail, "\x00")
	for keys := c.keys; len(keys) >= memberKind; keys = keys[memberKind:] {
		switch c.what[0] {
		case changeAdd:
			x.add(keys[:memberKind], c.what[1:], c.stream, tail)
		case changeRemove:
			x.take(keys[:memberKind], c.stream, tail)
		}
	}
}

// describe takes over the facts of a stream.
func (x *mirrorIndex) describe(f *mirrorFacts) {
	n, known := x.numbers[f.id]
	if known {
		x.dismiss(n)
		x.streams[n].mirrorFacts = *f
	} else {
		s := &mirrored{mirrorFacts: *f}
		if last := len(x.free) - 1; last >= 0 {
			n, x.free = x.free[last], x.free[:last]
			x.streams[n] = s
		} else {
			n, x.streams = uint32(len(x.streams)), append(x.streams, s)
		}
		x.numbers[f.id] = n
	}
	x.admit(n)
}

// admit enters a stream where an event looks for those of all subjects.
func (x *mirrorIndex) admit(n uint32) {
	s := x.streams[n]
	if !s.all || s.status == statusDisabled {
		return
	}
	for _, t := range s.types {
		byOwner := x.all[t]
		if byOwner == nil {
			byOwner = make(map[string][]uint32)
			x.all[t] = byOwner
		}
		byOwner[s.owner] = append(byOwner[s.owner], n)
	}
}

// dismiss is the reverse of admit.
func (x *mirrorIndex) dismiss(n uint32) {
	s := x.streams[n]
	if !s.all || s.status == statusDisabled {
		return
	}
	for _, t := range s.types {
		byOwner := x.all[t]
		rest := slices.DeleteFunc(byOwner[s.owner], func(o uint32) bool { return o == n })
		if len(rest) > 0 {
			byOwner[s.owner] = rest
			continue
		}
		if delete(byOwner, s.owner); len(byOwner) == 0 {
			delete(x.all, t)
		}
	}
}

// remove makes a stream unknown and reports whether it has left postings.
func (x *mirrorIndex) remove(id string) bool {
	n, known := x.numbers[id]
	if !known {
		return false
	}
	x.dismiss(n)
	delete(x.numbers, id)
	s := x.streams[n]
	if s.postings == 0 {
		x.streams[n], x.free = nil, append(x.free, n)
		return false
	}
	s.gone = true
	return true
}

// sweep drops the postings of streams that are gone.
func (x *mirrorIndex) sweep() {
	for key := range x.first {
		x.filter(key, func(p *posting) bool { return x.streams[p.stream].gone })
	}
	for n, s := range x.streams {
		if s != nil && s.gone {
			x.streams[n], x.free = nil, append(x.free, uint32(n))
		}
	}
}
