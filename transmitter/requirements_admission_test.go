package transmitter_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/ssf"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Subjects of the admission tests, as JSON.
const (
	tenant       = `"tenant":{"format":"opaque","id":"t"}`
	otherTenant  = `"tenant":{"format":"opaque","id":"u"}`
	user         = `"user":{"format":"email","email":"a@example.com"}`
	mailA        = `{"format":"email","email":"a@example.com"}`
	mailAUpper   = `{"format":"email","email":"A@example.com"}`
	opaqueA      = `{"format":"opaque","id":"a@example.com"}`
	complexT     = `{"format":"complex",` + tenant + `}`
	complexTU    = `{"format":"complex",` + tenant + `,` + user + `}`
	complexU     = `{"format":"complex",` + user + `}`
	complexOther = `{"format":"complex",` + otherTenant + `,` + user + `}`
)

// about is an event of a type about a subject.
func about(eventType, subject string) string {
	data := `{}`
	if eventType == caep.CredentialChangeType {
		data = `{"credential_type":"password","change_type":"update"}`
	}
	return `{"type":"` + eventType + `","subject":` + subject + `,"data":` + data + `}`
}

// post emits an event and returns its id.
func (h *house) post(token, event string) string {
	h.t.Helper()
	return h.must(http.StatusAccepted, http.MethodPost, "/v1/events", token, event).member("id")
}

// received polls until the event fence has come and returns the txn of all
// that came before it. What was emitted before fence can come no more: the log
// is read in order (contracts.md §3).
func (h *house) received(token, stream, fence string) (txns []string) {
	h.t.Helper()
	for {
		ids, sets := h.poll(token, stream, `{}`)
		if len(sets) == 0 {
			h.t.Fatalf("got no SET of the fence %s", fence)
		}
		h.must(http.StatusOK, http.MethodPost, "/ssf/poll/"+stream, token, `{"maxEvents":0,"ack":["`+strings.Join(ids, `","`)+`"]}`)
		for _, compact := range sets {
			txn := parse(h.t, compact).TransactionID
			if txn == fence {
				return txns
			}
			txns = append(txns, txn)
		}
	}
}

// An event is delivered if and only if the stream is enabled, its type is in
// events_delivered and its subject is admitted: ALL without what was removed, or
// NONE with what was added (SSF-8.1.3.1-01, SSF-8.1.3.1-02, SSF-8.1.3.1-03,
// SSF-7.1-12, SSF-7.1-13, SSF-7.1-14, SSF-8.1.1-01, U5, U7).
func TestAdmission(t *testing.T) {
	const fenceSubject = `{"format":"opaque","id":"fence"}`
	for _, c := range []struct {
		name     string
		defaults streams.DefaultSubjects
		change   []string // "+" adds and "-" removes the subject after it
		event    string
		want     bool
	}{
		{"SSF-7.1-12 ALL", streams.SubjectsAll, nil, about(sessionRevoked, mailA), true},
		{"SSF-7.1-12 ALL, removed", streams.SubjectsAll, []string{"-" + mailA}, about(sessionRevoked, mailA), false},
		{"SSF-7.1-12 ALL, another removed", streams.SubjectsAll, []string{"-" + opaqueA}, about(sessionRevoked, mailA), true},
		{"SSF-7.1-12 ALL, removed and added again", streams.SubjectsAll, []string{"-" + mailA, "+" + mailA}, about(sessionRevoked, mailA), true},
		{"U7 ALL, a user removed, the tenant stays", streams.SubjectsAll, []string{"-" + complexTU}, about(sessionRevoked, complexT), true},
		{"U7 ALL, a tenant removed with its users", streams.SubjectsAll, []string{"-" + complexT}, about(sessionRevoked, complexTU), false},
		{"SSF-7.1-13 NONE", streams.SubjectsNone, nil, about(sessionRevoked, mailA), false},
		{"SSF-7.1-13 NONE, added", streams.SubjectsNone, []string{"+" + mailA}, about(sessionRevoked, mailA), true},
		{"SSF-7.1-13 NONE, added and removed", streams.SubjectsNone, []string{"+" + mailA, "-" + mailA}, about(sessionRevoked, mailA), false},
		{"SSF-7.1-14 NONE, removed and added", streams.SubjectsNone, []string{"-" + mailA, "+" + mailA}, about(sessionRevoked, mailA), true},
		{"SSF-8.1.3.1-01 other format", streams.SubjectsNone, []string{"+" + opaqueA}, about(sessionRevoked, mailA), false},
		{"SSF-8.1.3.1-01 other case", streams.SubjectsNone, []string{"+" + mailAUpper}, about(sessionRevoked, mailA), false},
		{"SSF-8.1.3.1-01 one of several identifiers", streams.SubjectsNone, []string{"+" + opaqueA}, about(sessionRevoked, `[`+mailA+`,`+opaqueA+`]`), true},
		{"SSF-8.1.3.1-02 tenant asked, user of it", streams.SubjectsNone, []string{"+" + complexT}, about(sessionRevoked, complexTU), true},
		{"SSF-8.1.3.1-02 user of a tenant asked, tenant", streams.SubjectsNone, []string{"+" + complexTU}, about(sessionRevoked, complexT), true},
		{"SSF-8.1.3.1-02 same user, other tenant", streams.SubjectsNone, []string{"+" + complexOther}, about(sessionRevoked, complexTU), false},
		{"SSF-8.1.3.1-02 nothing in common", streams.SubjectsNone, []string{"+" + complexU}, about(sessionRevoked, complexT), false},
		{"SSF-8.1.3.1-03 type not requested", streams.SubjectsAll, nil, about(caep.CredentialChangeType, mailA), false},
		{"SSF-8.1.3.1-03 type not requested, subject added", streams.SubjectsNone, []string{"+" + mailA}, about(caep.CredentialChangeType, mailA), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t, func(s *setup) { s.DefaultSubjects = c.defaults })
			token := h.client("alice", everyScope)
			stream := h.stream(token, "")
			changes := c.change
			if c.defaults == streams.SubjectsNone {
				changes = append(changes, "+"+fenceSubject)
			}
			for _, change := range changes {
				path, status := "/ssf/subjects/add", http.StatusOK
				if change[0] == '-' {
					path, status = "/ssf/subjects/remove", http.StatusNoContent
				}
				h.must(status, http.MethodPost, path, token, `{"stream_id":"`+stream+`","subject":`+change[1:]+`}`)
			}
			id := h.post(token, c.event)
			fence := h.post(token, about(sessionRevoked, fenceSubject))
			if got := slices.Contains(h.received(token, stream, fence), id); got != c.want {
				t.Errorf("got it delivered %v, want %v", got, c.want)
			}
		})
	}
}

