package denylist_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/hooks/denylist"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// Claims are those that another reader of JSON sees, with a time within the calendar, or
// none; an error repeats nothing of them.
func FuzzParseClaims(f *testing.F) {
	for _, seed := range []string{
		`{"iss":"i","sub":"s","sid":"x","jti":"j","email":"a@b.example","email_verified":false,"iat":1e9,"auth_time":2e9}`, `{"iat":1e300}`, `{"iat":-1,"auth_time":0.5}`, `{"email_verified":"true"}`, `null`, `{"sub":7}`, `{"sub":"secret-subject`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := denylist.ParseClaims(payload)
		if err != nil {
			if c != (sessions.Claims{}) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("got %+v and %v", c, err)
			}
			return
		}
		var seen struct{ Iss, Sub, Sid, Jti, Email string }
		if err := json.Unmarshal(payload, &seen); err != nil || seen.Iss != c.Issuer || seen.Sub != c.Subject || seen.Sid != c.SessionID || seen.Jti != c.ID || c.Email != "" && c.Email != seen.Email {
			t.Fatalf("%q: got %+v, want %+v (%v)", payload, c, seen, err)
		}
		if !c.IssuedAt.IsZero() && (c.IssuedAt.Year() < 1970 || c.IssuedAt.UTC().Year() > 9999) {
			t.Fatalf("%q: got %v", payload, c.IssuedAt)
		}
	})
}
