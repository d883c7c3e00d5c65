package sessions

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// shards is how many parts the state has, each with a lock of its own, so that
// checks do not wait for each other and for changes only of their part.
const shards = 64

// sweeps is how often within a retention a part is rid of what has expired.
const sweeps = 16

// State is the revocations in memory, which a Gate reads. A backend fills it: with
// Load or Apply, after the change is as durable as it promises.
type State struct {
	cfg    RevocationsConfig
	parts  [shards]part
	marks  atomic.Int64
	asOf   atomic.Int64 // microseconds; live while it is always
	remote bool
}

// part holds the clauses of which the first digest falls to it.
type part struct {
	mu     sync.RWMutex
	simple map[Digest]simpleMark
	wide   map[Digest][]wideMark // of clauses of several digests, by the first
	swept  int64
}

// simpleMark is the mark of a clause of one digest. Small and without pointers, since
// there may be millions.
type simpleMark struct {
	until, since int64
	version      uint64
	denied, wide bool // wide: part.wide has clauses, too
}

// wideMark is the mark of a clause of several digests.
type wideMark struct {
	rest    []Digest
	mark    Mark
	version uint64
}

// NewState returns an empty state. remote says that it follows a store that others
// write to: it is current only as far as Current was told.
func NewState(cfg RevocationsConfig, remote bool) (*State, error) {
	cfg, err := cfg.Filled()
	if err != nil {
		return nil, err
	}
	s := &State{cfg: cfg, remote: remote}
	for i := range s.parts {
		s.parts[i].simple, s.parts[i].wide = make(map[Digest]simpleMark), make(map[Digest][]wideMark)
		s.parts[i].swept = cfg.Now().UnixMicro()
	}
	s.asOf.Store(Never)
	return s, nil
}

// setBack is how far ahead of the clock the time of what is known may be: more, and the
// clock was set back.
const setBack = time.Second

// Current notes that the state of a remote store is known as it was at that time.
func (s *State) Current(at time.Time) {
	for {
		before := s.asOf.Load()
		newer := at.UnixMicro() > before || before != Never && before-at.UnixMicro() > setBack.Microseconds()
		if !newer || s.asOf.CompareAndSwap(before, at.UnixMicro()) {
			return
		}
	}
}

// Lag returns how old what is known may be at now: zero for a state that is not remote;
// false if nothing is known yet, or nothing since the clock was set back.
func (s *State) Lag(now time.Time) (time.Duration, bool) {
	if !s.remote {
		return 0, true
	}
	asOf := s.asOf.Load()
	if asOf == Never || asOf-now.UnixMicro() > setBack.Microseconds() {
		return 0, false
	}
	return max(0, time.Duration(now.UnixMicro()-asOf)*time.Microsecond), true
}

// Len returns how many marks are kept, expired ones included until they are swept.
func (s *State) Len() int { return int(s.marks.Load()) }

// Mark returns what is kept of a valid clause, NoMark if nothing.
func (s *State) Mark(c Clause) Mark {
	digests := c.Digests()
	p := s.part(digests[0])
	p.mu.RLock()
	defer p.mu.RUnlock()
	mark, _, _ := p.find(digests)
	return mark
}

// Room reports whether changes fit; ErrFull if not.
func (s *State) Room(changes []Change) error {
	if s.fits(changes) {
		return nil
	}
	now := s.cfg.Now().UnixMicro()
	for i := range s.parts {
		p := &s.parts[i]
		p.mu.Lock()
		if now-p.swept > time.Second.Microseconds() {
			s.sweep(p, now)
		}
		p.mu.Unlock()
	}
	if s.fits(changes) {
		return nil
	}
	return ErrFull
}

func (s *State) fits(changes []Change) bool {
	more := 0
	for _, c := range changes {
		if s.Mark(c.Clause) == NoMark() {
			more++
		}
	}
	return more == 0 || s.Len()+more <= s.cfg.MaxMarks
}

