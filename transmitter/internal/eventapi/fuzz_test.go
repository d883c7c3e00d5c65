package eventapi_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// refused fails unless err is a refusal by name, as one can answer it.
func refused(t *testing.T, err error) {
	t.Helper()
	var r *request.Error
	if !errors.As(err, &r) || r.Status/100 != 4 || len(r.Error()) > 300 {
		t.Fatalf("got %v, want a short refusal", err)
	}
}

// Parameters of a search are a search within its bounds, whatever their order, or refused.
func FuzzSearch(f *testing.F) {
	for _, seed := range []string{
		"type=a&type=b&limit=500&reverse=true", `subject={"format":"email","email":"a@b.example"}`, "ip_address=::ffff:1.2.3.4/120&ip_address=10.0.0.0/8", "ip_address=fe80::1%25eth0",
		"start=2026-01-01T00:00:00Z&end=0&min_risk_score=NaN", "start=-62135596800000", "signals.vpn=true&tags.a=b&tags.=c", "fields=id&fields=x", "cursor=x&total_hits=5", "limit=0", "a=b", "suspect=1", "%zz",
		"start=9223372036854775807&end=-9223372036854775808", "min_risk_score=1e400", strings.Repeat("type=a&", 100),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, bound, err := eventapi.ParseSearch(values)
		if err != nil {
			refused(t, err)
			return
		}
		terms := len(q.Types) + len(q.Sources) + len(q.Subjects) + len(q.Addresses) + len(q.Emails) + len(q.Identifiers) + len(q.Tags) + len(q.Signals)
		if q.Limit < 1 || q.Limit > eventlog.MaxLimit || q.TotalHits > eventlog.MaxTotalHits || terms > eventlog.MaxTerms {
			t.Fatalf("%q: got %+v", raw, q)
		}
		for _, p := range q.Addresses {
			if !p.IsValid() || p.Addr().Is4In6() || p != p.Masked() {
				t.Fatalf("%q: got network %v", raw, p)
			}
		}
		again, boundAgain, err := eventapi.ParseSearch(values)
		if err != nil || boundAgain != bound || again.Limit != q.Limit || !again.Start.Equal(q.Start) || !again.End.Equal(q.End) {
			t.Fatalf("%q: got %+v bound to %q (%v), want %+v bound to %q", raw, again, boundAgain, err, q, bound)
		}
		rest, err := url.ParseQuery(bound)
		if err != nil {
			t.Fatalf("%q: bound to %q: %v", raw, bound, err)
		}
		if _, same, err := eventapi.ParseSearch(rest); err != nil || same != bound {
			t.Fatalf("%q: got %q (%v), want what a cursor is bound to the same: %q", raw, same, err, bound)
		}
	})
}

// A body of an annotation is one that the log can take and that is read back, or refused.
func FuzzPatch(f *testing.F) {
	for _, seed := range []string{
		`{"suspect":true,"tags":{"a":"b","c":null},"linked_id":"x"}`, `{"tags":null}`, `{"tags":{}}`, `{"tags":{"":"a"}}`, `{"suspect":0}`, `{"linked_id":""}`, `{"a":1}`, `{"tags":{"a":1}}`, `{"tags":{"a":"b","a":"c"}}`, `null`, `{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		said, err := eventapi.ReadPatch(body)
		if err != nil {
			if said != nil {
				t.Fatalf("%q: got %+v and %v", body, said, err)
			}
			refused(t, err)
			return
		}
		said.Event = "e"
		entry, err := said.Entry(1)
		if err != nil || !json.Valid(entry.Body) {
			t.Fatalf("%q: got %s, %v", body, entry.Body, err)
		}
		again, err := eventlog.AnnotationOf(&eventlog.Record{Entry: entry.Body})
		if err != nil {
			t.Fatalf("%q: got %v", body, err)
		}
		one, two := said.Apply(eventlog.Attributes{}), again.Apply(eventlog.Attributes{})
		a, _ := json.Marshal(one)
		b, _ := json.Marshal(two)
		if string(a) != string(b) {
			t.Fatalf("%q: got %s from the log, want %s", body, b, a)
		}
	})
}

// A cursor opens for its own search alone, and says what was sealed; no other text does.
func FuzzCursor(f *testing.F) {
	c, err := eventapi.NewCursors([eventapi.CursorKeySize]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("x", "type=a", int64(5), uint64(7), uint64(9))
	f.Add(c.Seal(eventlog.Hit{Millis: 1, Seq: 2}, 3, 4, "a"), "b", int64(-1), uint64(1<<63), uint64(0))
	f.Fuzz(func(t *testing.T, text, bound string, millis int64, seq, head uint64) {
		if _, _, _, err := c.Open(text, bound); err == nil {
			t.Fatalf("%q opens for %q", text, bound)
		}
		sealed := c.Seal(eventlog.Hit{Millis: millis, Seq: seq}, head, millis, bound)
		after, top, start, err := c.Open(sealed, bound)
		if err != nil || after.Millis != millis || after.Seq != seq || top != head || start != millis {
			t.Fatalf("got %+v %d %d, %v", after, top, start, err)
		}
		if _, _, _, err := c.Open(sealed, bound+"x"); err == nil {
			t.Fatal("it opens for another search")
		}
	})
}
