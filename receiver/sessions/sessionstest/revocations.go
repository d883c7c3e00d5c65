package sessionstest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// OpenRevocations returns empty revocations that have been loaded, for one case, which
// closes them by t.Cleanup.
type OpenRevocations func(t *testing.T, cfg sessions.RevocationsConfig) sessions.Revocations

// Retention is that of the suite's revocations.
const Retention = 12 * time.Hour

// RunRevocations runs every case of sessions.Revocations.
func RunRevocations(t *testing.T, open OpenRevocations) {
	for _, tt := range []struct {
		name string
		test func(*revocations)
	}{
		{"sessions begun at or before end, later ones live", revokedUntil},
		{"a late, older event lowers nothing", olderLowersNothing},
		{"repeated", repeatedCalls},
		{"by user, session, device, tenant", revokedScopes},
		{"user and session narrow each other", revokedNarrow},
		{"ALL is every session of the user", revokedAll},
		{"by the claims of a token", revokedClaims},
		{"as Scope.Fits says", revocationsModel},
		{"denied until allowed", deniedUntilAllowed},
		{"an allow older than the deny does nothing", olderAllow},
		{"a deny older than the allow denies nothing", olderDeny},
		{"at the same time the later call holds", sameTime},
		{"denied by each alias", deniedByAlias},
		{"each takes back what it denied itself", deniedByOthers},
		{"an allow older than the deny of its own does nothing, whatever others said", olderOfOthers},
		{"a denial of nobody in particular is taken back by each", deniedByNobody},
		{"a session of which only the user is known is not denied by another", deniedAlone},
		{"what ended stays ended when allowed", allowedStaysEnded},
		{"bad calls", badCalls},
		{"a time far ahead", farAhead},
		{"full", fullOfMarks},
		{"forgotten after the retention, a denial never", forgotten},
		{"changed and checked at once", changedAtOnce},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(newRevocations(t, open, 0)) })
	}
}

