package redisinbox

import (
	"context"
	"errors"
	"slices"
	"time"
)

// busyPause is how long a message waits that came back while a hook of this process,
// whose lease had ended, still has it.
const busyPause = time.Second

// held is a message that is out at this process, from Take until it is settled.
type held struct {
	feed                   *feed
	entry, token, identity string
	lost                   bool // its lease ended: nothing to renew
	settling               bool
}

// hold notes that a message is out and sees that its lease is renewed. It returns false
// if the message is out here already, under a lease that ended: outcomes name it by its
// Seq alone, and those of the two could not be told apart.
func (b *Inbox) hold(ctx context.Context, seq uint64, h *held) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.out[seq]; old != nil && !old.settling {
		old.lost = true
		return false
	}
	b.out[seq] = h
	if !b.keeping {
		b.keeping = true
		b.work.Add(1) // within that of the caller
		go b.keep(context.WithoutCancel(ctx))
	}
	return true
}

// settling returns, by feed, those of all that are out and not being settled already.
func (b *Inbox) settling(all []settlement) map[*feed][]settlement {
	b.mu.Lock()
	defer b.mu.Unlock()
	byFeed := make(map[*feed][]settlement)
	for _, s := range all {
		if s.held = b.out[s.seq]; s.held != nil && !s.held.settling {
			s.held.settling = true
			byFeed[s.held.feed] = append(byFeed[s.held.feed], s)
		}
	}
	return byFeed
}

// settled notes what became of a settlement: after an error the messages are still out.
func (b *Inbox) settled(batch []settlement, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range batch {
		s.held.settling = false
		if err == nil && b.out[s.seq] == s.held {
			delete(b.out, s.seq)
		}
	}
}

// keep renews leases until nothing is out or the inbox is closed.
func (b *Inbox) keep(ctx context.Context) {
	defer b.work.Done()
	timer := time.NewTicker(b.cfg.Lease / 3)
	defer timer.Stop()
	down := false
	for {
		select {
		case <-b.closed:
			return
		case <-timer.C:
		}
		held, any := b.holding()
		if !any {
			return
		}
		var errs []error
		for f, list := range held {
			for part := range slices.Chunk(list, maxBatch) {
				errs = append(errs, b.renew(ctx, f, part))
			}
		}
		err := errors.Join(errs...)
		if err != nil && !down {
			b.log.WarnContext(ctx, "leases cannot be renewed: others get the messages that are at a hook", "err", err)
		}
		down = err != nil
	}
}

// holding returns what is to be renewed, by feed, and whether anything is out; if not,
// the caller renews no longer.
func (b *Inbox) holding() (map[*feed][]*held, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	byFeed := make(map[*feed][]*held)
	for _, h := range b.out {
		if !h.lost {
			byFeed[h.feed] = append(byFeed[h.feed], h)
		}
	}
	b.keeping = len(b.out) > 0
	return byFeed, b.keeping
}

func (b *Inbox) renew(ctx context.Context, f *feed, list []*held) error {
	args := []any{b.cfg.Lease.Milliseconds()}
	for _, h := range list {
		args = append(args, h.entry, h.token)
	}
	ctx, cancel := context.WithTimeout(ctx, max(b.cfg.Lease/3, MinLease))
	defer cancel()
	answer, err := b.read(ctx, f, b.scripts.renew, args...)
	if err != nil {
		return err
	}
	codes, err := codesOf(answer, len(list))
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, h := range list {
		h.lost = h.lost || codes[i] == '0'
	}
	return nil
}

// releaseAll returns everything that is out to its place.
func (b *Inbox) releaseAll(ctx context.Context) error {
	b.mu.Lock()
	byFeed := make(map[*feed][]settlement)
	for seq, h := range b.out {
		byFeed[h.feed] = append(byFeed[h.feed], settlement{seq: seq, held: h, verdict: verdictReleased})
	}
	clear(b.out)
	b.mu.Unlock()
	var errs []error
	for f, all := range byFeed {
		for part := range slices.Chunk(all, maxBatch) {
			_, err := b.settle(ctx, f, part)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
