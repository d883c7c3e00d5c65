package eventlog_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

var update = flag.Bool("update", false, "rewrite golden files")

func sample() eventlog.Event {
	return eventlog.Event{
		Source: "hr", SourceID: "42", Type: "idme:account.\"closed\"",
		Time:         time.Date(2026, 11, 22, 10, 11, 12, 130000000, time.FixedZone("", 3600)),
		Applications: []string{"app-1"},
		Subjects:     []subject.Identifier{subject.Email("a@example.com"), subject.Opaque("é")},
		Data:         json.RawMessage(`{"reason":"left"}`),
		Format:       "idme", Original: json.RawMessage(`{"kind": "closed"}`),
		Mapped: []eventlog.Mapped{
			{Type: "https://schemas.openid.net/secevent/risc/event-type/account-disabled", Payload: json.RawMessage(`{"reason":"hijacking"}`)},
			{
				Type: "https://schemas.openid.net/secevent/caep/event-type/session-revoked", Payload: json.RawMessage(`{}`),
				Subjects: []subject.Identifier{subject.Phone("+12065550100")},
			},
		},
	}
}

func attributes() eventlog.Attributes {
	score, suspect := 48.5, false
	return eventlog.Attributes{
		Category: "security", Identifier: "a1b2", Email: "jo@example.com", Application: "Shop <1>", Session: "s1",
		Fingerprint: "fp", Address: netip.MustParseAddr("203.0.113.42"), UserAgent: "Mozilla/5.0", Actor: "u7",
		ActorSystem: "mapping", LinkedID: "order-1", RiskScore: &score, RiskReasons: []string{"new ip"},
		Signals: map[string]bool{"vpn": true, "proxy": false}, Suspect: &suspect, Tags: map[string]string{"plan": "gold"},
	}
}

func canonical(t testing.TB, e eventlog.Event) []byte {
	t.Helper()
	b, err := eventlog.Canonical(&e)
	if err != nil {
		t.Fatalf("Canonical: got %v, want no error", err)
	}
	return b
}

