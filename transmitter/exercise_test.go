package transmitter_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

const verificationType = "https://schemas.openid.net/secevent/ssf/event-type/verification"

func exercised(s *setup) { s.Conformance = 10 * time.Millisecond }

// everyType is the body that creates a stream of all event types.
func everyType(delivery string) string {
	return `{"events_requested":["` + strings.Join(append(caep.Types(), risc.Types()...), `","`) + `"],"delivery":` + delivery + `}`
}

// exercisedTypes are all but the one that is deprecated (RISC §2.10).
func exercisedTypes() []string {
	return slices.DeleteFunc(append(caep.Types(), risc.Types()...), func(t string) bool { return t == risc.SessionsRevokedType })
}

// A stream that acknowledged a verification which it asked for gets one event of each
// type that it delivers; no other stream of its application does, and no webhook.
func TestExercisePush(t *testing.T) {
	h := open(t, exercised)
	token := h.client("app", everyScope)
	to, other := newSink(t), newSink(t)
	id := h.must(http.StatusCreated, http.MethodPost, "/ssf/streams", token, everyType(pushTo(to.URL))).member("stream_id")
	h.must(http.StatusCreated, http.MethodPost, "/ssf/streams", token, everyType(pushTo(other.URL)))
	h.must(http.StatusNoContent, http.MethodPost, "/ssf/verify", token, `{"stream_id":"`+id+`"}`)
	want := append(exercisedTypes(), verificationType)
	until(t, "an event of each type", func() bool { return len(to.requests()) >= len(want) })
	var got []string
	about := map[string]bool{}
	for i, p := range to.requests() {
		got = append(got, p.eventType)
		if i == 0 != (p.eventType == verificationType) {
			t.Errorf("got %s at place %d, want the verification first", p.eventType, i)
		}
		if p.eventType != verificationType {
			tok, err := set.Parse([]byte(p.compact))
			if err != nil {
				t.Fatal(err)
			}
			about[tok.Subject.Canonical()] = true
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(about) != 1 {
		t.Errorf("got events about %v, want one subject", about)
	}
	if n := len(other.requests()); n != 0 {
		t.Errorf("the other stream: got %d SETs, want none", n)
	}
}

// Polled, told of subjects, asked for with a state; not by a stream that is not asked for, is
// paused, or has no subject yet; and never unless it is configured.
func TestExercisePoll(t *testing.T) {
	verifyAndAck := func(h *house, token, id, body string) {
		h.must(http.StatusNoContent, http.MethodPost, "/ssf/verify", token, `{"stream_id":"`+id+`"`+body+`}`)
		ids, _ := h.poll(token, id, `{"returnImmediately":false}`)
		if len(ids) != 1 {
			t.Fatalf("got %d SETs, want the verification", len(ids))
		}
		h.poll(token, id, `{"returnImmediately":true,"maxEvents":0,"ack":["`+ids[0]+`"]}`)
	}
	polled := `{"method":"urn:ietf:rfc:8936"}`
	t.Run("subjects", func(t *testing.T) {
		h := open(t, exercised, func(s *setup) { s.DefaultSubjects = "NONE" })
		token := h.client("app", everyScope)
		id := h.must(http.StatusCreated, http.MethodPost, "/ssf/streams", token, everyType(polled)).member("stream_id")
		verifyAndAck(h, token, id, "")
		until(t, "a line that says why there is none", func() bool { return strings.Contains(h.logs.String(), "told of no subject") })
		h.must(http.StatusOK, http.MethodPost, "/ssf/subjects/add", token, `{"stream_id":"`+id+`","subject":{"format":"email","email":"known@example.com"}}`)
		verifyAndAck(h, token, id, `,"state":"x"`)
		var sets []string
		until(t, "events", func() bool {
			_, page := h.poll(token, id, `{"returnImmediately":true}`)
			sets = append(sets, page...)
			return len(sets) >= len(exercisedTypes())
		})
		for _, compact := range sets {
			tok, err := set.Parse([]byte(compact))
			if err != nil || !strings.Contains(tok.Subject.Canonical(), "known@example.com") {
				t.Errorf("got %v, %v, want an event about the subject that was added", tok.Subject, err)
			}
		}
	})
	t.Run("paused", func(t *testing.T) {
		h := open(t, exercised)
		token := h.client("app", everyScope)
		paused := h.must(http.StatusCreated, http.MethodPost, "/ssf/streams", token, everyType(polled)).member("stream_id")
		enabled := h.must(http.StatusCreated, http.MethodPost, "/ssf/streams", token, everyType(polled)).member("stream_id")
		h.must(http.StatusNoContent, http.MethodPost, "/ssf/verify", token, `{"stream_id":"`+paused+`"}`)
		ids, _ := h.poll(token, paused, `{"returnImmediately":false}`)
		h.must(http.StatusOK, http.MethodPost, "/ssf/status", token, `{"stream_id":"`+paused+`","status":"paused"}`)
		h.poll(token, paused, `{"returnImmediately":true,"maxEvents":0,"ack":["`+ids[0]+`"]}`)
		verifyAndAck(h, token, enabled, "")
		until(t, "events of the other", func() bool { return strings.Contains(h.logs.String(), "events for a stream that was verified") })
		if n := strings.Count(h.logs.String(), "events for a stream that was verified"); n != 1 {
			t.Errorf("got events for %d streams, want those of the enabled one", n)
		}
	})
	t.Run("off", func(t *testing.T) {
		h := open(t)
		token := h.client("app", everyScope)
		id := h.must(http.StatusCreated, http.MethodPost, "/ssf/streams", token, everyType(polled)).member("stream_id")
		verifyAndAck(h, token, id, "")
		if n := h.kept(); n != 0 {
			t.Errorf("got %d records, want none", n)
		}
	})
}
