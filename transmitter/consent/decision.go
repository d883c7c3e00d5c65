package consent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Word is what a subject decided.
type Word string

// The decisions.
const (
	Grant  Word = "grant"
	Deny   Word = "deny"
	Revoke Word = "revoke"
)

// Decision is one decision of a subject about an application.
type Decision struct {
	ID          string               `json:"id"`
	Application string               `json:"application"`
	Subjects    []subject.Identifier `json:"subject"`
	Decision    Word                 `json:"decision"`
	// Time is when the subject decided, as the source says; a decision is in
	// force from its place in the log on, whatever its time (but see
	// [Follower.Told]).
	Time     time.Time `json:"time,omitzero"`
	Recorded time.Time `json:"recorded_at"`
	Reason   string    `json:"reason,omitempty"`
	SourceID string    `json:"source_id,omitempty"`
	By       string    `json:"by,omitempty"`
	Seq      uint64    `json:"-"`
	// At is the place of the event that tells it; 0: none does.
	At uint64 `json:"-"`
}

// body is a decision as an entry holds it.
type body struct {
	Decision    Word                 `json:"decision"`
	Application string               `json:"application"`
	Subjects    []subject.Identifier `json:"subject"`
	Time        time.Time            `json:"time,omitzero"`
	Reason      string               `json:"reason,omitempty"`
	SourceID    string               `json:"source_id,omitempty"`
	By          string               `json:"by,omitempty"`
	At          uint64               `json:"at,omitempty"` // erasures read it
}

// check returns an [*InvalidError] for what cannot be kept, and spreads
// aliases into what they hold.
func (d *Decision) check() error {
	ids := users(nil, d.Subjects)
	ids = slices.DeleteFunc(ids, func(id subject.Identifier) bool { return id.Format() == subject.FormatAliases })
	switch {
	case d.Decision != Grant && d.Decision != Deny && d.Decision != Revoke:
		return &InvalidError{"decision", "is not grant, deny or revoke"}
	case len(ids) == 0:
		return &InvalidError{"subject", "is missing"}
	case len(ids) > MaxIdentifiers:
		return &InvalidError{"subject", fmt.Sprintf("has more than %d identifiers", MaxIdentifiers)}
	case slices.ContainsFunc(ids, subject.Identifier.IsComplex):
		return &InvalidError{"subject", "is complex: a user decides, and a user has simple identifiers"}
	case slices.ContainsFunc(ids, func(id subject.Identifier) bool { return len(id.Canonical()) > MaxIdentifierBytes }):
		return &InvalidError{"subject", fmt.Sprintf("has an identifier of more than %d bytes", MaxIdentifierBytes)}
	case len(d.Reason) > MaxReasonBytes:
		return &InvalidError{"reason", fmt.Sprintf("has more than %d bytes", MaxReasonBytes)}
	case len(d.SourceID) > MaxSourceIDBytes:
		return &InvalidError{"source_id", fmt.Sprintf("has more than %d bytes", MaxSourceIDBytes)}
	case d.Time.UTC().Year() < 0 || d.Time.UTC().Year() > 9999:
		return &InvalidError{"time", "is outside of the years 0 to 9999"}
	}
	d.Subjects = ids
	return nil
}

// Decide notes a decision; durable on return. ID, Seq and Recorded are set in
// what it returns. A source id that the application used before for the same
// decision returns that one, and old is true.
// Errors: [*InvalidError], [*ConflictError]; any other is one of the log.
func (g *Gate) Decide(ctx context.Context, d Decision) (kept Decision, old bool, err error) {
	if err := d.check(); err != nil {
		return Decision{}, false, err
	}
	if d.SourceID == "" {
		g.deciding.RLock()
		defer g.deciding.RUnlock()
		kept, err = g.note(ctx, d)
		return kept, false, err
	}
	g.deciding.Lock()
	defer g.deciding.Unlock()
	first, err := g.newest(ctx, d.sourceRef(), 0)
	if err != nil {
		return Decision{}, false, err
	}
	if first != nil {
		return d.again(first)
	}
	kept, err = g.note(ctx, d)
	return kept, false, err
}

// note notes a decision that was checked.
func (g *Gate) note(ctx context.Context, d Decision) (Decision, error) {
	text, err := json.Marshal(body{d.Decision, d.Application, d.Subjects, d.Time, d.Reason, d.SourceID, d.By, d.At})
	if err != nil {
		return Decision{}, fmt.Errorf("consent: %w", err)
	}
	done, err := g.log.Note(ctx, eventlog.Entry{Kind: eventlog.KindConsent, Body: text, Refs: d.refs()})
	if err != nil {
		return Decision{}, fmt.Errorf("consent: %w", err)
	}
	rec, err := g.log.Record(ctx, done[0].Seq)
	if err != nil {
		return Decision{}, fmt.Errorf("consent: %w", err)
	}
	d.ID, d.Seq, d.Recorded = rec.ID, rec.Seq, rec.Recorded
	return d, nil
}

