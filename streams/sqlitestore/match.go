package sqlitestore

import (
	"context"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
)

const (
	sqlMatch = `SELECT k.stream, s.canonical FROM subject_keys k
		JOIN subjects s ON s.stream = k.stream AND s.hash = k.subject AND s.kind = k.kind
		WHERE k.hash = ? AND k.kind = 0`
	sqlExcluded = `SELECT k.stream, s.canonical FROM subject_keys k
		JOIN subjects s ON s.stream = k.stream AND s.hash = k.subject AND s.kind = k.kind
		WHERE k.hash = ? AND k.kind = 1`
)

// Match implements [streams.Matcher].
//
// Streams of all subjects are found in memory by event type and owner, the
// others in the file: simple subjects by their canonical form; complex ones by
// the set of their names and their projection on the names that the event has
// too, so with one look-up for each distinct set (docs/contracts.md §3).
func (s *Store) Match(ctx context.Context, q streams.Query) ([]streams.Candidate, error) {
	m := match{store: s, q: &q}
	for _, st := range s.index.allOf(nil, q.Type, q.Owners) {
		f := st.facts.Load()
		if f.from >= q.Seq || f.status == streams.Disabled {
			continue
		}
		m.found = append(m.found, streams.Candidate{Stream: st.id, Owner: st.owner, Epoch: f.epoch, Subject: -1})
		m.all = append(m.all, st)
		m.excluding = m.excluding || st.exclusions.Load() > 0
	}
	if len(q.Subjects) == 0 || !m.excluding && s.subjects.entries.Load() == 0 {
		return m.found, nil
	}
	if err := s.db.Read(ctx, m.read); err != nil {
		return nil, failure("match", err)
	}
	return m.found, nil
}

// match is one Match under way.
type match struct {
	store     *Store
	q         *streams.Query
	all       []*stream           // of all subjects; found begins with them
	found     []streams.Candidate // the result
	excluding bool                // one of all has exclusions
}

// read asks the file.
func (m *match) read(v *view) error {
	if m.excluding {
		if err := m.dropExcluded(v); err != nil {
			return err
		}
	}
	if m.store.subjects.entries.Load() == 0 {
		return nil
	}
	seen := make(map[int64]bool)
	for i, id := range m.q.Subjects {
		for _, k := range m.entryKeys(id) {
			if err := m.lookUp(v, k, i, id, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// entryKeys returns the keys under which entries that match id are found.
func (m *match) entryKeys(id subject.Identifier) [][]byte {
	if id.IsZero() {
		return nil
	}
	if !id.IsComplex() {
		return keysOf(id, kindEntry)
	}
	var keys [][]byte
	for _, names := range m.store.subjects.nameSets() {
		if projection := id.Project(names...); projection != "" {
			keys = append(keys, key(domainComplex, joinNames(names), projection))
		}
	}
	return keys
}

// lookUp adds the streams with an entry under k that matches id, the i-th
// subject. A hit of the hash is confirmed against the entry itself.
func (m *match) lookUp(v *view, k []byte, i int, id subject.Identifier, seen map[int64]bool) error {
	rows, err := v.Query(sqlMatch, k)
	if err != nil {
		return err
	}
	for rows.Next() {
		var num int64
		var canonical string
		if err := rows.Scan(&num, &canonical); err != nil {
			return err
		}
		if seen[num] {
			continue
		}
		matches, err := m.confirm(canonical, id)
		if err != nil {
			return err
		}
		if matches {
			seen[num] = true
			m.add(num, i)
		}
	}
	return rows.Err()
}

func (m *match) confirm(canonical string, id subject.Identifier) (bool, error) {
	if !id.IsComplex() {
		return canonical == id.Canonical(), nil
	}
	entry, err := subject.Parse([]byte(canonical))
	if err != nil {
		return false, err
	}
	return subject.DefaultMatching().Match(entry, id), nil
}

// add adds the stream if it hears of added subjects and admits the query.
func (m *match) add(num int64, i int) {
	st := m.store.index.numbered(num)
	if st == nil {
		return
	}
	f := st.facts.Load()
	if f.all || f.from >= m.q.Seq || f.status == streams.Disabled {
		return
	}
	if _, delivers := slices.BinarySearch(f.types, m.q.Type); !delivers {
		return
	}
	if m.q.Owners != nil && !slices.Contains(m.q.Owners, st.owner) {
		return
	}
	m.found = append(m.found, streams.Candidate{Stream: st.id, Owner: st.owner, Epoch: f.epoch, Subject: i})
}

// dropExcluded takes out the streams of all subjects that excluded one of the
// event's: they are all identifiers of the same subject.
func (m *match) dropExcluded(v *view) error {
	out := make(map[int64]bool)
	for _, id := range m.q.Subjects {
		for _, text := range excludingForms(id) {
			rows, err := v.Query(sqlExcluded, key(domainExclusion, text))
			if err != nil {
				return err
			}
			for rows.Next() {
				var num int64
				var canonical string
				if err := rows.Scan(&num, &canonical); err != nil {
					return err
				}
				if canonical == text {
					out[num] = true
				}
			}
			if err := rows.Err(); err != nil {
				return err
			}
		}
	}
	kept := m.found[:0]
	for i, st := range m.all {
		if !out[st.num] {
			kept = append(kept, m.found[i])
		}
	}
	m.found = kept
	return nil
}

// excludingForms returns the canonical forms of all exclusions that would
// silence an event about id: itself, and what has some of its members
// (subject.Excludes).
func excludingForms(id subject.Identifier) []string {
	if id.IsZero() {
		return nil
	}
	if !id.IsComplex() {
		return []string{id.Canonical()}
	}
	var forms []string
	form.EachSubset(id.MemberNames(), func(some []string) { forms = append(forms, id.Project(some...)) })
	return forms
}
