package mapping_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// FuzzRecord: no record does harm, what leaves may be sent, and an explanation
// has the same outcome.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"event":"session.signout","identifier":"a","session":"s","email":"a@b.example","tracked_at":"2024-03-15T14:32:10+00:00"}`))
	f.Add([]byte(`{"event_type_id":7,"user_id":5,"account_id":"1","actor_user_id":5,"created_at":"2014-02-18T02:34:15.626Z","risk_score":50}`))
	f.Add([]byte(`{"status":{},"data":[{"event_type_id":11,"user_id":5,"account_id":1,"risk_score":99,"risk_reasons":"\u0000"}]}`))
	f.Add([]byte(`{"event_id":"1","timestamp":1700000000000,"identification":{"visitor_id":"V"},"linked_id":"u","suspect":true,"bot":"bad","frida":true,"jailbroken":false,"suspect_score":1e300,"tags":{"a":1,"b":[]},"ip_address":"::1","replayed":true}`))
	f.Add([]byte(`{"timestamp":-9223372036854775808,"identification":[{"visitor_id":1}],"tags":{"":{}},"suspect_score":-0.0,"ip_info":{"v4":{"address":"fe80::1%eth0"}}}`))
	m := newMapper(f, mapping.Config{
		Rules: []mapping.RulesFile{{Name: "on.yaml", YAML: []byte("formats: {fingerprint: {every: {tampering: {enabled: true}}}}")}},
		Params: map[string]map[string]any{
			"onelogin": {"risk_medium": 10}, "fingerprint": {"risk_medium": 10, "risk_high": 20, "issuer": "https://a.example"},
		},
	})
	before := knowledge{"device/V/signal.jailbroken": "true", "device/V/signal.frida": "false", "user/u/score": "12"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, format := range m.Formats() {
			for _, previous := range []mapping.Previous{nil, before} {
				r, err := m.Record(format, raw, previous)
				if err != nil && r.Mapped != nil {
					t.Fatalf("%s %q: got %v and %v, want one of them", format, raw, r.Mapped, err)
				}
				for _, id := range r.Subjects {
					if err := id.Validate(); err != nil {
						t.Fatalf("%s %q: got %v", format, raw, err)
					}
				}
				for _, g := range r.Mapped {
					mustSend(t, g.Type, g.Payload)
					for _, id := range g.Subjects {
						if err := id.Validate(); err != nil {
							t.Fatalf("%s %q: got %v", format, raw, err)
						}
					}
				}
				if a := r.Attributes.Address; a.Is4In6() || a.Zone() != "" {
					t.Fatalf("%s %q: got address %v, want v4 or v6 without a zone", format, raw, a)
				}
				explained, _, also := m.Explain(format, raw, previous)
				if got, want := compact(t, outcome(explained.Mapped, nil)), compact(t, outcome(r.Mapped, nil)); !bytes.Equal(got, want) || (also == nil) != (err == nil) {
					t.Fatalf("%s %q: explained as %s, %v, want %s, %v", format, raw, got, also, want, err)
				}
			}
		}
	})
}

// FuzzRules: no rules file does harm, its faults are told as such, and what is
// loaded can be used.
func FuzzRules(f *testing.F) {
	for _, pattern := range []string{"rules/*.yaml", "testdata/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("%s: got %v, %v, want files", pattern, names, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte(acme + "      x: {events: [{event: account.suspended, let: {a: record.n}, when: a > 1, subject: {complex: {user: user}}, from: {reason: [a.0, {cel: text(a)}]}}]}\n"))
	f.Add([]byte("formats: {a: {record: {handle: {set: x}}, params: &p {x: *p}}}"))
	f.Add([]byte("formats:\n  ? [a]\n  : b\n  <<: {c: d}\n"))
	f.Add([]byte("tests: [{name: x, format: idme, record: '{', want: {error: JSON}}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file := mapping.RulesFile{Name: "x.yaml", YAML: text}
		m, err := mapping.New(mapping.Config{Rules: []mapping.RulesFile{file}})
		if err != nil {
			var fault *mapping.RulesError
			if !errors.As(err, &fault) || fault.File != "x.yaml" && fault.Line == 0 {
				t.Fatalf("%q: got %v, want a RulesError", text, err)
			}
			return
		}
		for _, typ := range m.Types() {
			if typ.ID == "" || typ.Name == "" || typ.Events == nil {
				t.Fatalf("%q: got %+v", text, typ)
			}
		}
		for _, format := range m.Formats() {
			for _, raw := range []string{`{}`, `{"kind":"x","event":"session.signout","n":5,"a":[1,{"b":null}]}`} {
				if r, err := m.Record(format, []byte(raw), nil); err != nil && r.Mapped != nil {
					t.Fatalf("%q: got %v and %v", text, r, err)
				}
			}
		}
		if _, err := m.Test(file); err != nil {
			var fault *mapping.RulesError
			if !errors.As(err, &fault) {
				t.Fatalf("%q: got %v, want a RulesError", text, err)
			}
		}
	})
}
