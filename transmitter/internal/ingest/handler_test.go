package ingest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
)

const (
	mediaJSON  = "application/json"
	mediaLines = "application/x-ndjson"
)

func TestOne(t *testing.T) {
	s := newServer(t)
	status, body := s.post(mediaJSON, `{"source_id":"a","type":"account.suspended","subject":[`+jo+`,{"format":"opaque","id":"7"}],"time":"2026-01-02T03:04:05.6Z","data":{"reason":"hijacking"}}`)
	if status != http.StatusAccepted || body != `{"id":"id-1"}` {
		t.Fatalf("got %d %s, want 202 and an id", status, body)
	}
	e := s.kept[0]
	if e.Source != "hr" || e.SourceID != "a" || e.Type != "account.suspended" || len(e.Subjects) != 2 ||
		!e.Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 6e8, time.UTC)) || e.Applications != nil || string(e.Data) != `{"reason":"hijacking"}` {
		t.Errorf("got event %+v, want what was sent", e)
	}
	if len(e.Mapped) != 1 || !strings.HasSuffix(e.Mapped[0].Type, "/account-disabled") || string(e.Mapped[0].Payload) != `{"reason":"hijacking"}` {
		t.Errorf("got mapped %+v, want account-disabled", e.Mapped)
	}
}

func TestVendorRecord(t *testing.T) {
	s := newServer(t)
	const record = `{"id":9,"event_type_id":17,"account_id":1,"user_id":5, "created_at":"2014-02-18T02:34:15.626Z"}`
	if status, body := s.post(mediaJSON, `{"format":"onelogin","record":`+record+`}`); status != http.StatusAccepted {
		t.Fatalf("got %d %s, want 202", status, body)
	}
	e := s.kept[0]
	if e.Format != "onelogin" || e.Type != "onelogin:17" || e.SourceID != "9" || string(e.Original) != record || e.Time.IsZero() ||
		len(e.Subjects) != 1 || len(e.Mapped) != 1 || !strings.HasSuffix(e.Mapped[0].Type, "/account-purged") {
		t.Errorf("got %+v, want the record and account-purged", e)
	}
	// contracts.md §2: a record that cannot be mapped happened all the same.
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for name, record := range map[string]string{
		"a needed member is missing": `{"event":"session.revoked","identifier":"a"}`,
		"unreadable":                 `{"event":7}`,
		"in the future":              `{"event":"status.purge.applied","identifier":"a","tracked_at":"` + soon + `"}`,
	} {
		s := newServer(t)
		if status, body := s.post(mediaJSON, `{"format":"idme","source_id":"x","record":`+record+`}`); status != http.StatusAccepted {
			t.Fatalf("%s: got %d %s, want 202", name, status, body)
		}
		if e := s.kept[0]; e.MappingError == "" || e.Mapped != nil || e.SourceID != "x" || !slices.Equal(s.outcomes, []string{ingest.Unmapped}) {
			t.Errorf("%s: got %+v, %v, want it recorded with its mapping error", name, e, s.outcomes)
		}
	}
	s = newServer(t)
	if status, _ := s.post(mediaJSON, `{"format":"idme","record":{"event":"session.brand_new"}}`); status != http.StatusAccepted ||
		s.kept[0].MappingError != "" || s.kept[0].Mapped != nil || s.kept[0].Type != "idme:session.brand_new" {
		t.Errorf("unknown handle: got %d %+v, want it recorded", status, s.kept)
	}
}

