package redisstore

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Changes (lua/changes.lua).
const (
	changeStream  = "s"
	changeAdd     = '+'
	changeRemove  = '-'
	memberKind    = 16 // where a member of match has its kind, and from where on its stream
	memberStream  = 17
	changeMembers = 4
	factsMembers  = 7
	sightMembers  = 11
)

// sight is what lua/look.lua answers.
type sight struct {
	place   string
	more    bool // only place and changes count
	changes []change

	facts        []mirrorFacts
	typesNumber  string
	types        []any // each with its number
	namesNumber  string
	names        []any
	stage, after string
	members      []any
	size         int64
}

// change is an entry of the feed.
type change struct{ what, stream, tail, keys string }

// mirrorFacts are those of a stream; gone: there is none of this id.
type mirrorFacts struct {
	id, status, owner string
	gone, all         bool
	epoch, from       uint64
	types             []uint32 // their numbers, in order
}

// sightOf reads an answer. Error: errGap.
func sightOf(answer any) (*sight, error) {
	list, err := redisdb.List(answer)
	if err != nil || len(list) == 0 {
		return nil, redisdb.ErrAnswer
	}
	if redisdb.Text(list[0]) == "gap" {
		return nil, errGap
	}
	if len(list) < changeMembers {
		return nil, redisdb.ErrAnswer
	}
	s := &sight{place: redisdb.Text(list[1]), more: redisdb.Text(list[2]) == "1"}
	if s.changes, err = changesOf(list[3]); err != nil || s.more {
		return s, err
	}
	if len(list) != sightMembers {
		return nil, redisdb.ErrAnswer
	}
	if s.facts, err = allFactsOf(list[4]); err != nil {
		return nil, err
	}
	types, err := redisdb.List(list[5])
	if err != nil || len(types)%2 != 1 {
		return nil, redisdb.ErrAnswer
	}
	s.typesNumber, s.types = redisdb.Text(types[0]), types[1:]
	names, err := redisdb.List(list[6])
	if err != nil || len(names) == 0 {
		return nil, redisdb.ErrAnswer
	}
	s.namesNumber, s.names = redisdb.Text(names[0]), names[1:]
	s.stage, s.after, s.size = redisdb.Text(list[7]), redisdb.Text(list[8]), redisdb.Number(list[10])
	s.members, err = redisdb.List(list[9])
	return s, err
}

func changesOf(v any) ([]change, error) {
	list, err := redisdb.List(v)
	if err != nil {
		return nil, err
	}
	changes := make([]change, len(list))
	for i := range list {
		c, err := redisdb.List(list[i])
		if err != nil || len(c) != changeMembers {
			return nil, redisdb.ErrAnswer
		}
		changes[i] = change{redisdb.Text(c[0]), redisdb.Text(c[1]), redisdb.Text(c[2]), redisdb.Text(c[3])}
	}
	return changes, nil
}

func allFactsOf(v any) ([]mirrorFacts, error) {
	list, err := redisdb.List(v)
	if err != nil {
		return nil, err
	}
	facts := make([]mirrorFacts, len(list))
	for i := range list {
		if facts[i], err = mirrorFactsOf(list[i]); err != nil {
			return nil, err
		}
	}
	return facts, nil
}

func mirrorFactsOf(v any) (f mirrorFacts, err error) {
	list, err := redisdb.List(v)
	if err != nil || len(list) != 1 && len(list) != factsMembers {
		return f, redisdb.ErrAnswer
	}
	f.id, f.gone = redisdb.Text(list[0]), len(list) == 1
	if f.gone {
		return f, nil
	}
	f.status, f.owner, f.all = redisdb.Text(list[1]), redisdb.Text(list[2]), redisdb.Text(list[5]) == "1"
	if f.epoch, err = strconv.ParseUint(redisdb.Text(list[3]), 10, 64); err != nil {
		return f, redisdb.ErrAnswer
	}
	if f.from, err = strconv.ParseUint(redisdb.Text(list[4]), 10, 64); err != nil {
		return f, redisdb.ErrAnswer
	}
	f.types, err = typesOf(redisdb.Text(list[6]))
	return f, err
}

// typesOf reads numbers of types, with a comma before and behind each.
func typesOf(numbers string) (list []uint32, err error) {
	for text := range strings.SplitSeq(numbers, ",") {
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, redisdb.ErrAnswer
		}
		list = append(list, uint32(n))
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
