package sqlitestore

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// MaxNameSets bounds the distinct sets of member names among all complex
// subjects of all streams: an event with a complex subject costs one look-up
// for each that it shares a name with.
const MaxNameSets = 256

// MaxNameSetsOfOwner bounds those that one owner brought in, so that it cannot
// use up all.
const MaxNameSetsOfOwner = 16

// Kinds of an entry in the table of subjects.
const (
	kindEntry     = 0
	kindExclusion = 1
)

const (
	sqlSubjectCounts = `SELECT entries + exclusions FROM states WHERE stream = ?`
	sqlHasSubject    = `SELECT 1 FROM subjects WHERE stream = ? AND hash = ? AND kind = ?`
	sqlAddSubject    = `INSERT INTO subjects (stream, hash, kind, canonical, names) VALUES (?, ?, ?, ?, ?)`
	sqlRemoveSubject = `DELETE FROM subjects WHERE stream = ? AND hash = ? AND kind = ?`
	sqlAddKey        = `INSERT INTO subject_keys (hash, stream, subject, kind) VALUES (?, ?, ?, ?)`
	sqlRemoveKey     = `DELETE FROM subject_keys WHERE hash = ? AND stream = ? AND subject = ? AND kind = ?`
	sqlCount         = `UPDATE states SET entries = entries + ?, exclusions = exclusions + ? WHERE stream = ?`
	sqlNameSets      = `SELECT names, entries FROM name_sets`
	sqlHasNames      = `SELECT count(*) FROM name_sets WHERE names = ?`
	sqlAllNames      = `SELECT count(*), coalesce(sum(owner = ?), 0) FROM name_sets`
	sqlCountNames    = `INSERT INTO name_sets (names, entries, owner) VALUES (?, ?, ?) ON CONFLICT (names) DO UPDATE SET entries = entries + excluded.entries`
	sqlForgetNames   = `DELETE FROM name_sets WHERE names = ? AND entries <= 0`
)

// nameSet is a set of member names, sorted and joined, and by how much the
// number of its entries changed.
type nameSet struct {
	names string
	by    int64
}

// subjectIndex is what a Match must know before it asks the file.
type subjectIndex struct {
	entries    atomic.Int64 // of all streams
	exclusions atomic.Int64

	mu   sync.RWMutex
	sets map[string]int64 // entries by set of names
	list [][]string       // the sets, split
}

func (x *subjectIndex) init() { x.sets = make(map[string]int64) }

func (x *subjectIndex) load(v *view) error {
	rows, err := v.Query(sqlNameSets)
	if err != nil {
		return err
	}
	var sets []nameSet
	for rows.Next() {
		var n nameSet
		if err := rows.Scan(&n.names, &n.by); err != nil {
			return err
		}
		sets = append(sets, n)
	}
	x.change(sets)
	return rows.Err()
}

// count adds to the numbers of entries and exclusions.
func (x *subjectIndex) count(entries, exclusions int64) {
	x.entries.Add(entries)
	x.exclusions.Add(exclusions)
}

// change applies changes of the sets of names.
func (x *subjectIndex) change(sets []nameSet) {
	if len(sets) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, n := range sets {
		if x.sets[n.names] += n.by; x.sets[n.names] <= 0 {
			delete(x.sets, n.names)
		}
	}
	x.list = make([][]string, 0, len(x.sets))
	for names := range x.sets {
		x.list = append(x.list, splitNames(names))
	}
}

// nameSets returns the distinct sets of names; not to be changed.
func (x *subjectIndex) nameSets() [][]string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.list
}

// admitNames returns the error of a new set of names where there are too many.
func admitNames(t *tx, owner, names string) error {
	var known, all, own int64
	if err := t.QueryRow(sqlHasNames, names).Scan(&known); err != nil || known > 0 {
		return err
	}
	if err := t.QueryRow(sqlAllNames, owner).Scan(&all, &own); err != nil {
		return err
	}
	if all >= MaxNameSets || own >= MaxNameSetsOfOwner {
		return streams.ErrFullNames
	}
	return nil
}

