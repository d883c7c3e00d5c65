package logtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// event returns a plain event with a source id.
func event(n int) eventlog.Event {
	return eventlog.Event{
		Source: "hr", SourceID: fmt.Sprintf("e-%d", n), Type: "session-revoked",
		Time:     time.Date(2026, 11, 22, 10, 0, n%60, 0, time.UTC),
		Subjects: []subject.Identifier{subject.Email(fmt.Sprintf("u%d@example.com", n))},
		Data:     json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)),
		Mapped: []eventlog.Mapped{{
			Type:    "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
			Payload: json.RawMessage(`{"event_timestamp":1}`),
		}},
	}
}

// shapes are events whose parts are all, empty and absent.
func shapes() []eventlog.Event {
	full := event(1)
	full.Source, full.SourceID = "source \"q\" \\ \n\u2028<é>", "id\x00\t"
	full.Time = time.Date(2026, 11, 22, 10, 11, 12, 123456789, time.FixedZone("", 3600))
	full.Applications = []string{"app-1", "äpp,2"}
	full.Subjects = append(full.Subjects, subject.IssSub("https://issuer.example", "145234573"),
		raw(`{ "format" : "opaque", "id":"with spaces", "extra":[1] }`),
		raw(`{"format":"complex","user":{"format":"email","email":"a@b.example"},"session":{"format":"opaque","id":"s1"}}`))
	full.Data = json.RawMessage(" {\"a\" : [1, 2.50, \"]}\"],\n\"payloads\":[]} ")
	full.Format = "idme"
	full.Original = json.RawMessage("{\"data\":null,\"original\":{}}\n")
	full.Mapped = []eventlog.Mapped{
		{Type: "https://a.example/1", Payload: json.RawMessage(`{}`)},
		{Type: "https://a.example/2", Payload: json.RawMessage(`{"x":"]"}`), Subjects: []subject.Identifier{subject.Phone("+12065550100")}},
		{Type: "https://a.example/3", Payload: nil, Subjects: []subject.Identifier{}},
		{Type: "", Payload: json.RawMessage{}},
	}
	full.Environment, full.Attributes = "test", attributes()
	full.Consent = eventlog.Consent{Decision: "grant", Application: "app-1"}
	some := event(2)
	some.Attributes = eventlog.Attributes{Address: netip.MustParseAddr("203.0.113.42"), Signals: map[string]bool{"vpn": false}}
	failed := eventlog.Event{
		Source: "idme", Type: "idme:unknown", Format: "idme",
		Original: json.RawMessage(`not JSON at all: ]}","`), MappingError: "no rule \"for\" it",
	}
	empty := eventlog.Event{
		Source: "s", Type: "t", Applications: []string{}, Subjects: []subject.Identifier{},
		Data: json.RawMessage{}, Original: json.RawMessage{}, Mapped: []eventlog.Mapped{},
	}
	return []eventlog.Event{full, some, failed, empty, {}}
}

// attributes returns all that there are.
func attributes() eventlog.Attributes {
	score, suspect := 48.5, true
	return eventlog.Attributes{
		Category: "security", Identifier: "a1b2", Email: "jo@example.com", Application: "Shop \"1\" <é>",
		Session: "s1", Fingerprint: "fp", Address: netip.MustParseAddr("2001:db8::1"), UserAgent: "Mozilla/5.0",
		Actor: "u7", ActorSystem: "mapping", LinkedID: "order-1", RiskScore: &score, RiskReasons: []string{"new ip", "new device"},
		Signals: map[string]bool{"vpn": true, "proxy": false}, Suspect: &suspect, Tags: map[string]string{"plan": "gold", "a": ""},
	}
}

func raw(s string) subject.Identifier {
	id, err := subject.Parse([]byte(s))
	if err != nil {
		panic("logtest: the suite's own identifier is wrong: " + err.Error()) // impossible
	}
	return id
}

// diff compares what events say: nil and empty are apart, times equal as
// instants, identifiers byte for byte.
func diff(want, got any) string {
	return cmp.Diff(want, got,
		cmp.Comparer(func(a, b subject.Identifier) bool { return a.Equal(b) && bytes.Equal(a.Raw(), b.Raw()) }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }))
}

// same fails unless two readings of the log are identical.
func same(tb testing.TB, what string, want, got []*eventlog.Record) {
	tb.Helper()
	if d := diff(want, got); d != "" {
		tb.Errorf("%s: records differ (-want +got):\n%s", what, d)
	}
}
