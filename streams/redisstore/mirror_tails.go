package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // it tells entries apart, as lua/look.lua does; it protects nothing
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// tails are the last entries of the feeds of changes of the partitions that this process
// holds, looked at in one exchange for all of them. Where nothing has changed since a
// mirror looked, that is all it needs to know.
//
// A look that began for a record serves all that ask for this record or an earlier one:
// the followers of a process read the log side by side, and so ask one time, not 16 times.
type tails struct {
	s    *Store
	mu   sync.Mutex
	held [streams.Partitions]int // mirrors
	last *tailLook
}

// tailLook is one exchange; its results may be read once done is closed.
type tailLook struct {
	head   uint64    // what was changed before this record is seen
	at     time.Time // when it began
	done   chan struct{}
	err    error
	places [streams.Partitions]string // as mirror.place; empty: there is none, or it was not asked
}

func (t *tails) join(part int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held[part]++
}

func (t *tails) leave(part int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held[part]--
}

// of returns the place of a partition's last change, told by a look that began after the
// record head was appended and not longer ago than age, and when it began.
func (t *tails) of(ctx context.Context, part int, head uint64, age time.Duration) (place string, at time.Time, err error) {
	look, begun := t.look(head, age)
	if begun {
		look.err = t.ask(ctx, look)
		close(look.done)
	}
	select {
	case <-look.done:
		return look.places[part], look.at, look.err
	case <-ctx.Done():
		return "", time.Time{}, ctx.Err()
	}
}

// look returns the look that serves, and whether it was begun just now: it is the caller's
// to make.
func (t *tails) look(head uint64, age time.Duration) (look *tailLook, begun bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if l := t.last; l != nil && l.head >= head && now.Sub(l.at) < age && !l.failed() {
		return l, false
	}
	t.last = &tailLook{head: head, at: now, done: make(chan struct{})}
	return t.last, true
}

// failed reports whether the look has ended, and told nothing.
func (l *tailLook) failed() bool {
	select {
	case <-l.done:
		return l.err != nil
	default:
		return false
	}
}

// ask makes a look. A partition that fails has no place: its mirror asks by itself.
func (t *tails) ask(ctx context.Context, look *tailLook) error {
	ctx, cancel := context.WithTimeout(ctx, t.s.cfg.Timeout)
	defer cancel()
	t.mu.Lock()
	held := t.held
	t.mu.Unlock()
	pipe := t.s.db.Client().Pipeline()
	var cmds [streams.Partitions]*redis.Cmd
	for part, mirrors := range held {
		if mirrors > 0 {
			cmds[part] = pipe.Do(ctx, "XREVRANGE", t.s.feeds[part], "+", "-", "COUNT", 1)
		}
	}
	_, err := pipe.Exec(ctx)
	for part, cmd := range cmds {
		if cmd != nil {
			look.places[part] = feedPlaceOf(cmd.Val())
		}
	}
	return err
}

// feedPlaceOf returns what lua/look.lua calls the stamp of the entry that was answered; empty
// if none was.
func feedPlaceOf(answer any) string {
	entries, err := redisdb.List(answer)
	if err != nil || len(entries) != 1 {
		return ""
	}
	entry, err := redisdb.List(entries[0])
	if err != nil || len(entry) != 2 {
		return ""
	}
	members, err := redisdb.List(entry[1])
	if err != nil {
		return ""
	}
	texts := make([]string, len(members))
	for i := range members {
		texts[i] = redisdb.Text(members[i])
	}
	sum := sha1.Sum([]byte(strings.Join(texts, "\x00"))) //nolint:gosec // see the import
	return redisdb.Text(entry[0]) + " " + hex.EncodeToString(sum[:])
}