// joinNames makes one text of names. What is found by it is compared with the
// entry itself, so that odd names can do no harm.
func joinNames(names []string) string { return strings.Join(names, "\x00") }

func splitNames(names string) []string { return strings.Split(names, "\x00") }

// key is what subjects are looked up by: 16 bytes of SHA-256 over texts.
func key(texts ...string) []byte {
	h := sha256.New()
	for _, t := range texts {
		h.Write([]byte(t))
		h.Write([]byte{0})
	}
	return h.Sum(nil)[:16]
}

// Domains of key.
const (
	domainSimple    = "simple"
	domainComplex   = "complex"
	domainExclusion = "exclusion"
)

// keysOf returns the keys under which an event finds id: one, or for a complex
// entry one for each way in which an event can share members with it.
func keysOf(id subject.Identifier, kind int) [][]byte {
	switch {
	case kind == kindExclusion:
		return [][]byte{key(domainExclusion, id.Canonical())}
	case !id.IsComplex():
		return [][]byte{key(domainSimple, id.Canonical())}
	}
	names := id.MemberNames()
	set := joinNames(names)
	var keys [][]byte
	form.EachSubset(names, func(some []string) {
		keys = append(keys, key(domainComplex, set, id.Project(some...)))
	})
	return keys
}

// subjectChange is what a call of Add or Remove did.
type subjectChange struct {
	entries, exclusions int64
	sets                []nameSet
	err                 error // of the contract: nothing was changed
}

// Add implements [streams.Subjects].
func (s *Store) Add(ctx context.Context, id string, sub subject.Identifier, limit int) error {
	return s.changeSubjects(ctx, id, func(t *tx, st *stream, c *subjectChange) error {
		if st.facts.Load().all {
			n, err := erase(t, st.num, sub, kindExclusion, c)
			if err != nil || n {
				return err
			}
		}
		return s.enterSubject(t, st, sub, kindEntry, limit, c)
	})
}

// Remove implements [streams.Subjects].
func (s *Store) Remove(ctx context.Context, id string, sub subject.Identifier, limit int) error {
	return s.changeSubjects(ctx, id, func(t *tx, st *stream, c *subjectChange) error {
		if !st.facts.Load().all {
			_, err := erase(t, st.num, sub, kindEntry, c)
			return err
		}
		if err := s.enterSubject(t, st, sub, kindExclusion, limit, c); err != nil || c.err != nil {
			return err
		}
		_, err := erase(t, st.num, sub, kindEntry, c)
		return err
	})
}

// SubjectCount implements [streams.Subjects].
func (s *Store) SubjectCount(_ context.Context, id string) (int, error) {
	st, err := s.index.find(id)
	if err != nil {
		return 0, err
	}
	return int(st.entries.Load() + st.exclusions.Load()), nil
}

// changeSubjects runs fn in a transaction and makes what it did count.
func (s *Store) changeSubjects(ctx context.Context, id string, fn func(*tx, *stream, *subjectChange) error) error {
	st, err := s.index.find(id)
	if err != nil {
		return err
	}
	var c subjectChange
	err = s.db.WriteFull(ctx, func(t *tx) error {
		c = subjectChange{}
		if err := fn(t, st, &c); err != nil || c.err != nil {
			return err
		}
		if c.entries == 0 && c.exclusions == 0 {
			return nil
		}
		for _, n := range c.sets {
			if _, err := t.Exec(sqlCountNames, n.names, n.by, st.owner); err != nil {
				return err
			}
			if _, err := t.Exec(sqlForgetNames, n.names); err != nil {
				return err
			}
		}
		n, err := change(t, sqlCount, c.entries, c.exclusions, st.num)
		if err == nil && n == 0 {
			err = streams.ErrNotFound // deleted meanwhile
		}
		return err
	})
	if err == nil {
		err = c.err
	}
	if err != nil {
		return failure("change subjects", err)
	}
	st.entries.Add(c.entries)
	st.exclusions.Add(c.exclusions)
	s.subjects.count(c.entries, c.exclusions)
	s.subjects.change(c.sets)
	return nil
}