func TestArrayAndLines(t *testing.T) {
	items := []string{suspended(`,"source_id":"1"`), suspended(`,"extra":1`), `7`, suspended(`,"source_id":"1"`), suspended(`,"source_id":"1","data":{"reason":"x"}`)}
	check := func(name string, results []ingest.Result) {
		t.Helper()
		want := []string{"id-1", "invalid_event extra", "invalid_event ", "id-1", "source_id_conflict source_id"}
		for i, r := range results {
			got := r.ID
			if r.Err != nil {
				got = r.Err.Code + " " + r.Err.Member
			}
			if len(results) != len(want) || got != want[i] {
				t.Errorf("%s, item %d: got %q, want %q", name, i, got, want[i])
			}
		}
		if first := results[len(results)-1].Err.FirstID; first != "id-1" {
			t.Errorf("%s: got first id %q, want id-1", name, first)
		}
	}
	s := newServer(t)
	status, body := s.post("", "["+strings.Join(items, ",")+"]")
	if status != http.StatusAccepted {
		t.Fatalf("array: got %d %s, want 202", status, body)
	}
	check("array", s.results(body))
	if want := []string{"refused", "refused", "accepted", "duplicate", "refused"}; !slices.Equal(s.outcomes, want) {
		t.Errorf("outcomes: got %v, want %v", s.outcomes, want)
	}
	for _, media := range []string{mediaLines, "application/x-ndjson; charset", "application/jsonl"} {
		s = newServer(t)
		status, body = s.post(media, "\n"+strings.Join(items, "\r\n")+"\n\n")
		if status != http.StatusAccepted {
			t.Fatalf("%s: got %d %s, want 202", media, status, body)
		}
		var results []ingest.Result
		for line := range strings.SplitSeq(body, "\n") {
			var r ingest.Result
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("got line %q, want JSON: %v", line, err)
			}
			results = append(results, r)
		}
		check(media, results)
	}
}

// The whole request has one status: 202 if one item was taken, the shared
// reason if none was, else 400.
func TestStatus(t *testing.T) {
	bad, denied := suspended(`,"x":1`), `{"type":"account.deleted","subject":`+jo+`}`
	conflict := suspended(`,"source_id":"1","data":{"reason":"y"}`)
	for _, c := range []struct {
		name string
		body string
		want int
	}{
		{"one taken", "[" + bad + "," + suspended("") + "]", 202},
		{"all invalid", "[" + bad + "," + bad + "]", 400},
		{"all denied", "[" + denied + "," + denied + "]", 403},
		{"all conflicts", "[" + conflict + "," + conflict + "]", 409},
		{"mixed", "[" + conflict + "," + denied + "]", 400},
		{"one invalid", bad, 400},
		{"one denied", denied, 403},
		{"one conflict", conflict, 409},
	} {
		s := newServer(t)
		s.source.EventTypes = []string{"https://schemas.openid.net/secevent/risc/event-type/account-disabled"}
		s.post(mediaJSON, suspended(`,"source_id":"1","data":{"reason":"x"}`))
		if got, body := s.post(mediaJSON, c.body); got != c.want || !strings.Contains(body, `"`) {
			t.Errorf("%s: got %d %s, want %d", c.name, got, body, c.want)
		}
	}
}

