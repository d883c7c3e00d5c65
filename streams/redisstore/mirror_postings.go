package redisstore

import (
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// digestOfKey takes the 16 bytes of a key; shorter ones are of nothing.
func digestOfKey(key string) (d digest) {
	copy(d[:], key)
	return d
}

// add adds a posting, unless it is there or its stream is gone.
func (x *mirrorIndex) add(key, kind, stream, tail string) {
	n, known := x.numbers[stream]
	if !known {
		return
	}
	k, t := digestOfKey(key), digestOfKey(tail)
	first := x.first[k]
	for i := first; i != 0; i = x.postings[i-1].next {
		if p := &x.postings[i-1]; p.stream == n && p.tail == t {
			return
		}
	}
	at := x.unused
	if at == 0 {
		x.postings = append(x.postings, posting{})
		at = uint32(len(x.postings))
	} else {
		x.unused = x.postings[at-1].next
	}
	x.postings[at-1] = posting{tail: t, stream: n, exclusion: kind == kindExclusion, next: first}
	x.first[k] = at
	x.count(n, kind == kindExclusion, 1)
}

// take takes a posting away.
func (x *mirrorIndex) take(key, stream, tail string) {
	if n, known := x.numbers[stream]; known {
		t := digestOfKey(tail)
		x.filter(digestOfKey(key), func(p *posting) bool { return p.stream == n && p.tail == t })
	}
}

// filter drops the postings of a key that are meant.
func (x *mirrorIndex) filter(key digest, meant func(*posting) bool) {
	before := uint32(0)
	for i := x.first[key]; i != 0; {
		p := &x.postings[i-1]
		next := p.next
		switch {
		case !meant(p):
			before = i
			i = next
			continue
		case before != 0:
			x.postings[before-1].next = next
		case next != 0:
			x.first[key] = next
		default:
			delete(x.first, key)
		}
		x.count(p.stream, p.exclusion, -1)
		*p = posting{next: x.unused}
		x.unused = i
		i = next
	}
}

func (x *mirrorIndex) count(stream uint32, exclusion bool, by int) {
	x.streams[stream].postings += by
	if exclusion {
		x.exclusions += by
	} else {
		x.entries += by
	}
}

// match answers a query as lua/match.lua does.
func (x *mirrorIndex) match(q *streams.Query) []streams.Candidate {
	eventType, known := x.types[q.Type]
	if !known {
		return nil
	}
	found := x.matchAll(q, eventType)
	if x.entries == 0 {
		return found
	}
	x.asked++
	for _, up := range lookUps(q.Subjects, x.names) {
		for i := x.first[digestOfKey(up.key)]; i != 0; i = x.postings[i-1].next {
			s := x.streams[x.postings[i-1].stream]
			if s.all || s.found == x.asked || !s.admits(q) || !s.delivers(eventType) || q.Owners != nil && !slices.Contains(q.Owners, s.owner) {
				continue
			}
			s.found = x.asked
			found = append(found, streams.Candidate{Stream: s.id, Owner: s.owner, Epoch: s.epoch, Subject: up.subject})
		}
	}
	return found
}

// matchAll finds the streams of all subjects.
func (x *mirrorIndex) matchAll(q *streams.Query, eventType uint32) (found []streams.Candidate) {
	byOwner := x.all[eventType]
	if len(byOwner) == 0 {
		return nil
	}
	var excluded map[uint32]bool
	if x.exclusions > 0 {
		excluded = x.excluded(q.Subjects)
	}
	add := func(list []uint32) {
		for _, n := range list {
			if s := x.streams[n]; s.admits(q) && !excluded[n] {
				found = append(found, streams.Candidate{Stream: s.id, Owner: s.owner, Epoch: s.epoch, Subject: -1})
			}
		}
	}
	if q.Owners == nil {
		for _, list := range byOwner {
			add(list)
		}
		return found
	}
	for i, owner := range q.Owners {
		if !slices.Contains(q.Owners[:i], owner) {
			add(byOwner[owner])
		}
	}
	return found
}

// excluded returns the streams that excluded one of the subjects.
func (x *mirrorIndex) excluded(subjects []subject.Identifier) map[uint32]bool {
	out := make(map[uint32]bool)
	for _, key := range excludingKeys(subjects) {
		for i := x.first[digestOfKey(redisdb.Text(key))]; i != 0; i = x.postings[i-1].next {
			out[x.postings[i-1].stream] = true
		}
	}
	return out
}

// admits reports whether a stream may hear of an event at the query's place.
func (s *mirrored) admits(q *streams.Query) bool {
	return !s.gone && s.status != statusDisabled && s.from < q.Seq
}

func (s *mirrored) delivers(eventType uint32) bool {
	_, ok := slices.BinarySearch(s.types, eventType)
	return ok
}
