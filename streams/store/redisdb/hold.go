package redisdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"
)

// Defaults of [HoldConfig] (contracts.md §9).
const (
	DefaultLease = 9 * time.Second
	DefaultLook  = 2 * time.Second

	// leaseRenewals is how often a lease is renewed in its time.
	leaseRenewals = 3
	// leaseTopic is the topic on which leases that are given back are told.
	leaseTopic = "leases"
)

// HoldConfig says which leases are shared out among the processes of a group.
type HoldConfig struct {
	// Group names those who share. Required.
	Group string
	// Keys are the leases, each in the slot of what it guards. Required.
	Keys []string
	// Lease is how long a lease lasts without being renewed, which is done three times in
	// it; zero: DefaultLease.
	Lease time.Duration
	// Look is how often a process looks for leases to take; zero: DefaultLook.
	Look time.Duration
	// Wakes, if set, makes it look at once when others come, leave, or give leases back.
	Wakes *Wakes
	// Logger is told what is taken, lost and given back; nil: nobody is.
	Logger *slog.Logger
}

// Held is a lease that this process has.
type Held struct {
	Index int // in Keys
	Token uint64
}

// Holder takes a fair share of leases: of n processes each has at most 1/n of them,
// rounded up. One Run at a time.
type Holder struct{ h *holding }

// NewHolder returns one that holds nothing until Run. It is made before cfg.Wakes runs.
func NewHolder(db *DB, cfg HoldConfig) (*Holder, error) {
	if cfg.Group == "" || len(cfg.Keys) == 0 || cfg.Lease < 0 || cfg.Look < 0 {
		return nil, errors.New("redisdb: HoldConfig: Group and Keys are required, times are not negative")
	}
	if cfg.Lease == 0 {
		cfg.Lease = DefaultLease
	}
	if cfg.Look == 0 {
		cfg.Look = DefaultLook
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &holding{
		db: db.forLeases(), cfg: cfg, scripts: newLeaseScripts(),
		members: fmt.Sprintf("%s:{members:%s}", db.cfg.Prefix, cfg.Group),
		poke:    make(chan struct{}, 1), held: make(map[int]*grip),
	}
	cfg.Wakes.On(leaseTopic, func(group string) {
		if group == cfg.Group || group == "" {
			h.look()
		}
	})
	return &Holder{h}, nil
}

// Run takes leases and runs work beside, once for each while it is held, until ctx ends.
// work's context ends when the lease is lost or is to be given up; it is given up when
// work has returned. Work that returns by itself gives its lease back, and may be run
// again at once. Run returns when all work has returned.
func (r *Holder) Run(ctx context.Context, work func(ctx context.Context, held Held)) error {
	h := r.h
	h.me = rand.Text()
	var group sync.WaitGroup
	for away := false; ctx.Err() == nil; {
		members, err := h.join(ctx, h.cfg.Lease)
		if err == nil {
			want := (len(h.cfg.Keys) + members - 1) / members
			h.surrender(want)
			err = h.take(ctx, want, func(g *grip) {
				group.Go(func() { h.work(ctx, g, work) })
			})
		}
		if err != nil && !away && ctx.Err() == nil { // once, and not for each lease
			h.cfg.Logger.WarnContext(ctx, "leases cannot be looked for, nor renewed", "group", h.cfg.Group, "err", err)
		}
		if err == nil && away {
			h.cfg.Logger.InfoContext(ctx, "leases are looked for again", "group", h.cfg.Group)
		}
		away = err != nil
		timer := time.NewTimer(h.cfg.Look)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-h.poke:
		}
		timer.Stop()
	}
	group.Wait()
	if _, err := h.join(context.WithoutCancel(ctx), 0); err != nil {
		h.cfg.Logger.WarnContext(ctx, "could not leave the group of leases", "group", h.cfg.Group, "err", err)
	}
	return nil
}

// holding is a Holder at work.
type holding struct {
	db      *DB
	cfg     HoldConfig
	scripts leaseScripts
	members string // key
	me      string // tells this run from all others
	poke    chan struct{}

	mu   sync.Mutex
	held map[int]*grip
}

