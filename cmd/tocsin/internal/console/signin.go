package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

	standing "github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// maxToken bounds an admin token, in bytes.
const maxToken = 8 << 10

// mountSignIn adds what is served to those who are not signed in.
func (c *Console) mountSignIn() {
	c.mux.HandleFunc("GET /console/sign-in", func(w http.ResponseWriter, r *http.Request) {
		if s := c.sessionOf(r); s != nil && c.verdict(s) != standing.Unknown {
			http.Redirect(w, r, back(r.FormValue("to")), http.StatusSeeOther)
			return
		}
		c.showSignIn(w, r, http.StatusOK, "")
	})
	c.mux.Handle("POST /console/sign-in", c.paced(c.signIn))
	c.act("/console/sign-out", c.signOut)
}

// failedSignIns is how many a second of one address may fail, ten at once.
const failedSignIns = 1

// paced answers 429 to an address that failed too often to sign in.
func (c *Console) paced(h http.HandlerFunc) http.Handler {
	failing := edge.Failing(h, c.failing, nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from := edge.Network(edge.Address(r)); from.IsValid() {
			if wait, spent := c.failing.Spent(from); spent {
				w.Header().Set("Retry-After", edge.RetryAfter(wait))
				c.refuse(w, r, &failure{status: http.StatusTooManyRequests, title: "Too many tries", text: "Too many sign-ins from your address failed. Try again in " + edge.RetryAfter(wait) + " s."})
				return
			}
		}
		failing.ServeHTTP(w, r)
	})
}

// signInPage is what its template shows.
type signInPage struct {
	Frame
	Code, To, Wrong string
	Provider        string // where to sign in with it; "": there is none
	Revoked         bool   // the session that there was here was ended by a signal
}

func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	page := signInPage{Frame: c.frame("Sign in"), Code: r.FormValue("code"), To: r.FormValue("to"), Wrong: wrong}
	if c.oidc != nil {
		page.Provider = startLink(page.To)
	}
	if cookies := r.CookiesNamed(c.cookieName(r)); len(cookies) == 1 {
		page.Revoked = c.sessions.wasRevoked(cookies[0].Value)
	}
	c.render(w, r, status, "sign-in", page)
}

// back returns a path of the console to go on with; what is none becomes the first page.
func back(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(path.Clean(u.Path)+"/", Prefix) || strings.Contains(to, `\`) {
		return Prefix
	}
	return u.RequestURI()
}

// toSignIn sends a browser to sign in, and back afterwards.
func (c *Console) toSignIn(w http.ResponseWriter, r *http.Request) {
	to := "/console/sign-in"
	if r.Method == http.MethodGet && r.URL.Path != Prefix {
		to += "?to=" + url.QueryEscape(r.URL.Path) // a query may name a subject
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// signIn takes an admin token, or a code of tocsin console.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		c.refuse(w, r, &failure{status: http.StatusBadRequest, title: "Not understood", text: "The form could not be read."})
		return
	}
	s := &session{role: Admin}
	if given := r.PostFormValue("code"); given != "" {
		by, ok := c.codes.take(given)
		if !ok {
			c.showSignIn(w, r, http.StatusForbidden, "This link was used already, or is too old. Ask for a new one with tocsin console.")
			return
		}
		s.name, s.by, s.how = by.String(), by, "code"
	} else {
		token := strings.TrimSpace(r.PostFormValue("token"))
		name, err := c.check(r, token)
		if err != nil {
			c.cfg.Logger.WarnContext(r.Context(), "a sign-in to the console was refused", "from", edge.Address(r).String())
			c.showSignIn(w, r, http.StatusForbidden, "This is no good admin token: it may be mistyped, expired, or of another scope than admin.")
			return
		}
		s.name, s.by, s.how, s.token = name, eventlog.Actor{Client: name}, "token", token
	}
	if err := c.admit(w, r, s); err != nil {
		c.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, back(r.PostFormValue("to")), http.StatusSeeOther)
}

// admit signs somebody in. Error: the audit did not take it; nobody is signed in.
func (c *Console) admit(w http.ResponseWriter, r *http.Request, s *session) error {
	if err := c.cfg.Signed(r.Context(), r, "console.sign_in", s.by, s.how); err != nil {
		return err
	}
	if old := r.CookiesNamed(c.cookieName(r)); len(old) == 1 {
		c.sessions.end(old[0].Value)
	}
	c.setCookie(w, r, c.sessions.begin(s), 0)
	return nil
}

func (c *Console) signOut(v *view) error {
	cookies := v.r.CookiesNamed(c.cookieName(v.r))
	c.sessions.end(cookies[0].Value)
	c.setCookie(v.w, v.r, "", -1)
	if err := c.cfg.Signed(v.r.Context(), v.r, "console.sign_out", v.session.by, v.session.how); err != nil {
		c.cfg.Logger.ErrorContext(v.r.Context(), "a sign-out could not be noted", "err", err)
	}
	http.Redirect(v.w, v.r, "/console/sign-in", http.StatusSeeOther)
	return nil
}

// check returns whose an admin token is.
func (c *Console) check(r *http.Request, token string) (string, error) {
	if token == "" || len(token) > maxToken {
		return "", errors.New("console: no token, or one that is too long")
	}
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://admin"+Prefix, http.NoBody)
	if err != nil {
		return "", err
	}
	ask.Header.Set("Authorization", "Bearer "+token)
	return c.cfg.Check(ask)
}

// SocketHandler serves, in front of next, what only those who can reach the admin socket
// may ask for: POST /admin/console/codes answers 201 {"url"}, a page that signs in whoever
// asks for it within two minutes, once; 409 if there is no listener for browsers.
func (c *Console) SocketHandler(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /admin/console/codes", func(w http.ResponseWriter, r *http.Request) {
		base := c.cfg.URL()
		if base == "" {
			say(w, http.StatusConflict, map[string]string{"err": "not_offered", "description": "there is no admin listener for browsers: it is off (admin-listen)"})
			return
		}
		by := eventlog.Actor{Client: "socket"} // of a system that does not tell whose it is
		if p, ok := edge.PeerOf(r.Context()); ok {
			by = eventlog.Actor{UID: &p.UID}
		}
		say(w, http.StatusCreated, map[string]string{"url": base + "/console/sign-in?code=" + c.codes.give(by)})
	})
	mux.Handle("/", next)
	return mux
}

func say(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the peer may be gone
}
