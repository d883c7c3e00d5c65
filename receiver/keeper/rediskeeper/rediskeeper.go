// Package rediskeeper lets several processes that receive from the same transmitters
// share, in Redis, what keeper.Shared says: the turn to keep a stream, to verify it and to
// poll, and the stream's state.
//
// Turns are leases (redisdb.Holder), of a fixed number: each transmitter belongs to one by
// the hash of its name, and each process has its fair share of them. One that is killed is
// taken over within 15 s; one that ends in order gives its turns back at once.
package rediskeeper

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

const (
	// Parts is the number of leases.
	Parts = 16
	// MaxStateBytes bounds what is kept of a stream.
	MaxStateBytes = 64 << 10

	group   = "receive"
	topic   = "keeper"
	timeout = 5 * time.Second // of one exchange
)

//go:embed swap.lua
var swapLua string

// Turns shares out turns among the processes that run it. Safe for concurrent use.
type Turns struct {
	db     *redisdb.DB
	holder *redisdb.Holder
	swap   *redis.Script
	parts  [Parts]part

	mu      sync.Mutex
	changed map[string]chan struct{} // by name
}

// New returns turns that nobody has until Run. It is called before wakes runs, if there
// are any.
func New(db *redisdb.DB, wakes *redisdb.Wakes, logger *slog.Logger) (*Turns, error) {
	t := &Turns{db: db, swap: redis.NewScript(swapLua), changed: make(map[string]chan struct{})}
	keys := make([]string, Parts)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s:{lease:%s-%02d}", db.Prefix(), group, i)
		t.parts[i].changed = make(chan struct{})
	}
	var err error
	t.holder, err = redisdb.NewHolder(db, redisdb.HoldConfig{Group: group, Keys: keys, Wakes: wakes, Logger: logger})
	if err != nil {
		return nil, err
	}
	wakes.On(topic, t.hear)
	return t, nil
}

// Run takes turns until ctx ends, and gives them back when their work has ended.
func (t *Turns) Run(ctx context.Context) error {
	return t.holder.Run(ctx, func(ctx context.Context, held redisdb.Held) { t.parts[held.Index].hold(ctx) })
}

// Of returns what the processes have together of the transmitter of that name, which is
// that of a feed: of few, printable characters without braces.
func (t *Turns) Of(name string) keeper.Shared {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed[name] == nil {
		t.changed[name] = make(chan struct{}, 1)
	}
	return &shared{
		turns: t, name: name, key: t.db.Prefix() + ":{keeper:" + name + "}",
		part: &t.parts[hash.Sum32()%Parts], changed: t.changed[name],
	}
}

// hear is told that something was kept of the transmitter of that name; empty: of any.
func (t *Turns) hear(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for of, changed := range t.changed {
		if name == "" || name == of {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}

// shared is a keeper.Shared.
type shared struct {
	turns   *Turns
	name    string
	key     string
	part    *part
	changed chan struct{}
}

func (s *shared) Turn(ctx context.Context, work func(ctx context.Context)) { s.part.turn(ctx, work) }

func (s *shared) Changed() <-chan struct{} { return s.changed }

func (s *shared) Load(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	raw, err := s.turns.db.Client().Get(ctx, s.key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("rediskeeper: %w", err)
	}
	return raw, nil
}

func (s *shared) Swap(ctx context.Context, last, next []byte) (bool, error) {
	if len(next) > MaxStateBytes {
		return false, fmt.Errorf("rediskeeper: a state of %d bytes, want at most %d", len(next), MaxStateBytes)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := s.turns.db.Write(ctx, s.turns.swap, []string{s.key}, last, next, s.turns.db.Channel(topic), s.name)
	if err != nil {
		return false, fmt.Errorf("rediskeeper: %w", err)
	}
	return answer == int64(1), nil
}
