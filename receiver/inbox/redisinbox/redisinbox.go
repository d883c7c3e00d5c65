// Package redisinbox keeps a receiver's inbox in Redis (7.0 or later), for several
// processes that take from the same feeds.
//
// A message that is taken is leased to its process, which renews the lease for as long
// as it has the message. A process that dies or freezes renews nothing: its messages
// return to their places when their leases end, and outcomes that it tells afterwards do
// not count. Its hook may still have run: handling is at least once, and never said to
// be exclusive. Of a lane one message is out at a time, whoever has it.
//
// All keys of a feed are in one slot of a cluster, see docs/operations/redis.md. Times
// are the server's.
package redisinbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Defaults and bounds.
const (
	DefaultLease   = 9 * time.Second
	DefaultPoll    = 250 * time.Millisecond // without Config.Wakes
	DefaultLook    = time.Second            // with them
	DefaultTimeout = 5 * time.Second
	MinLease       = 100 * time.Millisecond
	MaxFeeds       = 1<<feedBits - 1

	// maxBatch and maxBatchBytes bound what one script is given or returns, since the
	// server does nothing else meanwhile.
	maxBatch      = 256
	maxBatchBytes = 1 << 20
	// wakeDelay is how long after one wake-up of other processes the next counts: how
	// often a process looks that has nothing to do while others have much.
	wakeDelay = 10 * time.Millisecond
	// wakeTopic is that of messages that may be taken; each names the feed by its digest.
	wakeTopic = "inbox"
	// answerLife is how long a script's answer is kept for a call that is repeated.
	answerLife = time.Minute
)

// Config says where the inbox is and what it keeps. Processes that share feeds have the
// same Redis.URL (or Client), Redis.Prefix, Remember and MaxWaiting.
type Config struct {
	// Redis is the server; Redis.Replicas is how many replicas have a message before it
	// is acknowledged, asked once for each batch.
	Redis redisdb.Config
	// DB is used in place of Redis, but for Redis.Logger. It stays the caller's.
	DB *redisdb.DB
	// Wakes, if set, tell of what other processes bring; they must be of DB, and run
	// after Open.
	Wakes *redisdb.Wakes
	// Remember is how long (iss, jti) is known after arrival, so that a repeat is not
	// handled again; zero: inbox.MinRemember, which is the least.
	Remember time.Duration
	// MaxWaiting bounds the messages that wait and the dead letters of one feed
	// together; zero: inbox.DefaultMaxWaiting.
	MaxWaiting int
	// Lease is how long a message is out without its process renewing it, which it does
	// three times in that time; zero: DefaultLease, at least MinLease.
	Lease time.Duration
	// Poll is how often Take looks for what other processes brought; zero: DefaultPoll, or
	// DefaultLook with Wakes. What this process brought it sees at once.
	Poll time.Duration
	// Timeout bounds one exchange with the server; zero: DefaultTimeout.
	Timeout time.Duration
	// Now replaces the server's clock; for tests. Nil: the server's.
	Now func() time.Time
	// Observe, if set, is told of every commit of Append: messages, and how long it took.
	Observe func(batch int, d time.Duration)
}

// Inbox is an [inbox.Inbox] on Redis. Safe for concurrent use, also by several processes.
type Inbox struct {
	cfg     Config
	db      *redisdb.DB
	scripts scripts
	log     *slog.Logger

	closed chan struct{}
	work   sync.WaitGroup // calls and goroutines that use db

	mu      sync.Mutex
	ended   bool
	feeds   map[string]*feed
	out     map[uint64]*held
	keeping bool
}

var _ inbox.Inbox = (*Inbox)(nil)

// Open connects to the server and checks its settings. The error names everything that
// is wrong in cfg.
func Open(ctx context.Context, cfg Config) (*Inbox, error) {
	if err := cfg.fill(); err != nil {
		return nil, fmt.Errorf("redisinbox: %w", err)
	}
	db := cfg.DB
	if db == nil {
		var err error
		if db, err = redisdb.Open(ctx, cfg.Redis); err != nil {
			return nil, fmt.Errorf("redisinbox: %w", err)
		}
	}
	b := &Inbox{
		cfg: cfg, db: db, scripts: newScripts(), log: cfg.Redis.Logger,
		closed: make(chan struct{}), feeds: make(map[string]*feed), out: make(map[uint64]*held),
	}
	cfg.Wakes.On(wakeTopic, b.hear)
	return b, nil
}

