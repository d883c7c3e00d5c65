package transmitter_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// jules is somebody whose name stands in no test but this one.
const jules = `{"format":"email","email":"jules.verne@example.com"}`

func (h *house) emitJules(token string) string {
	h.t.Helper()
	return h.must(http.StatusAccepted, "POST", "/v1/events", token, `{"type":"`+sessionRevoked+`","subject":[`+jules+
		`,{"format":"opaque","id":"jules-7"}],"session":"session-of-jules","data":{"reason_admin":{"en":"jules-left"}}}`).member("id")
}

// A subject is erased from the log, the index, queues, dead letters, the
// subjects of streams and what was said of it, and from the files; others stay.
func TestErase(t *testing.T) {
	h := open(t)
	shop := h.client("shop", everyScope+" events.erase events.annotate")
	operator := h.operator(h.SocketHandler())
	source := h.client("idp", "events.write")
	stream := h.stream(shop, "")
	h.must(200, "POST", "/ssf/subjects/add", shop, `{"stream_id":"`+stream+`","subject":`+jules+`}`)
	id, other := h.emitJules(source), h.emit(source, "al")
	h.must(200, "PATCH", "/v1/events/"+id, shop, `{"tags":{"note":"jules-tagged"}}`)
	found := func(token string) string {
		return h.must(200, "GET", "/v1/events?session=session-of-jules", token, "").body
	}
	if got := found(shop); !strings.Contains(got, id) || !strings.Contains(got, "jules-tagged") {
		t.Fatalf("before: got %s, want the event with its tag", got)
	}
	until(t, "two SETs on the queue", func() bool {
		d, err := h.store.Depth(t.Context(), stream)
		return err == nil && d.Items == 2
	})

	order := operator.must(202, "POST", "/admin/erasures", "", `{"subject":`+jules+`,"reason":"ticket"}`)
	erasure := order.member("id")
	if order.member("state") != "pending" || order.header.Get("Location") != "/admin/erasures/"+erasure {
		t.Errorf("got %s at %q, want a pending order", order.body, order.header.Get("Location"))
	}
	until(t, "it waits for the SET", func() bool {
		return operator.must(200, "GET", "/admin/erasures/"+erasure, "", "").member("waiting") == "1"
	})
	h.must(200, "GET", "/v1/events/"+id, shop, "")
	if got := operator.must(200, "GET", "/admin/erasures", "", "").body; !strings.Contains(got, erasure) {
		t.Errorf("pending orders: got %s, want %s", got, erasure)
	}

	ids, _ := h.poll(shop, stream, `{"maxEvents":10}`)
	h.poll(shop, stream, `{"returnImmediately":true,"ack":["`+strings.Join(ids, `","`)+`"]}`)
	operator.must(202, "POST", "/admin/erasures", "", `{"subject":[{"format":"opaque","id":"jules-7"}]}`) // looks at once, too
	until(t, "it is done", func() bool {
		return operator.must(200, "GET", "/admin/erasures/"+erasure, "", "").member("state") == "done"
	})
	done := operator.must(200, "GET", "/admin/erasures/"+erasure, "", "")
	if done.member("records") != "1" || done.member("entries") != "1" || done.member("reason") != "ticket" {
		t.Errorf("got %s, want one record and one annotation", done.body)
	}
	h.must(404, "GET", "/v1/events/"+id, shop, "")
	operator.must(404, "GET", "/admin/events/"+id, "", "")
	if got := found(shop); strings.Contains(got, id) {
		t.Errorf("search: got %s, want nothing", got)
	}
	h.must(200, "GET", "/v1/events/"+other, shop, "")
	until(t, "no trace in a file", func() bool { return tracesOf(t, h.dir, "jules") == "" })
}

// tracesOf returns the names of the files of a folder in which a text is.
func tracesOf(t *testing.T, dir, text string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got files %v (%v), want some", files, err)
	}
	var found []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(text)) {
			found = append(found, filepath.Base(file))
		}
	}
	return strings.Join(found, " ")
}

// A legal hold stops an order with a clear error; applications see their own
// orders alone; bad orders are refused by name.
func TestEraseRefusals(t *testing.T) {
	h := open(t)
	shop, bank := h.client("shop", everyScope+" events.erase"), h.client("bank", everyScope+" events.erase")
	operator := h.operator(h.SocketHandler())
	hold := operator.must(201, "POST", "/admin/holds", "", `{"subject":`+jules+`,"reason":"case 7"}`).member("id")
	if a := h.must(409, "POST", "/v1/erasures", shop, `{"subject":`+jules+`}`); a.member("err") != "legal_hold" || a.member("member") != "subject" {
		t.Errorf("on hold: got %s", a.body)
	}
	if got := operator.must(200, "GET", "/admin/holds", "", "").body; !strings.Contains(got, hold) || !strings.Contains(got, "case 7") {
		t.Errorf("holds: got %s", got)
	}
	operator.must(204, "DELETE", "/admin/holds/"+hold, "", "")
	operator.must(404, "DELETE", "/admin/holds/"+hold, "", "")
	id := h.must(202, "POST", "/v1/erasures", shop, `{"subject":`+jules+`,"now":true}`).member("id")
	h.must(200, "GET", "/v1/erasures/"+id, shop, "")
	h.must(404, "GET", "/v1/erasures/"+id, bank, "")
	h.must(403, "POST", "/v1/erasures", h.client("shop", "events.read"), `{"subject":`+jules+`}`)
	for body, member := range map[string]string{
		`{}`:                                 "subject",
		`{"subject":{"format":"email"}}`:     "subject.email",
		`{"subject":` + jules + `,"when":1}`: "",
		`{"subject":` + jules + `,"reason":"` + strings.Repeat("x", 1025) + `"}`: "reason",
	} {
		if a := h.must(400, "POST", "/v1/erasures", shop, body); a.member("member") != member {
			t.Errorf("%.40s: got member %q, want %q", body, a.member("member"), member)
		}
	}
}

// An application's order leaves what others may read, too.
func TestEraseOwn(t *testing.T) {
	h := open(t)
	shop, bank := h.client("shop", everyScope+" events.erase"), h.client("bank", everyScope)
	own := h.emitJules(h.client("hr", "events.write", &auth.Source{Name: "hr", Applications: []string{"shop"}}))
	shared := h.emitJules(h.client("idp", "events.write"))
	id := h.must(202, "POST", "/v1/erasures", shop, `{"subject":`+jules+`}`).member("id")
	until(t, "it is done", func() bool {
		return h.must(200, "GET", "/v1/erasures/"+id, shop, "").member("state") == "done"
	})
	h.must(404, "GET", "/v1/events/"+own, shop, "")
	h.must(200, "GET", "/v1/events/"+shared, bank, "")
}

// Retention erases by age while the transmitter runs.
func TestRetention(t *testing.T) {
	h := open(t, func(s *setup) { s.Retention, s.RetainEvery = time.Nanosecond, 10*time.Millisecond })
	source := h.client("idp", "events.write")
	reader := h.client("shop", everyScope)
	id := h.emitJules(source)
	until(t, "the event is erased", func() bool {
		r, err := h.log.Get(t.Context(), id)
		return err == nil && r.Erased
	})
	h.must(404, "GET", "/v1/events/"+id, reader, "")
}
