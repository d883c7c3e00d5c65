package consent

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Beside consent stands whether an account takes part in RISC (RISC §2.8). Its
// state is kept from the events opt-in and opt-out-… themselves: the follower
// notes an entry for each that it comes to. The state at a place of the log is
// that of the newest such event before it that is for the application, or for
// all, and bears one of the subject's identifiers; without one it is opt-in.
const (
	refOpt   = "opt\x00"   // states of a subject, per application
	refEvent = "event\x00" // the entries of an event
	// maxOptIdentifiers bounds those of an event that its state is kept for.
	maxOptIdentifiers = 256
)

// optBody is the body of an entry about participation.
type optBody struct {
	Application string             `json:"application"` // empty: all
	State       risc.Participation `json:"state"`
	Type        string             `json:"event_type"`
	Event       string             `json:"event"` // its id
	At          uint64             `json:"at"`    // its place
	Time        time.Time          `json:"recorded_at"`
}

// Participation is how an account takes part.
type Participation struct {
	State risc.Participation
	Since time.Time // of the event that says so; zero: none does
	at    uint64
}

// Participation returns the state of an account towards an application, by the
// events before a place of the log (0: by all).
func (g *Gate) Participation(ctx context.Context, application string, ids []subject.Identifier, before uint64) (Participation, error) {
	newest := Participation{State: risc.ParticipationIn}
	for _, id := range users(nil, ids) {
		for _, scope := range []string{application, ""} {
			p, err := g.opted(ctx, of(refOpt, scope, id), before)
			if err != nil {
				return newest, err
			}
			if p.at > newest.at {
				newest = p
			}
		}
	}
	return newest, nil
}

// Heard is Participation as far as the application may hear of it: an event that
// its gate holds tells it nothing.
func (g *Gate) Heard(ctx context.Context, application string, ids []subject.Identifier) (Participation, error) {
	for before := uint64(0); ; {
		p, err := g.Participation(ctx, application, ids, before)
		if err != nil || p.at == 0 {
			return p, err
		}
		rec, err := g.log.Record(ctx, p.at)
		if err != nil {
			return Participation{}, fmt.Errorf("consent: participation: %w", err)
		}
		said := *rec
		if said.Erased { // by retention; it bore one of them
			said.Subjects = ids
		}
		v, err := g.Passes(ctx, application, &said)
		if err != nil || v.State == Sent {
			return p, err
		}
		before = p.at
	}
}

// opted returns the newest state under a key by an event before a place.
func (g *Gate) opted(ctx context.Context, ref string, before uint64) (Participation, error) {
	span := eventlog.Span{Newest: true, Max: 1}
	for {
		page, err := g.log.Entries(ctx, eventlog.KindParticipation, ref, span)
		if err != nil {
			return Participation{}, fmt.Errorf("consent: participation: %w", err)
		}
		if len(page) == 0 {
			return Participation{State: risc.ParticipationIn}, nil
		}
		for _, rec := range page {
			var b optBody
			if !rec.Erased && json.Unmarshal(rec.Entry, &b) == nil && (before == 0 || b.At < before) {
				return Participation{b.State, b.Time, b.At}, nil
			}
			span.Before = rec.Seq
		}
		if span.Before <= 1 {
			return Participation{State: risc.ParticipationIn}, nil
		}
		span.Max = pageSize
	}
}

// optType returns the last event about taking part that a record becomes.
func optType(rec *eventlog.Record) string {
	for n := len(rec.Mapped) - 1; n >= 0; n-- {
		switch t := rec.Mapped[n].Type; t {
		case risc.OptInType, risc.OptOutInitiatedType, risc.OptOutCancelledType, risc.OptOutEffectiveType:
			return t
		}
	}
	return ""
}

