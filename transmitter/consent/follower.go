package consent

import (
	"context"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// maxKnown bounds the subjects whose standing is remembered.
const maxKnown = 1 << 16

// Follower judges events in the order of the log: it is told of each entry
// about consent in its turn, and remembers how subjects stand. It may be taken
// back to an earlier place. For one goroutine.
type Follower struct {
	gate  *Gate
	known map[string]standing // by key

	opting opts
	opted  map[string]Participation // by key
}

// Follow returns a follower of the gate.
func (g *Gate) Follow() *Follower {
	return &Follower{gate: g, known: make(map[string]standing), opted: make(map[string]Participation)}
}

// Observe takes notice of an entry about consent, which the follower has come to.
func (f *Follower) Observe(rec *eventlog.Record) {
	d, ok := Read(rec)
	if !ok {
		f.gate.mu.Lock()
		if f.gate.loaded { // else it is read with all others
			f.gate.keep(rec)
		}
		f.gate.mu.Unlock()
		clear(f.known) // it may be a decision that was erased
		return
	}
	for _, id := range d.Subjects {
		delete(f.known, of(refState, d.Application, id))
	}
}

// Sends reports whether an event passes for an application at its own place,
// to which the follower has come. What does not pass is held.
func (f *Follower) Sends(ctx context.Context, application string, rec *eventlog.Record) (bool, error) {
	set, err := f.gate.at(ctx, application, rec.Seq)
	if err != nil || !set.Enabled {
		return err == nil, err
	}
	var last standing
	for _, id := range Identifiers(rec) {
		key := of(refState, application, id)
		s, ok := f.known[key]
		// One that is known from later on says nothing of this place.
		if !ok || s.seq >= rec.Seq {
			if s, err = f.gate.standing(ctx, application, id, rec.Seq); err != nil {
				return false, err
			}
			if len(f.known) >= maxKnown {
				clear(f.known)
			}
			f.known[key] = s
		}
		if s.seq > last.seq {
			last = s
		}
	}
	return last.granted, nil
}

// Release is a grant, and what it may release.
type Release struct {
	Decision
	// After is the place after which the events stand that it may release.
	After uint64
	gate  *Gate
}

// Release returns what a record releases; false if it releases nothing.
func (f *Follower) Release(ctx context.Context, rec *eventlog.Record) (*Release, bool, error) {
	d, ok := Read(rec)
	if !ok || d.Decision != Grant {
		return nil, false, nil
	}
	if void, err := f.gate.void(ctx, &d, d.Subjects[0]); void || err != nil {
		return nil, false, err
	}
	r := &Release{Decision: d, gate: f.gate}
	first, ever, err := f.gate.first(ctx, d.Application)
	if err != nil || !ever || first >= rec.Seq {
		return nil, false, err
	}
	// All before the last grant that named an identifier was released by it,
	// or is none of this identifier's.
	earliest := rec.Seq
	for _, id := range d.Subjects {
		grant, err := f.gate.inForce(ctx, refGrant, d.Application, id, rec.Seq)
		if err != nil {
			return nil, false, err
		}
		if grant == nil {
			earliest = 0
			break
		}
		earliest = min(earliest, grant.Seq)
	}
	r.After = max(first, earliest)
	return r, true, nil
}

// Frees reports whether the grant releases an event: one that is addressed to
// its application, bears one of its identifiers, was held, and was not
// released or dropped before.
func (r *Release) Frees(ctx context.Context, rec *eventlog.Record) (bool, error) {
	if rec.Kind != eventlog.KindEvent || rec.Erased || rec.Seq >= r.Seq ||
		rec.Applications != nil && !slices.Contains(rec.Applications, r.Application) {
		return false, nil
	}
	if !slices.ContainsFunc(Identifiers(rec), r.names) {
		return false, nil
	}
	v, err := r.gate.Passes(ctx, r.Application, rec)
	return v.State == Sent && v.Released == r.Seq, err
}

func (r *Release) names(id subject.Identifier) bool { return holds(r.Subjects, id) }
