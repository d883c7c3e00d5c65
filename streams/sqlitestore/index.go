package sqlitestore

import (
	"slices"
	"sync"

	"github.com/tocsin-ssf/tocsin/streams"
)

// index finds the streams in memory. Safe for concurrent use.
type index struct {
	mu     sync.RWMutex
	byID   map[string]*stream
	byNum  map[int64]*stream
	owners map[string]*owned
	// all holds, by event type and owner, the streams that hear of all
	// subjects and are not disabled.
	all map[string]map[string][]*stream
}

// owned are the streams of one owner, in order of creation.
type owned struct {
	streams  []*stream
	reserved int // being created
}

func (x *index) init() {
	x.byID = make(map[string]*stream)
	x.byNum = make(map[int64]*stream)
	x.owners = make(map[string]*owned)
	x.all = make(map[string]map[string][]*stream)
}

// find returns the stream with id or ErrNotFound.
func (x *index) find(id string) (*stream, error) {
	x.mu.RLock()
	st := x.byID[id]
	x.mu.RUnlock()
	if st == nil {
		return nil, streams.ErrNotFound
	}
	return st, nil
}

// reserve keeps a place for one more stream of owner, or returns ErrConflict.
func (x *index) reserve(owner string, limit int) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	o := x.owners[owner]
	if o == nil {
		o = &owned{}
		x.owners[owner] = o
	}
	if limit > 0 && len(o.streams)+o.reserved >= limit {
		return streams.ErrConflict
	}
	o.reserved++
	return nil
}

// release gives a reserved place back.
func (x *index) release(owner string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	o := x.owners[owner]
	o.reserved--
	x.forget(owner, o)
}

// add makes st known.
func (x *index) add(st *stream) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.byID[st.id] = st
	x.byNum[st.num] = st
	o := x.owners[st.owner]
	if o == nil {
		o = &owned{}
		x.owners[st.owner] = o
	}
	at, _ := slices.BinarySearchFunc(o.streams, st.num, func(s *stream, num int64) int { return int(s.num - num) })
	o.streams = slices.Insert(o.streams, at, st)
	x.admit(st, st.facts.Load())
}

// remove makes st unknown.
func (x *index) remove(st *stream) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.byID, st.id)
	delete(x.byNum, st.num)
	o := x.owners[st.owner]
	o.streams = slices.DeleteFunc(o.streams, func(s *stream) bool { return s == st })
	x.forget(st.owner, o)
	x.dismiss(st, st.facts.Load())
}

// change replaces the facts of st.
func (x *index) change(st *stream, f *facts) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dismiss(st, st.facts.Load())
	st.facts.Store(f)
	x.admit(st, f)
}

func (x *index) forget(owner string, o *owned) {
	if o.reserved == 0 && len(o.streams) == 0 {
		delete(x.owners, owner)
	}
}

// admit enters st where an event looks for streams of all subjects.
func (x *index) admit(st *stream, f *facts) {
	if !f.all || f.status == streams.Disabled {
		return
	}
	for _, typ := range f.types {
		byOwner := x.all[typ]
		if byOwner == nil {
			byOwner = make(map[string][]*stream)
			x.all[typ] = byOwner
		}
		byOwner[st.owner] = append(byOwner[st.owner], st)
	}
}

// dismiss is the reverse of admit.
func (x *index) dismiss(st *stream, f *facts) {
	for _, typ := range f.types {
		byOwner := x.all[typ]
		rest := slices.DeleteFunc(byOwner[st.owner], func(s *stream) bool { return s == st })
		switch {
		case len(rest) > 0:
			byOwner[st.owner] = rest
		case len(byOwner) > 1:
			delete(byOwner, st.owner)
		default:
			if byOwner[st.owner] != nil {
				delete(x.all, typ)
			}
		}
	}
}

// allOf appends the streams of all subjects that deliver typ and belong to
// owners (nil: any).
func (x *index) allOf(dst []*stream, typ string, owners []string) []*stream {
	x.mu.RLock()
	defer x.mu.RUnlock()
	byOwner := x.all[typ]
	if owners == nil {
		for _, list := range byOwner {
			dst = append(dst, list...)
		}
		return dst
	}
	for _, o := range owners {
		dst = append(dst, byOwner[o]...)
	}
	return dst
}

// numbered returns the stream with the number; nil if it is gone.
func (x *index) numbered(num int64) *stream {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byNum[num]
}

// snapshot returns all streams.
func (x *index) snapshot() []*stream {
	x.mu.RLock()
	defer x.mu.RUnlock()
	list := make([]*stream, 0, len(x.byID))
	for _, st := range x.byID {
		list = append(list, st)
	}
	return list
}

// owning returns the owners that have a stream.
func (x *index) owning() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	list := make([]string, 0, len(x.owners))
	for owner, o := range x.owners {
		if len(o.streams) > 0 {
			list = append(list, owner)
		}
	}
	return list
}

// of returns the streams of owner, in order of creation.
func (x *index) of(owner string) []*stream {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if o := x.owners[owner]; o != nil {
		return slices.Clone(o.streams)
	}
	return nil
}
