package logtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func recordCases() []Case {
	return []Case{
		{"record/round-trip", "The record keeps the original and the outcome of the mapping", roundTrip},
		{"record/identical", "Every row has canonical bytes, salt and leaf: identical after a reopen and a kill", identical},
		{"record/leaf", "The leaf hash is over a salted commitment to the canonical bytes", leaf},
		{"record/salt", "The salt is random: two records of one event have nothing in common", salt},
		{"record/recorded", "Recorded is the time of appending, in whole milliseconds, and never falls", recorded},
		{"record/jti", "The jti is the same at every attempt, after every crash", jti},
	}
}

func roundTrip(tb testing.TB, s *Store) {
	want := shapes()
	do(tb, s.Log, want...)
	check := func(what string) {
		tb.Helper()
		records := all(tb, s.Log)
		if len(records) != len(want) {
			tb.Fatalf("%s: got %d records, want %d", what, len(records), len(want))
		}
		for i, r := range records {
			if d := diff(want[i], r.Event); d != "" {
				tb.Errorf("%s: event %d differs (-want +got):\n%s", what, i, d)
			}
		}
	}
	check("live")
	s.Log = s.Kill()
	check("after a kill")
}

func identical(tb testing.TB, s *Store) {
	do(tb, s.Log, shapes()...)
	want := all(tb, s.Log)
	s.Log = s.Reopen()
	same(tb, "after a reopen", want, all(tb, s.Log))
	s.Log = s.Kill()
	same(tb, "after a kill", want, all(tb, s.Log))
}

// leaf computes the leaf from its description, not with the package's code.
func leaf(tb testing.TB, s *Store) {
	do(tb, s.Log, shapes()...)
	note(tb, s.Log, entry(1))
	for range 2 {
		for _, r := range all(tb, s.Log) {
			m := hmac.New(sha256.New, r.Salt[:])
			m.Write(r.Canonical)
			b := []byte{0, 1}
			b = binary.BigEndian.AppendUint64(b, r.Seq)
			b = binary.BigEndian.AppendUint64(b, uint64(r.Recorded.UnixMilli()))
			b = append(b, byte(r.Kind))
			if want := sha256.Sum256(m.Sum(b)); r.Leaf != want {
				tb.Errorf("seq %d: got leaf %x, want %x", r.Seq, r.Leaf, want)
			}
			if err := r.Verify(); err != nil {
				tb.Errorf("seq %d: Verify: got %v, want no error", r.Seq, err)
			}
			altered := *r
			altered.Canonical = append([]byte(nil), r.Canonical...)
			altered.Canonical[len(altered.Canonical)-1] ^= 1
			if altered.Verify() == nil {
				tb.Errorf("seq %d: Verify of altered bytes: got no error", r.Seq)
			}
		}
		s.Log = s.Kill()
	}
}

func salt(tb testing.TB, s *Store) {
	e := event(1)
	e.SourceID = ""
	do(tb, s.Log, e, e)
	r := all(tb, s.Log)
	if len(r) != 2 {
		tb.Fatalf("got %d records, want 2", len(r))
	}
	if r[0].Salt == r[1].Salt || r[0].Leaf == r[1].Leaf || r[0].Salt == [eventlog.SaltSize]byte{} {
		tb.Errorf("got salts %x and %x, leaves %x and %x, want them to differ", r[0].Salt, r[1].Salt, r[0].Leaf, r[1].Leaf)
	}
}

func recorded(tb testing.TB, s *Store) {
	steps := []time.Duration{0, time.Hour, -2 * time.Hour, 1500 * time.Microsecond}
	for i, d := range steps {
		s.Advance(d)
		one(tb, s.Log, event(i))
	}
	s.Log = s.Kill()
	one(tb, s.Log, event(9))
	r := all(tb, s.Log)
	for i := range r {
		if !r[i].Recorded.Equal(r[i].Recorded.Truncate(time.Millisecond)) {
			tb.Errorf("seq %d: got %v, want whole milliseconds", r[i].Seq, r[i].Recorded)
		}
		if i > 0 && r[i].Recorded.Before(r[i-1].Recorded) {
			tb.Errorf("seq %d: got %v after %v", r[i].Seq, r[i].Recorded, r[i-1].Recorded)
		}
	}
	if d := r[1].Recorded.Sub(r[0].Recorded); d < time.Hour || d > time.Hour+time.Minute {
		tb.Errorf("got %v between two records, want the hour that passed", d)
	}
}

func jti(tb testing.TB, s *Store) {
	e := event(1)
	e.Mapped = append(e.Mapped, eventlog.Mapped{Type: "https://a.example/2"})
	do(tb, s.Log, e, event(2))
	list := func() (out []string) {
		for _, r := range all(tb, s.Log) {
			for _, stream := range []string{"s1", "s2"} {
				for n := range uint32(3) {
					out = append(out, r.JTI(stream, n))
				}
			}
		}
		return out
	}
	want := list()
	seen := make(map[string]bool)
	for _, j := range want {
		if b, err := base64.RawURLEncoding.DecodeString(j); err != nil || len(b) < 16 || seen[j] {
			tb.Errorf("jti %q: got %d bytes (%v), seen before: %v, want a new one of 16 or more", j, len(b), err, seen[j])
		}
		seen[j] = true
	}
	s.Log = s.Kill()
	if d := diff(want, list()); d != "" {
		tb.Errorf("after a kill (-want +got):\n%s", d)
	}
}
