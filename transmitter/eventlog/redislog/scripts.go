package redislog

import (
	_ "embed" // the scripts
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

//go:embed lua/head.lua
var headLua string

//go:embed lua/open.lua
var openLua string

//go:embed lua/look.lua
var lookLua string

//go:embed lua/append.lua
var appendLua string

//go:embed lua/read.lua
var readLua string

//go:embed lua/erase.lua
var eraseLua string

//go:embed lua/trim.lua
var trimLua string

//go:embed lua/import.lua
var importLua string

//go:embed lua/importkeys.lua
var importKeysLua string

//go:embed lua/importrefs.lua
var importRefsLua string

type scripts struct {
	open, look, append, read, erase, trim *redis.Script
	importing, importKeys, importRefs     *redis.Script
}

func newScripts() scripts {
	return scripts{
		open: redis.NewScript(openLua), look: redis.NewScript(headLua + lookLua), append: redis.NewScript(headLua + appendLua),
		read: redis.NewScript(readLua), erase: redis.NewScript(eraseLua), trim: redis.NewScript(trimLua),
		importing: redis.NewScript(headLua + importLua), importKeys: redis.NewScript(importKeysLua), importRefs: redis.NewScript(importRefsLua),
	}
}

// errAnswer: the server says what no script of ours says.
var errAnswer = errors.New("redislog: an answer of another form; is the prefix shared with something else?")

func listOf(answer any, n int) ([]any, error) {
	list, ok := answer.([]any)
	if !ok || len(list) != n {
		return nil, errAnswer
	}
	return list, nil
}

func numberOf(v any) (uint64, error) {
	n, err := strconv.ParseUint(redisdb.Text(v), 10, 63)
	if err != nil {
		return 0, errAnswer
	}
	return n, nil
}

// head is where the log stands on the server.
type head struct {
	size   uint64
	leaf   eventlog.Hash // of the last record
	millis int64         // its time
	erased uint64        // records that were erased ever
}

// headOf reads size, leaf, millis and erased.
func headOf(list []any) (h head, err error) {
	if len(list) != 4 || len(redisdb.Text(list[1])) != eventlog.HashSize {
		return h, errAnswer
	}
	h.leaf = eventlog.Hash([]byte(redisdb.Text(list[1])))
	var millis uint64
	for i, to := range map[int]*uint64{0: &h.size, 2: &millis, 3: &h.erased} {
		n, err := numberOf(list[i])
		if err != nil {
			return h, err
		}
		*to = n
	}
	h.millis = int64(millis)
	return h, nil
}

// The codes of scripts that compare.
const (
	codeOK       = "ok"
	codeLost     = "lost"
	codeConflict = "conflict"
	codeTurn     = "turn"
	codeKnown    = "known"
)

// told is the answer of a script that compares: see lua/head.lua.
type told struct {
	code   string
	millis int64 // the server's time
	head   head  // before an append
	rows   []row // behind those that the process knows, the nearest of them
	// gone are the records that were erased since; all means that they are
	// too many to be told.
	gone []uint64
	all  bool
	more []any
}

func toldOf(answer any) (*told, error) {
	list, err := listOf(answer, 9)
	if err != nil {
		return nil, err
	}
	t := &told{code: redisdb.Text(list[0])}
	now, err := numberOf(list[1])
	if err != nil {
		return nil, err
	}
	t.millis = int64(now)
	t.more, _ = list[8].([]any)
	if t.code == codeLost {
		t.head.size, err = numberOf(list[2]) // there may be no more
		return t, err
	}
	if t.head, err = headOf(list[2:6]); err != nil {
		return nil, err
	}
	if t.rows, err = rowsOf(redisdb.Text(list[6])); err != nil {
		return nil, err
	}
	gone, ok := list[7].([]any)
	t.all = !ok
	for _, v := range gone {
		seq, err := numberOf(v)
		if err != nil {
			return nil, err
		}
		t.gone = append(t.gone, seq)
	}
	return t, nil
}
