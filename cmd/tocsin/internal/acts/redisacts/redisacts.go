// Package redisacts keeps the acts at receivers in Redis (7.0 or later), for several
// processes that share one prefix.
//
// All its keys are in one slot of a cluster, see docs/operations/redis.md. An act is kept
// once, under its place, and found by digests of its keys in one ordered index.
package redisacts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed" // the scripts
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

//go:embed lua/note.lua
var noteLua string

//go:embed lua/settle.lua
var settleLua string

//go:embed lua/page.lua
var pageLua string

// Bounds.
const (
	timeout      = 5 * time.Second // of one exchange with the server
	answerLife   = time.Minute     // of a script's answer, for a call that is repeated
	digestSize   = 16              // bytes of the digest of a key
	maxPageBytes = 1 << 20         // what one script returns: the server does nothing else meanwhile
)

// errAnswer: the server says what no script of ours says.
var errAnswer = errors.New("redisacts: an answer of another form; is the prefix shared with something else?")

// Config says where the acts are and how many are kept. Processes that share them have
// the same prefix, MaxActs and Remember.
type Config struct {
	// DB is the server; required. It stays the caller's.
	DB *redisdb.DB
	// MaxActs bounds their number; zero: acts.MaxActs.
	MaxActs int
	// Remember is how long one is kept; zero: acts.Remember.
	Remember time.Duration
	// Now replaces the server's clock; for tests. Nil: the server's.
	Now func() time.Time
	// Observe, if set, is told of every commit.
	Observe func(batch int, d time.Duration)
}

// Store is an [acts.Store] on Redis. Safe for concurrent use, also by several processes.
type Store struct {
	cfg                              Config
	at                               string // what the names of its keys begin with
	noteScript, settleScript, reader *redis.Script
}

var _ acts.Store = (*Store)(nil)

// New returns the store of cfg; it asks the server nothing.
func New(cfg Config) (*Store, error) {
	if cfg.DB == nil {
		return nil, errors.New("redisacts: Config.DB is required")
	}
	if cfg.MaxActs < 0 || cfg.Remember < 0 {
		return nil, errors.New("redisacts: Config.MaxActs and Remember must not be negative")
	}
	if cfg.MaxActs == 0 {
		cfg.MaxActs = acts.MaxActs
	}
	if cfg.Remember == 0 {
		cfg.Remember = acts.Remember
	}
	return &Store{
		cfg: cfg, at: cfg.DB.Prefix() + ":{acts}:",
		noteScript: redis.NewScript(noteLua), settleScript: redis.NewScript(settleLua), reader: redis.NewScript(pageLua),
	}, nil
}

// digests are those of an act's keys.
func digests(act *eventlog.Act) string {
	keys := acts.Keys(act)
	for i, key := range keys {
		keys[i] = digest(key)
	}
	return strings.Join(keys, ",")
}

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:digestSize])
}

// Note keeps an act.
func (s *Store) Note(ctx context.Context, act *eventlog.Act) (seq uint64, err error) {
	body, err := acts.Pack(act)
	if err != nil {
		return 0, err
	}
	now := ""
	if s.cfg.Now != nil {
		now = strconv.FormatInt(s.cfg.Now().UnixMilli(), 10)
	}
	answer, err := s.write(ctx, s.noteScript, []string{s.at + "seq", s.at + "acts", s.at + "index", s.at + "answer:" + rand.Text()},
		now, answerLife.Milliseconds(), s.cfg.MaxActs, s.cfg.Remember.Milliseconds(), acts.ForgetPerAct, digests(act), body)
	if err != nil {
		return 0, err
	}
	if seq, err = strconv.ParseUint(redisdb.Text(answer), 10, 63); err != nil {
		return 0, errAnswer
	}
	return seq, nil
}

// Settle puts what became of an act in its place.
func (s *Store) Settle(ctx context.Context, seq uint64, act *eventlog.Act) error {
	body, err := acts.Pack(act)
	if err != nil {
		return err
	}
	_, err = s.write(ctx, s.settleScript, []string{s.at + "acts", s.at + "index"}, place(seq), digests(act), body)
	return err
}

// place is a seq as it stands in the index.
func place(seq uint64) string { return fmt.Sprintf("%016d", seq) }

func (s *Store) write(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	answer, err := s.cfg.DB.Write(ctx, script, keys, args...)
	if err != nil {
		return nil, fmt.Errorf("redisacts: %w", err)
	}
	if s.cfg.Observe != nil {
		s.cfg.Observe(1, time.Since(began))
	}
	return answer, nil
}

// Page returns acts that have a key, the newest first.
func (s *Store) Page(ctx context.Context, key string, before uint64, most int) ([]acts.Kept, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	from := ";" // behind all digits
	if before != 0 {
		from = place(before)
	}
	var list []acts.Kept
	for most = min(most, acts.MaxPage); len(list) < most; {
		answer, err := s.cfg.DB.Run(ctx, s.reader, []string{s.at + "acts", s.at + "index"}, digest(key), from, most-len(list), maxPageBytes)
		if err != nil {
			return nil, fmt.Errorf("redisacts: %w", err)
		}
		found, ok := answer.([]any)
		if !ok || len(found)%2 != 1 {
			return nil, errAnswer
		}
		for i := 1; i < len(found); i += 2 {
			from = redisdb.Text(found[i])
			k, err := keptOf(from, redisdb.Text(found[i+1]))
			if err != nil {
				return nil, err
			}
			list = append(list, k)
		}
		if redisdb.Text(found[0]) != "more" {
			break
		}
	}
	return list, nil
}

// keptOf reads an act as the scripts keep it: time names JSON.
func keptOf(seq, text string) (k acts.Kept, err error) {
	at, rest, _ := strings.Cut(text, " ")
	_, body, ok := strings.Cut(rest, " ")
	ms, wrong := strconv.ParseInt(at, 10, 64)
	if k.Seq, err = strconv.ParseUint(seq, 10, 63); err != nil || wrong != nil || !ok {
		return k, errAnswer
	}
	k.Time = time.UnixMilli(ms)
	k.Act, err = acts.Unpack([]byte(body))
	return k, err
}
