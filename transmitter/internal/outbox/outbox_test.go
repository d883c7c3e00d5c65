package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
)

const (
	revoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	purged  = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
)

// records is a log in memory.
type records map[uint64]*eventlog.Record

func (r records) Record(_ context.Context, seq uint64) (*eventlog.Record, error) {
	switch rec := r[seq]; {
	case seq == 99:
		return nil, errors.New("disk")
	case rec == nil:
		return nil, eventlog.ErrNotFound
	default:
		return rec, nil
	}
}

// bench is an outbox whose key can be changed.
type bench struct {
	*outbox.Outbox
	key    *jose.Signer
	signed []string
}

func signer(t *testing.T) *jose.Signer {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(key, set.HeaderType)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newBench(t *testing.T, change ...func(*outbox.Config)) *bench {
	t.Helper()
	b := &bench{key: signer(t)}
	cfg := outbox.Config{
		Records: records{1: record(t, 1)},
		Key:     func() *jose.Signer { return b.key },
		Signed:  func(kid string) { b.signed = append(b.signed, kid) },
	}
	for _, f := range change {
		f(&cfg)
	}
	b.Outbox = outbox.New(cfg)
	return b
}

func record(t *testing.T, seq uint64, payload ...string) *eventlog.Record {
	t.Helper()
	data := `{"event_timestamp":1700000000}`
	if len(payload) > 0 {
		data = payload[0]
	}
	draft, err := eventlog.NewDraft(&eventlog.Event{
		Source: "hr", Type: "x", Time: time.Unix(1_700_000_000, 900e6),
		Subjects: []subject.Identifier{subject.Email("a@example.com"), subject.Opaque("7")},
		Mapped: []eventlog.Mapped{
			{Type: revoked, Payload: json.RawMessage(data)},
			{Type: purged, Payload: json.RawMessage(`{}`), Subjects: []subject.Identifier{subject.Opaque("own")}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return draft.Record(seq, fmt.Sprint("event-", seq), time.Unix(1_700_000_010, 999e6))
}

func stream() streams.Stream {
	return streams.Stream{ID: "s1", Owner: "shop", Issuer: "https://t.example", Audience: []string{"https://shop.example"}}
}

func item(rec *eventlog.Record, n uint32, sub int) streams.Item {
	i := streams.Item{Stream: "s1", Pos: streams.Position{Seq: 1, N: n}, ID: "jti", Type: revoked, Subject: sub}
	if rec != nil {
		i.ID, i.Pos.Seq = rec.JTI("s1", n), rec.Seq
	}
	return i
}

// sign signs and parses.
func (b *bench) sign(t *testing.T, s streams.Stream, i streams.Item) (outbox.SET, *set.Token) {
	t.Helper()
	out, err := b.Sign(t.Context(), s, i)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := set.Parse([]byte(out.Compact))
	if err != nil {
		t.Fatal(err)
	}
	return out, tok
}

// contracts.md §6: the claims are a function of record, stream and position.
// Signing again, in another process, and under another key yields the same.
func TestClaimsAreDeterministic(t *testing.T) {
	rec := record(t, 1)
	with := func(c *outbox.Config) { c.Records = records{1: rec} }
	b := newBench(t, with)
	it := item(rec, 0, 1)
	first, tok := b.sign(t, stream(), it)
	want := `{"iss":"https://t.example","jti":"` + rec.JTI("s1", 0) + `","iat":1700000010,"aud":"https://shop.example","txn":"event-1","toe":1700000000,` +
		`"sub_id":{"format":"opaque","id":"7"},"events":{"` + revoked + `":{"event_timestamp":1700000000}}}`
	if got := string(tok.Claims()); got != want {
		t.Errorf("SSF-4.1.9-01, OIDF-05: got  %s\nwant %s", got, want)
	}
	if first.TransactionID != "event-1" || !first.Accepted.Equal(rec.Recorded) {
		t.Errorf("got txn %q, accepted %v", first.TransactionID, first.Accepted)
	}
	again, _ := b.sign(t, stream(), it)
	if again.Compact == first.Compact {
		t.Error("signed bytes were kept though nobody asked: got the same ES256 signature")
	}
	b.key = signer(t)
	rotated, _ := b.sign(t, stream(), it)
	elsewhere, _ := newBench(t, with).sign(t, stream(), it)
	for name, s := range map[string]outbox.SET{"again": again, "after a rotation": rotated, "in another process": elsewhere} {
		tok, err := set.Parse([]byte(s.Compact))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(tok.Claims()); got != want {
			t.Errorf("contracts.md §6 %s: got %s, want %s", name, got, want)
		}
	}
	later := it
	later.Pos, later.Ref = streams.Position{Seq: 9, N: 70}, it.Pos
	if _, tok := b.sign(t, stream(), later); string(tok.Claims()) != want {
		t.Errorf("put because of a later record: got %s, want the same claims", tok.Claims())
	}
	it.Attempts, it.Resent, it.Added, it.Epoch = 5, true, time.Now(), 9
	if _, tok := b.sign(t, stream(), it); string(tok.Claims()) != want {
		t.Errorf("a dead letter sent again: got %s, want the same claims", tok.Claims())
	}
}

// U32: each stream and each n has a jti of its own, and txn is shared.
func TestIdentity(t *testing.T) {
	rec := record(t, 1)
	b := newBench(t, func(c *outbox.Config) { c.Records = records{1: rec} })
	other := stream()
	other.ID = "s2"
	_, one := b.sign(t, stream(), item(rec, 0, 0))
	two := item(rec, 0, 0)
	two.ID = rec.JTI("s2", 0)
	_, second := b.sign(t, other, two)
	third := item(rec, 1, 0)
	_, purgedTok := b.sign(t, stream(), third)
	ids := map[string]bool{one.ID: true, second.ID: true, purgedTok.ID: true}
	if len(ids) != 3 || one.TransactionID != second.TransactionID || one.TransactionID != purgedTok.TransactionID {
		t.Errorf("U32: got jtis %v, txns %s %s %s", ids, one.TransactionID, second.TransactionID, purgedTok.TransactionID)
	}
	if purgedTok.Type() != purged || !purgedTok.Subject.Equal(subject.Opaque("own")) {
		t.Errorf("a mapped event with subjects of its own: got %s about %v", purgedTok.Type(), purgedTok.Subject)
	}
}

// SSF-8.1.4.1-01, SSF-8.1.5-03, U31: control SETs.
func TestControl(t *testing.T) {
	b := newBench(t)
	added := time.Unix(1_700_000_000, 999e6)
	for _, c := range []struct{ name, eventType, payload string }{
		{"SSF-8.1.4.1-01 verification", streams.TypeVerification, `{"state":"a\u003c"}`},
		{"SSF-8.1.4.1-01 verification without state", streams.TypeVerification, `{}`},
		{"SSF-8.1.5-03 stream-updated", streams.TypeStreamUpdated, `{"status":"paused","reason":"r"}`},
	} {
		s := stream()
		s.Audience = []string{"a", "b"}
		out, tok := b.sign(t, s, streams.Item{Stream: "s1", Lane: streams.LaneControl, ID: "c1", Type: c.eventType, Payload: []byte(c.payload), Added: added})
		want := `{"iss":"https://t.example","jti":"c1","iat":1700000000,"aud":["a","b"],"txn":"c1","sub_id":{"format":"opaque","id":"s1"},"events":{"` + c.eventType + `":` + c.payload + `}}`
		if got := string(tok.Claims()); got != want {
			t.Errorf("%s: got  %s\nwant %s", c.name, got, want)
		}
		if tok.Header.Type != set.HeaderType || out.TransactionID != "c1" || !out.Accepted.Equal(added) {
			t.Errorf("U31 %s: got typ %q, txn %q, accepted %v", c.name, tok.Header.Type, out.TransactionID, out.Accepted)
		}
	}
}

// Signed bytes are a bounded cache: kept where asked, used under the same key
// alone, forgotten oldest first.
func TestKeep(t *testing.T) {
	b := newBench(t, func(c *outbox.Config) { c.Cache = 2 })
	items := make([]streams.Item, 3)
	var sets []string
	for i := range items {
		items[i] = item(nil, 0, 0)
		items[i].ID = fmt.Sprint("j", i)
		out, _ := b.sign(t, stream(), items[i])
		b.Keep(items[i], out)
		b.Keep(items[i], out) // twice is once
		sets = append(sets, out.Compact)
	}
	signatures := len(b.signed)
	for i, want := range []bool{false, true, true} {
		out, _ := b.sign(t, stream(), items[i])
		if got := out.Compact == sets[i]; got != want {
			t.Errorf("item %d: got the bytes of before %v, want %v", i, got, want)
		}
	}
	if got := len(b.signed) - signatures; got != 1 || b.signed[0] != b.key.KeyID() {
		t.Errorf("got %d signatures told, want 1 (of the one that was forgotten)", got)
	}
	b.key = signer(t)
	out, tok := b.sign(t, stream(), items[2])
	if out.Compact == sets[2] || tok.Header.KeyID != b.key.KeyID() {
		t.Errorf("contracts.md §6 after a rotation: got a SET under key %s, want %s", tok.Header.KeyID, b.key.KeyID())
	}
}

// contracts.md §6: a SET that was signed before a rotation and kept after it is
// signed anew: the key it is kept under is the one that signed it.
func TestKeepAfterRotation(t *testing.T) {
	b := newBench(t)
	i := item(nil, 0, 0)
	first, _ := b.sign(t, stream(), i)
	b.key = signer(t) // while the first attempt is under way
	b.Keep(i, first)
	again, tok := b.sign(t, stream(), i)
	if tok.Header.KeyID != b.key.KeyID() || again.KeyID != b.key.KeyID() {
		t.Errorf("got key %s, told %s; want the current one %s", tok.Header.KeyID, again.KeyID, b.key.KeyID())
	}
}

// SSF-10.3.2-01: a payload may be changed before it leaves, per application.
func TestFilter(t *testing.T) {
	b := newBench(t, func(c *outbox.Config) {
		c.Filter = func(owner, eventType string, payload []byte) []byte {
			if owner == "shop" && eventType == revoked {
				return []byte(`{"less":true}`)
			}
			return payload
		}
	})
	_, tok := b.sign(t, stream(), item(nil, 0, 0))
	if diff := cmp.Diff(`{"less":true}`, string(tok.Events[0].Payload)); diff != "" {
		t.Errorf("SSF-10.3.2-01: %s", diff)
	}
	s := stream()
	s.Owner = "other"
	if _, tok := b.sign(t, s, item(nil, 0, 0)); !strings.Contains(string(tok.Events[0].Payload), "event_timestamp") {
		t.Errorf("SSF-10.3.2-01 another application: got %s, want it as mapped", tok.Events[0].Payload)
	}
}

// What can never be signed is ErrGone, so that it holds up nothing; what may
// work later is not.
func TestGone(t *testing.T) {
	huge := record(t, 2, `{"x":"`+strings.Repeat("x", 2<<20)+`"}`)
	plain := func(c *outbox.Config) { c.Records = records{1: record(t, 1), 2: huge} }
	garbage := func(c *outbox.Config) {
		plain(c)
		c.Filter = func(string, string, []byte) []byte { return []byte("{") }
	}
	at := func(seq uint64, n uint32, sub int) streams.Item {
		i := item(nil, n, sub)
		i.Pos.Seq = seq
		return i
	}
	noID := at(1, 0, 0)
	noID.ID = ""
	for _, c := range []struct {
		name   string
		change func(*outbox.Config)
		item   streams.Item
		want   bool
	}{
		{"no record", plain, at(7, 0, 0), true},
		{"no such mapped event", plain, at(1, 2, 0), true},
		{"no such subject", plain, at(1, 0, 2), true},
		{"negative subject", plain, at(1, 0, -1), true},
		{"too large for a SET", plain, at(2, 0, 0), true},
		{"a filter that returns no JSON", garbage, at(1, 0, 0), true},
		{"no jti", plain, noID, true},
		{"control with a broken payload", plain, streams.Item{Lane: streams.LaneControl, ID: "c", Type: streams.TypeVerification, Payload: []byte("["), Added: time.Now()}, true},
		{"the log fails", plain, at(99, 0, 0), false},
	} {
		_, err := newBench(t, c.change).Sign(t.Context(), stream(), c.item)
		if err == nil || errors.Is(err, outbox.ErrGone) != c.want {
			t.Errorf("%s: got %v, want ErrGone %v", c.name, err, c.want)
		}
	}
}

// Bytes that were kept under another profile do not leave: what waits has the form
// that the stream has now.
func TestProfileChanges(t *testing.T) {
	rec := record(t, 1)
	b := newBench(t, func(c *outbox.Config) { c.Records = records{1: rec} })
	s, it := stream(), item(rec, 0, 0)
	first, _ := b.sign(t, s, it)
	b.Keep(it, first)
	s.Profile = "aud=list"
	changed, tok := b.sign(t, s, it)
	if changed.Compact == first.Compact || !strings.Contains(string(tok.Claims()), `"aud":["https://shop.example"]`) {
		t.Errorf("got %s, want aud as a list", tok.Claims())
	}
	s.Profile = "of another version"
	if out, err := b.Sign(t.Context(), s, it); err == nil || errors.Is(err, outbox.ErrGone) {
		t.Errorf("a profile that is not known: got %v, %v, want an error that keeps the item", out, err)
	}
}

// When an event was recorded is remembered with its bytes; of an item that is not kept
// the time is told when it was put.
func TestAccepted(t *testing.T) {
	b := newBench(t)
	kept, other := item(nil, 0, 0), item(nil, 0, 0)
	kept.ID, other.ID = "kept", "other"
	kept.Added, other.Added = time.Unix(1_700_000_100, 0), time.Unix(1_700_000_200, 0)
	out, _ := b.sign(t, stream(), kept)
	b.Keep(kept, out)
	if got, want := b.Accepted(kept), time.Unix(1_700_000_010, 999e6); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := b.Accepted(other); !got.Equal(other.Added) {
		t.Errorf("got %v, want %v", got, other.Added)
	}
}