func (cfg *Config) fill() error {
	var errs []error
	poll := DefaultPoll
	if cfg.Wakes != nil {
		poll = DefaultLook
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
		least time.Duration
	}{
		{"remember", &cfg.Remember, inbox.MinRemember, inbox.MinRemember},
		{"lease", &cfg.Lease, DefaultLease, MinLease},
		{"poll", &cfg.Poll, poll, time.Millisecond},
		{"timeout", &cfg.Timeout, DefaultTimeout, time.Millisecond},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
		if *d.value < d.least {
			errs = append(errs, fmt.Errorf("%s: got %v, want at least %v", d.name, *d.value, d.least))
		}
	}
	if cfg.MaxWaiting < 0 {
		errs = append(errs, errors.New("max_waiting: it is not negative"))
	}
	if cfg.MaxWaiting == 0 {
		cfg.MaxWaiting = inbox.DefaultMaxWaiting
	}
	if cfg.Redis.Logger == nil {
		cfg.Redis.Logger = slog.New(slog.DiscardHandler)
	}
	return errors.Join(errs...)
}

// Close ends all that wait in Take, returns what is out to its place, and closes the
// connections that are the inbox's own. Call it when hooks have ended: outcomes after it are not kept.
func (b *Inbox) Close() error {
	b.mu.Lock()
	if b.ended {
		b.mu.Unlock()
		return nil
	}
	b.ended = true
	close(b.closed)
	b.mu.Unlock()
	b.work.Wait()
	err := b.releaseAll(context.Background())
	if b.cfg.DB == nil {
		err = errors.Join(err, b.db.Close())
	}
	return err
}

// begin says that a call uses the server, until b.work.Done; false if the inbox is closed.
func (b *Inbox) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	b.work.Add(1)
	return true
}

// Ping asks the server for a sign of life.
func (b *Inbox) Ping(ctx context.Context) error { return b.db.Client().Ping(ctx).Err() }

// Counts returns how much the feed holds, whichever process has it.
func (b *Inbox) Counts(ctx context.Context, name string) (inbox.Counts, error) {
	var c inbox.Counts
	if !b.begin() {
		return c, inbox.ErrClosed
	}
	defer b.work.Done()
	f, err := b.feed(ctx, name)
	if err != nil {
		return c, err
	}
	answer, err := b.read(ctx, f, b.scripts.count)
	if err != nil {
		return c, err
	}
	list, err := redisdb.List(answer)
	if err != nil || len(list) != 5 {
		return c, redisdb.ErrAnswer
	}
	var oldest int64
	for i, to := range []*int{&c.Waiting, &c.Running, &c.Failing, &c.Dead} {
		*to = int(redisdb.Number(list[i]))
	}
	if text, _ := list[4].(string); text != "" {
		oldest = redisdb.Number(list[4])
		c.Oldest = time.UnixMilli(oldest)
	}
	return c, nil
}

// read runs a script that keeps nothing, or nothing that anybody relies on.
func (b *Inbox) read(ctx context.Context, f *feed, script *redis.Script, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	return b.db.Run(ctx, script, f.callKeys(), b.args(f, args)...)
}

// write runs a script whose effects are durable on return.
func (b *Inbox) write(ctx context.Context, f *feed, script *redis.Script, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	return b.db.Write(ctx, script, f.callKeys(), b.args(f, args)...)
}

// args are those of head.lua, and the script's own.
func (b *Inbox) args(f *feed, own []any) []any {
	now := ""
	if b.cfg.Now != nil {
		now = milli(b.cfg.Now().UnixMilli())
	}
	return append([]any{now, answerLife.Milliseconds(), b.db.Channel(wakeTopic), f.digest}, own...)
}

// until returns the whole milliseconds until a time of this process's clock, which need
// not agree with the server's.
func (b *Inbox) until(t time.Time) int64 {
	now := time.Now
	if b.cfg.Now != nil {
		now = b.cfg.Now
	}
	return max(0, int64((t.Sub(now())+time.Millisecond-1)/time.Millisecond))
}
