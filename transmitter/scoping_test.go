package transmitter_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// An erasure, like a decision, is about all of an application's events, of which
// a client of one environment sees a part.
func TestEnvironmentErasesNothing(t *testing.T) {
	h := open(t)
	whole, staging, live := h.client("shop", everyScope+" events.erase"), h.bound("shop", "staging", everyScope+" events.erase"), h.bound("shop", "live", everyScope)
	id := h.emit(live, "jo")
	subject := `{"format":"email","email":"jo@example.com"}`
	h.must(403, "POST", "/v1/erasures", staging, `{"subject":`+subject+`,"now":true}`)
	h.must(200, "GET", "/v1/events/"+id, whole, "")
	x := h.must(202, "POST", "/v1/erasures", whole, `{"subject":{"format":"email","email":"al@example.com"}}`).member("id")
	h.must(403, "GET", "/v1/erasures", staging, "")
	h.must(403, "GET", "/v1/erasures/"+x, staging, "")
	h.must(201, "POST", "/v1/consents", whole, `{"subject":`+subject+`,"decision":"grant"}`)
	h.must(403, "GET", "/v1/consents", staging, "")
	h.must(403, "GET", "/v1/consents?subject="+`%7B%22format%22%3A%22email%22%2C%22email%22%3A%22jo%40example.com%22%7D`, staging, "")
	h.must(403, "GET", "/v1/participation?subject="+`%7B%22format%22%3A%22email%22%2C%22email%22%3A%22jo%40example.com%22%7D`, staging, "")
}

// What one application says uses up nothing of another's.
func TestAnnotationsAreCountedApart(t *testing.T) {
	h := open(t)
	id := h.record(h.client("hr", everyScope), "")
	shop, bank := h.client("shop", readerScope), h.client("bank", readerScope)
	for n := range eventlog.MaxAnnotations {
		h.must(http.StatusOK, "PATCH", "/v1/events/"+id, shop, fmt.Sprintf(`{"tags":{"n":"%d"}}`, n))
	}
	h.must(http.StatusConflict, "PATCH", "/v1/events/"+id, shop, `{"suspect":true}`)
	h.must(http.StatusOK, "PATCH", "/v1/events/"+id, bank, `{"suspect":true}`)
}

// An order that names a user by aliases names each of them.
func TestEraseAliases(t *testing.T) {
	h := open(t)
	shop := h.client("shop", everyScope+" events.erase")
	id := h.emit(h.client("idp", "events.write"), "jo")
	own := h.emit(shop, "jo")
	operator := h.operator(h.SocketHandler())
	aliases := `{"format":"aliases","identifiers":[{"format":"email","email":"jo@example.com"},{"format":"opaque","id":"7"}]}`
	for _, x := range []string{
		h.must(202, "POST", "/v1/erasures", shop, `{"subject":`+aliases+`}`).member("id"),
		operator.must(202, "POST", "/admin/erasures", "", `{"subject":`+aliases+`}`).member("id"),
	} {
		until(t, "it is done", func() bool {
			return operator.must(200, "GET", "/admin/erasures/"+x, "", "").member("state") == "done"
		})
	}
	h.must(404, "GET", "/v1/events/"+own, shop, "")
	h.must(404, "GET", "/v1/events/"+id, shop, "")
}

// noting is a log that lets something happen before an annotation is noted.
type noting struct {
	eventlog.Log
	before func()
}

func (l *noting) Note(ctx context.Context, entries ...eventlog.Entry) ([]eventlog.Appended, error) {
	if entries[0].Kind == eventlog.KindAnnotation && l.before != nil {
		l.before()
	}
	return l.Log.Note(ctx, entries...)
}

// What is said of an event while it is erased goes with it.
func TestAnnotateWhileErased(t *testing.T) {
	l := &noting{}
	h := open(t, func(s *setup) { s.wrapLog = func(log eventlog.Log) eventlog.Log { l.Log = log; return l } })
	shop := h.client("shop", everyScope+" events.annotate")
	operator := h.operator(h.SocketHandler())
	id := h.emitJules(shop)
	l.before = func() {
		x := operator.must(202, "POST", "/admin/erasures", "", `{"subject":`+jules+`,"now":true}`).member("id")
		until(t, "it is done", func() bool {
			return operator.must(200, "GET", "/admin/erasures/"+x, "", "").member("state") == "done"
		})
	}
	a := h.do("PATCH", "/v1/events/"+id, shop, `{"tags":{"note":"jules-tagged"}}`)
	if a.status != 404 || strings.Contains(a.body, "jules") {
		t.Errorf("got %d %s, want 404", a.status, a.body)
	}
	var named []eventlog.Seqs
	for _, r := range h.records() {
		runs, err := r.Erasures()
		if err != nil {
			t.Errorf("record %d: got %v", r.Seq, err)
		}
		named = append(named, runs...)
	}
	for _, r := range h.records() {
		if r.Kind == eventlog.KindAnnotation && !r.Erased {
			t.Errorf("the log keeps %s", r.Entry)
		}
		if r.Erased && !slices.ContainsFunc(named, func(s eventlog.Seqs) bool { return s[0] <= r.Seq && r.Seq <= s[1] }) {
			t.Errorf("no entry says that record %d was erased", r.Seq)
		}
	}
}