// SSF-8.1.3.1-03, SSF-7.1-14, SSF-8.1.4-02: control events are about the stream
// itself and need neither its type requested nor its subject added.
func TestControlEventsAreAdmitted(t *testing.T) {
	h := open(t, func(s *setup) { s.DefaultSubjects = streams.SubjectsNone })
	token := h.client("alice", everyScope)
	stream := h.must(http.StatusCreated, http.MethodPost, "/ssf/streams", token, `{}`).member("stream_id")
	h.must(http.StatusNoContent, http.MethodPost, "/ssf/subjects/remove", token,
		`{"stream_id":"`+stream+`","subject":{"format":"opaque","id":"`+stream+`"}}`)
	h.must(http.StatusNoContent, http.MethodPost, "/ssf/verify", token, `{"stream_id":"`+stream+`","state":" é\u0000\"<"}`)
	_, sets := h.poll(token, stream, `{"returnImmediately":true}`)
	if len(sets) != 1 {
		t.Fatalf("SSF-8.1.3.1-03: got %d SETs, want the verification", len(sets))
	}
	// SSF-8.1.4.1-01, SSF-8.1.4.2-02, U31: what a verification is, signed like any other.
	got, err := h.verifier("alice").Verify(t.Context(), []byte(sets[0]))
	if err != nil {
		t.Fatalf("U31: got %v, want it good in the eyes of a receiver", err)
	}
	if got.Type() != ssf.VerificationType || !got.Subject.Equal(ssf.Subject(stream)) || got.TransactionID == "" || len(got.Events) != 1 {
		t.Errorf("SSF-8.1.4.1-01: got %s, want a verification about %s", got.Claims(), stream)
	}
	if state, want := string(got.Events[0].Payload), `{"state":" é\u0000\"`; !strings.HasPrefix(state, want) {
		t.Errorf("SSF-8.1.4.2-02: got %s, want the state verbatim", state)
	}
}

// The status decides what is transmitted and what is held, poll and push alike
// (SSF-8.1.2.1-03, SSF-8.1.2.1-04, SSF-8.1.2.1-05, SSF-8.1.2.1-06, SSF-8.1.2-03, SSF-8.1.3.1-03).
func TestStatusGovernsDelivery(t *testing.T) {
	for _, c := range []struct {
		status string
		held   bool
	}{{"paused", true}, {"disabled", false}} {
		t.Run(c.status, func(t *testing.T) {
			h := open(t)
			token := h.client("alice", everyScope)
			sink := newSink(t)
			polled, pushed, other := h.stream(token, ""), h.stream(token, pushTo(sink.URL)), h.stream(token, "")
			status := func(to string) {
				for _, stream := range []string{polled, pushed} {
					h.must(http.StatusOK, http.MethodPost, "/ssf/status", token, `{"stream_id":"`+stream+`","status":"`+to+`"}`)
				}
			}
			// SSF-8.1.2.1-03: a new stream is enabled and transmits.
			first := h.emit(token, "a")
			h.received(token, polled, first)
			until(t, "the push of an enabled stream", func() bool { return len(sink.transactions()) == 1 })
			status(c.status)
			meanwhile := []string{h.emit(token, "a"), h.emit(token, "b"), h.emit(token, "a")}
			h.received(token, other, meanwhile[2]) // the fan-out is past them
			if a := h.must(http.StatusOK, http.MethodPost, "/ssf/poll/"+polled, token, `{"returnImmediately":true}`); a.body != `{"sets":{}}` {
				t.Errorf("SSF-8.1.2-03: got %s, want 200 and no SETs", a.body)
			}
			if got := sink.requests(); len(got) != 1 {
				t.Errorf("SSF-8.1.2.1-04 to -06: got %d pushes, want none of a stream that is not enabled", len(got)-1)
			}
			status("enabled")
			fence := h.emit(token, "a")
			want := meanwhile
			if !c.held {
				want = nil
			}
			if got := h.received(token, polled, fence); !slices.Equal(got, want) {
				t.Errorf("SSF-8.1.2.1-04 to -06, poll: got %v, want %v in order", got, want)
			}
			until(t, "the push after enabling", func() bool { return slices.Contains(sink.transactions(), fence) })
			var got []string
			for _, p := range sink.requests() {
				got = append(got, p.txn)
			}
			// Those about b may overtake the others, which keep their order (U22).
			drop := func(list []string) []string {
				return slices.DeleteFunc(slices.Clone(list), func(txn string) bool { return txn == meanwhile[1] })
			}
			if want := drop(slices.Concat([]string{first}, want, []string{fence})); !slices.Equal(drop(got), want) {
				t.Errorf("SSF-8.1.2.1-04 to -06, push: got %v, want %v", drop(got), want)
			}
		})
	}
}