// The bytes of version 1 are on disks: they never change.
func TestCanonicalGolden(t *testing.T) {
	for name, e := range map[string]eventlog.Event{
		"full":       sample(),
		"attributes": {Source: "s", Type: "t", Environment: "test", Attributes: attributes()},
		"consent": {
			Source: "s", Type: "idme:consent.allow", Consent: eventlog.Consent{Decision: "grant", Application: "shop"},
			Attributes: eventlog.Attributes{Category: "consent"},
		},
		"zero":   {},
		"failed": {Source: "s", Type: "idme:x", Format: "idme", Original: json.RawMessage(`]broken`), MappingError: "no rule"},
		"empty":  {Source: "s", Applications: []string{}, Subjects: []subject.Identifier{}, Data: json.RawMessage{}, Mapped: []eventlog.Mapped{}},
	} {
		path := filepath.Join("testdata", "canonical-v1-"+name+".json")
		got := canonical(t, e)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		if name != "failed" && !json.Valid(got) {
			t.Errorf("%s: got no JSON:\n%s", name, got)
		}
		back, err := eventlog.Decode(want)
		if err != nil {
			t.Errorf("%s: Decode: got %v, want no error", name, err)
		}
		if again := canonical(t, back); !bytes.Equal(again, want) {
			t.Errorf("%s: got after Decode\n%s\nwant\n%s", name, again, want)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	tests := map[string]func(*eventlog.Event){
		"year 10000": func(e *eventlog.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"year -1":    func(e *eventlog.Event) { e.Time = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) },
		"too large":  func(e *eventlog.Event) { e.Data = make([]byte, eventlog.MaxEventBytes+1) },
		"no number":  func(e *eventlog.Event) { nan := math.NaN(); e.Attributes.RiskScore = &nan },
		"many attributes": func(e *eventlog.Event) {
			e.Attributes.UserAgent = strings.Repeat("a", eventlog.MaxAttributesBytes)
		},
		"many mapped": func(e *eventlog.Event) { e.Mapped = make([]eventlog.Mapped, eventlog.MaxMapped+1) },
	}
	for name, alter := range tests {
		e := sample()
		alter(&e)
		if _, err := eventlog.Canonical(&e); !errors.Is(err, eventlog.ErrEvent) {
			t.Errorf("%s: got %v, want ErrEvent", name, err)
		}
	}
	e := eventlog.Event{Mapped: make([]eventlog.Mapped, eventlog.MaxMapped)}
	if back, err := eventlog.Decode(canonical(t, e)); err != nil || len(back.Mapped) != eventlog.MaxMapped {
		t.Errorf("the most mapped events: got %d (%v), want %d", len(back.Mapped), err, eventlog.MaxMapped)
	}
}

// An identifier that is no valid one does not make its event unreadable.
func TestDecodeInvalidSubject(t *testing.T) {
	e := eventlog.Event{Subjects: []subject.Identifier{subject.Opaque("a"), subject.Email("\xff not an address"), {}}}
	back, err := eventlog.Decode(canonical(t, e))
	if err != nil || len(back.Subjects) != 3 || !back.Subjects[0].Equal(e.Subjects[0]) || !back.Subjects[2].IsZero() {
		t.Errorf("got %v (%v), want three, the first and the last the same", back.Subjects, err)
	}
}

// A draft does not hold on to what its caller read the event from.
func TestDraftCopiesDocuments(t *testing.T) {
	e := sample()
	d, err := eventlog.NewDraft(&e)
	if err != nil {
		t.Fatal(err)
	}
	want := string(canonical(t, e))
	for _, b := range [][]byte{e.Data, e.Original, e.Mapped[0].Payload} {
		copy(b, strings.Repeat("x", len(b)))
	}
	e.Mapped[0].Type = "changed"
	r := d.Record(1, "id", time.Now())
	if got := string(canonical(t, r.Event)); got != want || string(r.Canonical) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Known answers, computed with other tools: what receivers and auditors have does not change.
func TestKnownAnswers(t *testing.T) {
	e := sample()
	r := eventlog.Record{Seq: 7, Recorded: time.UnixMilli(1763806272130).UTC(), Canonical: canonical(t, e), Event: e}
	for i := range r.Salt {
		r.Salt[i] = byte(i)
	}
	leaf := eventlog.LeafHash(eventlog.Leaf(r.Seq, r.Recorded, eventlog.KindEvent, eventlog.Commitment(&r.Salt, r.Canonical)))
	if got, want := hex.EncodeToString(leaf[:]), wantLeaf; got != want {
		t.Errorf("leaf: got %s, want %s", got, want)
	}
	if got, want := r.JTI("stream-1", 1), wantJTI; got != want {
		t.Errorf("jti: got %s, want %s", got, want)
	}
	if a, b := r.JTI("stream-1", 0), r.JTI("stream-1", 2); a == b {
		t.Errorf("jti of a replay: got %s again, want another", a)
	}
	if got := (&eventlog.Record{}).JTI("s", 0); len(got) != 43 {
		t.Errorf("jti of a record without mapped events: got %q, want 43 characters", got)
	}
	ids, err := eventlog.NewIDs([eventlog.IDKeySize]byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ids.ID(1), wantID; got != want {
		t.Errorf("id: got %s, want %s", got, want)
	}
}

func TestIDs(t *testing.T) {
	ids, err := eventlog.NewIDs([eventlog.IDKeySize]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{0, 1, 2, 255, 1 << 32, 1<<64 - 1} {
		if got, err := ids.Seq(ids.ID(seq)); err != nil || got != seq {
			t.Errorf("got %d (%v), want %d", got, err, seq)
		}
	}
	other, err := eventlog.NewIDs([eventlog.IDKeySize]byte{8})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ids.Seq(other.ID(1)); !errors.Is(err, eventlog.ErrMalformedID) {
		t.Errorf("another log's id: got %v, want ErrMalformedID", err)
	}
}

// FuzzDecode: no bytes make Decode panic, and what it reads has the same
// canonical bytes again if they were canonical.
func FuzzDecode(f *testing.F) {
	f.Add(canonical(f, sample()))
	f.Add(canonical(f, eventlog.Event{}))
	f.Add([]byte(`{"v":1,"lengths":[-1,-1],"data":null,"original":null,"payloads":[]}`))
	f.Add([]byte(`{"v":1,"lengths":[0,99],"data":null,"original":{},"payloads":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := eventlog.Decode(b)
		if err != nil {
			return
		}
		c, err := eventlog.Canonical(&e)
		if err != nil {
			return
		}
		back, err := eventlog.Decode(c)
		if err != nil {
			t.Fatalf("Decode of canonical bytes: got %v, want no error\n%s", err, c)
		}
		if again := canonical(t, back); !bytes.Equal(again, c) {
			t.Errorf("got %s, want %s", again, c)
		}
	})
}

func BenchmarkDraft(b *testing.B) {
	e := sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eventlog.NewDraft(&e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	c := canonical(b, sample())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eventlog.Decode(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJTI(b *testing.B) {
	r := eventlog.Record{Event: sample()}
	b.ReportAllocs()
	for b.Loop() {
		r.JTI("1234567890123456789012", 0)
	}
}

const (
	wantLeaf = "8fb1bd4ebcb2aab82c9135126e227c51b69c7bad9dd9d25d021d6262aa282247"
	wantJTI  = "WxbvSJX4PZw7gg-K0NmJQ3gYz8ABSoLlrkOFus4CRb4"
	wantID   = "2w5DrAUpVCRIQmN8pzbEAg"
)
