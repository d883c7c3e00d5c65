package redisinbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

// piece is a part of an Append that one script is given whole.
type piece struct {
	messages []*inbox.Message
	at       []int // their places in the call
	size     int
	codes    string
	err      error
	done     chan struct{}
}

// Append keeps messages durably, once per (feed, iss, jti). Messages of several feeds,
// or of more than a script takes, are kept part by part. After an error some may have been
// kept, where the server's answer was lost or replicas did not acknowledge in time: a
// repeat finds them to be duplicates, and says so once replicas have them.
func (b *Inbox) Append(ctx context.Context, messages ...inbox.Message) ([]inbox.Appended, error) {
	for i := range messages {
		if err := messages[i].Check(); err != nil {
			return nil, err
		}
	}
	if !b.begin() {
		return nil, inbox.ErrClosed
	}
	defer b.work.Done()
	var pieces []*piece
	for _, name := range feedsOf(messages) {
		f, err := b.feed(ctx, name)
		if err != nil {
			return nil, err
		}
		parts := split(name, messages)
		b.enqueue(ctx, f, parts)
		pieces = append(pieces, parts...)
	}
	result := make([]inbox.Appended, len(messages))
	var errs []error
	for _, p := range pieces {
		select {
		case <-p.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("redisinbox: %w", ctx.Err())
		}
		errs = append(errs, p.err)
		for i := range p.codes {
			result[p.at[i]] = appendedOf(p.codes[i])
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return result, nil
}

func feedsOf(messages []inbox.Message) []string {
	var names []string
	seen := make(map[string]bool, 1)
	for i := range messages {
		if name := messages[i].Feed; !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// split returns the feed's messages in pieces.
func split(feed string, messages []inbox.Message) []*piece {
	var pieces []*piece
	var last *piece
	for i := range messages {
		m := &messages[i]
		if m.Feed != feed {
			continue
		}
		if last == nil || len(last.messages) == maxBatch || last.size+len(m.SET) > maxBatchBytes {
			last = &piece{done: make(chan struct{})}
			pieces = append(pieces, last)
		}
		last.messages, last.at, last.size = append(last.messages, m), append(last.at, i), last.size+len(m.SET)
	}
	return pieces
}

func appendedOf(code byte) inbox.Appended {
	switch code {
	case '1':
		return inbox.Appended{Duplicate: true}
	case '2':
		return inbox.Appended{Err: inbox.ErrFull}
	case '3':
		return inbox.Appended{Err: inbox.ErrUnexpectedState}
	}
	return inbox.Appended{}
}

// enqueue lets pieces be committed, by a goroutine that ends when there are no more.
func (b *Inbox) enqueue(ctx context.Context, f *feed, pieces []*piece) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, pieces...)
	if !f.committing {
		f.committing = true
		b.work.Add(1) // within that of the caller
		go b.commitAll(context.WithoutCancel(ctx), f)
	}
}

// commitAll commits what waits, as much at once as there is.
func (b *Inbox) commitAll(ctx context.Context, f *feed) {
	defer b.work.Done()
	for {
		f.mu.Lock()
		n, messages, size := 0, 0, 0
		for n < len(f.queue) {
			p := f.queue[n]
			if messages, size = messages+len(p.messages), size+p.size; n > 0 && (messages > maxBatch || size > maxBatchBytes) {
				break
			}
			n++
		}
		batch := f.queue[:n:n]
		f.queue = f.queue[n:]
		f.committing = n > 0
		f.mu.Unlock()
		if n == 0 {
			return
		}
		b.commit(ctx, f, batch)
	}
}

func (b *Inbox) commit(ctx context.Context, f *feed, batch []*piece) {
	args := []any{b.cfg.Remember.Milliseconds(), b.cfg.MaxWaiting}
	n := 0
	for _, p := range batch {
		n += len(p.messages)
		for _, m := range p.messages {
			with, state := "0", ""
			if m.State != nil {
				with, state = "1", *m.State
			}
			args = append(args, identityOf(m), laneOf(m), m.Received.UnixMilli(), blobOf(m), with, state)
		}
	}
	began := time.Now()
	answer, err := b.write(ctx, f, b.scripts.append, args...)
	var codes string
	if err == nil {
		codes, err = codesOf(answer, n)
	}
	if b.cfg.Observe != nil && err == nil {
		b.cfg.Observe(n, time.Since(began))
	}
	for _, p := range batch {
		if p.err = err; err == nil {
			p.codes, codes = codes[:len(p.messages)], codes[len(p.messages):]
		}
		close(p.done)
	}
	f.wakeUp()
}