// again compares with the first decision of the source id. One that was erased
// says nothing any more: it is taken for the same, so that a repetition does
// not bring it back.
func (d *Decision) again(rec *eventlog.Record) (Decision, bool, error) {
	first, ok := Read(rec)
	if !ok {
		d.ID, d.Seq, d.Recorded = rec.ID, rec.Seq, rec.Recorded
		return *d, true, nil
	}
	same := slices.EqualFunc(first.Subjects, d.Subjects, subject.Identifier.Equal)
	if !same || first.Decision != d.Decision || first.Reason != d.Reason || !first.Time.Equal(d.Time) {
		return Decision{}, false, &ConflictError{FirstID: rec.ID}
	}
	return first, true, nil
}

func (d *Decision) sourceRef() string { return refID + d.Application + "\x00" + d.SourceID }

// refs are the keys of a decision.
func (d *Decision) refs() []string {
	refs := []string{eventlog.RefAll, refApp + d.Application}
	if d.SourceID != "" {
		refs = append(refs, d.sourceRef())
	}
	word := refEnd
	if d.Decision == Grant {
		word = refGrant
	}
	for _, id := range d.Subjects {
		refs = append(refs, eventlog.RefSubject(id), of(refState, d.Application, id), of(word, d.Application, id))
	}
	return refs
}

// Read returns the decision that a record holds; false if it holds none, or
// none any more.
func Read(rec *eventlog.Record) (Decision, bool) {
	var b body
	if rec.Kind != eventlog.KindConsent || rec.Erased || json.Unmarshal(rec.Entry, &b) != nil || b.Decision == "" {
		return Decision{}, false
	}
	return Decision{
		ID: rec.ID, Seq: rec.Seq, Recorded: rec.Recorded, Application: b.Application, Subjects: b.Subjects, Decision: b.Decision,
		Time: b.Time, Reason: b.Reason, SourceID: b.SourceID, By: b.By, At: b.At,
	}, true
}

// Decisions returns up to max decisions about an application, newest first:
// all, or those that name one of the identifiers. after is the ID of the
// decision after which the list goes on; "": from the newest. more says that
// there are more. Error: [ErrPlace].
func (g *Gate) Decisions(ctx context.Context, application string, ids []subject.Identifier, after string, max int) (list []Decision, more bool, err error) {
	before, err := g.place(ctx, application, after)
	if err != nil {
		return nil, false, err
	}
	refs := []string{refApp + application}
	if ids != nil {
		refs = refs[:0]
		for _, id := range users(nil, ids) {
			refs = append(refs, of(refState, application, id))
		}
	}
	for _, ref := range refs {
		some, err := g.page(ctx, ref, before, max+1)
		if err != nil {
			return nil, false, err
		}
		list = append(list, some...)
	}
	slices.SortFunc(list, func(a, b Decision) int { return -compare(a.Seq, b.Seq) })
	list = slices.CompactFunc(list, func(a, b Decision) bool { return a.Seq == b.Seq })
	return list[:min(max, len(list))], len(list) > max, nil
}

// page returns up to max decisions with a key, newest first. Erased ones are
// left out.
func (g *Gate) page(ctx context.Context, ref string, before uint64, max int) (list []Decision, err error) {
	for {
		records, err := g.log.Entries(ctx, eventlog.KindConsent, ref, eventlog.Span{Before: before, Newest: true, Max: max})
		if err != nil {
			return nil, fmt.Errorf("consent: %w", err)
		}
		for _, rec := range records {
			if d, ok := Read(rec); ok && len(list) < max {
				list = append(list, d)
			}
			before = rec.Seq
		}
		if len(records) == 0 || len(list) == max || before <= 1 {
			return list, nil
		}
	}
}

// place returns the number of the record with the id, for lists to go on from.
func (g *Gate) place(ctx context.Context, application, id string) (uint64, error) {
	if id == "" {
		return 0, nil
	}
	rec, err := g.log.Get(ctx, id)
	if errors.Is(err, eventlog.ErrNotFound) || errors.Is(err, eventlog.ErrMalformedID) {
		return 0, ErrPlace
	}
	if err != nil {
		return 0, fmt.Errorf("consent: %w", err)
	}
	if d, ok := Read(rec); !ok || d.Application != application {
		return 0, ErrPlace
	}
	return rec.Seq, nil
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// State returns the word for how a subject stands after the decision.
func (w Word) State() string {
	switch w {
	case Grant:
		return "granted"
	case Deny:
		return "denied"
	case Revoke:
		return "revoked"
	}
	return "none"
}
