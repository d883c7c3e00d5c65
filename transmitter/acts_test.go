package transmitter_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// act is one as the admin API lists it.
type act struct {
	Act     string
	By      struct{ Client, Application string }
	From    string
	Request string
	Objects map[string]string
	Set     map[string]json.RawMessage
	Hidden  []string
	Outcome string
	Status  int
	Code    string
	Time    time.Time
	Asked   uint64
}

func (o *operator) acts(admin, query string) (list []act, next string) {
	o.t.Helper()
	var page struct {
		Acts []act
		Next string
	}
	a := o.must(200, "GET", "/admin/acts"+query, admin, "")
	if err := json.Unmarshal([]byte(a.body), &page); err != nil {
		o.t.Fatal(err)
	}
	return page.Acts, page.Next
}

// An act is in the log with who, from where, what and its outcome, never with a secret.
func TestActsAreInTheLog(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(edge.Handler(h.AdminHandler(), edge.Config{}))
	admin := h.client("operators", "admin")
	o.must(201, "POST", "/admin/applications", admin, `{"id":"shop","audience":["https://shop.example"]}`)
	made := o.must(201, "POST", "/admin/clients", admin, `{"id":"shop-1","application":"shop","scope":"ssf.manage ssf.read","static":true}`)
	token := made.member("access_token")
	o.must(409, "POST", "/admin/applications", admin, `{"id":"shop","audience":["https://shop.example"]}`)
	stream := h.must(201, "POST", "/ssf/streams", token,
		`{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://rp.example/very-secret-path?key=very-secret-key","authorization_header":"Bearer very-secret-token"}}`).member("stream_id")

	list, _ := o.acts(admin, "")
	var got []string
	for _, a := range list {
		got = append(got, a.Act+" "+a.Outcome)
		if a.From != "127.0.0.1" || a.Asked == 0 || a.Time.IsZero() {
			t.Errorf("%s: got %+v, want an address, a time and the number of the entry before", a.Act, a)
		}
	}
	want := []string{"stream.create done", "application.add refused", "client.add done", "application.add done"}
	if !slices.Equal(got, want) {
		t.Fatalf("acts: got %q, want %q", got, want)
	}
	create, refused, add := list[0], list[1], list[2]
	if create.By.Client != "shop-1" || create.By.Application != "shop" || create.Objects["stream"] != stream || string(create.Set["delivery.endpoint_url"]) != `"https://rp.example"` ||
		!slices.Contains(create.Hidden, "delivery.authorization_header") {
		t.Errorf("stream.create: got %+v, want who, the stream, the host of its endpoint, and that a header was given", create)
	}
	if refused.Status != 409 || refused.Code != "exists" || refused.Objects["application"] != "shop" {
		t.Errorf("refused: got %+v, want 409 exists about shop", refused)
	}
	if add.By.Application != "operators" || add.Objects["client"] != "shop-1" || string(add.Set["scope"]) != `"ssf.manage ssf.read"` || len(add.Request) < 8 {
		t.Errorf("client.add: got %+v, want who, the client, its scope and the request's id", add)
	}
	for seq := uint64(1); ; seq++ {
		r, err := h.log.Record(t.Context(), seq)
		if errors.Is(err, eventlog.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{token, made.member("client_secret"), "very-secret"} {
			if strings.Contains(string(r.Canonical), secret) {
				t.Errorf("record %d: got %s with a secret", seq, r.Canonical)
			}
		}
	}
	for query, want := range map[string]int{
		"?act=client.add": 1, "?object=shop-1": 1, "?object=" + stream: 1, "?by=shop-1": 1, "?by=nobody": 0, "?object=shop": 3,
		"?since=2001-01-01T00:00:00Z": 4, "?until=2001-01-01T00:00:00Z": 0, "?act=application.add&object=shop": 2,
	} {
		if list, _ := o.acts(admin, query); len(list) != want {
			t.Errorf("%s: got %d acts, want %d", query, len(list), want)
		}
	}
	var paged []string
	for next := "?limit=1"; ; {
		list, before := o.acts(admin, next)
		for _, a := range list {
			paged = append(paged, a.Act+" "+a.Outcome)
		}
		if before == "" {
			break
		}
		next = "?limit=1&before=" + before
	}
	if !slices.Equal(paged, got) {
		t.Errorf("page by page: got %q, want %q", paged, got)
	}
	for _, query := range []string{"?limit=0", "?limit=x", "?since=yesterday", "?before=-1", "?nonsense=1", "?act=a&act=b", "?by="} {
		checkError(t, query, o.do("GET", "/admin/acts"+query, admin, ""), http.StatusBadRequest)
	}
}

// deafLog takes no entries while it is told to.
type deafLog struct {
	eventlog.Log
	from int // the first Note that fails; 0: none
	n    *int
}

func (l deafLog) Note(ctx context.Context, entries ...eventlog.Entry) ([]eventlog.Appended, error) {
	if *l.n++; l.from != 0 && *l.n >= l.from {
		return nil, errors.New("the disk is full")
	}
	return l.Log.Note(ctx, entries...)
}

// What the log does not take is not done.
func TestNoActWithoutTheLog(t *testing.T) {
	h := open(t, func(s *setup) {
		s.idle = true
		s.wrapLog = func(l eventlog.Log) eventlog.Log { return deafLog{l, 1, new(int)} }
	})
	o := h.operator(h.AdminHandler())
	admin := h.client("operators", "admin")
	checkError(t, "an act", o.do("POST", "/admin/applications", admin, `{"id":"shop","audience":["https://shop.example"]}`), http.StatusServiceUnavailable)
	if list := o.must(200, "GET", "/admin/applications", admin, "").body; strings.Contains(list, "shop") {
		t.Errorf("got %s, want nothing done", list)
	}
}

// An act whose outcome could not be noted is done, answered, and in the log as open; the
// process's log tells.
func TestOutcomeThatIsNotNoted(t *testing.T) {
	h := open(t, func(s *setup) {
		s.idle = true
		s.wrapLog = func(l eventlog.Log) eventlog.Log { return deafLog{l, 2, new(int)} }
	})
	o := h.operator(h.AdminHandler())
	admin := h.client("operators", "admin")
	o.must(201, "POST", "/admin/applications", admin, `{"id":"shop","audience":["https://shop.example"]}`)
	if list, _ := o.acts(admin, ""); len(list) != 1 || list[0].Outcome != "open" {
		t.Errorf("got %+v, want one act whose outcome is open", list)
	}
	if got := h.logs.String(); !strings.Contains(got, "could not be noted") || !strings.Contains(got, "application.add") {
		t.Errorf("log: got %s, want that the outcome of application.add is missing", got)
	}
}

// A panic is an outcome, too.
func TestActThatPanics(t *testing.T) {
	h := open(t, func(s *setup) {
		s.idle = true
		s.Backup = func(context.Context, string) error { panic("boo") }
	})
	o := h.operator(h.SocketHandler())
	checkError(t, "panic", o.do("POST", "/admin/backup", "", `{"dir":"/backup"}`), http.StatusInternalServerError)
	list, _ := o.acts("", "?act=store.backup")
	if len(list) != 1 || list[0].Outcome != eventlog.ActFailed || list[0].Status != 500 || string(list[0].Set["dir"]) != `"/backup"` || list[0].By.Client != "operator" {
		t.Errorf("got %+v, want an act of the operator that failed", list)
	}
}

// Every route that changes something is an act, or is known not to be one, and why.
func TestEveryActIsNoted(t *testing.T) {
	h := open(t, func(s *setup) { s.idle, s.checkpoints = true, true })
	no := map[string]string{
		"POST /ssf/subjects/add":               "a receiver's subjects are its data, and many",
		"POST /ssf/subjects/remove":            "a receiver's subjects are its data, and many",
		"POST /ssf/verify":                     "changes nothing",
		"POST /ssf/poll/:stream_id":            "delivery",
		"POST /v1/events":                      "an event is in the log itself",
		"POST /admin/events":                   "an event is in the log itself, from the source operator",
		"PATCH /v1/events/:id":                 "an annotation is in the log itself, with who",
		"POST /admin/mapping":                  "changes nothing",
		"PATCH /admin/events/:id":              "an annotation is in the log itself, with who",
		"POST /v1/sources/:name":               "events are in the log themselves",
		"POST /oauth/token":                    "changes nothing",
		"POST /oauth/revoke":                   "who has a token may give it up",
		"POST /v1/webhooks/:stream_id/test":    "changes nothing",
		"POST /admin/webhooks/:stream_id/test": "changes nothing",
		"POST /v1/log/cosignatures":            "a witness's signature proves itself",
		"POST /admin/log/cosignatures":         "a witness's signature proves itself",
		"POST /admin/log/checkpoint":           "a checkpoint is signed at any time",
	}
	for _, route := range transmitter.ActRoutes(h.Transmitter) {
		method, _, _ := strings.Cut(route, " ")
		if !slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE"}, method) {
			continue
		}
		_, excused := no[route]
		if noted := transmitter.IsAct(route); noted == excused {
			t.Errorf("%s: got it noted: %t, excused: %t; want one of them", route, noted, excused)
		}
		delete(no, route)
	}
	for route := range no {
		t.Errorf("%s: there is no such route", route)
	}
}
