package consent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Refusal is what a denial or a revocation does to events that are held.
type Refusal string

// What a refusal does.
const (
	RefusalHolds Refusal = "hold" // they stay held
	RefusalDrops Refusal = "drop" // they are dropped after a period
)

// MaxPeriod bounds the periods of a gate.
const MaxPeriod = 10 * 365 * 24 * time.Hour

// Settings are those of an application's gate. The zero value is a gate that
// is off. What is in force at a record's place governs that record: the hold
// period is that of the event; what a refusal does is that of the refusal, or
// of the event where that came later.
type Settings struct {
	Enabled bool `json:"enabled"`
	// HoldSeconds is how long an event is held; 0: until it is released.
	HoldSeconds int64 `json:"hold_seconds"`
	// Refused is what a refusal does; "": hold.
	Refused Refusal `json:"refused"`
	// DropAfterSeconds is, where a refusal drops, how long after the refusal
	// (or the event, if that came later); 0: at once.
	DropAfterSeconds int64 `json:"drop_after_seconds"`
}

// check fills in the default and returns an [*InvalidError] for what cannot be.
func (s *Settings) check() error {
	if s.Refused == "" {
		s.Refused = RefusalHolds
	}
	const most = int64(MaxPeriod / time.Second)
	switch {
	case s.HoldSeconds < 0 || s.HoldSeconds > most:
		return &InvalidError{"hold_seconds", fmt.Sprintf("is not a number from 0 to %d", most)}
	case s.DropAfterSeconds < 0 || s.DropAfterSeconds > most:
		return &InvalidError{"drop_after_seconds", fmt.Sprintf("is not a number from 0 to %d", most)}
	case s.Refused != RefusalHolds && s.Refused != RefusalDrops:
		return &InvalidError{"refused", "is neither hold nor drop"}
	}
	return nil
}

// setting is settings with their place in the log.
type setting struct {
	seq uint64
	Settings
}

// gateBody is the body of an entry that sets a gate.
type gateBody struct {
	Gate *struct {
		Application string `json:"application"`
		Settings
	} `json:"gate"`
	By string `json:"by,omitempty"`
}

// Set notes the settings of an application's gate; they are in force for what
// comes after them in the log. by names who asked. Error: [*InvalidError].
func (g *Gate) Set(ctx context.Context, application string, s Settings, by string) (Settings, error) {
	if err := s.check(); err != nil {
		return Settings{}, err
	}
	body := gateBody{By: by}
	body.Gate = &struct {
		Application string `json:"application"`
		Settings
	}{application, s}
	text, err := json.Marshal(body)
	if err != nil {
		return Settings{}, fmt.Errorf("consent: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.catchUp(ctx, g.now()); err != nil {
		return Settings{}, err
	}
	done, err := g.log.Note(ctx, eventlog.Entry{
		Kind: eventlog.KindConsent, Body: text, Refs: []string{eventlog.RefAll, refGates, refGate + application},
	})
	if err != nil {
		// It may have been kept all the same: it is read again.
		g.loaded = false
		return Settings{}, fmt.Errorf("consent: %w", err)
	}
	g.put(application, setting{done[0].Seq, s})
	return s, nil
}

// Settings returns those in force now.
func (g *Gate) Settings(ctx context.Context, application string) (Settings, error) {
	s, err := g.at(ctx, application, ^uint64(0))
	if err == nil {
		err = s.check() // the default's name
	}
	return s, err
}

// at returns the settings in force at a place of the log.
func (g *Gate) at(ctx context.Context, application string, seq uint64) (Settings, error) {
	now := g.now()
	g.mu.RLock()
	known, list := g.current(now), g.gates[application]
	g.mu.RUnlock()
	if !known {
		g.mu.Lock()
		err := g.catchUp(ctx, now)
		list = g.gates[application]
		g.mu.Unlock()
		if err != nil {
			return Settings{}, err
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].seq < seq {
			return list[i].Settings, nil
		}
	}
	return Settings{}, nil
}

// Ever reports whether the application's gate was ever on: else it holds nothing.
func (g *Gate) Ever(ctx context.Context, application string) (bool, error) {
	_, ever, err := g.first(ctx, application)
	return ever, err
}

// Gated returns the applications whose gate was ever on, by their ids; some may be removed
// since.
func (g *Gate) Gated(ctx context.Context) ([]string, error) {
	if _, err := g.at(ctx, "", 0); err != nil { // what is known is new enough then
		return nil, err
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	var ids []string
	for id, list := range g.gates {
		if slices.ContainsFunc(list, func(s setting) bool { return s.Enabled }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// first returns the place at which an application's gate was first turned on.
func (g *Gate) first(ctx context.Context, application string) (seq uint64, ever bool, err error) {
	if _, err := g.at(ctx, application, 0); err != nil {
		return 0, false, err
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, s := range g.gates[application] {
		if s.Enabled {
			return s.seq, true, nil
		}
	}
	return 0, false, nil
}

// current reports whether what is known of settings is new enough. Needs mu.
func (g *Gate) current(now time.Time) bool {
	if g.every == 0 || !g.loaded {
		return g.loaded
	}
	age := now.Sub(g.read)
	return age >= 0 && age < g.every
}

// catchUp reads all settings, or those that others noted since. Needs mu.
func (g *Gate) catchUp(ctx context.Context, now time.Time) error {
	if g.current(now) {
		return nil
	}
	if !g.loaded {
		clear(g.gates)
		g.upTo = 0
	}
	if err := g.each(ctx, refGates, eventlog.Span{After: g.upTo}, func(rec *eventlog.Record) bool {
		g.keep(rec)
		g.upTo = rec.Seq
		return true
	}); err != nil {
		return err
	}
	g.loaded, g.read = true, now
	return nil
}

// keep puts what an entry sets, if it is one of a gate, where it is not known
// yet. Needs mu.
func (g *Gate) keep(rec *eventlog.Record) {
	var body gateBody
	if rec.Erased || json.Unmarshal(rec.Entry, &body) != nil || body.Gate == nil {
		return
	}
	g.put(body.Gate.Application, setting{rec.Seq, body.Gate.Settings})
}

// put adds a setting in its place. Needs mu. Lists that readers hold are not
// changed.
func (g *Gate) put(application string, s setting) {
	list := g.gates[application]
	at, known := slices.BinarySearchFunc(list, s.seq, func(one setting, seq uint64) int { return cmp.Compare(one.seq, seq) })
	if !known {
		g.gates[application] = slices.Insert(slices.Clone(list), at, s)
	}
}
