package peer

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// status answers the state of a stream (SSF §8.1.2.1).
func (t *Transmitter) status(r *request) *reply {
	s, refusal := t.named(r)
	if refusal != nil {
		return refusal
	}
	return answer(http.StatusOK, s.report())
}

func (s *stream) report() object {
	o := object{"stream_id": s.id, "status": s.status}
	if s.reason != "" {
		o["reason"] = s.reason
	}
	return o
}

// setStatus changes the state (SSF §8.1.2.2).
func (t *Transmitter) setStatus(r *request) *reply {
	s, body, refusal := t.inBody(r)
	if refusal != nil {
		return refusal
	}
	wanted, _ := text(body["status"])
	reason, isText := text(body["reason"])
	if _, given := body["reason"]; given && !isText {
		return refuse(http.StatusBadRequest, "reason is no string")
	}
	if !streams.Status(wanted).Valid() && !t.conduct.anyStatus {
		return refuse(http.StatusBadRequest, "status is none of the three")
	}
	if reason == "" && t.conduct.keepsReason {
		reason = s.reason
	}
	t.enter(s, streams.Status(wanted), reason)
	return answer(http.StatusOK, s.report())
}

// enter puts a stream into a state; under state.
func (t *Transmitter) enter(s *stream, status streams.Status, reason string) {
	s.status, s.reason = status, reason
	if status == streams.Disabled && !t.conduct.disabledHolds {
		keep := func(i *item) bool { return !i.always }
		s.control, s.events = slices.DeleteFunc(s.control, keep), nil
	}
	s.due = time.Time{}
	t.nudge()
}

// SetStatus is the transmitter's own decision, which it tells the receiver by a
// stream-updated event, before the stream stops or ahead of what was held (SSF §8.1.5).
func (t *Transmitter) SetStatus(id string, status streams.Status, reason string) error {
	t.state.Lock()
	defer t.state.Unlock()
	s := t.known(id)
	if s == nil {
		return fmt.Errorf("peer: no stream %s", id)
	}
	t.impose(s, status, reason)
	return nil
}

func (t *Transmitter) impose(s *stream, status streams.Status, reason string) {
	payload := object{"status": status}
	if reason != "" {
		payload["reason"] = reason
	}
	if !t.conduct.silentChange {
		t.put(s, Event{Type: streams.TypeStreamUpdated, Payload: payload, Subject: s.self()}, t.conduct, true)
	}
	t.enter(s, status, reason)
}

// self is the stream as a subject.
func (s *stream) self() object { return object{"format": "opaque", "id": s.id} }

// known returns the stream with this id, whoever's it is; nil if there is none.
func (t *Transmitter) known(id string) *stream {
	i := slices.IndexFunc(t.streams, func(s *stream) bool { return s.id == id })
	if i < 0 {
		return nil
	}
	return t.streams[i]
}

// verify asks for a verification event (SSF §8.1.4.2).
func (t *Transmitter) verify(r *request) *reply {
	s, body, refusal := t.inBody(r)
	if refusal != nil {
		return refusal
	}
	payload := object{}
	if raw, given := body["state"]; given {
		state, ok := text(raw)
		if !ok {
			return refuse(http.StatusBadRequest, "state is no string")
		}
		if !t.conduct.stateLost {
			payload["state"] = state
		}
		if t.conduct.stateChanged {
			payload["state"] = state + "x"
		}
	} else if t.conduct.stateInvented {
		payload["state"] = "invented"
	}
	if s.status == streams.Disabled {
		return refuse(http.StatusBadRequest, "the stream is disabled")
	}
	if again := s.verified.Add(t.cfg.MinVerificationInterval); !s.verified.IsZero() && time.Now().Before(again) {
		a := refuse(http.StatusTooManyRequests, "verified a moment ago")
		a.header.Set("Retry-After", fmt.Sprint(int(time.Until(again).Seconds())+1))
		return a
	}
	s.verified = time.Now()
	state, _ := text(body["state"])
	asked := Verification{StreamID: s.id, State: state}
	if !t.conduct.verifyDropped {
		asked.ID = t.put(s, Event{Type: streams.TypeVerification, Payload: payload, Subject: s.self()}, t.conduct, false)
	}
	t.asked = append(t.asked, asked)
	return answer(http.StatusNoContent, nil)
}

// Verification is one that a receiver asked for.
type Verification struct {
	StreamID, State string
	ID              string // jti of its event; empty if none was sent
}

// Verifications returns those that were asked for, in order.
func (t *Transmitter) Verifications() []Verification {
	t.state.Lock()
	defer t.state.Unlock()
	return slices.Clone(t.asked)
}