// Opted notes the state that an event says, if it is one about taking part.
// Safe to repeat.
func (f *Follower) Opted(ctx context.Context, rec *eventlog.Record) error {
	t := optType(rec)
	if t == "" {
		return nil
	}
	event := refEvent + strconv.FormatUint(rec.Seq, 10)
	noted, err := f.gate.log.Entries(ctx, eventlog.KindParticipation, event, eventlog.Span{Max: 1})
	if err != nil {
		return fmt.Errorf("consent: participation: %w", err)
	}
	clear(f.opted)
	f.opting = optsKnown
	if len(noted) > 0 {
		return nil
	}
	scopes := rec.Applications
	if scopes == nil {
		scopes = []string{""}
	}
	state, _ := risc.ParticipationIn.Next(t)
	entries := make([]eventlog.Entry, 0, len(scopes))
	for _, scope := range scopes {
		text, err := json.Marshal(optBody{scope, state, t, rec.ID, rec.Seq, rec.Recorded})
		if err != nil {
			return fmt.Errorf("consent: participation: %w", err)
		}
		refs := []string{eventlog.RefAll, event}
		for i, id := range Identifiers(rec) {
			if i < maxOptIdentifiers && len(id.Canonical()) <= MaxIdentifierBytes {
				refs = append(refs, eventlog.RefSubject(id), of(refOpt, scope, id))
			}
		}
		entries = append(entries, eventlog.Entry{Kind: eventlog.KindParticipation, Body: text, Refs: refs})
	}
	if len(entries) == 0 {
		return nil
	}
	if _, err := f.gate.log.Note(ctx, entries...); err != nil {
		return fmt.Errorf("consent: participation: %w", err)
	}
	return nil
}

// opts says what is known of entries about participation.
type opts uint8

const (
	optsUnknown opts = iota
	optsNone         // there are none: nothing needs to be looked up
	optsKnown        // there are some
)

// Exchanges reports whether an event of a type may be exchanged with an
// application at a place of the log, its own or a later one at which it is put:
// an event of RISC about an account that has opted out at either may not, unless
// it changes that (RISC §2.8).
func (f *Follower) Exchanges(ctx context.Context, application string, rec *eventlog.Record, place uint64, eventType string) (bool, error) {
	if !strings.HasPrefix(eventType, risc.BaseURI) {
		return true, nil
	}
	if f.opting == optsUnknown {
		some, err := f.gate.log.Entries(ctx, eventlog.KindParticipation, eventlog.RefAll, eventlog.Span{Max: 1})
		if err != nil {
			return false, fmt.Errorf("consent: participation: %w", err)
		}
		f.opting = optsNone
		if len(some) > 0 {
			f.opting = optsKnown
		}
	}
	if f.opting == optsNone {
		return true, nil
	}
	if place != rec.Seq { // put later: it must have been one to exchange in its own turn too
		then, err := f.gate.Participation(ctx, application, Identifiers(rec), rec.Seq)
		if err != nil || !then.lets(eventType) {
			return false, err
		}
	}
	newest := Participation{State: risc.ParticipationIn}
	for _, id := range Identifiers(rec) {
		for _, scope := range []string{application, ""} {
			p, err := f.optedBefore(ctx, of(refOpt, scope, id), place)
			if err != nil {
				return false, err
			}
			if p.at > newest.at {
				newest = p
			}
		}
	}
	return newest.lets(eventType), nil
}

// lets reports whether events of a type of RISC are exchanged in this state.
func (p Participation) lets(eventType string) bool {
	next, _ := p.State.Next(eventType)
	return p.State.Exchanges() || next != p.State
}

// optedBefore remembers what opted returns.
func (f *Follower) optedBefore(ctx context.Context, ref string, place uint64) (Participation, error) {
	p, ok := f.opted[ref]
	if ok && p.at < place {
		return p, nil
	}
	p, err := f.gate.opted(ctx, ref, place)
	if err != nil {
		return p, err
	}
	if len(f.opted) >= maxKnown {
		clear(f.opted)
	}
	f.opted[ref] = p
	return p, nil
}
