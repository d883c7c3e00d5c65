package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

const (
	// DefaultAhead is what Config.PublishAhead's zero value stands for: a day, for which
	// receivers keep a key set at the very most.
	DefaultAhead = 24 * time.Hour
	// DefaultRetire is what Config.RetireAfter's zero value stands for.
	DefaultRetire = 7 * 24 * time.Hour

	// minAhead is the least of Config.PublishAhead.
	minAhead = time.Hour
	// keepEvery is how often the schedule is looked at.
	keepEvery = time.Minute
	// clocksDiffer is how far clocks of processes may be from one another.
	clocksDiffer = time.Hour
)

// Check returns why the schedule of the keys cannot be kept.
func (c Config) Check() error { return c.checkSchedule() }

// checkSchedule checks the schedule and fills in what is not given.
func (c *Config) checkSchedule() error {
	for _, d := range []struct {
		field *time.Duration
		or    time.Duration
	}{{&c.PublishAhead, DefaultAhead}, {&c.RetireAfter, DefaultRetire}} {
		if *d.field == 0 {
			*d.field = d.or
		}
	}
	switch {
	case c.PublishAhead < minAhead:
		return fmt.Errorf("keys: Config: PublishAhead of %s, want %s at least: receivers keep key sets", c.PublishAhead, minAhead)
	case c.RetireAfter < Overlap:
		return fmt.Errorf("keys: Config: RetireAfter of %s, want %s at least", c.RetireAfter, Overlap)
	case c.RotateEvery < 0, c.RotateEvery > 0 && c.RotateEvery < c.PublishAhead:
		return fmt.Errorf("keys: Config: RotateEvery of %s, want 0 or PublishAhead (%s) at least", c.RotateEvery, c.PublishAhead)
	case c.RotateEvery > 0 && c.RetireAfter/c.RotateEvery > MaxKeys-4:
		return fmt.Errorf("keys: Config: RetireAfter of %s keeps too many keys of %s each", c.RetireAfter, c.RotateEvery)
	}
	return nil
}

// Steps of a schedule, as acts are named.
const (
	StepAnnounce = "key.announce"
	StepRotate   = "key.rotate"
	StepRetire   = "key.retire"
)

// Noting does one step of a schedule and notes it. kid is the key that it is about; empty:
// do returns it. What cannot be noted is not to be done: the error is either one.
type Noting func(ctx context.Context, step, kid string, do func(ctx context.Context) (kid string, err error)) error

