package redisinbox

import (
	_ "embed" // the scripts
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

//go:embed lua/head.lua
var headLua string

//go:embed lua/feed.lua
var feedLua string

//go:embed lua/append.lua
var appendLua string

//go:embed lua/take.lua
var takeLua string

//go:embed lua/renew.lua
var renewLua string

//go:embed lua/settle.lua
var settleLua string

//go:embed lua/expect.lua
var expectLua string

//go:embed lua/outstanding.lua
var outstandingLua string

//go:embed lua/letters.lua
var lettersLua string

//go:embed lua/letter.lua
var letterLua string

//go:embed lua/count.lua
var countLua string

type scripts struct {
	feed, append, take, renew, settle, expect, outstanding, letters, letter, count *redis.Script
}

func newScripts() scripts {
	with := func(own string) *redis.Script { return redis.NewScript(headLua + "\n" + own) }
	return scripts{
		feed: redis.NewScript(feedLua), append: with(appendLua), take: with(takeLua), renew: with(renewLua),
		settle: with(settleLua), expect: with(expectLua), outstanding: with(outstandingLua),
		letters: with(lettersLua), letter: with(letterLua), count: with(countLua),
	}
}

// codesOf returns an answer of one character for each of n.
func codesOf(answer any, n int) (string, error) {
	codes, ok := answer.(string)
	if !ok || len(codes) != n {
		return "", redisdb.ErrAnswer
	}
	return codes, nil
}

func milli(ms int64) string { return strconv.FormatInt(ms, 10) }
