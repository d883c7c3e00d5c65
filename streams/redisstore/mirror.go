package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

const (
	// mirrorAge is how old what a mirror knows may be, whatever its queries say.
	mirrorAge = time.Second
	// mirrorFull is how long a mirror may rest on the feed's last entry alone (tails)
	// before it looks by the script, which keeps the feed alive: a sixth of LIFE in
	// lua/changes.lua.
	mirrorFull = 5 * time.Minute
	// mirrorRest is how long a partition that is too large is not loaded again.
	mirrorRest = time.Minute
	// loadPage is how many subjects are loaded at a time, and about how many streams.
	loadPage = 2048
)

// DefaultMaxIndex is the bound of subjects in memory if Config names none: about 120 MiB.
const DefaultMaxIndex = 2_000_000

// errGap: what changed since the last look cannot be told any more.
var errGap = errors.New("redisstore: changes are missing")

// errLarge: the partition has more than may be in memory.
var errLarge = errors.New("redisstore: too large for memory")

// mirror is what Match needs of a partition, in the memory of who holds it. It has digests
// of subjects, not the subjects.
//
// It follows the partition's feed of changes (lua/changes.lua), to which every change is
// told in the script that makes it: so one look, made when a query names a record later
// than those of before, brings all that was changed before that record was appended. A
// place in the feed is an entry that has to be there still, as it was: if it was cut off,
// or a failover took it back, all is loaded anew. Where that entry is still the last, no
// look is needed, and the mirrors of a process learn that together (tails). Loading goes page by page, one at each
// query, which is answered by the script meanwhile.
type mirror struct {
	s    *Store
	r    request
	turn chan struct{} // held while it is looked at or changed

	ended bool
	place string // in the feed; empty: nothing is loaded
	stage string // of loading; empty: all is loaded
	after string // from where on it is loaded
	index mirrorIndex
	head  uint64    // what was changed before this record is known
	at    time.Time // of the last look
	full  time.Time // of the last look by the script
	rest  time.Time // not to be loaded before
	told  bool      // that it is too large
}

func newMirror(s *Store, r request) *mirror {
	s.tails.join(r.part)
	return &mirror{s: s, r: r, turn: make(chan struct{}, 1)}
}

// match is Match in the partition.
func (m *mirror) match(ctx context.Context, q *streams.Query) ([]streams.Candidate, error) {
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	current, err := m.current(ctx, max(q.Head, q.Seq))
	if err == nil && current {
		defer m.release()
		return m.index.match(q), nil
	}
	m.release()
	if err != nil {
		return nil, err
	}
	return m.s.match(ctx, m.r, q)
}

func (m *mirror) release() { <-m.turn }

// end drops what is in memory; the mirror is none any more.
func (m *mirror) end() {
	m.turn <- struct{}{}
	defer m.release()
	m.ended = true
	m.s.tails.leave(m.r.part)
	m.drop()
}

func (m *mirror) drop() {
	m.s.indexed.Add(-int64(m.index.size()))
	m.index = mirrorIndex{}
	m.place, m.stage, m.after, m.head = "", "", "", 0
}

// current looks, if need be, and reports whether the mirror knows what was changed before
// the record head was appended.
func (m *mirror) current(ctx context.Context, head uint64) (bool, error) {
	now := time.Now()
	switch {
	case m.ended || now.Before(m.rest):
		return false, nil
	case m.place != "" && m.stage == "" && head <= m.head && now.Sub(m.at) < m.s.mirrorAge:
		return true, nil
	case m.place != "" && m.stage == "" && now.Sub(m.full) < mirrorFull && m.unchanged(ctx, head):
		return true, nil
	}
	size := m.index.size()
	err := m.look(ctx)
	m.s.indexed.Add(int64(m.index.size() - size))
	switch {
	case errors.Is(err, errGap):
		m.drop()
		return false, nil
	case errors.Is(err, errLarge) || err == nil && m.s.indexed.Load() > int64(m.s.cfg.MaxIndex):
		m.drop()
		m.rest = now.Add(mirrorRest)
		if !m.told {
			m.told = true
			m.s.log.WarnContext(ctx, "a partition has more subjects than may be kept in memory: the server is asked about each event",
				"partition", m.r.part, "max_index", m.s.cfg.MaxIndex)
		}
		return false, nil
	case err != nil:
		return false, err
	}
	m.head, m.at, m.full = max(m.head, head), now, now
	return m.stage == "", nil
}

// unchanged reports whether nothing was changed before the record head was appended that
// the mirror does not know. A failure of the server is none here: the look that follows
// meets it.
func (m *mirror) unchanged(ctx context.Context, head uint64) bool {
	place, at, err := m.s.tails.of(ctx, m.r.part, head, m.s.mirrorAge)
	if err != nil || place != m.place {
		return false
	}
	m.head, m.at = max(m.head, head), at
	return true
}

// look brings the mirror up to date, and loads a page if it is not loaded. After an error
// it is as before.
func (m *mirror) look(ctx context.Context) error {
	place, stage := m.place, m.stage
	if place == "" {
		m.index.init()
		stage, m.after = "streams", "0"
	}
	var changes []change
	var changed []any // streams
	for {
		args := []any{place, rand.Text(), maxBatch, m.index.namesNumber, stage, m.after, m.s.loadPage, m.index.typesNumber}
		answer, err := m.s.call(ctx, m.r, m.s.scripts.look, append(args, changed...)...)
		if err != nil {
			return err
		}
		seen, err := sightOf(answer)
		if err != nil {
			return err
		}
		changes = append(changes, seen.changes...)
		place = seen.place
		if !seen.more {
			if m.place == "" && m.s.indexed.Load()+seen.size > int64(m.s.cfg.MaxIndex) {
				return errLarge
			}
			m.index.apply(seen, changes)
			m.place, m.stage, m.after = place, seen.stage, seen.after
			return nil
		}
		for _, c := range seen.changes {
			if c.what == changeStream {
				changed = append(changed, c.stream)
			}
		}
	}
}
