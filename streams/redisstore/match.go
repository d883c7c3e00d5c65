package redisstore

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// matchPage bounds the candidates that one script looks at.
const matchPage = 512

// nameSets are the sets of member names that complex subjects of a partition have, as this
// process last heard of them. A script that is asked with an old number answers with the
// sets as they are.
type nameSets struct {
	mu     sync.Mutex
	number string
	list   [][]string
}

func (x *nameSets) get() (string, [][]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.number == "" {
		return "0", nil
	}
	return x.number, x.list
}

func (x *nameSets) set(number string, sets []any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.number, x.list = number, make([][]string, len(sets))
	for i, names := range sets {
		x.list[i] = splitNames(redisdb.Text(names))
	}
}

// Match implements [streams.Matcher]: in all partitions, one after the
// other. A follower asks for its partition alone.
func (s *Store) Match(ctx context.Context, q streams.Query) ([]streams.Candidate, error) {
	var all []streams.Candidate
	for n := range streams.Partitions {
		found, err := s.match(ctx, request{part: n}, &q)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// match is Match in a partition: streams of all subjects are found by event type and
// owner, the others by what they registered (docs/contracts.md §3).
func (s *Store) match(ctx context.Context, r request, q *streams.Query) ([]streams.Candidate, error) {
	m := matching{q: q, seen: make(map[string]bool), lookUp: "1"}
	for {
		number, keys := s.matchKeys(r.part, q)
		answer, err := s.call(ctx, r, s.scripts.match, m.args(number, keys)...)
		if err != nil {
			return nil, err
		}
		list, err := redisdb.List(answer)
		if err != nil || len(list) < 2 {
			return nil, redisdb.ErrAnswer
		}
		if redisdb.Text(list[0]) == "names" {
			s.nameSets[r.part].set(redisdb.Text(list[1]), list[2:])
			m = matching{q: q, seen: make(map[string]bool), lookUp: "1"}
			continue
		}
		if more, err := m.take(list); err != nil || !more {
			return m.found, err
		}
	}
}

// lookUp is a key under which entries that match are found.
type lookUp struct {
	subject int // its index in the query
	key     string
}

// matchKeys returns the keys to look up, and the number of the sets of names that they
// were made for: empty if that makes no difference.
func (s *Store) matchKeys(part int, q *streams.Query) (number string, keys []lookUp) {
	var sets [][]string
	if slices.ContainsFunc(q.Subjects, subject.Identifier.IsComplex) {
		number, sets = s.nameSets[part].get()
	}
	return number, lookUps(q.Subjects, sets)
}

// lookUps returns the keys under which entries that match the subjects are found, where
// complex entries have these sets of member names.
func lookUps(subjects []subject.Identifier, sets [][]string) (keys []lookUp) {
	for i, id := range subjects {
		switch {
		case id.IsZero():
		case !id.IsComplex():
			keys = append(keys, lookUp{i, keysOf(id, kindEntry)[0]})
		default:
			for _, names := range sets {
				if projection := id.Project(names...); projection != "" {
					keys = append(keys, lookUp{i, key(domainComplex, joinNames(names), projection)})
				}
			}
		}
	}
	return keys
}

// excludingKeys returns the keys of all exclusions that would silence an event about one of
// the subjects, which are all of the same: each itself, and what has some of its members
// (subject.Excludes).
func excludingKeys(subjects []subject.Identifier) []any {
	var keys []any
	for _, id := range subjects {
		switch {
		case id.IsZero():
		case !id.IsComplex():
			keys = append(keys, key(domainExclusion, id.Canonical()))
		default:
			form.EachSubset(id.MemberNames(), func(some []string) { keys = append(keys, key(domainExclusion, id.Project(some...))) })
		}
	}
	return keys
}

// matching is a match under way.
type matching struct {
	q             *streams.Query
	lookUp, after string // where to go on
	seen          map[string]bool
	found         []streams.Candidate
}

// args are the arguments of lua/match.lua.
func (m *matching) args(number string, keys []lookUp) []any {
	args := []any{number, m.q.Seq, m.q.Type, matchPage, m.lookUp, m.after}
	if m.q.Owners == nil {
		args = append(args, "-")
	} else {
		args = append(args, len(m.q.Owners))
		for _, o := range m.q.Owners {
			args = append(args, o)
		}
	}
	excluding := excludingKeys(m.q.Subjects)
	args = append(append(args, len(excluding)), excluding...)
	args = append(args, len(keys))
	for _, k := range keys {
		args = append(args, k.subject, k.key)
	}
	return args
}

// take adds what a script found and reports whether there is more.
func (m *matching) take(list []any) (more bool, err error) {
	if len(list) < 3 || len(list)%4 != 3 {
		return false, redisdb.ErrAnswer
	}
	m.lookUp, m.after = redisdb.Text(list[1]), redisdb.Text(list[2])
	for i := 3; i < len(list); i += 4 {
		c := streams.Candidate{Stream: redisdb.Text(list[i]), Owner: redisdb.Text(list[i+1]), Subject: int(redisdb.Number(list[i+3]))}
		if c.Epoch, err = strconv.ParseUint(redisdb.Text(list[i+2]), 10, 64); err != nil {
			return false, redisdb.ErrAnswer
		}
		if !m.seen[c.Stream] {
			m.seen[c.Stream] = true
			m.found = append(m.found, c)
		}
	}
	return m.lookUp != "", nil
}