// enterSubject writes an entry or exclusion unless there is an equal one.
func (s *Store) enterSubject(t *tx, st *stream, sub subject.Identifier, kind, limit int, c *subjectChange) error {
	num, hash := st.num, key(sub.Canonical())
	var n int64
	switch err := t.QueryRow(sqlHasSubject, num, hash, kind).Scan(&n); {
	case err == nil:
		return nil
	case !errors.Is(err, sqlitedb.ErrNoRows):
		return err
	}
	if err := t.QueryRow(sqlSubjectCounts, num).Scan(&n); err != nil {
		if errors.Is(err, sqlitedb.ErrNoRows) {
			c.err = streams.ErrNotFound
			return nil
		}
		return err
	}
	if limit > 0 && n >= int64(limit) {
		c.err = streams.ErrFull
		return nil
	}
	var stored any
	if kind == kindEntry && sub.IsComplex() {
		names := joinNames(sub.MemberNames())
		if err := admitNames(t, st.owner, names); err != nil {
			return err
		}
		stored = names
		c.sets = append(c.sets, nameSet{names, 1})
	}
	if _, err := t.Exec(sqlAddSubject, num, hash, kind, sub.Canonical(), stored); err != nil {
		return err
	}
	for _, k := range keysOf(sub, kind) {
		if _, err := t.Exec(sqlAddKey, k, num, hash, kind); err != nil {
			return err
		}
	}
	c.add(kind, 1)
	return nil
}

// erase deletes an equal entry or exclusion and reports whether there was one.
func erase(t *tx, num int64, sub subject.Identifier, kind int, c *subjectChange) (bool, error) {
	hash := key(sub.Canonical())
	n, err := change(t, sqlRemoveSubject, num, hash, kind)
	if err != nil || n == 0 {
		return false, err
	}
	for _, k := range keysOf(sub, kind) {
		if _, err := t.Exec(sqlRemoveKey, k, num, hash, kind); err != nil {
			return false, err
		}
	}
	if kind == kindEntry && sub.IsComplex() {
		c.sets = append(c.sets, nameSet{joinNames(sub.MemberNames()), -1})
	}
	c.add(kind, -1)
	return true, nil
}

func (c *subjectChange) add(kind int, n int64) {
	if kind == kindExclusion {
		c.exclusions += n
	} else {
		c.entries += n
	}
}

// sweepSubjects erases up to max subjects of a deleted stream.
func sweepSubjects(t *tx, num int64, max int) (swept int, sets []nameSet, err error) {
	rows, err := t.Query(`SELECT canonical, kind FROM subjects WHERE stream = ? LIMIT ?`, num, max)
	if err != nil {
		return 0, nil, err
	}
	var c subjectChange
	type row struct {
		sub  subject.Identifier
		kind int
	}
	var list []row
	for rows.Next() {
		var canonical []byte
		var r row
		if err := rows.Scan(&canonical, &r.kind); err != nil {
			return 0, nil, err
		}
		if r.sub, err = subject.Parse(slices.Clone(canonical)); err != nil {
			return 0, nil, err
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return 0, nil, err
	}
	for _, r := range list {
		if _, err := erase(t, num, r.sub, r.kind, &c); err != nil {
			return 0, nil, err
		}
	}
	for _, n := range c.sets {
		if _, err := t.Exec(sqlCountNames, n.names, n.by, ""); err != nil {
			return 0, nil, err
		}
		if _, err := t.Exec(sqlForgetNames, n.names); err != nil {
			return 0, nil, err
		}
	}
	return len(list), c.sets, nil
}
