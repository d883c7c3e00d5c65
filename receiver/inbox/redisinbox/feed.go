package redisinbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// feedBits are the bits of a Message.Seq that are its feed's number; those above are the
// place of arrival in the feed. Outcomes name a message by its Seq alone.
const feedBits = 16

// entryDigits are the digits of a place of arrival in entries (lua/head.lua).
const entryDigits = 16

// feed is what this process knows of a feed.
type feed struct {
	name   string
	digest string // of the name
	number uint64
	keys   []string // in the order of lua/head.lua, but the last
	tag    string

	mu         sync.Mutex
	wake       chan struct{}
	heard      time.Time // when another process was last listened to
	late       bool      // wake is to be closed in a moment
	queue      []*piece
	committing bool
}

// feed returns the feed, which gets its number from the server at its first use.
func (b *Inbox) feed(ctx context.Context, name string) (*feed, error) {
	b.mu.Lock()
	f := b.feeds[name]
	b.mu.Unlock()
	if f != nil {
		return f, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.cfg.Timeout)
	defer cancel()
	answer, err := b.db.Write(ctx, b.scripts.feed, []string{b.feedsKey()}, name, MaxFeeds)
	if err != nil {
		return nil, err
	}
	number := redisdb.Number(answer)
	if number < 1 {
		return nil, fmt.Errorf("redisinbox: more than %d feeds: %w", MaxFeeds, inbox.ErrFull)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.feeds[name]; f != nil {
		return f, nil
	}
	for _, other := range b.feeds {
		if other.number == uint64(number) { // a Seq would mean two messages
			return nil, fmt.Errorf("redisinbox: the server has lost what it knew of the feed %q: start again", other.name)
		}
	}
	f = b.newFeed(name, uint64(number))
	b.feeds[name] = f
	return f, nil
}

func (b *Inbox) feedsKey() string { return b.db.Prefix() + ":inbox:{feeds}:numbers" }

func (b *Inbox) newFeed(name string, number uint64) *feed {
	sum := sha256.Sum256([]byte(name))
	digest := base64.RawURLEncoding.EncodeToString(sum[:inbox.DigestSize])
	tag := b.db.Prefix() + ":inbox:{" + digest + "}:"
	f := &feed{name: name, digest: digest, number: number, tag: tag, wake: make(chan struct{})}
	for _, key := range []string{
		"seq", "messages", "waiting", "attempts", "lanes", "ready", "later", "out", "owners",
		"seen", "states", "dead", "deads", "deadids",
	} {
		f.keys = append(f.keys, tag+key)
	}
	return f
}

// callKeys are the keys for one call: those of the feed, and one for its answer.
func (f *feed) callKeys() []string { return append(slices.Clone(f.keys), f.tag+"answer:"+rand.Text()) }

// seq returns the Seq of an entry, or of a number in its form.
func (f *feed) seq(entry string) (uint64, error) {
	if len(entry) < entryDigits {
		return 0, redisdb.ErrAnswer
	}
	n, err := strconv.ParseUint(entry[:entryDigits], 10, 64-feedBits)
	if err != nil {
		return 0, redisdb.ErrAnswer
	}
	return n<<feedBits | f.number, nil
}

// place is the reverse of seq: what in the feed's order is at or before a Seq.
func place(seq uint64) string { return fmt.Sprintf("%0*d", entryDigits, seq>>feedBits) }

// Feeds returns the names of the feeds that have messages or dead letters, sorted: also
// those that no receiver follows any more.
func (b *Inbox) Feeds(ctx context.Context) ([]string, error) {
	all, err := b.known(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		c, err := b.Counts(ctx, name)
		if err != nil {
			return nil, err
		}
		if c.Waiting+c.Dead > 0 {
			names = append(names, name)
		}
	}
	return names, nil
}

// known returns the names of all feeds that were ever used, sorted.
func (b *Inbox) known(ctx context.Context) ([]string, error) {
	names, err := b.db.Client().HKeys(ctx, b.feedsKey()).Result()
	if err != nil {
		return nil, errors.Join(errors.New("redisinbox: feeds cannot be read"), err)
	}
	slices.Sort(names)
	return names, nil
}