// What is wrong with an item is told with its member.
func TestItemErrors(t *testing.T) {
	soon := time.Now().Add(10 * time.Minute).UTC().Format(time.RFC3339)
	for _, c := range []struct{ name, item, member string }{
		{"no address", suspended(`,"ip_address":"jo"`), "ip_address"},
		{"an address with a zone", suspended(`,"ip_address":"fe80::1%eth0"`), "ip_address"},
		{"no word", suspended(`,"category":"Se curity"`), "category"},
		{"long linked id", suspended(`,"linked_id":"` + strings.Repeat("x", 257) + `"`), "linked_id"},
		{"long session", suspended(`,"session":"` + strings.Repeat("x", 1025) + `"`), "session"},
		{"a signal that is no boolean", suspended(`,"signals":{"vpn":"yes"}`), "signals.vpn"},
		{"a signal's name", suspended(`,"signals":{"V P N":true}`), "signals"},
		{"many tags", suspended(`,"tags":{` + strings.TrimSuffix(many(65), ",") + `}`), "tags"},
		{"a long tag", suspended(`,"tags":{"a":"` + strings.Repeat("x", 1025) + `"}`), "tags"},
		{"many reasons", suspended(`,"risk_reasons":[` + strings.Repeat(`"a",`, 64) + `"a"]`), "risk_reasons"},
		{"a vendor's record with attributes", `{"format":"idme","record":{},"session":"s"}`, "format"},
		{"unknown member", suspended(`,"sourceId":"1"`), "sourceId"},
		{"long unknown member", suspended(`,"` + strings.Repeat("ä", 200) + `":1`), strings.Repeat("ä", 64)},
		{"a member twice", suspended(`,"time":null,"time":null`), "time"},
		{"a member twice, below", suspended(`,"data":{"a":1,"\u0061":2}`), "data.a"},
		{"wrong type", suspended(`,"source_id":7`), "source_id"},
		{"not a time", suspended(`,"time":"yesterday"`), "time"},
		{"a number for a time", suspended(`,"time":1700000000`), "time"},
		{"in the future", suspended(`,"time":"` + soon + `"`), "time"},
		{"in the year 9999", suspended(`,"time":"9999-12-31T23:59:59Z"`), "time"},
		{"before 1970", suspended(`,"time":"0000-01-01T00:00:00+14:00"`), "time"},
		{"before 1970 by its zone", suspended(`,"time":"1970-01-01T00:00:00+14:00"`), "time"},
		{"long source id", suspended(`,"source_id":"` + strings.Repeat("x", 257) + `"`), "source_id"},
		{"data is no object", suspended(`,"data":[1]`), "data"},
		{"unknown member of data", suspended(`,"data":{"why":1}`), "data.why"},
		{"required member of data", `{"type":"claims.changed","subject":` + jo + `}`, "data.claims"},
		{"no type", `{"subject":` + jo + `}`, "type"},
		{"long type", `{"type":"https://a.example/` + strings.Repeat("x", 250) + `","subject":` + jo + `}`, "type"},
		{"unknown name", `{"type":"account.frozen","subject":` + jo + `}`, "type"},
		{"SSF control type", `{"type":"https://schemas.openid.net/secevent/ssf/event-type/verification","subject":` + jo + `}`, "type"},
		{"no subject", `{"type":"account.deleted"}`, "subject"},
		{"subject null", `{"type":"account.deleted","subject":null}`, "subject"},
		{"no identifiers", `{"type":"account.deleted","subject":[]}`, "subject"},
		{"17 identifiers", `{"type":"account.deleted","subject":[` + strings.Repeat(jo+",", 16) + jo + `]}`, "subject"},
		{"subject is text", `{"type":"account.deleted","subject":"jo"}`, "subject"},
		{"not an address", `{"type":"account.deleted","subject":{"format":"email","email":"jo"}}`, "subject.email"},
		{"extra in a subject", `{"type":"account.deleted","subject":{"format":"email","email":"jo@example.com","x":1}}`, "subject"},
		{"record without format", `{"record":{}}`, "format"},
		{"format with type", `{"format":"idme","type":"account.deleted","record":{}}`, "format"},
		{"unknown format", `{"format":"acme","record":{}}`, "format"},
		{"format without record", `{"format":"idme"}`, "record"},
		{"record null", `{"format":"idme","record":null}`, "record"},
		{"record is text", `{"format":"idme","record":"x"}`, "record"},
		{"too large", suspended(`,"data":{"reason":"` + strings.Repeat("x", 44<<10) + `"}`), ""},
		{"not UTF-8", suspended(",\"source_id\":\"\xff\""), ""},
		{"half a surrogate", suspended(`,"source_id":"\ud800"`), ""},
		{"not an object", `"x"`, ""},
	} {
		s := newServer(t)
		status, body := s.post(mediaJSON, "["+c.item+"]")
		if status != http.StatusBadRequest {
			t.Errorf("%s: got %d %.200s, want 400", c.name, status, body)
			continue
		}
		r := s.results(body)
		if len(r) != 1 || r[0].Err == nil || r[0].Err.Code != ingest.CodeInvalid || r[0].Err.Member != c.member || r[0].Err.Description == "" {
			t.Errorf("%s: got %.200s, want an error at %q", c.name, body, c.member)
		}
		if s.kept != nil {
			t.Errorf("%s: got an event kept, want none", c.name)
		}
	}
}

