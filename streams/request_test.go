package streams_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Bodies that no operation takes, with the member that is at fault.
var brokenBodies = map[string]string{
	"empty":                       ``,
	"space":                       ` `,
	"null":                        `null`,
	"array":                       `[]`,
	"string":                      `"{}"`,
	"cut off":                     `{"stream_id":"a"`,
	"trailing":                    `{"stream_id":"a"}{}`,
	"member twice":                `{"stream_id":"a","stream_id":"a"}`,
	"member twice by escape":      `{"stream_id":"a","stream_i\u0064":"a"}`,
	"member twice within unknown": `{"x":{"y":1,"y":2}}`,
	"invalid UTF-8":               "{\"x\":\"\xff\"}",
	"too deep":                    `{"x":` + strings.Repeat("[", streams.MaxNesting) + strings.Repeat("]", streams.MaxNesting) + `}`,
	"too large":                   `{"x":"` + strings.Repeat("a", streams.MaxBodyBytes) + `"}`,
}

// SSF-8.1.1.1-04, SSF-8.1.2.2-02, SSF-8.1.3.2-04, SSF-8.1.4.2-01, OIDF-03.
func TestBrokenBodies(t *testing.T) {
	parsers := map[string]func([]byte) error{
		"request":      func(b []byte) error { _, err := streams.ParseRequest(b); return err },
		"status":       func(b []byte) error { _, err := streams.ParseStatusReport(b); return err },
		"subject":      func(b []byte) error { _, err := streams.ParseSubjectChange(b); return err },
		"verification": func(b []byte) error { _, err := streams.ParseVerificationRequest(b); return err },
		"configuration": func(b []byte) error {
			var c streams.Configuration
			return c.UnmarshalJSON(b)
		},
	}
	for what, parse := range parsers {
		for name, body := range brokenBodies {
			rule := refusal(t, parse([]byte(body)))
			if rule.Kind != streams.Invalid || rule.Member != "" || len(rule.Description) > 100 {
				t.Errorf("%s, %s: got %v, want Invalid without member, in few words", what, name, rule)
			}
		}
	}
}