// What is said of an event after its erasure was decided, and before it took
// effect, goes with it.
func TestAnnotateBeforeErased(t *testing.T) {
	said := make(chan int, 1)
	var annotate func() int
	h := open(t, func(s *setup) {
		s.Crash = func(point string) {
			if point == "erase.after-report" {
				said <- annotate()
			}
		}
	})
	shop := h.client("shop", everyScope+" events.annotate")
	operator := h.operator(h.SocketHandler())
	id := h.emitJules(shop)
	annotate = func() int {
		return h.do("PATCH", "/v1/events/"+id, shop, `{"tags":{"note":"jules-tagged"}}`).status
	}
	x := operator.must(202, "POST", "/admin/erasures", "", `{"subject":`+jules+`,"now":true}`).member("id")
	if got := <-said; got != 200 {
		t.Fatalf("the annotation: got %d, want 200", got)
	}
	until(t, "it is done", func() bool {
		return operator.must(200, "GET", "/admin/erasures/"+x, "", "").member("state") == "done"
	})
	for _, r := range h.records() {
		if r.Kind == eventlog.KindAnnotation && !r.Erased {
			t.Errorf("the log keeps %s", r.Entry)
		}
	}
}

// What is held leaves by no door.
func TestHeldLeavesByNoDoor(t *testing.T) {
	h := open(t)
	shop := h.client("shop", everyScope+" events.erase webhooks.manage")
	source := h.client("idp", "events.write")
	stream := h.stream(shop, "")
	h.must(200, "PUT", "/v1/consents/gate", shop, `{"enabled":true}`)
	body := `{"type":"` + sessionRevoked + `","source_id":"s1","subject":{"format":"email","email":"jo@example.com"},"email":"jo@example.com","session":"s","data":{"event_timestamp":1700000000}}`
	id := h.must(202, "POST", "/v1/events", source, body).member("id")
	for _, path := range []string{"/v1/events/" + id, "/v1/events/" + id + "/annotations", "/v1/events/" + id + "/proof"} {
		h.must(404, "GET", path, shop, "")
	}
	h.must(404, "PATCH", "/v1/events/"+id, shop, `{"suspect":true}`)
	for _, q := range []string{"session=s", "email=jo@example.com", "total_hits=10", "reverse=true&start=0", "session=s&total_hits=1&limit=1"} {
		got := h.must(200, "GET", "/v1/events?"+q, shop, "")
		if strings.Contains(got.body, id) || strings.Contains(got.body, "cursor") || got.member("total_hits") != "" && got.member("total_hits") != "0" {
			t.Errorf("%s: got %s", q, got.body)
		}
	}
	h.must(202, "POST", "/v1/streams/"+stream+"/replay", shop, `{"from":"2020-01-01T00:00:00Z"}`)
	al := h.must(202, "POST", "/v1/events", source, strings.NewReplacer("jo@", "al@", `"s1"`, `"s2"`).Replace(body)).member("id")
	h.must(201, "POST", "/v1/consents", shop, `{"subject":{"format":"email","email":"al@example.com"},"decision":"grant"}`)
	_, sets := h.poll(shop, stream, `{"maxEvents":10}`)
	for _, s := range sets {
		if got := parse(t, s).TransactionID; got != al {
			t.Errorf("got a SET of %s, want only of %s", got, al)
		}
	}
	h.must(404, "GET", "/v1/events/"+id, shop, "")
	h.must(200, "GET", "/v1/events/"+al, shop, "")
}

// An opt-out that the gate holds is not to be learned by asking for the state.
func TestHeldOptOut(t *testing.T) {
	h := open(t)
	shop, operator := h.client("shop", everyScope), h.operator(h.SocketHandler())
	source := h.client("idp", "events.write")
	h.must(200, "PUT", "/v1/consents/gate", shop, `{"enabled":true}`)
	h.must(202, "POST", "/v1/events", source, `{"type":"opt_out_effective","subject":{"format":"email","email":"jo@example.com"}}`)
	const query = "?subject=%7B%22format%22%3A%22email%22%2C%22email%22%3A%22jo%40example.com%22%7D"
	until(t, "the operator sees it", func() bool {
		return operator.must(200, "GET", "/admin/participation"+query+"&application=shop", "", "").member("state") == "opt-out"
	})
	if a := h.must(200, "GET", "/v1/participation"+query, shop, ""); a.member("state") != "opt-in" || a.member("since") != "" {
		t.Errorf("held: got %s, want what there was before", a.body)
	}
	h.must(201, "POST", "/v1/consents", shop, `{"subject":{"format":"email","email":"jo@example.com"},"decision":"grant"}`)
	if a := h.must(200, "GET", "/v1/participation"+query, shop, ""); a.member("state") != "opt-out" {
		t.Errorf("granted: got %s, want opt-out", a.body)
	}
}

// A hold stands on all by which an erasure would find the event: its e-mail
// address among the attributes, too.
func TestHoldByAttribute(t *testing.T) {
	h := open(t)
	operator := h.operator(h.SocketHandler())
	source := h.client("idp", "events.write")
	id := h.must(202, "POST", "/v1/events", source, `{"type":"`+sessionRevoked+
		`","subject":{"format":"opaque","id":"jules-7"},"email":"jules.verne@example.com","data":{"event_timestamp":1700000000}}`).member("id")
	h.must(202, "POST", "/v1/events", source, event("al"))
	operator.must(201, "POST", "/admin/holds", "", `{"subject":`+jules+`}`)
	x := operator.must(202, "POST", "/admin/erasures", "", `{"subject":{"format":"opaque","id":"jules-7"}}`).member("id")
	until(t, "it was looked at", func() bool {
		return strings.Contains(h.logs.String(), "waits for a legal hold") ||
			operator.must(200, "GET", "/admin/erasures/"+x, "", "").member("state") == "done"
	})
	operator.must(200, "GET", "/admin/events/"+id, "", "")
}