// Keep rotates by the schedule until ctx ends; then it returns nil. A key is published
// for PublishAhead before it signs, signs for RotateEvery, and is retired when it has not
// signed for RetireAfter. Of several processes with one store one does it at a time; one
// that goes on for another goes on where that was.
//
// A clock that jumps while it runs changes nothing: time is measured, and the clock asked
// at the start alone. A key that was made in the future, by a clock that was ahead, is
// replaced. So is, without a schedule too, one that is kept here where they are to be held
// elsewhere.
//
// Each step is done within noting, if that is not nil.
func (r *Ring) Keep(ctx context.Context, noting Noting) error {
	if r.cfg.RotateEvery == 0 && r.cfg.Elsewhere == nil {
		return nil
	}
	if noting == nil {
		noting = func(ctx context.Context, _, _ string, do func(context.Context) (string, error)) error {
			_, err := do(ctx)
			return err
		}
	}
	k := &keeper{ring: r, noting: noting, wall: r.cfg.Now(), begun: time.Now(), seen: map[string]sight{}, left: map[string]bool{}}
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		k.tell(ctx, k.turn(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Due returns when the signing key is replaced by the schedule next; zero: there is none.
// A replacement that is late lies in the past.
func (r *Ring) Due() time.Time {
	if r.cfg.RotateEvery == 0 {
		return time.Time{}
	}
	var due time.Time
	for _, key := range r.List() {
		switch {
		case key.Next:
			return key.Created.Add(r.cfg.PublishAhead)
		case key.Current:
			due = key.Created.Add(r.cfg.RotateEvery + r.cfg.PublishAhead)
		}
	}
	return due
}

// keeper is one run of the schedule.
type keeper struct {
	ring   *Ring
	noting Noting
	wall   time.Time // the clock at the start
	begun  time.Time // the same, by which time is measured
	seen   map[string]sight
	told   string          // the last error that was logged; "": all was well since
	left   map[string]bool // keys that are old and that a signer has still, once told
}

// tell logs how a turn ended, if it did otherwise than the one before.
func (k *keeper) tell(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != k.told {
		k.ring.cfg.Logger.ErrorContext(ctx, "signing keys are not rotated as scheduled", slog.Any("err", err))
	}
	k.told = text
}

// sight is what was known of a key when it was seen first.
type sight struct {
	at     time.Duration // since the start
	age    time.Duration // by the clock of the start, never negative
	future bool          // made later than the clock said
}

// age returns how old a key is.
func (k *keeper) age(key Key) (age time.Duration, future bool) {
	since := time.Since(k.begun)
	s, known := k.seen[key.ID]
	if !known {
		s = sight{
			at: since, age: max(0, k.wall.Add(since).Sub(key.Created)),
			future: key.Created.After(k.ring.cfg.Now().Add(clocksDiffer)),
		}
		k.seen[key.ID] = s
	}
	return s.age + since - s.at, s.future
}

// turn does what is due.
func (k *keeper) turn(ctx context.Context) error {
	if err := k.ring.Look(ctx); err != nil {
		return err
	}
	cfg := &k.ring.cfg
	var current, next *Key
	var old []Key
	for _, key := range k.ring.List() {
		switch {
		case key.Current:
			current = &key
		case key.Next:
			next = &key
		case key.Announced: // it is no matter of the schedule
		default:
			old = append(old, key)
		}
	}
	scheduled := cfg.RotateEvery > 0
	if scheduled {
		if err := k.retire(ctx, old); err != nil {
			return err
		}
	}
	if current == nil {
		return nil
	}
	if next == nil {
		age, future := k.age(*current)
		if !k.ring.due(*current) && !(scheduled && (age >= cfg.RotateEvery || future)) {
			return nil
		}
		if err := k.ring.provides(ctx); err != nil {
			return err
		}
		return raced(k.noting(ctx, StepAnnounce, "", func(ctx context.Context) (string, error) {
			kid, err := k.ring.announce(ctx, current.ID)
			if err == nil {
				cfg.Logger.InfoContext(ctx, "a signing key is published, to sign later", slog.String("kid", kid), slog.Duration("signs_in", cfg.PublishAhead))
			}
			return kid, err
		}))
	}
	switch age, future := k.age(*next); {
	case future:
		cfg.Logger.WarnContext(ctx, "a signing key was published by a clock that was ahead, and is replaced", slog.String("kid", next.ID))
		return k.step(ctx, StepRetire, next.ID, func(ctx context.Context) error { return k.ring.Retire(ctx, next.ID, true) })
	case age >= cfg.PublishAhead:
		return raced(k.step(ctx, StepRotate, next.ID, func(ctx context.Context) error {
			err := k.ring.promote(ctx, next.ID, current.ID)
			if err == nil {
				cfg.Logger.InfoContext(ctx, "signing keys rotated by schedule", slog.String("kid", next.ID), slog.String("before", current.ID))
			}
			return err
		}))
	}
	return nil
}

// step does a step about a key that there is.
func (k *keeper) step(ctx context.Context, step, kid string, do func(ctx context.Context) error) error {
	return k.noting(ctx, step, kid, func(ctx context.Context) (string, error) { return kid, do(ctx) })
}

// raced takes it for done if somebody else did something: the next turn looks again.
func raced(err error) error {
	if errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// retire retires keys that have not signed for long.
func (k *keeper) retire(ctx context.Context, old []Key) error {
	now := k.wall.Add(time.Since(k.begun))
	for _, key := range old {
		if now.Sub(key.LastUsed) < k.ring.cfg.RetireAfter {
			continue
		}
		if _, err := k.ring.retirable(key.ID, false); err != nil {
			if errors.Is(err, ErrAnnounced) && !k.left[key.ID] {
				k.left[key.ID] = true
				k.ring.cfg.Logger.WarnContext(ctx, "a signing key has had its day, and the signer has it still: take it from the signer, then it is retired", slog.String("kid", key.ID))
			}
			continue // or it signed later than is known to all
		}
		err := k.step(ctx, StepRetire, key.ID, func(ctx context.Context) error { return k.ring.Retire(ctx, key.ID, false) })
		switch {
		case err == nil:
			k.ring.cfg.Logger.InfoContext(ctx, "a signing key is retired by schedule", slog.String("kid", key.ID))
		case !errors.Is(err, ErrTooSoon) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrAnnounced):
			return err
		}
	}
	return nil
}

// provides looks whether there is a key to be announced, so that nothing is noted where
// there is none.
func (r *Ring) provides(ctx context.Context) error {
	if len(r.held.Load().keys) >= MaxKeys {
		return fmt.Errorf("%w: at most %d", ErrFull, MaxKeys)
	}
	err := r.ask(ctx)
	if err == nil && r.cfg.Elsewhere != nil {
		_, err = r.pick()
	}
	return err
}

// announce publishes a new key that signs later.
func (r *Ring) announce(ctx context.Context, current string) (string, error) {
	r.turns.Lock()
	defer r.turns.Unlock()
	record, _, _, err := r.provide(false)
	if err != nil {
		return "", err
	}
	record.Current, record.Next = false, true
	if err := r.cfg.Store.Announce(context.WithoutCancel(ctx), record, current); err != nil {
		return "", err
	}
	return record.ID, r.load(context.WithoutCancel(ctx))
}

// promote lets the next key sign.
func (r *Ring) promote(ctx context.Context, kid, before string) error {
	r.turns.Lock()
	defer r.turns.Unlock()
	return r.advance(ctx, kid, before)
}

// advance is promote for who holds turns.
func (r *Ring) advance(ctx context.Context, kid, before string) error {
	err := r.cfg.Store.Promote(context.WithoutCancel(ctx), kid, before, r.cfg.Now().Truncate(time.Second))
	if err == nil {
		r.Signed(before)
	} else if !errors.Is(err, ErrChanged) {
		return err
	}
	return errors.Join(err, r.load(context.WithoutCancel(ctx)))
}