func newRevocations(t *testing.T, open OpenRevocations, maxMarks int) *revocations {
	t.Helper()
	c := newClock()
	r := open(t, sessions.RevocationsConfig{Retention: Retention, MaxMarks: maxMarks, Now: c.Now})
	gate, err := sessions.NewGate(sessions.Config{Revocations: r, Fail: sessions.FailClosed, MaxLag: 1000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return &revocations{T: t, clock: c, Revocations: r, gate: gate, open: open}
}

// revocations are those of one case.
type revocations struct {
	*testing.T
	*clock
	sessions.Revocations
	gate *sessions.Gate
	open OpenRevocations
}

func (x *revocations) check(err error) {
	x.Helper()
	if err != nil {
		x.Fatalf("got %v, want no error", err)
	}
}

func (x *revocations) revoke(scope receiver.Scope, until time.Time) {
	x.Helper()
	x.check(x.Revoke(x.Context(), scope, until))
}

func (x *revocations) deny(scope receiver.Scope, at time.Time) {
	x.Helper()
	x.check(x.Deny(x.Context(), scope, "", at))
}

func (x *revocations) allow(scope receiver.Scope, at time.Time) {
	x.Helper()
	x.check(x.Allow(x.Context(), scope, "", at))
}

// says fails the case unless the gate's verdict on the session is want.
func (x *revocations) says(s sessions.Session, want sessions.Verdict) {
	x.Helper()
	if got := x.gate.Session(s); got != want {
		x.Errorf("got %v, want %v", got, want)
	}
}

// jo is a session of jo that began d from now.
func (x *revocations) jo(d time.Duration) sessions.Session {
	return of("a", "jo", "s1", x.Now().Add(d))
}

func revokedUntil(x *revocations) {
	x.says(x.jo(0), sessions.Good)
	x.revoke(userScope(x, "jo"), x.Now())
	x.says(x.jo(-time.Hour), sessions.Revoked)
	x.says(x.jo(0), sessions.Revoked)
	x.says(x.jo(time.Second), sessions.Good)
	x.says(x.jo(time.Millisecond), sessions.Good)
	x.says(of("b", "mo", "", x.Now()), sessions.Good)
}

func olderLowersNothing(x *revocations) {
	x.revoke(userScope(x, "jo"), x.Now())
	x.revoke(userScope(x, "jo"), x.Now().Add(-time.Hour))
	x.says(x.jo(-time.Minute), sessions.Revoked)
	x.says(x.jo(0), sessions.Revoked)
}

func repeatedCalls(x *revocations) {
	for range 3 {
		x.revoke(userScope(x, "jo"), x.Now().Add(-time.Minute))
		x.deny(userScope(x, "mo"), x.Now())
		x.allow(userScope(x, "mo"), x.Now().Add(time.Second))
	}
	x.says(x.jo(-time.Second), sessions.Good)
	x.says(of("b", "mo", "", x.Now().Add(time.Second)), sessions.Good)
	x.says(of("b", "mo", "", x.Now()), sessions.Revoked)
}

func revokedScopes(x *revocations) {
	for name, id := range map[string]subject.Identifier{
		"user": email("jo"), "session": sid("s1"), "device": sid("d1"), "tenant": subject.URI("urn:t:1"), "ward": sid("w1"),
	} {
		x.revoke(complexScope(x, map[string]subject.Identifier{name: id}), x.Now())
		x.says(sessions.Session{ID: "a", Begun: x.Now(), Members: members{name: ids(sid("other"), id)}}, sessions.Revoked)
		x.says(sessions.Session{ID: "a", Begun: x.Now(), Members: members{name: ids(sid("other"))}}, sessions.Good)
		x.says(sessions.Session{ID: "a", Begun: x.Now(), Members: members{"application": ids(id)}}, sessions.Good)
	}
}

func revokedNarrow(x *revocations) {
	x.revoke(userSession(x, "jo", "s1"), x.Now())
	x.says(of("a", "jo", "s1", x.Now()), sessions.Revoked)
	x.says(of("b", "jo", "s2", x.Now()), sessions.Good)
	x.says(of("c", "jo", "", x.Now()), sessions.Revoked)
	x.says(of("d", "mo", "s1", x.Now()), sessions.Good)
	x.revoke(receiver.ScopeOf(sid("s2")), x.Now()) // by itself
	x.says(of("b", "jo", "s2", x.Now()), sessions.Revoked)
}

func revokedAll(x *revocations) {
	x.revoke(userSession(x, "jo", "ALL"), x.Now())
	x.says(of("a", "jo", "s1", x.Now()), sessions.Revoked)
	x.says(of("b", "jo", "s2", x.Now()), sessions.Revoked)
	x.says(of("c", "mo", "ALL", x.Now()), sessions.Good)
}

func revokedClaims(x *revocations) {
	const iss = "https://idp.example"
	user := subject.IssSub(iss, "1")
	claims := sessions.Claims{Issuer: iss, Subject: "1", SessionID: "s1", ID: "j1", Email: "jo@example.com", Tenant: "t1", IssuedAt: x.Now()}
	other := sessions.Claims{Issuer: "https://other.example", Subject: "1", SessionID: "s2", ID: "j1", Email: "mo@example.com", Tenant: "t1", IssuedAt: x.Now()}
	later, timeless, alone, second := claims, claims, claims, claims
	later.IssuedAt, timeless.IssuedAt = x.Now().Add(time.Second), time.Time{}
	alone.SessionID, second.SessionID = "", "s2"
	for _, tt := range []struct {
		name          string
		scope         receiver.Scope
		alone, second sessions.Verdict
	}{
		{"iss and sub", receiver.ScopeOf(user), sessions.Revoked, sessions.Revoked},
		{"sid", receiver.ScopeOf(sid("s1")), sessions.Good, sessions.Good},
		{"jti", receiver.ScopeOf(subject.JWTID(iss, "j1")), sessions.Revoked, sessions.Revoked},
		{"email", receiver.ScopeOf(email("jo")), sessions.Revoked, sessions.Revoked},
		{"sub and sid", complexScope(x, map[string]subject.Identifier{"user": user, "session": sid("s1")}), sessions.Revoked, sessions.Good},
		{"tenant and email", complexScope(x, map[string]subject.Identifier{"tenant": sid("t1"), "user": email("jo")}), sessions.Revoked, sessions.Revoked},
	} {
		x.Run(tt.name, func(t *testing.T) {
			y := newRevocations(t, x.open, 0)
			says := func(name string, c sessions.Claims, want sessions.Verdict) {
				t.Helper()
				if got := y.gate.Claims(c); got != want {
					t.Errorf("%s: got %v, want %v", name, got, want)
				}
				if got := y.gate.Bearer(c.Bearer()); got != want {
					t.Errorf("%s, as a bearer: got %v, want %v", name, got, want)
				}
			}
			says("before", claims, sessions.Good)
			y.revoke(tt.scope, x.Now())
			says("its token", claims, sessions.Revoked)
			says("a later token", later, sessions.Good)
			says("without a time", timeless, sessions.Revoked)
			says("another's", other, sessions.Good)
			says("of no known session", alone, tt.alone)
			says("of another session", second, tt.second)
		})
	}
}

func deniedUntilAllowed(x *revocations) {
	x.deny(userScope(x, "jo"), x.Now())
	x.says(x.jo(0), sessions.Denied)
	x.says(x.jo(time.Hour), sessions.Denied)
	x.says(of("b", "mo", "", x.Now()), sessions.Good)
	x.revoke(userScope(x, "jo"), x.Now().Add(time.Second))
	x.says(x.jo(time.Hour), sessions.Denied)
	x.allow(userScope(x, "jo"), x.Now().Add(time.Minute))
	x.says(x.jo(time.Hour), sessions.Good)
	x.says(x.jo(2*time.Second), sessions.Good)
	x.says(x.jo(time.Second), sessions.Revoked)
}

func olderAllow(x *revocations) {
	x.deny(userScope(x, "jo"), x.Now())
	x.allow(userScope(x, "jo"), x.Now().Add(-time.Second))
	x.says(x.jo(time.Hour), sessions.Denied)
}

func olderDeny(x *revocations) {
	x.allow(userScope(x, "jo"), x.Now())
	x.deny(userScope(x, "jo"), x.Now().Add(-time.Minute))
	x.says(x.jo(time.Hour), sessions.Good)
	x.says(x.jo(-time.Hour), sessions.Revoked) // as after a Revoke of its time
}

func sameTime(x *revocations) {
	x.deny(userScope(x, "jo"), x.Now())
	x.allow(userScope(x, "jo"), x.Now())
	x.says(x.jo(time.Second), sessions.Good)
	x.deny(userScope(x, "jo"), x.Now())
	x.says(x.jo(time.Second), sessions.Denied)
}

func deniedByAlias(x *revocations) {
	both := receiver.ScopeOf(subject.Aliases(email("jo"), subject.IssSub("https://idp.example", "1")))
	byIss := sessions.Session{ID: "b", Begun: x.Now().Add(time.Hour), Members: members{"user": ids(subject.IssSub("https://idp.example", "1"))}}
	x.deny(both, x.Now())
	x.says(x.jo(time.Hour), sessions.Denied)
	x.says(byIss, sessions.Denied)
	x.allow(receiver.ScopeOf(email("jo")), x.Now())
	x.says(x.jo(time.Hour), sessions.Good)
	x.says(byIss, sessions.Denied)
	x.allow(both, x.Now())
	x.says(byIss, sessions.Good)
}

// Issuers of denials.
const (
	thisIssuer  = "https://idp.example"
	otherIssuer = "https://other.example"
)

func (x *revocations) denyBy(by string, scope receiver.Scope, at time.Time) {
	x.Helper()
	x.check(x.Deny(x.Context(), scope, by, at))
}

func (x *revocations) allowBy(by string, scope receiver.Scope, at time.Time) {
	x.Helper()
	x.check(x.Allow(x.Context(), scope, by, at))
}

func deniedByOthers(x *revocations) {
	for name, scope := range map[string]receiver.Scope{
		"jo": userScope(x, "jo"), "mo": userSession(x, "mo", "s1"),
		"bo": complexScope(x, map[string]subject.Identifier{"user": email("bo"), "tenant": sid("t1")}),
	} {
		s := of("a", name, "s1", x.Now().Add(time.Hour))
		s.Members["tenant"] = ids(sid("t1"))
		old := s
		old.Begun = x.Now()
		x.says(old, sessions.Good)
		x.denyBy(thisIssuer, scope, x.Now())
		x.says(old, sessions.Denied)
		x.says(s, sessions.Denied)
		x.says(of("b", "else", "s2", x.Now()), sessions.Good)
		x.allowBy(otherIssuer, scope, x.Now().Add(time.Minute))
		x.says(s, sessions.Denied)
		x.allow(scope, x.Now().Add(time.Minute)) // of nobody in particular
		x.says(s, sessions.Denied)
		x.denyBy(otherIssuer, scope, x.Now().Add(2*time.Minute))
		x.allowBy(thisIssuer, scope, x.Now().Add(3*time.Minute))
		x.says(s, sessions.Denied)
		x.allowBy(otherIssuer, scope, x.Now().Add(3*time.Minute))
		x.says(s, sessions.Good)
		x.says(old, sessions.Revoked) // what ended stays ended
	}
}

func olderOfOthers(x *revocations) {
	x.denyBy(thisIssuer, userScope(x, "jo"), x.Now())
	x.denyBy(otherIssuer, userScope(x, "jo"), x.Now().Add(-time.Minute))
	x.allowBy(otherIssuer, userScope(x, "jo"), x.Now().Add(-time.Second))
	x.allowBy(thisIssuer, userScope(x, "jo"), x.Now().Add(-time.Second))
	x.says(x.jo(time.Hour), sessions.Denied)
	x.allowBy(thisIssuer, userScope(x, "jo"), x.Now())
	x.denyBy(thisIssuer, userScope(x, "jo"), x.Now().Add(-time.Second)) // late
	x.says(x.jo(time.Hour), sessions.Good)
}

func deniedByNobody(x *revocations) {
	x.deny(userScope(x, "jo"), x.Now())
	x.says(x.jo(time.Hour), sessions.Denied)
	x.allowBy(otherIssuer, userScope(x, "jo"), x.Now().Add(-time.Second))
	x.says(x.jo(time.Hour), sessions.Denied)
	x.allowBy(otherIssuer, userScope(x, "jo"), x.Now())
	x.says(x.jo(time.Hour), sessions.Good)
}

func deniedAlone(x *revocations) {
	x.deny(userSession(x, "jo", "s1"), x.Now())
	x.says(of("a", "jo", "s1", x.Now().Add(time.Hour)), sessions.Denied)
	x.says(of("b", "jo", "s2", x.Now()), sessions.Good)
	x.says(of("c", "jo", "", x.Now()), sessions.Revoked)
	x.says(of("c", "jo", "", x.Now().Add(time.Hour)), sessions.Good)
}

func allowedStaysEnded(x *revocations) {
	x.revoke(userScope(x, "jo"), x.Now())
	x.allow(userScope(x, "jo"), x.Now().Add(time.Second))
	x.says(x.jo(0), sessions.Revoked)
}

func badCalls(x *revocations) {
	aliases := make([]subject.Identifier, subject.MaxAliases)
	for i := range aliases {
		aliases[i] = sid(fmt.Sprint("i", i))
	}
	wide := subject.Aliases(aliases...)
	for name, bad := range map[string]struct {
		scope receiver.Scope
		at    time.Time
		want  error
	}{
		"nothing":   {nil, x.Now(), sessions.ErrScope},
		"no time":   {userScope(x, "jo"), time.Time{}, sessions.ErrInvalid},
		"too wide":  {complexScope(x, map[string]subject.Identifier{"user": wide, "device": wide, "tenant": wide}), x.Now(), sessions.ErrScope},
		"empty one": {receiver.Scope{{Name: "user"}}, x.Now(), sessions.ErrScope},
	} {
		for call, err := range map[string]error{
			"revoke": x.Revoke(x.Context(), bad.scope, bad.at),
			"deny":   x.Deny(x.Context(), bad.scope, "", bad.at),
			"allow":  x.Allow(x.Context(), bad.scope, "", bad.at),
		} {
			if !errors.Is(err, bad.want) {
				x.Errorf("%s %s: got %v, want %v", call, name, err, bad.want)
			}
		}
	}
	if n := x.State().Len(); n != 0 {
		x.Errorf("got %d marks, want none", n)
	}
}

func farAhead(x *revocations) {
	x.deny(userScope(x, "jo"), x.Now().Add(1000*time.Hour))
	x.says(x.jo(sessions.MaxAhead), sessions.Denied)
	x.advance(time.Hour)
	x.allow(userScope(x, "jo"), x.Now())
	x.says(x.jo(0), sessions.Good)
}

func fullOfMarks(outer *revocations) {
	x := newRevocations(outer.T, outer.open, 3)
	for i := range 3 {
		x.revoke(userScope(x, fmt.Sprint("u", i)), x.Now())
	}
	x.advance(Retention / 2)
	for range 2 {
		if err := x.Revoke(x.Context(), userScope(x, "jo"), x.Now()); !errors.Is(err, sessions.ErrFull) {
			x.Fatalf("got %v, want ErrFull", err)
		}
	}
	x.says(x.jo(0), sessions.Good)
	x.revoke(userScope(x, "u1"), x.Now()) // there is a mark for it
	x.says(of("a", "u1", "", x.Now()), sessions.Revoked)
	x.advance(Retention/2 + time.Minute) // and u0 and u2 are forgotten
	x.revoke(userScope(x, "jo"), x.Now())
	x.says(x.jo(0), sessions.Revoked)
	x.says(of("a", "u1", "", x.Now().Add(-Retention/2-time.Minute)), sessions.Revoked)
}

func forgotten(x *revocations) {
	x.revoke(userScope(x, "jo"), x.Now())
	x.deny(userScope(x, "mo"), x.Now())
	x.deny(userSession(x, "mo", "s1"), x.Now())
	x.allow(userScope(x, "no"), x.Now())
	n := x.State().Len()
	x.advance(2 * Retention)
	const later = 400 // what is written then sweeps, each its part
	for i := range later {
		x.revoke(userScope(x, fmt.Sprint("u", i)), x.Now())
	}
	if got, want := x.State().Len()-later, 2; got != want {
		x.Errorf("got %d of %d marks left, want %d", got, n, want)
	}
	x.says(of("b", "mo", "s1", x.Now()), sessions.Denied)
}

func changedAtOnce(x *revocations) {
	done := make(chan error)
	const callers, each = 4, 25
	for c := range callers {
		go func() {
			var err error
			for i := range each {
				err = errors.Join(err, x.Revoke(x.Context(), userScope(x, fmt.Sprint("u", c)), x.Now().Add(-time.Duration(i)*time.Second)),
					x.Deny(x.Context(), userScope(x, "all"), "", x.Now().Add(-time.Duration(i)*time.Second)))
				if x.gate.Session(of("a", fmt.Sprint("u", c), "", x.Now())) != sessions.Revoked {
					err = errors.Join(err, errors.New("got a revocation that is not seen after it returned, want it seen"))
				}
			}
			done <- err
		}()
	}
	for range callers {
		x.check(<-done)
	}
	x.says(of("a", "all", "", x.Now()), sessions.Denied)
}
