package peer

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// create makes a stream (SSF §8.1.1.1).
func (t *Transmitter) create(r *request) *reply {
	body, err := members(r.body)
	if err != nil {
		return refuse(http.StatusBadRequest, "the body is not a JSON object")
	}
	w, why := t.wishesIn(body)
	if why != "" {
		return refuse(http.StatusBadRequest, why)
	}
	if t.cfg.OneStream && slices.ContainsFunc(t.streams, func(s *stream) bool { return s.owner == r.client }) {
		return refuse(http.StatusConflict, "there is a stream already")
	}
	s := &stream{
		id: t.id("stream"), owner: r.client, requested: w.requested, description: w.description,
		status: streams.Enabled, active: time.Now(),
	}
	if t.conduct.reusesID {
		s.id = "stream-of-" + r.client.ID
		t.streams = slices.DeleteFunc(t.streams, func(o *stream) bool { return o.id == s.id })
	}
	if t.conduct.startsPaused {
		s.status = streams.Paused
	}
	if w.method == "" {
		w.method = delivery.MethodPoll
	}
	if why := t.deliver(s, w); why != "" {
		return refuse(http.StatusBadRequest, why)
	}
	t.streams = append(t.streams, s)
	return answer(http.StatusCreated, t.configuration(s))
}

// read answers one stream (SSF §8.1.1.2).
func (t *Transmitter) read(r *request) *reply {
	s, refusal := t.named(r)
	if refusal != nil {
		return refusal
	}
	return answer(http.StatusOK, t.configuration(s))
}

// list answers all streams of who asks.
func (t *Transmitter) list(r *request) *reply {
	list := []any{}
	for _, s := range t.streams {
		if s.owner == r.client || t.conduct.seesAll {
			s.active = time.Now()
			list = append(list, t.configuration(s))
		}
	}
	return answer(http.StatusOK, list)
}

// update changes the members that are there (SSF §8.1.1.3).
func (t *Transmitter) update(r *request) *reply {
	return t.change(r, func(s *stream, w wishes, body map[string]json.RawMessage) string {
		if _, ok := body["events_requested"]; ok || t.conduct.patchReplaces {
			s.requested = w.requested
		}
		if _, ok := body["description"]; ok || t.conduct.patchReplaces {
			s.description = w.description
		}
		if w.method == "" {
			return ""
		}
		return t.deliver(s, w)
	})
}

// replace puts what is there in the place of what was (SSF §8.1.1.4).
func (t *Transmitter) replace(r *request) *reply {
	return t.change(r, func(s *stream, w wishes, _ map[string]json.RawMessage) string {
		if w.requested != nil || !t.conduct.putMerges {
			s.requested = w.requested
		}
		if w.description != nil || !t.conduct.putMerges {
			s.description = w.description
		}
		if t.conduct.resetsOnPut {
			s.status, s.added, s.removed = streams.Paused, nil, nil
		}
		if w.method == "" {
			w.method = delivery.MethodPoll
		}
		return t.deliver(s, w)
	})
}

// change does a change wholly or not at all.
func (t *Transmitter) change(r *request, do func(*stream, wishes, map[string]json.RawMessage) (why string)) *reply {
	s, body, refusal := t.inBody(r)
	if refusal != nil {
		return refusal
	}
	if name := t.mismatch(s, body); name != "" && !t.conduct.takesMismatch {
		return refuse(http.StatusBadRequest, name+" is not the present value")
	}
	w, why := t.wishesIn(body)
	former := *s
	if why == "" || t.conduct.halfDone {
		if also := do(s, w, body); why == "" {
			why = also
		}
	}
	if why != "" {
		if !t.conduct.halfDone {
			*s = former
		}
		return refuse(http.StatusBadRequest, why)
	}
	if t.conduct.otherToo {
		for _, o := range t.streams {
			if o != s && o.owner == s.owner {
				o.description, o.requested = s.description, s.requested
			}
		}
	}
	told := t.configuration(s)
	if t.conduct.tellsNoChange {
		told = t.configuration(&former)
	}
	t.nudge()
	return answer(http.StatusOK, told)
}

// mismatch returns the member of the transmitter's own that is there with another value
// than it has (SSF §8.1.1.3); empty: none.
func (t *Transmitter) mismatch(s *stream, body map[string]json.RawMessage) string {
	now := t.configuration(s)
	for _, name := range []string{"iss", "aud", "events_supported", "events_delivered", "min_verification_interval", "inactivity_timeout"} {
		raw, ok := body[name]
		if !ok {
			continue
		}
		var given, own any
		if json.Unmarshal(raw, &given) != nil || json.Unmarshal(encoded(now[name]), &own) != nil || !same(given, own) {
			return name
		}
	}
	return ""
}

// same compares values as SSF means it: a list of one is its only member, and the order
// of event types says nothing.
func same(a, b any) bool {
	x, y := set(a), set(b)
	return reflect.DeepEqual(x, y)
}

func set(v any) map[any]bool {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	m := map[any]bool{}
	for _, one := range list {
		switch one.(type) {
		case string, float64, bool, nil:
			m[one] = true
		default:
			m["an object"] = true
		}
	}
	return m
}

// remove deletes a stream with all that it has (SSF §8.1.1.5).
func (t *Transmitter) remove(r *request) *reply {
	s, refusal := t.named(r)
	if refusal != nil {
		return refusal
	}
	t.streams = slices.DeleteFunc(t.streams, func(o *stream) bool { return o == s })
	if t.conduct.pollsDeleted {
		t.gone = append(t.gone, s)
	}
	t.nudge()
	return answer(http.StatusNoContent, nil)
}