// Apply keeps the mark of a clause unless a higher version of it is there: what a
// store's own order says last holds. One version for all is the order of the calls.
// The caller has asked for Room.
func (s *State) Apply(c Clause, mark Mark, version uint64) {
	if !c.Valid() {
		return
	}
	now, digests := s.cfg.Now().UnixMicro(), c.Digests()
	p := s.part(digests[0])
	p.mu.Lock()
	defer p.mu.Unlock()
	if now-p.swept > s.cfg.Retention.Microseconds()/sweeps {
		s.sweep(p, now)
	}
	s.marks.Add(p.put(digests, mark, version))
}

func (s *State) part(d Digest) *part { return &s.parts[d[0]%shards] }

// find returns the mark of exactly these digests, its version, and whether there is one.
func (p *part) find(digests []Digest) (Mark, uint64, bool) {
	if len(digests) == 1 {
		m, ok := p.simple[digests[0]]
		if !ok {
			return NoMark(), 0, false
		}
		return Mark{m.until, m.since, m.denied}, m.version, m.until != Never || m.since != Never
	}
	for _, w := range p.wide[digests[0]] {
		if slices.Equal(w.rest, digests[1:]) {
			return w.mark, w.version, true
		}
	}
	return NoMark(), 0, false
}

// put keeps a mark and returns how many more there are.
func (p *part) put(digests []Digest, mark Mark, version uint64) int64 {
	_, have, found := p.find(digests)
	if found && have > version {
		return 0
	}
	first := digests[0]
	simple, ok := p.simple[first]
	if !ok {
		simple = simpleMark{until: Never, since: Never}
	}
	if len(digests) == 1 {
		p.simple[first] = simpleMark{mark.Until, mark.Since, version, mark.Denied, simple.wide}
		if found {
			return 0
		}
		return 1
	}
	simple.wide = true
	p.simple[first] = simple
	for i, w := range p.wide[first] {
		if slices.Equal(w.rest, digests[1:]) {
			p.wide[first][i].mark, p.wide[first][i].version = mark, version
			return 0
		}
	}
	p.wide[first] = append(p.wide[first], wideMark{slices.Clone(digests[1:]), mark, version})
	return 1
}

// sweep drops what has expired. The part is locked.
func (s *State) sweep(p *part, now int64) {
	p.swept = now
	gone := func(m Mark) bool {
		at := m.Expires(s.cfg.Retention)
		return at != Never && at < now
	}
	for first, list := range p.wide {
		left := slices.DeleteFunc(list, func(w wideMark) bool { return gone(w.mark) })
		s.marks.Add(int64(len(left) - len(list)))
		if p.wide[first] = left; len(left) == 0 {
			delete(p.wide, first)
		}
	}
	for first, m := range p.simple {
		_, wide := p.wide[first]
		kept := m.until != Never || m.since != Never
		if kept && gone(Mark{m.until, m.since, m.denied}) {
			s.marks.Add(-1)
			m, kept = simpleMark{until: Never, since: Never}, false
		}
		if m.wide = wide; !kept && !wide {
			delete(p.simple, first)
			continue
		}
		p.simple[first] = m
	}
}

// look reports what holds for a session of these digests that began at begun
// (microseconds): denied, ended, or nothing. It does not allocate.
func (s *State) look(keys []Digest, begun int64) (denied, ended bool) {
	for _, key := range keys {
		p := s.part(key)
		p.mu.RLock()
		m, ok := p.simple[key]
		if ok {
			denied = denied || m.denied
			ended = ended || m.until >= begun
			if m.wide {
				wideDenied, wideEnded := lookWide(p.wide[key], keys, begun)
				denied, ended = denied || wideDenied, ended || wideEnded
			}
		}
		p.mu.RUnlock()
	}
	return denied, ended
}

func lookWide(list []wideMark, keys []Digest, begun int64) (denied, ended bool) {
	for i := range list {
		w := &list[i]
		if !w.mark.Denied && w.mark.Until < begun || !containsAll(keys, needed(w.rest)) {
			continue
		}
		denied, ended = denied || w.mark.Denied, ended || w.mark.Until >= begun
	}
	return denied, ended
}

func containsAll(keys, wanted []Digest) bool {
	for _, d := range wanted {
		if !slices.Contains(keys, d) {
			return false
		}
	}
	return true
}
