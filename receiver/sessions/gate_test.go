package sessions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// remote is a backend of which the store is elsewhere.
type remote struct {
	*sessions.MemoryRevocations
	state *sessions.State
}

func (r remote) State() *sessions.State { return r.state }

// What is wrong is named, and the fail mode is a decision without a default.
func TestNewGate(t *testing.T) {
	_, err := sessions.NewGate(sessions.Config{MaxLag: -1})
	for _, want := range []string{"Config.Revocations", "Config.Fail", "Config.MaxLag"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
}

// Where the state is not known the fail mode decides; what is known to be revoked is
// refused in either.
func TestGateFailMode(t *testing.T) {
	start := time.Unix(1700000000, 0)
	now := start
	clock := func() time.Time { return now }
	jo := session("jo", start)
	for _, tt := range []struct {
		name         string
		known        time.Duration // after start that the state was known last; negative: never
		at           time.Duration
		session      sessions.Session
		closed, open sessions.Verdict
	}{
		{"known", 0, 10 * time.Second, jo, sessions.Good, sessions.Good},
		{"not loaded", -1, 0, jo, sessions.Unknown, sessions.Good},
		{"the store away for too long", 0, 10*time.Second + time.Millisecond, jo, sessions.Unknown, sessions.Good},
		{"begun before what is kept", 2 * time.Hour, 2 * time.Hour, jo, sessions.Unknown, sessions.Good},
		{"known by nothing", 0, 0, sessions.Session{Begun: start}, sessions.Unknown, sessions.Good},
		{"revoked, and the store away", 0, time.Minute, session("mo", start), sessions.Revoked, sessions.Revoked},
		{"denied, and the store away", 0, time.Minute, session("no", start), sessions.Denied, sessions.Denied},
		{"expired", 0, 0, sessions.Session{Begun: start, Expires: start, Members: jo.Members}, sessions.Revoked, sessions.Revoked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now = start
			state, err := sessions.NewState(sessions.RevocationsConfig{Retention: time.Hour, Now: clock}, true)
			if err != nil {
				t.Fatal(err)
			}
			apply(t, state, sessions.OpRevoke, "mo", now)
			apply(t, state, sessions.OpDeny, "no", now)
			if tt.known >= 0 {
				state.Current(start.Add(tt.known))
			}
			now = start.Add(tt.at)
			for mode, want := range map[sessions.FailMode]sessions.Verdict{sessions.FailClosed: tt.closed, sessions.FailOpen: tt.open} {
				gate, err := sessions.NewGate(sessions.Config{Revocations: remote{state: state}, Fail: mode})
				if err != nil {
					t.Fatal(err)
				}
				if got := gate.Session(tt.session); got != want {
					t.Errorf("fail %s: got %v, want %v", mode, got, want)
				}
				lagging := tt.known < 0 || tt.at-tt.known > sessions.DefaultMaxLag
				if got := gate.Ready() != nil; got != lagging {
					t.Errorf("fail %s: got ready %v, want %v", mode, !got, !lagging)
				}
			}
		})
	}
}

func session(user string, begun time.Time) sessions.Session {
	return sessions.Session{ID: "a", Begun: begun, Members: map[string][]subject.Identifier{"user": {subject.Email(user + "@example.com")}}}
}

func apply(t testing.TB, state *sessions.State, op sessions.Op, user string, at time.Time) {
	t.Helper()
	changes, err := sessions.Changes(op, receiver.Scope{{Name: "user", Identifiers: []subject.Identifier{subject.Email(user + "@example.com")}}}, "", at, at)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		mark, _ := state.Mark(c.Clause).With(c)
		state.Apply(c.Clause, mark, 0)
	}
}

// subjects are users by iss and sub, as tokens name them.
func subjects(n int) (receiver.Scope, sessions.Claims) {
	const iss = "https://idp.example"
	sub := fmt.Sprintf("user-%08d", n)
	return receiver.Scope{{Name: "user", Identifiers: []subject.Identifier{subject.IssSub(iss, sub)}}},
		sessions.Claims{Issuer: iss, Subject: sub, SessionID: "0f8fad5b-d9cb-469f-a165-70867728950e", IssuedAt: time.Unix(1700000100, 0)}
}

