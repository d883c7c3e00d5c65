package redisinbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Take hands out up to max messages that are due, at most 256, and leases them to this
// process. Errors of the server are returned, too.
func (b *Inbox) Take(ctx context.Context, name string, max int) ([]inbox.Message, error) {
	if max < 1 {
		return nil, fmt.Errorf("redisinbox: Take of %d messages, want at least 1", max)
	}
	if !b.begin() {
		return nil, inbox.ErrClosed
	}
	defer b.work.Done()
	f, err := b.feed(ctx, name)
	if err != nil {
		return nil, err
	}
	for ctx.Err() == nil {
		woken := f.woken() // before looking
		messages, due, err := b.claim(ctx, f, min(max, maxBatch))
		if err != nil || len(messages) > 0 {
			return messages, err
		}
		timer := time.NewTimer(min(due, b.cfg.Poll))
		select {
		case <-ctx.Done():
		case <-b.closed:
			err = inbox.ErrClosed
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
		if err != nil {
			return nil, err
		}
	}
	return nil, ctx.Err()
}

// claim takes what is due now, and says when to look again. It is not cut short: what
// the server has handed out is lost for a lease if nobody hears of it.
func (b *Inbox) claim(ctx context.Context, f *feed, max int) ([]inbox.Message, time.Duration, error) {
	token := rand.Text()
	answer, err := b.read(context.WithoutCancel(ctx), f, b.scripts.take, token, max, b.cfg.Lease.Milliseconds(), maxBatchBytes)
	if err != nil {
		return nil, 0, err
	}
	list, err := redisdb.List(answer)
	if err != nil || len(list)%3 != 1 {
		return nil, 0, redisdb.ErrAnswer
	}
	due := b.cfg.Poll
	if ms := redisdb.Number(list[0]); ms >= 0 {
		due = time.Duration(ms)*time.Millisecond + time.Millisecond
	}
	messages, claims, err := claimsOf(f, token, list[1:])
	if err != nil {
		return nil, 0, err // nothing is held: it returns when the lease ends
	}
	free := messages[:0]
	var busy []settlement
	for i, m := range messages {
		if b.hold(ctx, m.Seq, claims[i]) {
			free = append(free, m)
		} else {
			busy = append(busy, settlement{held: claims[i], verdict: verdictReleased, delay: busyPause})
		}
	}
	if len(busy) > 0 {
		if _, err := b.settle(context.WithoutCancel(ctx), f, busy); err != nil {
			b.log.WarnContext(ctx, "messages that are at a hook of this process cannot be returned", "err", err)
		}
	}
	return free, due, nil
}

// claimsOf reads what lua/take.lua handed out under a token.
func claimsOf(f *feed, token string, list []any) (messages []inbox.Message, claims []*held, err error) {
	for part := range slices.Chunk(list, 3) {
		m, err := messageOf(f.name, redisdb.Text(part[2]))
		if err != nil {
			return nil, nil, err
		}
		h := &held{feed: f, entry: redisdb.Text(part[0]), token: token, identity: identityOf(&m)}
		if m.Seq, err = f.seq(h.entry); err != nil {
			return nil, nil, err
		}
		m.Attempts = int(redisdb.Number(part[1]))
		messages, claims = append(messages, m), append(claims, h)
	}
	return messages, claims, nil
}

// Verdicts as lua/settle.lua has them.
const (
	verdictDone     = "done"
	verdictAgain    = "again"
	verdictAside    = "aside"
	verdictReleased = "released"
)

// settlement is what becomes of a message.
type settlement struct {
	seq     uint64
	held    *held
	verdict string
	delay   time.Duration
	reason  string
}

// Settle keeps the outcomes of messages that are out at this process. Those of messages
// whose lease had ended do not count. Messages of several feeds are settled feed by feed.
func (b *Inbox) Settle(ctx context.Context, outcomes ...inbox.Outcome) error {
	if !b.begin() {
		return inbox.ErrClosed
	}
	defer b.work.Done()
	all := make([]settlement, 0, len(outcomes))
	for _, o := range outcomes {
		s := settlement{seq: o.Seq, reason: inbox.CutReason(o.Reason)}
		switch o.Verdict {
		case inbox.Done:
			s.verdict = verdictDone
		case inbox.Again:
			s.verdict, s.delay = verdictAgain, time.Duration(b.until(o.Due))*time.Millisecond
		case inbox.SetAside:
			s.verdict = verdictAside
		case inbox.Released:
			s.verdict = verdictReleased
		default:
			return fmt.Errorf("redisinbox: unknown verdict %d", o.Verdict)
		}
		all = append(all, s)
	}
	var errs []error
	for f, batch := range b.settling(all) {
		for part := range slices.Chunk(batch, maxBatch) {
			late, err := b.settle(ctx, f, part)
			b.settled(part, err)
			errs = append(errs, err)
			if late > 0 {
				b.log.WarnContext(ctx, "outcomes do not count: the leases of their messages had ended, and they are handed out again",
					"feed", f.name, "messages", late)
			}
		}
		f.wakeUp()
	}
	return errors.Join(errs...)
}

// settle tells the server, and returns how many did not count.
func (b *Inbox) settle(ctx context.Context, f *feed, batch []settlement) (late int, err error) {
	var args []any
	for _, s := range batch {
		args = append(args, s.held.entry, s.held.token, s.verdict, s.delay.Milliseconds(), s.reason, s.held.identity)
	}
	answer, err := b.write(ctx, f, b.scripts.settle, args...)
	if err != nil {
		return 0, err
	}
	codes, err := codesOf(answer, len(batch))
	for i := range codes {
		if codes[i] == '0' {
			late++
		}
	}
	return late, err
}
