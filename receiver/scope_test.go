package receiver_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func complexSubject(t *testing.T, members map[string]subject.Identifier) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(members)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Which sessions an event's subject names: session alone, user, device, tenant, and
// the session id that means all.
func TestScope(t *testing.T) {
	jo, max := subject.Email("jo@example.com"), subject.Email("max@example.com")
	sid, other := subject.Opaque("s1"), subject.Opaque("s2")
	phone, acme := subject.Opaque("phone"), subject.Opaque("acme")
	type known = map[string][]subject.Identifier
	full := known{"user": {jo, subject.IssSub("https://idp", "1")}, "session": {sid}, "device": {phone}, "tenant": {acme}}
	for _, tt := range []struct {
		name    string
		subject subject.Identifier
		session known
		kind    string
		fits    bool
	}{
		{"simple subject: the user", jo, full, "user", true},
		{"simple subject: the session", sid, full, "user", true},
		{"simple subject: somebody else", max, full, "user", false},
		{"aliases: one is enough", subject.Aliases(max, jo), full, "user", true},
		{"user", complexSubject(t, membersOf("user", jo)), full, "user", true},
		{"user and session", complexSubject(t, membersOf("user", jo, "session", sid)), full, "session", true},
		{"user and another session", complexSubject(t, membersOf("user", jo, "session", other)), full, "session", false},
		{"another user and the session", complexSubject(t, membersOf("user", max, "session", sid)), full, "session", false},
		{"session alone", complexSubject(t, membersOf("session", sid)), full, "session", true},
		{"user and session, not known to the session", complexSubject(t, membersOf("user", jo, "session", sid)), known{"user": {jo}}, "session", true},
		{"tenant and session, not known to the session", complexSubject(t, membersOf("tenant", acme, "session", sid)), known{"user": {jo}, "tenant": {acme}}, "session", false},
		{"device", complexSubject(t, membersOf("device", phone)), full, "device", true},
		{"user and device, not known to the session", complexSubject(t, membersOf("user", jo, "device", phone)), known{"user": {jo}}, "device", false},
		{"tenant", complexSubject(t, membersOf("tenant", acme)), full, "tenant", true},
		{"user of another tenant", complexSubject(t, membersOf("user", jo, "tenant", max)), full, "user", false},
		{"ALL beside a user", complexSubject(t, membersOf("user", jo, "session", subject.Opaque("ALL"))), full, "user", true},
		{"ALL by itself", complexSubject(t, membersOf("session", subject.Opaque("ALL"))), full, "", false},
		{"ALL beside a tenant", complexSubject(t, membersOf("session", subject.Opaque("ALL"), "tenant", acme)), full, "", false},
		{"a member of its own", complexSubject(t, membersOf("floor", acme)), full, "floor", false},
		{"no subject", subject.Identifier{}, full, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scope := receiver.ScopeOf(tt.subject)
			if got := scope.Kind(); got != tt.kind {
				t.Errorf("kind: got %q, want %q", got, tt.kind)
			}
			fits := scope.Fits(func(name string) []subject.Identifier { return tt.session[name] })
			if fits != tt.fits {
				t.Errorf("fits: got %v, want %v", fits, tt.fits)
			}
		})
	}
}

// membersOf returns members from names and identifiers in turn.
func membersOf(pairs ...any) map[string]subject.Identifier {
	m := make(map[string]subject.Identifier)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1].(subject.Identifier)
	}
	return m
}
