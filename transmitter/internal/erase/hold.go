package erase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Hold is a legal hold: what is known of the subject is not erased until it is
// lifted. Several may stand on one subject.
type Hold struct {
	ID       string               `json:"id"`
	Subjects []subject.Identifier `json:"subjects,omitempty"`
	Reason   string               `json:"reason,omitempty"`
	By       string               `json:"by,omitempty"`
	Set      time.Time            `json:"set_at"`
	Lifted   *time.Time           `json:"lifted_at,omitempty"`
	LiftedBy string               `json:"lifted_by,omitempty"`

	seq uint64
}

// holdEntry is the body of an entry of KindHold: a hold that was set, or the
// number of the one that was lifted.
type holdEntry struct {
	Subjects []json.RawMessage `json:"subjects,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	By       string            `json:"by,omitempty"`
	Lifts    uint64            `json:"lifts,omitempty"`
}

// Hold sets a hold on 1 to [MaxSubjects] identifiers of one subject, and returns
// it. Durable on return; it counts for every erasure that has not taken effect.
func (e *Eraser) Hold(ctx context.Context, ids []subject.Identifier, reason, by string) (Hold, error) {
	e.work.Lock()
	defer e.work.Unlock()
	at, err := e.note(ctx, eventlog.KindHold, holdEntry{Subjects: raws(ids), Reason: reason, By: by}, ids)
	if err != nil {
		return Hold{}, err
	}
	r, err := e.cfg.Log.Record(ctx, at.Seq)
	if err != nil {
		return Hold{}, fmt.Errorf("erase: %w", err)
	}
	return holdOf(r), nil
}

// Lift lifts a hold by its id. Error: ErrNotFound, also if it is lifted already.
func (e *Eraser) Lift(ctx context.Context, id, by string) error {
	e.work.Lock()
	defer e.work.Unlock()
	r, err := e.cfg.Log.Get(ctx, id)
	if errors.Is(err, eventlog.ErrNotFound) || errors.Is(err, eventlog.ErrMalformedID) || err == nil && (r.Kind != eventlog.KindHold || r.Erased) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	h := holdOf(r)
	if h.Subjects == nil {
		return ErrNotFound // the lifting of another
	}
	active, err := e.active(ctx, h.Subjects[:1])
	if err != nil {
		return err
	}
	for _, a := range active {
		if a.seq == r.Seq {
			_, err := e.note(ctx, eventlog.KindHold, holdEntry{Lifts: r.Seq, By: by}, h.Subjects)
			e.nudge()
			return err
		}
	}
	return ErrNotFound
}

// Holds returns all holds in the order in which they were set, lifted ones too.
func (e *Eraser) Holds(ctx context.Context) ([]Hold, error) {
	return e.holds(ctx, eventlog.RefAll)
}

// active returns the holds that stand on one of the identifiers.
func (e *Eraser) active(ctx context.Context, ids []subject.Identifier) ([]Hold, error) {
	var active []Hold
	for _, id := range ids {
		list, err := e.holds(ctx, eventlog.RefSubject(id))
		if err != nil {
			return nil, err
		}
		for _, h := range list {
			if h.Lifted == nil {
				active = append(active, h)
			}
		}
	}
	return active, nil
}

// newestHold returns the number of the newest entry about a hold; 0: there is none.
func (e *Eraser) newestHold(ctx context.Context) (uint64, error) {
	some, err := e.cfg.Log.Entries(ctx, eventlog.KindHold, eventlog.RefAll, eventlog.Span{Newest: true, Max: 1})
	if err != nil || len(some) == 0 {
		return 0, err
	}
	return some[0].Seq, nil
}

// anyHold reports whether a hold was ever set: if not, nothing has to be asked.
func (e *Eraser) anyHold(ctx context.Context) (bool, error) {
	some, err := e.cfg.Log.Entries(ctx, eventlog.KindHold, eventlog.RefAll, eventlog.Span{Max: 1})
	return len(some) > 0, err
}

// holds returns the holds under a key.
func (e *Eraser) holds(ctx context.Context, ref string) ([]Hold, error) {
	var list []Hold
	at := make(map[uint64]int)
	err := e.each(ctx, eventlog.KindHold, ref, eventlog.Span{}, func(r *eventlog.Record) bool {
		if r.Erased {
			return true
		}
		var body holdEntry
		if json.Unmarshal(r.Entry, &body) != nil {
			return true // impossible: note wrote it
		}
		if i, ok := at[body.Lifts]; ok && body.Lifts != 0 {
			when := r.Recorded
			list[i].Lifted, list[i].LiftedBy = &when, body.By
			return true
		}
		if body.Lifts == 0 {
			at[r.Seq] = len(list)
			list = append(list, holdOf(r))
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("erase: reading holds: %w", err)
	}
	return list, nil
}

func holdOf(r *eventlog.Record) Hold {
	var body holdEntry
	_ = json.Unmarshal(r.Entry, &body) // note wrote it
	return Hold{ID: r.ID, Subjects: identifiers(body.Subjects), Reason: body.Reason, By: body.By, Set: r.Recorded, seq: r.Seq}
}

// note appends an entry about a subject.
func (e *Eraser) note(ctx context.Context, kind eventlog.Kind, body any, ids []subject.Identifier, refs ...string) (eventlog.Appended, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return eventlog.Appended{}, fmt.Errorf("erase: %w", err)
	}
	refs = append(refs, eventlog.RefAll)
	for _, id := range parts(ids) {
		refs = append(refs, eventlog.RefSubject(id))
	}
	done, err := e.cfg.Log.Note(ctx, eventlog.Entry{Kind: kind, Body: text, Refs: refs})
	if err != nil {
		return eventlog.Appended{}, fmt.Errorf("erase: %w", err)
	}
	return done[0], nil
}

func raws(ids []subject.Identifier) []json.RawMessage {
	list := make([]json.RawMessage, len(ids))
	for i, id := range ids {
		list[i] = id.Raw()
	}
	return list
}

func identifiers(list []json.RawMessage) []subject.Identifier {
	var ids []subject.Identifier
	for _, raw := range list {
		if id, err := subject.Parse(raw); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}
