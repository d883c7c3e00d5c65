package redisjournal

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// maxEnded bounds the sessions of one entry in the sums, which are exact below 2^53.
const maxEnded = 1 << 31

// errTooMany: more than one script keeps at once.
var errTooMany = fmt.Errorf("redisjournal: one Record takes at most %d entries and %d bytes", MaxRecord, maxBatchBytes)

// piece is one Record, which a script keeps whole.
type piece struct {
	entries int
	size    int
	args    []any
	err     error
	done    chan struct{}
}

// Record keeps entries, at most MaxRecord. What waits at once is kept by one script. After
// an error of the server the entries may have been kept all the same.
func (j *Journal) Record(ctx context.Context, entries ...journal.Entry) error {
	p := &piece{entries: len(entries), done: make(chan struct{})}
	for i := range entries {
		if err := entries[i].Check(); err != nil {
			return err
		}
		args, size := argsOf(&entries[i])
		p.args, p.size = append(p.args, args...), p.size+size
	}
	if p.entries > MaxRecord || p.size > maxBatchBytes && p.entries > 1 {
		return errTooMany
	}
	if !j.begin() {
		return journal.ErrClosed
	}
	defer j.work.Done()
	if p.entries == 0 {
		return nil
	}
	j.enqueue(ctx, p)
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("redisjournal: %w", ctx.Err())
	}
}

// argsOf are those of one entry for lua/record.lua, and about how large they are.
func argsOf(e *journal.Entry) (args []any, size int) {
	k, blob := kindOf(e), blobOf(e)
	txn, lane, done, whom := "-", "", "0", []string{}
	if e.TransactionID != "" {
		txn = digest(foreign, e.TransactionID)
	}
	if e.Verdict == journal.Done {
		done = "1"
	}
	if e.Told() {
		lane = base64.RawURLEncoding.EncodeToString(e.Lane[:])
	}
	for _, of := range e.Whom.Digests() {
		whom = append(whom, base64.RawURLEncoding.EncodeToString(of[:]))
	}
	word := "" // takes nothing back
	if until, ok := e.TakesBack(); ok {
		word = strconv.FormatInt(until, 10)
	} else if e.Effect == journal.WordDeny {
		word = "deny"
	}
	keep := "0" // it takes the place of any
	if !e.Verdict.Settled() {
		keep = "1"
	}
	ids := eventName(e.Event) + ":" + digest(own, e.Hook, e.Effect)
	return []any{
		ids, txn, k.name(), k.text(), min(max(e.Ended, journal.Unknown), maxEnded), done, keep, blob,
		lane, wordOf(e.Hook), wordOf(e.Effect), e.Time.UnixMilli(),
		strings.Join(whom, " "), word, digest(foreign, e.Issuer),
	}, len(blob) + len(k.text())
}

// enqueue lets p be committed, by a goroutine that ends when there is no more.
func (j *Journal) enqueue(ctx context.Context, p *piece) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = append(j.queue, p)
	if !j.committing {
		j.committing = true
		j.work.Add(1) // within that of the caller
		go j.commitAll(context.WithoutCancel(ctx))
	}
}

// commitAll commits what waits, as much at once as there is.
func (j *Journal) commitAll(ctx context.Context) {
	defer j.work.Done()
	for {
		j.mu.Lock()
		n, entries, size := 0, 0, 0
		for n < len(j.queue) {
			p := j.queue[n]
			if entries, size = entries+p.entries, size+p.size; n > 0 && (entries > MaxRecord || size > maxBatchBytes) {
				break
			}
			n++
		}
		batch := j.queue[:n:n]
		j.queue = j.queue[n:]
		j.committing = n > 0
		j.mu.Unlock()
		if n == 0 {
			return
		}
		err := j.commit(ctx, batch)
		for _, p := range batch {
			p.err = err
			close(p.done)
		}
	}
}

func (j *Journal) commit(ctx context.Context, batch []*piece) error {
	now := ""
	if j.cfg.Now != nil {
		now = fmt.Sprint(j.cfg.Now().UnixMilli())
	}
	args := []any{now, answerLife.Milliseconds(), j.cfg.MaxEntries, j.cfg.Remember.Milliseconds()}
	n := 0
	for _, p := range batch {
		args, n = append(args, p.args...), n+p.entries
	}
	ctx, cancel := context.WithTimeout(ctx, j.cfg.Timeout)
	defer cancel()
	began := time.Now()
	k := j.keys
	_, err := j.cfg.DB.Write(ctx, j.record,
		[]string{k.seq, k.entries, k.index, k.kinds, k.states, k.lifetimes, k.denials, k.denied, k.at + "answer:" + rand.Text()}, args...)
	if err != nil {
		return errors.Join(errors.New("redisjournal: entries cannot be kept"), err)
	}
	if j.cfg.Observe != nil {
		j.cfg.Observe(n, time.Since(began))
	}
	return nil
}
