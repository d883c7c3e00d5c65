package redisstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// MaxNameSets bounds the distinct sets of member names among the complex subjects of a
// partition: an event with a complex subject costs one look-up for each that it shares a
// name with.
const MaxNameSets = 256

// MaxNameSetsOfOwner bounds those that one owner brought in, so that it cannot use up all.
const MaxNameSetsOfOwner = 16

// Kinds of a subject of a stream (lua/subject.lua).
const (
	kindEntry     = "e"
	kindExclusion = "x"
)

// key is what subjects are looked up by: 16 bytes of SHA-256 over texts, so that equal
// keys mean equal texts.
func key(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		h.Write([]byte(t))
		h.Write([]byte{0})
	}
	return string(h.Sum(nil)[:16])
}

// Domains of key.
const (
	domainSimple    = "simple"
	domainComplex   = "complex"
	domainExclusion = "exclusion"
)

// namesSeparator joins the member names of a set; none has it, a control character.
const namesSeparator = "\x00"

func joinNames(names []string) string { return strings.Join(names, namesSeparator) }

func splitNames(names string) []string { return strings.Split(names, namesSeparator) }

// keysOf returns the keys under which an event finds id: one, or for a complex entry one
// for each way in which an event can share members with it. So an entry is found under the
// set of its names and its members that the event has too, if they are identical: then it
// matches (subject.DefaultMatching).
func keysOf(id subject.Identifier, kind string) []string {
	switch {
	case kind == kindExclusion:
		return []string{key(domainExclusion, id.Canonical())}
	case !id.IsComplex():
		return []string{key(domainSimple, id.Canonical())}
	}
	names := id.MemberNames()
	set := joinNames(names)
	var keys []string
	form.EachSubset(names, func(some []string) {
		keys = append(keys, key(domainComplex, set, id.Project(some...)))
	})
	return keys
}

// subjectArgs are a subject as scripts take it (lua/subject.lua).
func subjectArgs(id subject.Identifier, kind string) []any {
	names, tail := "", ""
	if kind == kindEntry && id.IsComplex() {
		names, tail = joinNames(id.MemberNames()), "\x00"+key(id.Canonical())
	}
	keys := keysOf(id, kind)
	args := []any{kind, id.Canonical(), names, tail, len(keys)}
	for _, k := range keys {
		args = append(args, k)
	}
	return args
}

// Add implements [streams.Subjects]. It returns streams.ErrFullNames where the bounds of
// sets of member names are reached, which are those of a partition.
func (s *Store) Add(ctx context.Context, stream string, id subject.Identifier, limit int) error {
	return s.changeSubject(ctx, stream, "add", id, limit)
}

// Remove implements [streams.Subjects].
func (s *Store) Remove(ctx context.Context, stream string, id subject.Identifier, limit int) error {
	return s.changeSubject(ctx, stream, "remove", id, limit)
}

func (s *Store) changeSubject(ctx context.Context, stream, what string, id subject.Identifier, limit int) error {
	if id.IsZero() {
		return errors.New("redisstore: an empty subject")
	}
	r := of(stream)
	r.once, r.durable = true, true
	args := append([]any{stream, what, limit, MaxNameSets, MaxNameSetsOfOwner}, subjectArgs(id, kindEntry)...)
	answer, err := s.call(ctx, r, s.scripts.subjects, append(args, subjectArgs(id, kindExclusion)...)...)
	if err != nil {
		return err
	}
	switch redisdb.Text(answer) {
	case "ok":
		return nil
	case "none":
		return streams.ErrNotFound
	case "full":
		return streams.ErrFull
	case "names":
		return streams.ErrFullNames
	}
	return redisdb.ErrAnswer
}

// SubjectCount implements [streams.Subjects].
func (s *Store) SubjectCount(ctx context.Context, stream string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	counts, err := s.db.Client().HMGet(ctx, s.key(streams.PartitionOf(stream), "s", stream), "v", "en", "ex").Result()
	if err != nil {
		return 0, failure(ctx, err)
	}
	if counts[0] == nil {
		return 0, streams.ErrNotFound
	}
	return int(redisdb.Number(counts[1]) + redisdb.Number(counts[2])), nil
}
