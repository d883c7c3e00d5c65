package check_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func TestNewRegister(t *testing.T) {
	_, err := check.NewRegister(check.RegisterConfig{Listen: ":9000"})
	for _, want := range []string{"Listen", "Index"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
}

// tell sends a body to a Register.
func tell(h http.Handler, method, kind, body string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest(method, "/sessions", strings.NewReader(body)), httptest.NewRecorder()
	r.RemoteAddr = "127.0.0.1:40000"
	r.Header.Set("Content-Type", kind)
	h.ServeHTTP(w, r)
	return w
}

// An application tells of a login, the session is found and looked up, and forgotten
// with the logout.
func TestRegister(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	register, err := check.NewRegister(check.RegisterConfig{Index: k.index, Listen: loopback})
	if err != nil {
		t.Fatal(err)
	}
	h := k.handler(nil)
	later := strconv.FormatInt(k.now.Unix()+1, 10)
	body := `{"id": "x1", "begun": ` + later + `, "expires": ` + strconv.FormatInt(k.now.Unix()+3600, 10) + `,
		"members": {"user": [{"format": "email", "email": "mo@example.com"}], "session": [{"format": "opaque", "id": "s1"}]}}`
	k.says("login", tell(register, http.MethodPost, "application/json; charset=utf-8", body), 204)
	k.says("good", ask(h, "Cookie", "sid=x1"), 200) // begun after what was revoked
	k.says("login before", tell(register, http.MethodPost, "application/json", strings.Replace(body, later, strconv.FormatInt(k.now.Unix()-1, 10), 1)), 204)
	k.says("revoked", ask(h, "Cookie", "sid=x1"), 401)
	found, err := k.index.Find(t.Context(), receiver.ScopeOf(subject.Opaque("s1")), k.now, "", 10)
	if err != nil || len(found) != 1 || found[0].ID != "x1" || found[0].Expires.Unix() != k.now.Unix()+3600 {
		t.Errorf("got %v %v, want the session", found, err)
	}
	k.says("logout", tell(register, http.MethodDelete, "application/json", `{"ids": ["x1", "never there"]}`), 204)
	if _, err := k.index.Lookup(t.Context(), "x1"); !errors.Is(err, sessions.ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	k.says("begun now", tell(register, http.MethodPost, "application/json", `{"id":"x2","members":{"user":[{"format":"opaque","id":"u"}]}}`), 204)
	if b, err := k.index.Lookup(t.Context(), "x2"); err != nil || time.Since(b.Begun()) > time.Minute {
		t.Errorf("got %v %v, want it begun now", b.Begun(), err)
	}
}

type fullIndex struct{ sessions.Index }

func (fullIndex) Add(context.Context, sessions.Session) error { return sessions.ErrFull }

func TestRegisterRefuses(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	register, err := check.NewRegister(check.RegisterConfig{Index: fullIndex{k.index}, Listen: loopback, Token: "0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	good := `{"id":"x","members":{"user":[{"format":"email","email":"a-secret@example.com"}]}}`
	k.says("no token", tell(register, http.MethodPost, "application/json", good), 403)
	withToken := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set(check.TokenHeader, "0123456789abcdef")
		register.ServeHTTP(w, r)
	})
	many := `{"ids":["` + strings.Repeat(`a","`, sessions.MaxPage) + `a"]}`
	for _, tt := range []struct {
		name, method, kind, body string
		want                     int
	}{
		{"full", "POST", "application/json", good, 503},
		{"method", "GET", "application/json", good, 405},
		{"form", "POST", "text/plain", good, 415},
		{"no JSON", "POST", "application/json", good[1:], 400},
		{"another member", "POST", "application/json", strings.Replace(good, "id", "ID", 1), 400},
		{"twice", "POST", "application/json", strings.Replace(good, `{"id"`, `{"id":"y","id"`, 1), 400},
		{"no identifier", "POST", "application/json", `{"id":"x","members":{"user":[{"format":"email"}]}}`, 400},
		{"time", "POST", "application/json", strings.Replace(good, `{"id"`, `{"begun":-1,"id"`, 1), 400},
		{"long", "POST", "application/json", good + strings.Repeat(" ", check.MaxBodyBytes), 400},
		{"many", "DELETE", "application/json", many, 400},
		{"ids", "DELETE", "application/json", `{"id":"x"}`, 400},
	} {
		w := tell(withToken, tt.method, tt.kind, tt.body)
		k.says(tt.name, w, tt.want)
		if strings.Contains(w.Body.String(), "a-secret") {
			t.Errorf("%s: got an answer with an identifier, want none", tt.name)
		}
	}
	plain, err := check.NewRegister(check.RegisterConfig{Index: k.index, Listen: loopback})
	if err != nil {
		t.Fatal(err)
	}
	k.says("nobody's", tell(plain, "POST", "application/json", `{"id":"x","members":{}}`), 400)
}
