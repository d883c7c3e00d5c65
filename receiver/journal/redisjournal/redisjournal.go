// Package redisjournal keeps a receiver's journal in Redis (7.0 or later), for several
// processes that take from the same feeds.
//
// All its keys are in one slot of a cluster, see docs/operations/redis.md. An entry is
// kept once, under its Seq, and found by names in one ordered index: by its Seq, by its
// jti, by its txn, and by its kind, which is the whole of feed, issuer, rule, hook, effect
// and verdict. There are few kinds and each entry is of one, so that a question about any
// of these asks the kinds that fit and merges what they have: the cost grows with the kinds
// and with what is returned, not with what is kept. Sums are kept by kind, too.
package redisjournal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Defaults and bounds.
const (
	DefaultTimeout = 5 * time.Second
	// MaxRecord bounds the entries of one Record, which one script keeps, all or none.
	MaxRecord = 256

	// maxBatchBytes bounds what one script is given or returns beside one entry, since
	// the server does nothing else meanwhile.
	maxBatchBytes = 1 << 20
	// answerLife is how long a script's answer is kept for a call that is repeated.
	answerLife = time.Minute
)

// Config says where the journal is and how much it keeps. Processes that share a journal
// have the same prefix, MaxEntries and Remember.
type Config struct {
	// DB is the server; required. It stays the caller's.
	DB *redisdb.DB
	// MaxEntries bounds the entries, and apart from them the states; zero:
	// journal.DefaultMaxEntries.
	MaxEntries int
	// Remember is how long an entry or a state is kept after it was recorded; zero:
	// journal.DefaultRemember. At least journal.MinRemember.
	Remember time.Duration
	// Timeout bounds one exchange with the server; zero: DefaultTimeout.
	Timeout time.Duration
	// Now replaces the server's clock; for tests. Nil: the server's.
	Now func() time.Time
	// Observe, if set, is told of every commit of Record: entries, and how long it took.
	Observe func(batch int, d time.Duration)
}

// Journal is a [journal.Journal] on Redis. Safe for concurrent use, also by several
// processes.
type Journal struct {
	cfg                 Config
	keys                keys
	record, span, merge *redis.Script

	work sync.WaitGroup // calls and goroutines that use the server

	mu         sync.Mutex
	closed     bool
	queue      []*piece
	committing bool
}

var _ journal.Journal = (*Journal)(nil)

// New returns the journal of cfg; it asks the server nothing. The error names everything
// that is wrong in cfg.
func New(cfg Config) (*Journal, error) {
	var wrong []error
	if cfg.DB == nil {
		wrong = append(wrong, errors.New("redisjournal: Config.DB is required"))
	}
	if cfg.MaxEntries < 0 {
		wrong = append(wrong, errors.New("redisjournal: Config.MaxEntries must not be negative"))
	}
	if cfg.Remember != 0 && cfg.Remember < journal.MinRemember {
		wrong = append(wrong, fmt.Errorf("redisjournal: Config.Remember is %v, want 0 or at least %v", cfg.Remember, journal.MinRemember))
	}
	if cfg.Timeout < 0 {
		wrong = append(wrong, errors.New("redisjournal: Config.Timeout must not be negative"))
	}
	if wrong != nil {
		return nil, errors.Join(wrong...)
	}
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = journal.DefaultMaxEntries
	}
	if cfg.Remember == 0 {
		cfg.Remember = journal.DefaultRemember
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	return &Journal{
		cfg: cfg, keys: newKeys(cfg.DB.Prefix()),
		record: redis.NewScript(recordLua), span: redis.NewScript(spanLua), merge: redis.NewScript(mergeLua),
	}, nil
}

// keys are all that the journal has, in one slot.
type keys struct {
	at                                            string // what they begin with
	seq, entries, index, kinds, states, lifetimes string
	denials, denied                               string
}

func newKeys(prefix string) keys {
	at := prefix + ":{journal}:"
	return keys{
		at: at, seq: at + "seq", entries: at + "entries", index: at + "index", kinds: at + "kinds",
		states: at + "states", lifetimes: at + "lifetimes", denials: at + "denials", denied: at + "denied",
	}
}

// Close waits for the calls that are under way. The server's connections are the caller's.
func (j *Journal) Close() error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.work.Wait()
	return nil
}

// begin says that a call uses the server, until j.work.Done; false if the journal is closed.
func (j *Journal) begin() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false
	}
	j.work.Add(1)
	return true
}

// run runs a script that keeps nothing.
func (j *Journal) run(ctx context.Context, script *redis.Script, args ...any) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, j.cfg.Timeout)
	defer cancel()
	answer, err := j.cfg.DB.Run(ctx, script, []string{j.keys.index, j.keys.entries, j.keys.kinds}, args...)
	if err != nil {
		return nil, fmt.Errorf("redisjournal: %w", err)
	}
	list, ok := answer.([]any)
	if !ok || len(list) == 0 {
		return nil, errAnswer
	}
	return list, nil
}
