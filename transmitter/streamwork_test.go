package transmitter_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// An operator has a stream verified, whatever min_verification_interval says, and sees
// how the receiver answered.
func TestVerificationByAnOperator(t *testing.T) {
	h := open(t, func(s *setup) { s.MinVerificationInterval = time.Hour; s.Node = "north" })
	o := h.operator(h.SocketHandler())
	var refuses atomic.Bool
	to := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if !refuses.Load() {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"err":"invalid_request","description":"not like this","secret":"hush"}`)
	}))
	t.Cleanup(to.Close)
	id := h.stream(h.client("shop", everyScope), `{"method":"urn:ietf:rfc:8935","endpoint_url":"`+to.URL+`?key=hush","authorization_header":"Bearer hush"}`)
	at := "/admin/streams/" + id
	type attempt struct {
		Jti, Verdict, Err, Description string
		Attempt                        int
	}
	attempts := func() (node string, list []attempt) {
		a := o.must(200, "GET", at+"/attempts", "", "")
		var page struct {
			Node     string
			Attempts []attempt
		}
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || strings.Contains(a.body, "hush") {
			t.Fatalf("attempts: got %s (%v), want them without secrets", a.body, err)
		}
		return page.Node, page.Attempts
	}
	if node, list := attempts(); node != "north" || len(list) != 0 {
		t.Errorf("got %v of %q, want none of north", list, node)
	}
	o.must(202, "POST", at+"/verify", "", "")
	until(t, "the first is delivered", func() bool { _, list := attempts(); return len(list) == 1 })
	refuses.Store(true)
	o.must(202, "POST", at+"/verify", "", "")
	until(t, "the second is refused", func() bool { _, list := attempts(); return len(list) == 2 })
	_, list := attempts()
	if got := list[0]; got.Verdict != "refused" || got.Err != "invalid_request" || got.Description != "not like this" || got.Attempt != 1 || got.Jti == "" {
		t.Errorf("the latest: got %+v, want the refusal", got)
	}
	if got := list[1]; got.Verdict != "delivered" || got.Err != "" {
		t.Errorf("the first: got %+v, want it delivered", got)
	}
	o.must(200, "POST", at+"/status", "", `{"status":"disabled"}`)
	checkError(t, "disabled", o.do("POST", at+"/verify", "", ""), http.StatusBadRequest)
}

// What a receiver that polls says of SETs is seen as well.
func TestAnswersOfPolls(t *testing.T) {
	h := open(t)
	o := h.operator(h.SocketHandler())
	token := h.client("shop", everyScope)
	id := h.stream(token, "")
	h.put(id, "good")
	h.put(id, "bad")
	h.must(200, "POST", "/ssf/poll/"+id, token, `{"returnImmediately":true}`)
	h.must(200, "POST", "/ssf/poll/"+id, token, `{"maxEvents":0,"ack":["good"],"setErrs":{"bad":{"err":"invalid_audience","description":"not mine"}}}`)
	body := o.must(200, "GET", "/admin/streams/"+id+"/attempts", "", "").body
	for _, want := range []string{`"jti":"good"`, `"verdict":"delivered"`, `"jti":"bad"`, `"verdict":"refused"`, `"err":"invalid_audience"`, `"description":"not mine"`} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s, want %s in it", body, want)
		}
	}
}

// Webhooks are no streams: what is offered for streams does not know them.
func TestStreamWorkIsNotForWebhooks(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(h.SocketHandler())
	h.register(streams.Stream{ID: "hook", Owner: streams.WebhookOwner("shop"), Delivery: streams.Delivery{Method: streams.MethodWebhook, EndpointURL: "https://shop.example"}})
	checkError(t, "verify", o.do("POST", "/admin/streams/hook/verify", "", ""), http.StatusNotFound)
	checkError(t, "attempts", o.do("GET", "/admin/streams/hook/attempts", "", ""), http.StatusNotFound)
	checkError(t, "subjects", o.do("GET", "/admin/streams/hook/subjects", "", ""), http.StatusNotFound)
}

// An operator lists the subjects of a stream where the store can; where it cannot the
// answer says so.
func TestStreamSubjectsOf(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(h.SocketHandler())
	token := h.client("shop", everyScope)
	id := h.stream(token, "")
	want := map[string]bool{}
	for n := range 101 {
		email := fmt.Sprintf("jules%d@shop.example", n)
		want[email] = true
		h.must(204, "POST", "/ssf/subjects/remove", token, `{"stream_id":"`+id+`","subject":{"format":"email","email":"`+email+`"}}`)
	}
	query, pages := "", 0
	for ; pages < 5; pages++ {
		var page struct {
			Subjects []struct {
				Subject  struct{ Email string }
				Excluded bool
			}
			Next string
		}
		a := o.must(200, "GET", "/admin/streams/"+id+"/subjects"+query, "", "")
		if err := json.Unmarshal([]byte(a.body), &page); err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Subjects {
			if !want[s.Subject.Email] || !s.Excluded {
				t.Errorf("got %+v, want each once, as removed", s)
			}
			delete(want, s.Subject.Email)
		}
		if page.Next == "" {
			break
		}
		query = "?after=" + page.Next
	}
	if len(want) != 0 || pages != 1 {
		t.Errorf("got all but %d on %d pages, want all on two", len(want), pages+1)
	}

	type bare struct{ streams.Store }
	other := open(t, func(s *setup) {
		s.idle = true
		s.wrapStore = func(store streams.Store) streams.Store { return bare{store} }
	})
	id = other.stream(other.client("shop", everyScope), "")
	checkError(t, "a store that cannot", other.operator(other.SocketHandler()).do("GET", "/admin/streams/"+id+"/subjects", "", ""), http.StatusNotImplemented)
}