// Null is absent.
func TestNull(t *testing.T) {
	s := newServer(t)
	if status, body := s.post(mediaJSON, suspended(`,"source_id":null,"time":null,"data":null,"format":null,"record":null`)); status != http.StatusAccepted {
		t.Errorf("event: got %d %s, want 202", status, body)
	}
	if status, body := s.post(mediaJSON, `{"format":"idme","record":{"event":"x"},"type":null,"subject":null,"time":null,"data":null}`); status != http.StatusAccepted {
		t.Errorf("record: got %d %s, want 202", status, body)
	}
}

// Refusals of the body as a whole keep nothing.
func TestBodies(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for _, c := range []struct {
		name, media, body string
		want              int
	}{
		{"1,000 items", mediaJSON, "[" + strings.Repeat(suspended("")+",", 999) + suspended("") + "]", 202},
		{"1,001 items", mediaJSON, "[" + strings.Repeat(suspended("")+",", 1000) + suspended("") + "]", 400},
		{"1,001 lines", mediaLines, strings.Repeat(suspended("")+"\n", 1001), 400},
		{"4 MiB", mediaLines, suspended("") + strings.Repeat("\n", ingest.MaxBodyBytes-len(suspended(""))), 202},
		{"4 MiB and a byte", mediaLines, suspended("") + strings.Repeat("\n", ingest.MaxBodyBytes-len(suspended(""))+1), 413},
		{"nested 100,000 deep", mediaJSON, deep, 400},
		{"nested 100,000 deep, closed", mediaJSON, deep + strings.Repeat("]", 100_000), 400},
		{"nested in an item", mediaJSON, suspended(`,"data":{"a":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`), 400},
		{"nested in a line", mediaLines, suspended(`,"data":` + strings.Repeat(`{"a":`, 40_000)), 400},
		{"empty", mediaJSON, "", 400},
		{"no items", mediaJSON, "[]", 400},
		{"no lines", mediaLines, "\n\n", 400},
		{"text", mediaJSON, `"x"`, 400},
		{"broken", mediaJSON, suspended("")[1:], 400},
		{"cut off", mediaJSON, "[" + suspended(""), 400},
		{"something after", mediaJSON, "[" + suspended("") + "] x", 400},
		{"two objects", mediaJSON, suspended("") + suspended(""), 400},
		{"form", "application/x-www-form-urlencoded", "a=b", 415},
		{"text/plain", "text/plain", suspended(""), 415},
		{"JSON with a parameter", "application/json; charset=utf-8", suspended(""), 202},
	} {
		s := newServer(t)
		status, body := s.post(c.media, c.body)
		if status != c.want || !json.Valid([]byte(body)) {
			t.Errorf("%s: got %d %.200s, want %d and JSON", c.name, status, body, c.want)
		}
		if c.want != http.StatusAccepted && s.kept != nil {
			t.Errorf("%s: got %d events kept, want none", c.name, len(s.kept))
		}
	}
}