// grip is a lease that is held, or whose work is ending.
type grip struct {
	Held
	key     string
	until   time.Time     // by this process's clock; never after the server's end of it
	give    chan struct{} // closed when it is to be given up
	leaving bool
}

// look makes Run look at once.
func (h *holding) look() {
	select {
	case h.poke <- struct{}{}:
	default:
	}
}

// surrender gives up what is held beyond a number.
func (h *holding) surrender(want int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	surplus := -want
	for _, g := range h.held {
		if !g.leaving {
			surplus++
		}
	}
	for _, g := range h.held {
		if surplus <= 0 {
			return
		}
		if !g.leaving {
			g.leaving = true
			close(g.give)
			surplus--
		}
	}
}

// take takes free leases, in no order, until as many are held as wanted.
func (h *holding) take(ctx context.Context, want int, start func(*grip)) error {
	for _, i := range mathrand.Perm(len(h.cfg.Keys)) {
		h.mu.Lock()
		_, mine := h.held[i]
		enough := len(h.held) >= want
		h.mu.Unlock()
		if enough {
			return nil
		}
		if mine {
			continue
		}
		asked := time.Now()
		token, err := h.takeLease(ctx, h.cfg.Keys[i])
		if err != nil {
			return err
		}
		if token == 0 {
			continue
		}
		g := &grip{
			Held: Held{Index: i, Token: token}, key: h.cfg.Keys[i],
			until: asked.Add(h.cfg.Lease), give: make(chan struct{}),
		}
		h.mu.Lock()
		h.held[i] = g
		h.mu.Unlock()
		start(g)
	}
	return nil
}

// work runs the work of a lease for as long as it is held, and gives it back.
func (h *holding) work(ctx context.Context, g *grip, work func(context.Context, Held)) {
	defer h.look()
	defer func() {
		h.mu.Lock()
		delete(h.held, g.Index)
		h.mu.Unlock()
	}()
	inner, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(inner, g.Held)
	}()
	// It is renewed until the work has returned, also where it is to end: what is in
	// flight still counts.
	if !h.keep(context.WithoutCancel(ctx), g, stop, done) {
		h.cfg.Logger.WarnContext(ctx, "a lease was lost", "lease", g.key, "token", g.Token)
		stop()
		<-done
		return
	}
	if err := h.returnLease(context.WithoutCancel(ctx), g.key, g.Token); err != nil {
		h.cfg.Logger.WarnContext(ctx, "a lease could not be given back", "lease", g.key, "err", err)
	}
}

// keep renews the lease until done is closed, or it is lost (false).
func (h *holding) keep(ctx context.Context, g *grip, stop func(), done <-chan struct{}) bool {
	beat := time.NewTicker(h.cfg.Lease / leaseRenewals)
	defer beat.Stop()
	end := time.NewTimer(time.Until(g.until))
	defer end.Stop()
	give := g.give
	for {
		select {
		case <-done:
			return true
		case <-give:
			stop()
			give = nil
		case <-end.C:
			return false
		case <-beat.C:
			asked := time.Now()
			if asked.After(g.until) { // frozen meanwhile
				return false
			}
			switch kept, err := h.renewLease(ctx, g.key, g.Token); {
			case err != nil:
				h.cfg.Logger.DebugContext(ctx, "a lease could not be renewed", "lease", g.key, "err", err)
			case !kept:
				return false
			default:
				g.until = asked.Add(h.cfg.Lease)
				end.Reset(time.Until(g.until))
			}
		}
	}
}

// Sole returns a Holder of one lease: of all processes that run it with the name, one at a
// time works.
func (db *DB) Sole(name string, wakes *Wakes, logger *slog.Logger) (*Holder, error) {
	return NewHolder(db, HoldConfig{
		Group: name, Keys: []string{fmt.Sprintf("%s:{lease:%s}", db.cfg.Prefix, name)}, Wakes: wakes, Logger: logger,
	})
}
