package transmitter_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	idmeEnd      = `{"event":"session.signout","identifier":"a1b2","email":"member@example.com","application":"Shop","session":"sess_1","fingerprint":"fp_1","ipaddress":"203.0.113.42","useragent":"Mozilla/5.0","tracked_at":"2024-03-15T14:32:10+00:00"}`
	idmeBegin    = `{"event":"session.signin","identifier":"a1b2","session":"sess_1","tracked_at":"2024-03-15T14:30:10+00:00"}`
	oneLoginEnd  = `{"id":7001,"created_at":"2014-02-18T02:34:15.626Z","account_id":1,"user_id":654321,"event_type_id":7,"actor_system":"","role_id":null}`
	oneLoginOnly = `{"uuid":"0f0e0d0c","event_timestamp":"2014-02-18 02:34:16 UTC","account_id":1,"user_id":654321,"event_type_id":8}`
)

// vendor adds a vendor's source and returns its secret.
func (h *house) vendor(v auth.VendorSource) string {
	h.t.Helper()
	given, err := h.apps.AddVendorSource(context.Background(), v)
	if err != nil {
		h.t.Fatal(err)
	}
	return given.Secret
}

// records returns what is in the log.
func (h *house) records() []*eventlog.Record {
	h.t.Helper()
	all, err := h.log.Read(context.Background(), 0, 10000)
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// events returns the events in the log.
func (h *house) events() []*eventlog.Record {
	h.t.Helper()
	return slices.DeleteFunc(h.records(), func(r *eventlog.Record) bool { return r.Kind != eventlog.KindEvent })
}

// kept is what the log has besides administrative acts.
func (h *house) kept() int {
	h.t.Helper()
	return len(slices.DeleteFunc(h.records(), func(r *eventlog.Record) bool { return r.Kind == eventlog.KindAct }))
}

// What each vendor sends, as it sends it, becomes events once, and SETs.
func TestVendorsDeliver(t *testing.T) {
	h := open(t)
	shop := h.client("shop", everyScope)
	stream := h.stream(shop, "")
	idme := h.vendor(auth.VendorSource{Source: auth.Source{Name: "idme"}, Kind: auth.KindIDme, Auth: auth.VendorBasic, User: "tocsin"})
	onelogin := h.vendor(auth.VendorSource{
		Source: auth.Source{Name: "onelogin", Applications: []string{"shop"}, Environment: "live"},
		Kind:   auth.KindOneLogin, Auth: auth.VendorHeader, Header: "X-Tocsin",
	})
	basic := []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("tocsin:"+idme))}
	header := []string{"X-Tocsin", onelogin}
	for _, c := range []struct {
		name, path, body string
		header           []string
		kept, seen       string
	}{
		{"ID.me, one", "/v1/sources/idme", idmeEnd, basic, "1", "0"},
		{"ID.me, the same", "/v1/sources/idme", "\n" + idmeEnd + " ", basic, "0", "1"},
		{"ID.me, an array", "/v1/sources/idme", "[" + idmeEnd + ",\n" + idmeBegin + "]", basic, "1", "1"},
		{"ID.me, the same array", "/v1/sources/idme", "[" + idmeEnd + "," + idmeBegin + "]", basic, "0", "2"},
		{"ID.me, an empty array", "/v1/sources/idme", "[]", basic, "0", "0"},
		{"OneLogin, an array", "/v1/sources/onelogin", "[" + oneLoginEnd + "," + oneLoginOnly + "]", header, "2", "0"},
		{"OneLogin, the same by lines", "/v1/sources/onelogin", oneLoginEnd + "\r\n" + oneLoginOnly + "\n\n", header, "0", "2"},
		{"OneLogin, one line", "/v1/sources/onelogin", oneLoginEnd + "\n", header, "0", "1"},
		{"OneLogin, changed meanwhile", "/v1/sources/onelogin", strings.Replace(oneLoginEnd, `"role_id":null`, `"resolution":"done"`, 1), header, "0", "1"},
	} {
		a := h.must(http.StatusAccepted, http.MethodPost, c.path, "", c.body, append([]string{"Content-Type", "text/plain"}, c.header...)...)
		if a.member("kept") != c.kept || a.member("seen") != c.seen || a.member("refused") != "0" {
			t.Errorf("%s: got %s, want %s kept and %s seen", c.name, a.body, c.kept, c.seen)
		}
	}
	var got []string
	for _, e := range h.events() {
		got = append(got, e.Source+" "+e.Type+" "+strings.SplitN(e.SourceID, ":", 2)[0]+" "+strings.Join(e.Applications, ",")+e.Environment)
	}
	want := []string{"idme idme:session.signout sha256 ", "idme idme:session.signin sha256 ", "onelogin onelogin:7 7001 shoplive", "onelogin onelogin:8 0f0e0d0c shoplive"}
	if !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
	if first := h.events()[0]; string(first.Original) != idmeEnd || len(first.Mapped) != 1 {
		t.Errorf("got %s with %d outcomes, want the record as it was sent and one", first.Original, len(first.Mapped))
	}
	var sets int
	until(t, "two SETs", func() bool {
		ids, _ := h.poll(shop, stream, `{"returnImmediately":true}`)
		sets += len(ids)
		if len(ids) > 0 {
			ack, _ := json.Marshal(ids)
			h.must(http.StatusOK, http.MethodPost, "/ssf/poll/"+stream, shop, `{"maxEvents":0,"ack":`+string(ack)+`}`)
		}
		return sets >= 2
	})
	if sets != 2 {
		t.Errorf("got %d SETs, want 2: a repeated delivery makes none", sets)
	}
}