func revokedSubjects(t testing.TB, n int) (*sessions.Gate, []sessions.Claims) {
	t.Helper()
	r, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	gate, err := sessions.NewGate(sessions.Config{Revocations: r, Fail: sessions.FailOpen})
	if err != nil {
		t.Fatal(err)
	}
	claims := make([]sessions.Claims, n)
	for i := range n {
		scope, c := subjects(i)
		if err := r.Revoke(t.Context(), scope, time.Unix(1700000000, 0)); err != nil {
			t.Fatal(err)
		}
		claims[i] = c
	}
	return gate, claims
}

// A check does not allocate, whatever it is shown.
func TestGateAllocates(t *testing.T) {
	gate, claims := revokedSubjects(t, 1000)
	c := claims[7]
	c.ID, c.Email, c.Tenant, c.SessionID = "jti", "jo@example.com", "tenant", ""
	s := session("jo", time.Now())
	s.Members["session"] = []subject.Identifier{subject.Opaque("s1")}
	s.Members["device"] = []subject.Identifier{subject.URI("urn:device:1")}
	bearer := s.Bearer()
	for name, check := range map[string]func() sessions.Verdict{
		"claims":  func() sessions.Verdict { return gate.Claims(c) },
		"session": func() sessions.Verdict { return gate.Session(s) },
		"bearer":  func() sessions.Verdict { return gate.Bearer(bearer) },
	} {
		if got := testing.AllocsPerRun(100, func() {
			if check() != sessions.Good {
				t.Fatal("got a refusal, want none")
			}
		}); got != 0 {
			t.Errorf("%s: got %v allocations, want none", name, got)
		}
	}
}

// BenchmarkGate is a check of a token with 1,000,000 revoked subjects, and beside it,
// as its floor, a look-up of one string in a Go map of as many.
func BenchmarkGate(b *testing.B) {
	const n, stride = 1_000_000, 514_229
	gate, claims := revokedSubjects(b, n)
	plain := make(map[string]time.Time, n)
	keys := make([]string, n)
	for i, c := range claims {
		keys[i] = c.Issuer + "\n" + c.Subject
		plain[keys[i]] = c.IssuedAt
	}
	lookUp := func(i int) bool { _, ok := plain[keys[i]]; return ok }
	check := func(i int) bool { return gate.Claims(claims[i]) == sessions.Good }
	var floor, gated time.Duration
	b.ReportAllocs()
	for at := 0; b.Loop(); at = (at + stride) % n {
		began := time.Now()
		found := lookUp(at)
		middle := time.Now()
		good := check(at)
		floor, gated = floor+middle.Sub(began), gated+time.Since(middle)
		if !found || !good {
			b.Fatal("got a refusal or nothing found, want neither")
		}
	}
	b.ReportMetric(float64(gated.Nanoseconds())/float64(b.N), "ns/check")
	b.ReportMetric(float64(floor.Nanoseconds())/float64(b.N), "ns/look-up")
	b.ReportMetric(float64(gated)/float64(floor), "look-ups/check")
}

// A clock that was set back makes nothing known that is not: the store may be away since.
func TestGateClockSetBack(t *testing.T) {
	start := time.Unix(1700000000, 0)
	now := start
	state, err := sessions.NewState(sessions.RevocationsConfig{Now: func() time.Time { return now }}, true)
	if err != nil {
		t.Fatal(err)
	}
	g, err := sessions.NewGate(sessions.Config{Revocations: remote{state: state}, Fail: sessions.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	state.Current(now)
	if got := g.Session(session("jo", start.Add(-2*time.Hour))); got != sessions.Good || g.Ready() != nil {
		t.Fatalf("got %v, %v, want good", got, g.Ready())
	}
	now = start.Add(-time.Hour)
	if got := g.Session(session("jo", start.Add(-2*time.Hour))); got != sessions.Unknown || g.Ready() == nil {
		t.Errorf("set back by an hour: got %v, %v, want unknown", got, g.Ready())
	}
	state.Current(now)
	if got := g.Session(session("jo", start.Add(-2*time.Hour))); got != sessions.Good || g.Ready() != nil {
		t.Errorf("asked since: got %v, %v, want good", got, g.Ready())
	}
	now = now.Add(time.Minute)
	if got := g.Session(session("jo", start.Add(-2*time.Hour))); got != sessions.Unknown {
		t.Errorf("away since: got %v, want unknown", got)
	}
}
