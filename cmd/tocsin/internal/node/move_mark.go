package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Errors of a Redis that is, or was, the target of a move.
var (
	// ErrMoving: the state of an installation is being brought there.
	ErrMoving = errors.New("an installation is being moved to this Redis (tocsin migrate)")
	// ErrOccupied: there is something else at the place.
	ErrOccupied = errors.New("this Redis has another installation under the prefix")
)

// moveMark says in Redis that an installation is being moved there, or was, and how
// far it has come.
type moveMark struct {
	db                *redisdb.DB
	key               string
	begin, save, ends *redis.Script
}

func newMoveMark(db *redisdb.DB) *moveMark {
	return &moveMark{
		db: db, key: db.Prefix() + ":{migration}",
		// id, where it comes from
		begin: redis.NewScript(`
local id = redis.call('HGET', KEYS[1], 'id')
if id and id ~= ARGV[1] then return 'other' end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'from', ARGV[2])
redis.call('HSETNX', KEYS[1], 'state', '` + moveUnderWay + `')
return 'ok'`),
		// id, step, place
		save: redis.NewScript(`
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 'other' end
redis.call('HSET', KEYS[1], 'place:' .. ARGV[2], ARGV[3])
return 'ok'`),
		// id
		ends: redis.NewScript(`
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 'other' end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
	if string.sub(field, 1, 6) == 'place:' then redis.call('HDEL', KEYS[1], field) end
end
redis.call('HSET', KEYS[1], 'state', '` + moveDone + `')
return 'ok'`),
	}
}

// moveState is what the mark says; id is empty if there is none.
type moveState struct {
	id, state string
	places    map[string]string // by step
}

func (m *moveMark) read(ctx context.Context) (moveState, error) {
	all, err := m.db.Client().HGetAll(ctx, m.key).Result()
	if err != nil {
		return moveState{}, fmt.Errorf("reading the mark of a move: %w", err)
	}
	s := moveState{id: all["id"], state: all["state"], places: make(map[string]string)}
	for field, value := range all {
		if len(field) > 6 && field[:6] == "place:" {
			s.places[field[6:]] = value
		}
	}
	return s, nil
}

// usable refuses a Redis that a move is under way to.
func (m *moveMark) usable(ctx context.Context) error {
	s, err := m.read(ctx)
	if err == nil && s.id != "" && s.state != moveDone {
		err = fmt.Errorf("%w and is not complete: run tocsin migrate again, which goes on from where it ended; to give it up remove the keys %s:*", ErrMoving, m.db.Prefix())
	}
	return err
}

// write runs one of the scripts.
func (m *moveMark) write(ctx context.Context, script *redis.Script, args ...any) error {
	answer, err := m.db.Write(ctx, script, []string{m.key}, args...)
	if err != nil {
		return fmt.Errorf("writing the mark of a move: %w", err)
	}
	if answer != "ok" {
		return fmt.Errorf("%w: that of another move, or of a former one that was given up; remove the keys %s:*, or choose another --redis-prefix", ErrOccupied, m.db.Prefix())
	}
	return nil
}

// vacant refuses a Redis that has something of a transmitter.
func (m *moveMark) vacant(ctx context.Context) error {
	p := m.db.Prefix()
	keys := []string{p + ":{log}:head", p + ":{admin}:state", p + ":{admin}:keys", p + ":{admin}:log:key"}
	for n := range streams.Partitions {
		keys = append(keys, fmt.Sprintf("%s:{p%02d}:part", p, n), fmt.Sprintf("%s:{p%02d}:streams", p, n))
	}
	pipe := m.db.Client().Pipeline()
	there := make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		there[i] = pipe.Exists(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("looking for another installation: %w", err)
	}
	for i, n := range there {
		if n.Val() > 0 {
			return fmt.Errorf("%w: there is %s; choose another --redis-prefix, or remove the keys %s:*", ErrOccupied, keys[i], p)
		}
	}
	return nil
}
