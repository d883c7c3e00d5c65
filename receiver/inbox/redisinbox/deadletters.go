package redisinbox

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// DeadLetters returns a page of the feed's dead letters, which may end early for its size.
func (b *Inbox) DeadLetters(ctx context.Context, name string, after uint64, max int) ([]inbox.DeadLetter, error) {
	if !b.begin() {
		return nil, inbox.ErrClosed
	}
	defer b.work.Done()
	f, err := b.feed(ctx, name)
	if err != nil {
		return nil, err
	}
	answer, err := b.read(ctx, f, b.scripts.letters, place(after), min(max, inbox.MaxPage), maxBatchBytes)
	if err != nil {
		return nil, err
	}
	list, err := redisdb.List(answer)
	if err != nil || len(list)%2 != 0 {
		return nil, redisdb.ErrAnswer
	}
	var page []inbox.DeadLetter
	for pair := range slices.Chunk(list, 2) {
		d, err := letterOf(f, redisdb.Text(pair[0]), redisdb.Text(pair[1]))
		if err != nil {
			return nil, err
		}
		page = append(page, d)
	}
	return page, nil
}

// letterOf reads what lua/settle.lua keeps: "AT ATTEMPTS LENGTH REASON…BLOB".
func letterOf(f *feed, number, letter string) (inbox.DeadLetter, error) {
	var head [3]int64
	for i := range head {
		var text string
		text, letter, _ = strings.Cut(letter, " ")
		head[i] = redisdb.Number(text)
	}
	if head[2] < 0 || head[2] > int64(len(letter)) {
		return inbox.DeadLetter{}, redisdb.ErrAnswer
	}
	m, err := messageOf(f.name, letter[head[2]:])
	if err != nil {
		return inbox.DeadLetter{}, err
	}
	m.Seq, err = f.seq(number)
	m.Attempts = int(head[1])
	return inbox.DeadLetter{Message: m, Reason: letter[:head[2]], At: time.UnixMilli(head[0])}, err
}

// Resend makes a dead letter wait again, in no order.
func (b *Inbox) Resend(ctx context.Context, issuer, id string) error {
	return b.letter(ctx, issuer, id, "resend")
}

// Drop erases a dead letter.
func (b *Inbox) Drop(ctx context.Context, issuer, id string) error {
	return b.letter(ctx, issuer, id, "drop")
}

// letter asks feed after feed for the dead letter.
func (b *Inbox) letter(ctx context.Context, issuer, id, what string) error {
	if !b.begin() {
		return inbox.ErrClosed
	}
	defer b.work.Done()
	names, err := b.known(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		f, err := b.feed(ctx, name)
		if err != nil {
			return err
		}
		identity := identityOf(&inbox.Message{Feed: name, Issuer: issuer, ID: id})
		answer, err := b.write(ctx, f, b.scripts.letter, identity, what)
		if err != nil {
			return err
		}
		if redisdb.Text(answer) == "ok" {
			f.wakeUp()
			return nil
		}
	}
	return inbox.ErrNotFound
}