// contracts.md §2: a record that cannot be mapped happened all the same; a part
// of a batch that is no record at all costs the others nothing.
func TestVendorRecordsThatDoNotMap(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	secret := h.vendor(auth.VendorSource{
		Source: auth.Source{Name: "hr", EventTypes: []string{accountPurged}}, Kind: auth.KindOneLogin, Auth: auth.VendorBearer,
	})
	large := `{"event_type_id":8,"notes":"` + strings.Repeat("x", 256<<10) + `"}`
	for _, c := range []struct {
		name, body string
		status     int
		want       string // the answer, or its member and description
	}{
		{"no kind", `{"id":1}`, 202, `{"kept":1,"seen":0,"denied":0,"refused":0}`},
		{"no kind and no id, twice", `[{"user_id":1},{"user_id":1}]`, 202, `{"kept":1,"seen":1,"denied":0,"refused":0}`},
		{"a member twice", `{"id":2,"id":3}`, 202, `{"kept":1,"seen":0,"denied":0,"refused":0}`},
		{"half of a pair", `{"id":14,"event_type_id":8,"user_agent":"\ud800"}`, 202, `{"kept":1,"seen":0,"denied":0,"refused":0}`},
		{"a broken line", `{"id":4,"event_type_id":8}` + "\n{\"id\":5,\n" + `{"id":6,"event_type_id":8}`, 202, `{"kept":2,"seen":0,"denied":0,"refused":1}`},
		{"one too large", `[{"id":9,"event_type_id":8},` + large + `]`, 202, `{"kept":1,"seen":0,"denied":0,"refused":1}`},
		{"outside of the source's types", `{"id":10,"event_type_id":7,"account_id":1,"user_id":5}`, 202, `{"kept":0,"seen":0,"denied":1,"refused":0}`},
		{"no objects", `[1,"a",null,[]]`, 400, "is not a JSON object"},
		{"nothing but broken lines", "{\n{", 400, "is not JSON in UTF-8"},
		{"no UTF-8", "{\"id\":11,\"notes\":\"\xff\"}", 400, "is not JSON in UTF-8"},
		{"an array that ends early", `[{"id":12,"event_type_id":8}`, 400, "the body is not JSON"},
		{"more after the array", `[]{}`, 400, "something follows the array"},
		{"empty", " \n", 400, "the body is empty"},
		{"deep", `{"id":13,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, 400, "is nested too deeply"},
		{"too many", "[" + strings.Repeat("{},", 1000) + "{}]", 400, "there are more than 1000 records in one request"},
		{"too large a body", strings.Repeat(" ", 4<<20) + "{}", 413, ""},
	} {
		a := h.do(http.MethodPost, "/v1/sources/hr", secret, c.body)
		got := a.body
		if a.status >= 400 {
			checkError(t, c.name, a, c.status)
			got = a.member("description")
		}
		if a.status != c.status || c.want != "" && strings.TrimSpace(got) != c.want {
			t.Errorf("%s: got %d %s, want %d %s", c.name, a.status, a.body, c.status, c.want)
		}
	}
	if got := h.events()[0]; got.MappingError == "" || got.Source != "hr" {
		t.Errorf("got %+v, want it recorded with its mapping error", got)
	}
	reader := h.client("reader", "events.read")
	for _, e := range h.events() {
		if a := h.must(http.StatusOK, http.MethodGet, "/v1/events/"+e.ID, reader, ""); !json.Valid([]byte(a.body)) {
			t.Errorf("got %s, want JSON", a.body)
		}
	}
	a := h.do(http.MethodPost, "/v1/sources/hr", secret, "x", "Content-Encoding", "gzip")
	checkError(t, "compressed", a, http.StatusUnsupportedMediaType)
}

// What was erased stays so when the vendor sends it again.
func TestVendorSendsWhatWasErased(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	secret := h.vendor(auth.VendorSource{Source: auth.Source{Name: "idme"}, Kind: auth.KindIDme, Auth: auth.VendorBearer})
	h.must(http.StatusAccepted, http.MethodPost, "/v1/sources/idme", secret, idmeEnd)
	if n, err := h.log.Erase(t.Context(), 1); n != 1 || err != nil {
		t.Fatalf("erase: got %d %v, want 1", n, err)
	}
	if a := h.must(http.StatusAccepted, http.MethodPost, "/v1/sources/idme", secret, idmeEnd); a.member("seen") != "1" {
		t.Errorf("got %s, want it seen before", a.body)
	}
	if all := h.events(); len(all) != 1 || !all[0].Erased {
		t.Errorf("got %d records, want the erased one alone", len(all))
	}
}

// Unknown names and wrong credentials look alike, before the body is read.
func TestVendorsUnknown(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	h.vendor(auth.VendorSource{Source: auth.Source{Name: "idme"}, Kind: auth.KindIDme, Auth: auth.VendorBearer})
	h.vendor(auth.VendorSource{Source: auth.Source{Name: "polled"}, Kind: auth.KindOneLogin, Auth: auth.VendorOff, API: &auth.VendorAPI{URL: "https://vendor.example", Secret: "s", Every: time.Hour}})
	admin := h.client("alice", "admin events.write")
	var first answer
	for i, path := range []string{"/v1/sources/idme", "/v1/sources/polled", "/v1/sources/nobody"} {
		for _, token := range []string{"", "wrong", admin} {
			a := h.do(http.MethodPost, path, token, "\xff")
			checkError(t, path, a, http.StatusUnauthorized)
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: got no WWW-Authenticate", path)
			}
			a.header.Del("Date")
			if i == 0 {
				first = a
			} else if a.body != first.body || len(a.header) != len(first.header) {
				t.Errorf("%s: got %s %v, want what an unknown source gets, %s %v", path, a.body, a.header, first.body, first.header)
			}
		}
	}
	if got := h.do(http.MethodGet, "/v1/sources/idme", "", ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d, want 405", got.status)
	}
	if n := len(h.events()); n != 0 {
		t.Errorf("got %d events, want none", n)
	}
}

// fullLog cannot take more.
type fullLog struct{ eventlog.Log }

func (fullLog) Append(context.Context, ...eventlog.Event) ([]eventlog.Appended, error) {
	return nil, errors.New("disk full")
}

// 2xx only after a durable append: else the vendor sends it again.
func TestVendorUnavailable(t *testing.T) {
	h := open(t, func(s *setup) {
		s.idle, s.wrapLog = true, func(l eventlog.Log) eventlog.Log { return fullLog{l} }
	})
	h.vendor(auth.VendorSource{Source: auth.Source{Name: "idme"}, Kind: auth.KindIDme, Auth: auth.VendorNone})
	for _, name := range []string{"the log fails", "shutting down"} {
		a := h.do(http.MethodPost, "/v1/sources/idme", "", idmeEnd)
		checkError(t, name, a, http.StatusServiceUnavailable)
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: got no Retry-After", name)
		}
		h.Refuse()
	}
}

// Operators manage sources; a source that lets everybody in is warned of.
func TestAdminSources(t *testing.T) {
	h := open(t, func(s *setup) { s.Issuer = "/tenant"; s.idle = true })
	o := h.operator(h.SocketHandler())
	made := o.must(http.StatusCreated, "POST", "/admin/sources", "", `{"name":"idme","kind":"idme","auth":"bearer","applications":[]}`)
	if made.member("path") != "/tenant/v1/sources/idme" || made.member("secret") == "" || made.member("warning") != "" {
		t.Errorf("got %s, want path and secret without a warning", made.body)
	}
	h.must(http.StatusAccepted, "POST", "/v1/sources/idme", made.member("secret"), idmeBegin)
	bare := o.must(http.StatusCreated, "POST", "/admin/sources", "", `{"name":"open","kind":"onelogin","auth":"none"}`)
	if bare.member("warning") == "" || bare.member("secret") != "" {
		t.Errorf("none: got %s, want a warning and no secret", bare.body)
	}
	list := o.must(http.StatusOK, "GET", "/admin/sources", "", "")
	if strings.Contains(list.body, made.member("secret")) || !strings.Contains(list.body, `"applications":[]`) || !strings.Contains(list.body, `"applications":null`) {
		t.Errorf("got %s, want both without secrets, none and all told apart", list.body)
	}
	for _, c := range []struct{ body, member string }{
		{`{"name":"operator","kind":"idme","auth":"bearer"}`, "name"},
		{`{"name":"x","kind":"idme"}`, "auth"},
		{`{"name":"x","kind":"y","auth":"bearer"}`, "kind"},
		{`{"name":"x","kind":"idme","auth":"bearer","applications":["nobody"]}`, "applications"},
	} {
		a := o.do("POST", "/admin/sources", "", c.body)
		checkError(t, c.body, a, http.StatusBadRequest)
		if a.member("member") != c.member {
			t.Errorf("%s: got %s, want member %s", c.body, a.body, c.member)
		}
	}
	checkError(t, "name taken", o.do("POST", "/admin/sources", "", `{"name":"idme","kind":"idme","auth":"bearer"}`), http.StatusConflict)
	if metrics := o.must(http.StatusOK, "GET", "/metrics", "", ""); !strings.Contains(metrics.body, `tocsin_source_records_total{outcome="kept",source="idme"} 1`) {
		t.Error("got no count of the source's records in the metrics")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	until(t, "a warning", func() bool { return strings.Contains(h.logs.String(), "source=open") })
	stop()
	if err := <-ended; err != nil || strings.Contains(h.logs.String(), "source=idme") {
		t.Errorf("got %v and logs %q, want a warning of the open source alone", err, h.logs)
	}
	o.must(http.StatusNoContent, "DELETE", "/admin/sources/idme", "", "")
	checkError(t, "removed", o.do("DELETE", "/admin/sources/idme", "", ""), http.StatusNotFound)
	checkError(t, "removed", h.do("POST", "/v1/sources/idme", made.member("secret"), idmeBegin), http.StatusUnauthorized)
}
