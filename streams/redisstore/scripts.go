package redisstore

import (
	"embed"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

//go:embed lua
var luaFiles embed.FS

// scripts are the scripts, each with the files that it stands on before it.
type scripts struct {
	create, update, remove, touch, stream                   *redis.Script
	reserve, unreserve                                      *redis.Script
	subjects, forget, match, look                           *redis.Script
	put, take, extend, settle, ready, depth, depths, glance *redis.Script
	purge, expire, letters, letter                          *redis.Script
	importStream, importSubjects, importItems               *redis.Script
	importLetters, importUsed                               *redis.Script
	cursor, enter, begin, pointing, earliest                *redis.Script
}

// grows says which scripts a server whose memory is full refuses: by all others what waits
// goes on to leave, and makes room.
func grows(script string) bool {
	switch script {
	case "create", "reserve", "subjects", "put", "importstream", "importsubjects", "importitems", "importletters", "importused":
		return true
	}
	return false
}

func newScripts() scripts {
	of := func(names ...string) *redis.Script {
		text := ""
		if !grows(names[len(names)-1]) {
			text = redisdb.WhenFull
		}
		for _, name := range names {
			part, err := luaFiles.ReadFile("lua/" + name + ".lua")
			if err != nil {
				panic(err) // it is embedded
			}
			text += string(part) + "\n"
		}
		return redis.NewScript(text)
	}
	queue := func(names ...string) *redis.Script { return of(append([]string{"head", "queue"}, names...)...) }
	return scripts{
		create: queue("changes", "registry", "create"), update: queue("control", "changes", "registry", "update"),
		remove: queue("changes", "registry", "delete"), touch: queue("changes", "registry", "touch"), stream: of("head", "stream"),
		reserve: of("reserve"), unreserve: of("unreserve"),
		subjects: queue("changes", "subject", "subjects"), forget: queue("changes", "subject", "forget"), match: of("head", "match"),
		look: of("head", "changes", "look"),
		put:  queue("control", "put"), take: queue("walk", "take"), extend: queue("extend"), settle: queue("settle"),
		ready: queue("walk", "ready"), depth: queue("depth"), depths: queue("depths"), glance: queue("glance"),
		purge: queue("purge"), expire: queue("expire"), letters: of("head", "letters"), letter: queue("letter"),
		importStream: queue("changes", "registry", "importstream"), importSubjects: queue("changes", "subject", "importsubjects"), importItems: queue("importitems"),
		importLetters: queue("importletters"), importUsed: of("head", "importused"),
		cursor: of("head", "cursor"), enter: of("head", "enter"), begin: of("head", "begin"), pointing: queue("pointing"), earliest: of("head", "earliest"),
	}
}