// contracts.md §1: a source speaks only for what its credential is bound to.
func TestSourceBinding(t *testing.T) {
	const own, other = "https://own.example", "https://other.example"
	about := func(subject string) string { return `{"type":"session.revoked","subject":` + subject + `}` }
	issSub := func(iss string) string { return fmt.Sprintf(`{"format":"iss_sub","iss":%q,"sub":"1"}`, iss) }
	for _, c := range []struct {
		name, body string
		source     auth.Source
		want       int
		member     string
	}{
		{"type allowed", about(jo), auth.Source{EventTypes: []string{caep.SessionRevokedType}}, 202, ""},
		{"type not allowed", about(jo), auth.Source{EventTypes: []string{caep.RiskLevelChangeType}}, 403, "type"},
		{"no type allowed", about(jo), auth.Source{EventTypes: []string{}}, 403, "type"},
		{"a record's type not allowed", `{"format":"idme","record":{"event":"status.purge.applied","identifier":"1"}}`, auth.Source{EventTypes: []string{caep.SessionRevokedType}}, 403, "type"},
		{"issuer allowed", about(issSub(own)), auth.Source{SubjectIssuers: []string{own}}, 202, ""},
		{"issuer not allowed", about(issSub(other)), auth.Source{SubjectIssuers: []string{own}}, 403, "subject"},
		{"one of two", about("[" + issSub(own) + "," + issSub(other) + "]"), auth.Source{SubjectIssuers: []string{own}}, 403, "subject"},
		{"in a complex subject", about(`{"format":"complex","user":` + issSub(other) + `}`), auth.Source{SubjectIssuers: []string{own}}, 403, "subject"},
		{"in aliases", about(`{"format":"aliases","identifiers":[` + jo + `,` + issSub(other) + `]}`), auth.Source{SubjectIssuers: []string{own}}, 403, "subject"},
		{"in aliases of a complex subject", about(`{"format":"complex","user":{"format":"aliases","identifiers":[` + issSub(other) + `]}}`), auth.Source{SubjectIssuers: []string{own}}, 403, "subject"},
		{"of an assertion", about(`{"format":"saml_assertion_id","issuer":"` + other + `","assertion_id":"1"}`), auth.Source{SubjectIssuers: []string{own}}, 403, "subject"},
		{"of a token", about(`{"format":"jwt_id","iss":"` + other + `","jti":"1"}`), auth.Source{SubjectIssuers: []string{own}}, 403, "subject"},
		{"of a record's user", `{"format":"onelogin","record":{"event_type_id":17,"account_id":2,"user_id":5}}`, auth.Source{SubjectIssuers: []string{"urn:onelogin:account:1"}}, 403, "subject"},
		{"without an issuer", about(jo), auth.Source{SubjectIssuers: []string{own}}, 202, ""},
	} {
		s := newServer(t)
		c.source.Name = "bound"
		s.source = &c.source
		status, body := s.post(mediaJSON, c.body)
		if status != c.want || c.member != "" && !strings.Contains(body, `"code":"access_denied","member":"`+c.member+`"`) {
			t.Errorf("%s: got %d %s, want %d at %q", c.name, status, body, c.want, c.member)
		}
		if (c.want == http.StatusAccepted) != (len(s.kept) == 1) {
			t.Errorf("%s: got %d events kept after %d", c.name, len(s.kept), status)
		}
	}
	s := newServer(t)
	s.source = &auth.Source{Name: "bound", Applications: []string{"app-1"}}
	s.post(mediaJSON, suspended(""))
	if len(s.kept) != 1 || !slices.Equal(s.kept[0].Applications, []string{"app-1"}) || s.kept[0].Source != "bound" {
		t.Errorf("applications: got %+v, want the source's", s.kept)
	}
	s.source = nil
	if status, body := s.post(mediaJSON, suspended("")); status != http.StatusForbidden {
		t.Errorf("no source: got %d %s, want 403", status, body)
	}
}

func TestUnavailable(t *testing.T) {
	s := newServer(t)
	s.refusing = true
	if status, _ := s.post(mediaJSON, suspended("")); status != http.StatusServiceUnavailable {
		t.Errorf("shutting down: got %d, want 503", status)
	}
	s.refusing = false
	s.append = func([]eventlog.Event) ([]eventlog.Appended, error) { return nil, errors.New("disk full") }
	if status, body := s.post(mediaJSON, suspended("")); status != http.StatusServiceUnavailable || strings.Contains(body, "id") {
		t.Errorf("failing log: got %d %s, want 503 without an id", status, body)
	}
	s.append = func([]eventlog.Event) ([]eventlog.Appended, error) { return nil, eventlog.ErrEvent }
	if status, _ := s.post(mediaJSON, suspended("")); status != http.StatusBadRequest {
		t.Errorf("an event that cannot be kept: got %d, want 400", status)
	}
}

