package console

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	standing "github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Bounds of sessions.
const (
	maxSessions  = 1000
	sessionIdle  = 30 * time.Minute
	sessionLife  = 12 * time.Hour
	maxNotices   = 5
	secretLength = 32 // bytes
)

// session is somebody who is signed in, until they sign out, are idle for sessionIdle,
// sessionLife is over or what they signed in with ends.
type session struct {
	name string         // on the pages
	by   eventlog.Actor // in the audit
	role Role
	how  string // token, code, oidc
	// token is the admin token that was shown, which is checked again with each page;
	// "" for other ways.
	token string
	// bearer is what who signed in with the provider is known by to those who tell of
	// the session's end; nil for other ways.
	bearer *standing.Bearer

	started time.Time
	ended   chan struct{} // closed at the end: for what goes on in the session

	searches searches

	mu      sync.Mutex
	seen    time.Time
	revoked bool     // it is kept only so that its browser is told why it is over
	notices []notice // to be shown on the next page
}

// notice says what came of an act.
type notice struct {
	Good bool
	Text string
	// Secret is shown once, with Text: what was just made.
	Secret []labelled
}

// labelled is a value with what it is.
type labelled struct{ Label, Value string }

// note keeps a notice for the next page.
func (s *session) note(n notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.notices) == maxNotices {
		s.notices = s.notices[1:]
	}
	s.notices = append(s.notices, n)
}

// noted returns the notices and forgets them.
func (s *session) noted() []notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.notices
	s.notices = nil
	return all
}

// key is by what a session is kept: its id is a secret, and of it the hash alone is here.
type key = [sha256.Size]byte

// sessions are those of this process; they end with it.
type sessions struct {
	now func() time.Time

	mu  sync.Mutex
	all map[key]*session
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, all: make(map[key]*session)}
}

// begin keeps s and returns its id. Where there are too many, who was not seen for the
// longest is signed out.
func (l *sessions) begin(s *session) (id string) {
	id = newSecret()
	s.started = l.now()
	s.seen, s.ended = s.started, make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, other := range l.all {
		if l.over(other) {
			l.drop(k)
		}
	}
	if len(l.all) >= maxSessions {
		l.drop(l.oldest())
	}
	l.all[sha256.Sum256([]byte(id))] = s
	return id
}

// of returns the session with an id, which is seen by that; nil if there is none.
func (l *sessions) of(id string) *session {
	k := sha256.Sum256([]byte(id))
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.all[k]
	if s == nil {
		return nil
	}
	if l.over(s) {
		l.drop(k)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revoked {
		return nil
	}
	s.seen = l.now()
	return s
}

// revoke ends all sessions of which it is so, and returns how many. Their ids are known
// for as long as they would have been, to be told why they are good no more.
func (l *sessions) revoke(is func(*session) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.all {
		s.mu.Lock()
		if !s.revoked && is(s) {
			s.revoked = true
			close(s.ended)
			n++
		}
		s.mu.Unlock()
	}
	return n
}

// wasRevoked reports whether the session with an id was revoked.
func (l *sessions) wasRevoked(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.all[sha256.Sum256([]byte(id))]
	return s != nil && s.revoked
}

// count returns how many there are, those included that have ended by themselves since
// the last one began.
func (l *sessions) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.all {
		if !s.revoked {
			n++
		}
	}
	return n
}

func (l *sessions) end(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(sha256.Sum256([]byte(id)))
}

// over, oldest and drop are called with mu held.
func (l *sessions) over(s *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := l.now()
	return now.Sub(s.seen) > sessionIdle || now.Sub(s.started) > sessionLife
}

func (l *sessions) oldest() (k key) {
	var at time.Time
	for other, s := range l.all {
		s.mu.Lock()
		if at.IsZero() || s.seen.Before(at) {
			k, at = other, s.seen
		}
		s.mu.Unlock()
	}
	return k
}

func (l *sessions) drop(k key) {
	if s := l.all[k]; s != nil {
		delete(l.all, k)
		if !s.revoked {
			close(s.ended)
		}
	}
}

func newSecret() string {
	b := make([]byte, secretLength)
	_, _ = rand.Read(b) // it does not fail
	return base64.RawURLEncoding.EncodeToString(b)
}

// cookieName is that of the session's cookie. By https a browser takes one of that name
// from this host alone, for all of it, and never sends it in clear. It has the port that
// the browser came to: cookies of a host go to all of its ports, where another console may
// be, and each would end the session of the other.
func (c *Console) cookieName(r *http.Request) string {
	name := "tocsin-console"
	if c.secure(r) {
		name = "__Host-tocsin-console"
	}
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			name += "-" + strconv.FormatUint(n, 10)
		}
	}
	return name
}

func (c *Console) setCookie(w http.ResponseWriter, r *http.Request, id string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: c.cookieName(r), Value: id, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: c.secure(r), SameSite: http.SameSiteStrictMode,
	})
}

// sessionOf returns the session of a request; nil if nobody is signed in, or what they
// signed in with is no longer good.
func (c *Console) sessionOf(r *http.Request) *session {
	cookies := r.CookiesNamed(c.cookieName(r))
	if len(cookies) != 1 {
		return nil
	}
	s := c.sessions.of(cookies[0].Value)
	if s == nil {
		return nil
	}
	if over(c.verdict(s)) {
		c.noteEnded(r.Context(), c.sessions.revoke(func(other *session) bool { return other == s }))
		return nil
	}
	if s.token == "" {
		return s
	}
	if name, err := c.check(r, s.token); err != nil || name != s.name {
		c.sessions.end(cookies[0].Value)
		return nil
	}
	return s
}

// codes are good once, for a short time: who can reach the admin socket asks for one and
// signs in with it (tocsin console).
type codes struct {
	now func() time.Time

	mu  sync.Mutex
	all []code
}

// code is one that was not used yet.
type code struct {
	hash key
	by   eventlog.Actor
	till time.Time
}

// Bounds of codes.
const (
	maxCodes = 16
	// CodeLife is how long a link of tocsin console is good.
	CodeLife = 2 * time.Minute
)

func newCodes(now func() time.Time) *codes { return &codes{now: now} }

// give returns a new code for somebody.
func (l *codes) give(by eventlog.Actor) string {
	text := newSecret()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	if len(l.all) == maxCodes {
		l.all = l.all[1:]
	}
	l.all = append(l.all, code{sha256.Sum256([]byte(text)), by, l.now().Add(CodeLife)})
	return text
}

// take returns whose a code is, once.
func (l *codes) take(text string) (by eventlog.Actor, ok bool) {
	hash := sha256.Sum256([]byte(text))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	for i, c := range l.all {
		if c.hash == hash { // a hash tells nothing by the time its comparison takes
			l.all = slices.Delete(l.all, i, i+1)
			return c.by, true
		}
	}
	return eventlog.Actor{}, false
}

// forget is called with mu held.
func (l *codes) forget() {
	now := l.now()
	l.all = slices.DeleteFunc(l.all, func(c code) bool { return now.After(c.till) })
}
