package peer

import (
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// addSubject adds a subject to a stream (SSF §8.1.3.2).
func (t *Transmitter) addSubject(r *request) *reply {
	return t.changeSubject(r, http.StatusOK, func(s *stream, id subject.Identifier) *reply {
		if t.conduct.addOnce && has(s.added, id) {
			return refuse(http.StatusConflict, "it is there already")
		}
		s.removed = without(s.removed, id)
		if !has(s.added, id) {
			s.added = append(s.added, id)
		}
		return nil
	})
}

// removeSubject takes it away again (SSF §8.1.3.3).
func (t *Transmitter) removeSubject(r *request) *reply {
	return t.changeSubject(r, http.StatusNoContent, func(s *stream, id subject.Identifier) *reply {
		if t.conduct.removeOnce && has(s.removed, id) {
			return refuse(http.StatusNotFound, "it is not there")
		}
		if t.conduct.removeIgnored {
			return nil
		}
		s.added = without(s.added, id)
		if !has(s.removed, id) {
			s.removed = append(s.removed, id)
		}
		return nil
	})
}

func (t *Transmitter) changeSubject(r *request, success int, do func(*stream, subject.Identifier) *reply) *reply {
	s, body, refusal := t.inBody(r)
	if refusal != nil {
		return refusal
	}
	id, err := subject.ParseStrict(body["subject"])
	if raw, given := body["verified"]; err == nil && given && string(raw) != "true" && string(raw) != "false" {
		return refuse(http.StatusBadRequest, "verified is no boolean")
	}
	switch {
	case err != nil && t.conduct.anySubject:
	case err != nil:
		return refuse(http.StatusBadRequest, "subject is missing or no subject identifier")
	default:
		if refusal := do(s, id); refusal != nil {
			return refusal
		}
	}
	return answer(success, nil)
}

func has(list []subject.Identifier, id subject.Identifier) bool {
	return slices.ContainsFunc(list, id.Equal)
}

func without(list []subject.Identifier, id subject.Identifier) []subject.Identifier {
	return slices.DeleteFunc(list, id.Equal)
}

// admits reports whether a stream hears of a subject (SSF §7.1, §8.1.3.1).
func (t *Transmitter) admits(s *stream, id subject.Identifier) bool {
	match := subject.DefaultMatching()
	matches := func(own subject.Identifier) bool {
		switch {
		case t.conduct.anySimple && !own.IsComplex():
			return own.Format() == id.Format()
		case t.conduct.noWildcard && own.IsComplex():
			return own.Equal(id)
		}
		return match.Match(own, id)
	}
	if t.cfg.DefaultSubjects == wellknown.SubjectsAll {
		return !t.conduct.othersSubjects && !slices.ContainsFunc(s.removed, func(own subject.Identifier) bool { return subject.Excludes(own, id) }) ||
			t.conduct.removeIgnored
	}
	return slices.ContainsFunc(s.added, matches) || t.conduct.othersSubjects
}

// Emitted is a SET that was put on a queue.
type Emitted struct{ StreamID, ID string }

// Emit lets something happen: a SET goes to every stream that wants to hear of it (SSF
// §8.1.3.1). The SETs have one txn.
func (t *Transmitter) Emit(e Event) []Emitted {
	t.state.Lock()
	defer t.state.Unlock()
	if e.Txn == "" {
		e.Txn = t.id("txn")
	}
	id, err := subject.Parse(encoded(e.Subject))
	var list []Emitted
	for _, s := range t.streams {
		wanted := slices.Contains(t.delivered(s), e.Type) || t.conduct.anyEvent
		if !wanted || err == nil && !t.admits(s, id) {
			continue
		}
		switch {
		case s.status == streams.Disabled && !t.conduct.disabledHolds && !t.conduct.stopsNever:
			continue
		case s.status == streams.Paused && t.conduct.pausedLoses:
			continue
		}
		list = append(list, Emitted{s.id, t.put(s, e, t.conduct, false)})
		if t.conduct.firstOnly {
			break
		}
	}
	return list
}

// Send puts one SET on the queue of a stream, whether it asked for such or not; the
// breaks, which are those of SETs, are of it alone. It returns the jti.
func (t *Transmitter) Send(streamID string, e Event, breaks ...string) (id string, err error) {
	c, err := conductOf(breaks)
	if err != nil {
		return "", err
	}
	return t.SendDraft(streamID, e, func(d *Draft) string { return t.sign(d, c) })
}

// SendDraft is Send with what makes the compact form of the draft.
func (t *Transmitter) SendDraft(streamID string, e Event, sign func(*Draft) string) (id string, err error) {
	t.state.Lock()
	defer t.state.Unlock()
	s := t.known(streamID)
	if s == nil {
		return "", errNoStream(streamID)
	}
	d := t.draft(s, e, isControl(e.Type))
	compact := sign(d)
	if len(t.sent) > MaxExchanges {
		clear(t.sent)
	}
	t.sent[d.ID] = compact
	s.queue(&item{id: d.ID, compact: compact}, d.control)
	t.nudge()
	return d.ID, nil
}

// Drop takes a SET from the queue of a stream, wherever it is.
func (t *Transmitter) Drop(streamID, id string) {
	t.state.Lock()
	defer t.state.Unlock()
	if s := t.known(streamID); s != nil {
		s.drop(id)
		s.due = time.Time{}
		t.nudge()
	}
}

// Resend puts a SET that was sent before on the queue again, byte for byte.
func (t *Transmitter) Resend(streamID, id, compact string) {
	t.state.Lock()
	defer t.state.Unlock()
	if s := t.known(streamID); s != nil {
		s.drop(id)
		s.queue(&item{id: id, compact: compact}, false)
		t.nudge()
	}
}

// Compact returns a SET that Send made, "" if it is none of the last thousands.
func (t *Transmitter) Compact(id string) string {
	t.state.Lock()
	defer t.state.Unlock()
	return t.sent[id]
}

// put queues an event for a stream; under state.
func (t *Transmitter) put(s *stream, e Event, c *conduct, always bool) string {
	d := t.draft(s, e, isControl(e.Type))
	compact := t.sign(d, c)
	s.queue(&item{id: d.ID, compact: compact, always: always}, d.control)
	t.nudge()
	return d.ID
}

func (s *stream) queue(i *item, control bool) {
	if control {
		s.control = append(s.control, i)
	} else {
		s.events = append(s.events, i)
	}
}

func isControl(typ string) bool {
	return typ == streams.TypeVerification || typ == streams.TypeStreamUpdated
}