// FuzzPost: no body makes a 5xx or an answer that is not JSON, and what is kept
// can be kept.
func FuzzPost(f *testing.F) {
	for _, body := range []string{
		suspended(""), "[" + suspended(`,"source_id":"1"`) + ",{}]", `{"format":"idme","record":{"event":"session.signout","identifier":"a","session":"s"}}`,
		`{"format":"onelogin","record":{"event_type_id":7,"account_id":1,"user_id":5,"created_at":"0000-01-01T00:00:00+14:00"}}`,
		`{"type":"x:y","subject":{"format":"opaque","id":"1"},"time":"1970-01-01T00:00:00+14:00","data":{"a":[{}]}}`, "[", "\n{}\n", "null", "\xff",
	} {
		f.Add(body, false)
		f.Add(body, true)
	}
	f.Fuzz(func(t *testing.T, body string, lines bool) {
		s := newServer(t)
		media := mediaJSON
		if lines {
			media = mediaLines
		}
		status, answer := s.post(media, body)
		if status >= 500 {
			t.Fatalf("%q: got %d, want no 5xx", body, status)
		}
		for line := range strings.SplitSeq(answer, "\n") {
			if !json.Valid([]byte(line)) {
				t.Fatalf("%q: got answer %q, want JSON", body, answer)
			}
		}
		if (status == http.StatusAccepted) != (len(s.kept) > 0) {
			t.Fatalf("%q: got %d and %d events kept", body, status, len(s.kept))
		}
		for _, e := range s.kept {
			if slices.ContainsFunc(e.Subjects, func(id subject.Identifier) bool { return id.Validate() != nil }) {
				t.Fatalf("%q: got a subject that may not be sent", body)
			}
		}
	})
}

// many returns the members of an object.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"t%d":"",`, i)
	}
	return b.String()
}

// All that is known is kept; null is absent, false is not.
func TestAttributes(t *testing.T) {
	s := newServer(t)
	s.source.Environment = "staging"
	status, body := s.post(mediaJSON, suspended(`,"category":"security","identifier":"7","email":"jo@example.com","application":"Shop",
		"session":"s1","fingerprint":"fp","ip_address":"::ffff:203.0.113.42","user_agent":"Mozilla","actor":"u1","actor_system":null,
		"linked_id":"order","risk_score":0,"risk_reasons":["new"],"signals":{"vpn":true,"proxy":false,"tor_node":null},
		"suspect":false,"tags":{"plan":"gold","none":null}`))
	if status != http.StatusAccepted {
		t.Fatalf("got %d %s, want 202", status, body)
	}
	e := s.kept[0]
	got, err := e.Attributes.Canonical()
	want := `{"category":"security","identifier":"7","email":"jo@example.com","application":"Shop","session":"s1","fingerprint":"fp",` +
		`"ip_address":"203.0.113.42","user_agent":"Mozilla","actor":"u1","linked_id":"order","risk_score":0,"risk_reasons":["new"],` +
		`"signals":{"proxy":false,"vpn":true},"suspect":false,"tags":{"plan":"gold"}}`
	if err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
	if e.Environment != "staging" {
		t.Errorf("got environment %q, want that of the credential", e.Environment)
	}
}

// A vendor's record brings its attributes, also one that cannot be mapped; an
// account event has the category of its type.
func TestAttributesOfRecords(t *testing.T) {
	s := newServer(t)
	for i, c := range []struct{ body, want string }{
		{
			`{"format":"idme","record":{"event":"session.signout","identifier":"a1","session":"s1","ipaddress":"2001:db8::1","tracked_at":"2024-03-15T14:32:10+00:00"}}`,
			`{"category":"authentication","identifier":"a1","session":"s1","ip_address":"2001:db8::1"}`,
		},
		{
			`{"format":"idme","record":{"event":"session.signout","identifier":"a1","ipaddress":"nowhere"}}`,
			`{"category":"authentication","identifier":"a1"}`,
		},
		{suspended(``), `{"category":"account"}`},
		{suspended(`,"category":"other"`), `{"category":"other"}`},
	} {
		if status, body := s.post(mediaJSON, c.body); status != http.StatusAccepted {
			t.Fatalf("%s: got %d %s, want 202", c.body, status, body)
		}
		if got, err := s.kept[i].Attributes.Canonical(); err != nil || string(got) != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.body, got, err, c.want)
		}
	}
}