func TestParseRequest(t *testing.T) {
	text := func(s string) *string { return &s }
	cases := []struct {
		name, body string
		want       streams.Request
	}{
		{"SSF-8.1.1.1-04 empty object", ` {} `, streams.Request{}},
		{"unknown members, one level short of too deep", `{"x":null,"y":` + strings.Repeat("[", streams.MaxNesting-1) + strings.Repeat("]", streams.MaxNesting-1) + `}`, streams.Request{}},
		{"all", `{"stream_id":"a","events_requested":["b"],"description":"c","delivery":{"method":"m","endpoint_url":"e","authorization_header":"h","x":1}}`, streams.Request{
			StreamID: "a", EventsRequested: []string{"b"}, Description: text("c"),
			Delivery: &streams.DeliveryRequest{Method: "m", EndpointURL: text("e"), AuthorizationHeader: text("h")},
		}},
		{"U10 description null", `{"description":null}`, streams.Request{Description: text("")}},
		{"SSF-8.1.1.3-06 no events", `{"events_requested":[]}`, streams.Request{EventsRequested: []string{}}},
		{"U12 header null", `{"delivery":{"method":"m","authorization_header":null}}`, streams.Request{Delivery: &streams.DeliveryRequest{Method: "m", AuthorizationHeader: text("")}}},
		{"U15 stream_id of another type", `{"stream_id":[]}`, streams.Request{}},
	}
	for _, c := range cases {
		got, err := streams.ParseRequest([]byte(c.body))
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreUnexported(streams.Request{})); err != nil || diff != "" {
			t.Errorf("%s: %v, want - got +\n%s", c.name, err, diff)
		}
		// What a receiver sends of it reads as the same.
		out, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := streams.ParseRequest(out)
		if diff := cmp.Diff(got, again, cmpopts.IgnoreUnexported(streams.Request{})); err != nil || diff != "" {
			t.Errorf("%s as %s: %v, want - got +\n%s", c.name, out, err, diff)
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	cases := []struct{ name, body, member string }{
		{"U10 null", `{"events_requested":null}`, "events_requested"},
		{"U10 null within", `{"events_requested":["a",null]}`, "events_requested"},
		{"not an array", `{"events_requested":"a"}`, "events_requested"},
		{"too many", `{"events_requested":[` + strings.Repeat(`"",`, streams.MaxEventTypes) + `""]}`, "events_requested"},
		{"too long", `{"events_requested":["` + strings.Repeat("a", streams.MaxEventTypeBytes+1) + `"]}`, "events_requested"},
		{"description a number", `{"description":1}`, "description"},
		{"U10 delivery null", `{"delivery":null}`, "delivery"},
		{"delivery a string", `{"delivery":"poll"}`, "delivery"},
		{"U12 delivery without method", `{"delivery":{"endpoint_url":"https://r.example"}}`, "delivery.method"},
		{"U12 method empty", `{"delivery":{"method":""}}`, "delivery.method"},
		{"U10 method null", `{"delivery":{"method":null}}`, "delivery.method"},
		{"U10 endpoint_url null", `{"delivery":{"method":"m","endpoint_url":null}}`, "delivery.endpoint_url"},
		{"header a number", `{"delivery":{"method":"m","authorization_header":1}}`, "delivery.authorization_header"},
	}
	for _, c := range cases {
		_, err := streams.ParseRequest([]byte(c.body))
		if rule := refusal(t, err); rule.Kind != streams.Invalid || rule.Member != c.member {
			t.Errorf("%s: got %v, want Invalid %s", c.name, rule, c.member)
		}
	}
}

func TestParseOperations(t *testing.T) {
	email := `{"format":"email","email":"a@b.c"}`
	cases := []struct {
		name  string
		parse func([]byte) (any, error)
		body  string
		want  any // nil: refused
		wrong string
	}{
		{"status", status, `{"stream_id":"a","status":"paused","reason":"r","x":1}`, streams.StatusReport{StreamID: "a", Status: "paused", Reason: "r"}, ""},
		{"status without reason", status, `{"stream_id":"a","status":"enabled"}`, streams.StatusReport{StreamID: "a", Status: "enabled"}, ""},
		{"SSF-8.1.2.1-02 capital", status, `{"stream_id":"a","status":"Enabled"}`, nil, "status"},
		{"SSF-8.1.2.1-02 other", status, `{"stream_id":"a","status":"stopped"}`, nil, "status"},
		{"status missing", status, `{"stream_id":"a"}`, nil, "status"},
		{"status null", status, `{"stream_id":"a","status":null}`, nil, "status"},
		{"status without stream_id", status, `{"status":"enabled"}`, nil, "stream_id"},
		{"stream_id a number", status, `{"stream_id":1,"status":"enabled"}`, nil, "stream_id"},
		{"reason a number", status, `{"stream_id":"a","status":"enabled","reason":1}`, nil, "reason"},
		{"reason too long", status, `{"stream_id":"a","status":"enabled","reason":"` + strings.Repeat("a", streams.MaxReasonBytes+1) + `"}`, nil, "reason"},

		{"SSF-8.1.3.2-01", subjectChange, `{"stream_id":"a","subject":` + email + `}`, streams.SubjectChange{StreamID: "a", Subject: subject.Email("a@b.c")}, ""},
		{"SSF-8.1.3.2-02 verified", subjectChange, `{"stream_id":"a","subject":` + email + `,"verified":false}`, streams.SubjectChange{StreamID: "a", Subject: subject.Email("a@b.c"), Verified: new(bool)}, ""},
		{"U26 phone", subjectChange, `{"stream_id":"a","subject":{"format":"phone","phone_number":"+12065550100"}}`, streams.SubjectChange{StreamID: "a", Subject: subject.Phone("+12065550100")}, ""},
		{"SSF-8.1.3.2-04 no stream_id", subjectChange, `{"subject":` + email + `}`, nil, "stream_id"},
		{"SSF-8.1.3.2-04 no subject", subjectChange, `{"stream_id":"a"}`, nil, "subject"},
		{"SSF-8.1.3.2-04 subject null", subjectChange, `{"stream_id":"a","subject":null}`, nil, "subject"},
		{"SSF-8.1.3.2-04 subject without format", subjectChange, `{"stream_id":"a","subject":{"email":"a@b.c"}}`, nil, "subject"},
		{"U3 extra member", subjectChange, `{"stream_id":"a","subject":{"format":"email","email":"a@b.c","x":1}}`, nil, "subject"},
		{"verified a string", subjectChange, `{"stream_id":"a","subject":` + email + `,"verified":"true"}`, nil, "verified"},

		{"verification", verification, `{"stream_id":"a"}`, streams.VerificationRequest{StreamID: "a"}, ""},
		{"verification with empty state", verification, `{"stream_id":"a","state":""}`, streams.VerificationRequest{StreamID: "a", State: new(string)}, ""},
		{"SSF-8.1.4.2-01 no stream_id", verification, `{"state":"x"}`, nil, "stream_id"},
		{"SSF-8.1.4.2-01 state a number", verification, `{"stream_id":"a","state":1}`, nil, "state"},
		{"SSF-8.1.4.2-01 state null", verification, `{"stream_id":"a","state":null}`, nil, "state"},
		{"state too long", verification, `{"stream_id":"a","state":"` + strings.Repeat("a", streams.MaxStateBytes+1) + `"}`, nil, "state"},
	}
	for _, c := range cases {
		got, err := c.parse([]byte(c.body))
		if c.want == nil {
			if rule := refusal(t, err); rule.Kind != streams.Invalid || rule.Member != c.wrong {
				t.Errorf("%s: got %v, want Invalid %s", c.name, rule, c.wrong)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got, cmp.Comparer(subject.Identifier.Equal)); err != nil || diff != "" {
			t.Errorf("%s: %v, want - got +\n%s", c.name, err, diff)
		}
		out, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.parse(out); err != nil || !cmp.Equal(again, got, cmp.Comparer(subject.Identifier.Equal)) {
			t.Errorf("%s: %s reads as %+v, %v, want %+v", c.name, out, again, err, got)
		}
	}
}

func status(b []byte) (any, error)        { return streams.ParseStatusReport(b) }
func subjectChange(b []byte) (any, error) { return streams.ParseSubjectChange(b) }
func verification(b []byte) (any, error)  { return streams.ParseVerificationRequest(b) }

func FuzzParseRequest(f *testing.F) {
	for _, body := range brokenBodies {
		f.Add([]byte(body))
	}
	f.Add([]byte(`{"stream_id":"a","events_requested":["b"],"description":null,"delivery":{"method":"m","authorization_header":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := streams.ParseRequest(body)
		if err != nil {
			_ = refusal(t, err) // fails if it is any other
			return
		}
		out, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) > streams.MaxBodyBytes {
			return // escapes can make it longer than what was read
		}
		again, err := streams.ParseRequest(out)
		if diff := cmp.Diff(got, again, cmpopts.IgnoreUnexported(streams.Request{})); err != nil || diff != "" {
			t.Fatalf("%s: %v, want - got +\n%s", out, err, diff)
		}
	})
}
