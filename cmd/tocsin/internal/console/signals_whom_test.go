package console_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// complexOf is a subject of members.
func complexOf(t *testing.T, members map[string]subject.Identifier) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(members)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Whom a signal means, by each form of subject: what of it a session knows nothing of, such
// as the device or the tenant, does not keep the session (CAEP 1.0 §3.1.2 has such subjects).
func TestSignalsOfWhom(t *testing.T) {
	t.Parallel()
	l := listen(t, httptest.NewTLSServer)
	op, now := l.provider.URL, time.Now()
	kept := l.enters("kept", "kept@example.com", "sid-kept", now)
	type members = map[string]subject.Identifier
	device, tenant := subject.Opaque("d1"), subject.Opaque("t1")
	for _, tt := range []struct {
		name string
		of   func(sub, email, sid string) subject.Identifier
		ends bool
	}{
		{"user and session and tenant", func(sub, _, sid string) subject.Identifier {
			return complexOf(t, members{"user": subject.IssSub(op, sub), "session": subject.Opaque(sid), "tenant": tenant})
		}, true},
		{"user and device", func(sub, _, _ string) subject.Identifier {
			return complexOf(t, members{"user": subject.IssSub(op, sub), "device": device})
		}, true},
		{"user and device and tenant", func(_, email, _ string) subject.Identifier {
			return complexOf(t, members{"user": subject.Email(email), "device": device, "tenant": tenant})
		}, true},
		{"session and device", func(_, _, sid string) subject.Identifier {
			return complexOf(t, members{"session": subject.Opaque(sid), "device": device})
		}, true},
		{"one of aliases", func(sub, _, _ string) subject.Identifier {
			return subject.Aliases(subject.Email("former@example.com"), subject.IssSub(op, sub))
		}, true},
		{"another session of theirs", func(sub, _, _ string) subject.Identifier {
			return complexOf(t, members{"user": subject.IssSub(op, sub), "session": subject.Opaque("other"), "device": device})
		}, false},
		{"another issuer's", func(sub, _, _ string) subject.Identifier {
			return subject.IssSub("https://other.example", sub)
		}, false},
		{"a device alone", func(string, string, string) subject.Identifier {
			return complexOf(t, members{"device": device})
		}, false},
	} {
		sub := "u" + tt.name
		email, sid := "u"+string(rune('a'+len(tt.name)))+"@example.com", "sid-"+tt.name
		v := l.enters(sub, email, sid, now)
		l.says("session.revoked", tt.of(sub, email, sid), now, nil)
		if tt.ends {
			v.out(tt.name)
			continue
		}
		other := "end-" + sid
		end := l.enters(other, other+"@example.com", other, now)
		l.says("session.revoked", subject.IssSub(op, other), now, nil)
		end.out(tt.name)
		v.in(tt.name)
	}
	kept.in("somebody else")
}
