package console_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	rp "github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// listening is a console whose provider has a transmitter: another Tocsin.
type listening struct {
	*house
	provider *provider
	idp      *house // the provider's transmitter
	daemon   *receive.Daemon
}

// listen opens both. What is heard is what serve hears of --console-signals.
func listen(t *testing.T, begin func(http.Handler) *httptest.Server) *listening {
	t.Helper()
	l := &listening{provider: provide(t, begin), idp: open(t, func(cfg *node.Config) { cfg.Transmitter.LongPoll = time.Second })}
	l.hears(t, receive.Config{Data: t.TempDir(), InsecureLoopback: true}, l.idp.token("console", "ssf.manage ssf.read"))
	return l
}

// hears opens a console, and what hears the transmitter for it.
func (l *listening) hears(t *testing.T, cfg receive.Config, token string, change ...func(*receive.Issuer)) {
	t.Helper()
	is := receive.Issuer{Issuer: l.idp.issuer, Audience: []string{"https://console.example"}, Credentials: receive.Credentials{Token: token}}
	for _, c := range change {
		c(&is)
	}
	cfg, err := receive.ForConsole(cfg, is, receive.Flags)
	if err != nil {
		t.Fatal(err)
	}
	if l.daemon, err = receive.Open(t.Context(), cfg, receive.Options{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	gate, err := l.daemon.ConsoleGate()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.daemon.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, l.daemon.Close()); err != nil {
			t.Errorf("the receiver's end: got %v", err)
		}
	})
	configured := l.provider.configured()
	configured.Signals = &console.Signals{
		Gate: gate, Issuers: []string{l.idp.issuer},
		Deaf: func(ctx context.Context) (string, bool) { return l.daemon.Deaf(ctx, l.idp.issuer) },
	}
	l.house = openWith(t, configured)
	l.until("the provider's stream is heard", func() bool { return l.daemon.Health(t.Context()).Standing == keeper.OK })
}

// person is who signs in next, with the provider's session sid.
func (l *listening) person(sub, email, sid string, at time.Time) {
	l.provider.Claim(func(all map[string]any) {
		all["sub"], all["email"], all["iat"] = sub, email, at.Unix()
		if sid != "" {
			all["sid"] = sid
		}
	})
}

// enters signs a new browser in as the person.
func (l *listening) enters(sub, email, sid string, at time.Time) *visitor {
	l.t.Helper()
	l.person(sub, email, sid, at)
	v := l.visitor()
	v.signIn(l.provider).wants(l.t, 200, "Signed in")
	v.get("/console/keys").wants(l.t, 200, "operator")
	return v
}

// says has the provider's transmitter tell of an event.
func (l *listening) says(kind string, about subject.Identifier, at time.Time, data map[string]any) {
	l.t.Helper()
	ask := map[string]any{"type": kind, "subject": about, "time": at.UTC().Format(time.RFC3339)}
	if data != nil {
		ask["data"] = data
	}
	l.idp.operate(http.MethodPost, "/admin/events", ask, nil)
}

// out waits until a visitor is signed out, and checks that they are told.
func (v *visitor) out(what string) {
	v.t.Helper()
	v.house.until(what, func() bool { return v.get("/console/keys").path == "/console/sign-in" })
	v.get("/console/keys").wants(v.t, 200, "Your organisation ended your session here")
}

func (v *visitor) in(what string) {
	v.t.Helper()
	if p := v.get("/console/keys"); p.path != "/console/keys" || p.status != 200 {
		v.t.Errorf("%s: got %d at %s, want them signed in", what, p.status, p.path)
	}
}

// user and session are the members of a subject about one session.
func oneSession(t *testing.T, user subject.Identifier, sid string) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(map[string]subject.Identifier{"user": user, "session": subject.Opaque(sid)})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A session of the console ends by its provider's signals: the one that is named, or all
// of whom it names, with its live pages; those of others go on, and so does what began
// after the event.
func TestSignals(t *testing.T) {
	t.Parallel()
	l := listen(t, httptest.NewTLSServer)
	op, now := l.provider.URL, time.Now()
	jo1 := l.enters("1", "jo@example.com", "s1", now)
	jo2 := l.enters("1", "jo@example.com", "s2", now)
	kim := l.enters("2", "kim@example.com", "s3", now)
	link := l.signedIn()
	live := jo1.live("")
	other := jo2.live("")

	// One session, by user and session.
	l.says("session.revoked", oneSession(t, subject.IssSub(op, "1"), "s1"), now, nil)
	live.ends(t, "the live page of the session that was ended")
	jo1.out("the session that was named")
	jo2.in("another session of theirs")
	kim.in("somebody else")

	// All of the user's, by what the transmitter calls them; not what begins later.
	later := l.enters("1", "jo@example.com", "s4", now.Add(30*time.Second))
	l.says("session.revoked", subject.IssSub(l.idp.issuer, "1"), now, nil)
	other.ends(t, "the live page of the user")
	jo2.out("all of the user's sessions")
	later.in("a later sign-in")
	kim.in("somebody else")

	// A session that has no sid ends by any event about its user; an address need not be
	// verified.
	lee := l.enters("3", "lee@example.com", "", now)
	l.says("session.revoked", oneSession(t, subject.Email("lee@example.com"), "s9"), now, nil)
	lee.out("a session of which no sid is known")

	// What is signed in otherwise is none of the provider's.
	l.says("session.revoked", subject.Opaque("s3"), now, nil)
	kim.out("the session by its sid alone")
	link.in("who signed in by a link")
	told := 0
	for line := range strings.Lines(l.logs.String()) {
		if strings.Contains(line, "ended by a signal") {
			told++
			if strings.Contains(line, "example.com") {
				t.Errorf("got %q, want nobody's name in it", line)
			}
		}
	}
	if told != 4 {
		t.Errorf("got %d ends in the log, want 4", told)
	}

	// A token that the provider issued before the event is good for no session, however
	// late it comes.
	l.person("1", "jo@example.com", "s1", now.Add(-time.Second))
	l.visitor().signIn(l.provider).wants(t, 403, "ended this sign-in while it was under way")
}

// What ends a session, and what does not.
func TestSignalsThatEnd(t *testing.T) {
	t.Parallel()
	l := listen(t, httptest.NewTLSServer)
	now := time.Now()
	kept := l.enters("kept", "kept@example.com", "kept", now)
	for _, tt := range []struct {
		kind string
		data map[string]any
		ends bool
	}{
		{"account.suspended", nil, true},
		{"account.deleted", nil, true},
		{"credential.compromised", map[string]any{"credential_type": "password"}, true},
		{"credential.changed", map[string]any{"credential_type": "password", "change_type": "update"}, true},
		{"credential.changed", map[string]any{"credential_type": "fido2-roaming", "change_type": "create"}, false},
	} {
		name := strings.ReplaceAll(tt.kind, ".", "-")
		if !tt.ends {
			l.says(tt.kind, subject.Email("kept@example.com"), now, tt.data)
			continue
		}
		v := l.enters(name, name+"@example.com", name, now)
		l.says(tt.kind, subject.Email(name+"@example.com"), now, tt.data)
		v.out(name)
		l.enters(name, name+"@example.com", name, now.Add(30*time.Second)) // nobody is kept out
	}
	l.until("all were handled", func() bool { return l.daemon.Health(t.Context()).Issuers[0].Inbox.Waiting == 0 })
	kept.in("a passkey was added")
}

// An earlier event says nothing of a later session, and a provider that cannot be heard is
// told of on the first page.
func TestSignalsOfBefore(t *testing.T) {
	t.Parallel()
	l := listen(t, httptest.NewTLSServer)
	now := time.Now()
	jo := l.enters("1", "jo@example.com", "s1", now)
	l.says("session.revoked", subject.Email("jo@example.com"), now.Add(-time.Hour), nil)
	l.until("it was handled", func() bool {
		h := l.daemon.Health(t.Context()).Issuers[0]
		return h.Kept > 0 && h.Inbox.Waiting+h.Inbox.Running == 0
	})
	jo.in("an event of an hour before")
	jo.get("/console/").wants(t, 200, "Overview")
	if strings.Contains(jo.get("/console/").body, "not heard") {
		t.Error("all is heard: got a warning")
	}
	var stream struct {
		Streams []struct {
			ID string `json:"stream_id"`
		} `json:"streams"`
	}
	l.idp.operate(http.MethodGet, "/admin/streams", nil, &stream)
	if len(stream.Streams) != 1 {
		t.Fatalf("got %d streams at the provider, want one", len(stream.Streams))
	}
	l.idp.operate(http.MethodDelete, "/admin/clients/console", nil, nil)
	l.until("the provider is not heard", func() bool {
		return strings.Contains(jo.get("/console/").body, "Signals of the OpenID Provider are not heard now")
	})
}

// Where it cannot be told whether a session is good nothing is shown; when it can again,
// the session goes on.
func TestSignalsUnknown(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	state, err := sessions.NewState(sessions.RevocationsConfig{}, true)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := sessions.NewGate(sessions.Config{Revocations: away{state: state}, Fail: sessions.FailClosed, MaxLag: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	configured := p.configured()
	configured.Signals = &console.Signals{Gate: gate}
	h := openWith(t, configured)
	v := h.visitor()
	v.signIn(p).wants(t, 503, "It cannot be told whether")
	state.Current(time.Now())
	v.signIn(p).wants(t, 200, "Signed in")
	v.get("/console/keys").wants(t, 200, "operator")
	state.Current(time.Now().Add(-2 * time.Hour))
	v.get("/console/keys").wants(t, 503, "It cannot be told whether")
	v.get("/console/sign-in").wants(t, 200, "Or with a token")
	state.Current(time.Now())
	v.get("/console/keys").wants(t, 200, "operator")
}

// Whom a receiver's rules deny is not let in, whenever they sign in, until they are allowed.
func TestSignalsDenied(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	marks, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	gate, err := sessions.NewGate(sessions.Config{Revocations: marks, Fail: sessions.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	configured := p.configured()
	configured.Signals = &console.Signals{Gate: gate}
	h := openWith(t, configured)
	v := h.visitor()
	v.signIn(p).wants(t, 200, "Signed in")
	scope, now := rp.ScopeOf(subject.Email("jo@example.com")), time.Now()
	if err := marks.Deny(t.Context(), scope, "", now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	v.out("whose account is disabled")
	v.signIn(p).wants(t, 403, "your account is disabled")
	if err := marks.Allow(t.Context(), scope, "", now); err != nil {
		t.Fatal(err)
	}
	v.signIn(p).wants(t, 200, "Signed in")
}

// away are revocations of a store that others write to.
type away struct {
	sessions.Revocations
	state *sessions.State
}

func (a away) State() *sessions.State { return a.state }

// In a browser the page goes to the sign-in by itself, and says why.
func TestSignalsInBrowser(t *testing.T) {
	l := listen(t, httptest.NewServer)
	l.person("1", "jo@example.com", "s1", time.Now())
	b := l.blank(t)
	b.open("/console/sign-in")
	b.press("a.button")
	b.until(`location.pathname === "/console/"`)
	b.until(`document.getElementById("live-state").textContent.includes("live")`)
	l.says("session.revoked", oneSession(t, subject.IssSub(l.provider.URL, "1"), "s1"), time.Now(), nil)
	b.until(`location.pathname === "/console/sign-in"`)
	b.says("Your organisation ended your session here", "Sign in with your organisation")
	b.look("session-ended")
	l.person("1", "jo@example.com", "s2", time.Now().Add(30*time.Second))
	b.press("a.button")
	b.until(`location.pathname === "/console/"`)
	b.says("jo@example.com", "operator")
}

// Nodes that share a Redis hear the same: what one of them received ends the sessions of
// the other.
func TestSignalsShared(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p, idp := newProvider(t), open(t, func(cfg *node.Config) { cfg.Transmitter.LongPoll = time.Second })
	token := idp.token("console", "ssf.manage ssf.read")
	shared := config.RedisSettings{Redis: server.URL(), RedisDemands: config.RedisDemands{RedisVolatile: true}}
	var nodes []*listening
	for range 2 {
		l := &listening{provider: p, idp: idp}
		l.hears(t, receive.Config{Data: t.TempDir(), RedisSettings: shared, InsecureLoopback: true}, token)
		nodes = append(nodes, l)
	}
	now := time.Now()
	jo, kim := nodes[0].enters("1", "jo@example.com", "s1", now), nodes[1].enters("2", "kim@example.com", "s2", now)
	there := nodes[1].enters("1", "jo@example.com", "s1", now)
	nodes[0].says("session.revoked", oneSession(t, subject.IssSub(p.URL, "1"), "s1"), now, nil)
	jo.out("at the first node")
	there.out("at the second node")
	kim.in("somebody else")
	var polls int
	for _, l := range nodes {
		if h := l.daemon.Health(t.Context()).Issuers[0]; !h.Elsewhere {
			polls++
		}
	}
	if polls != 1 {
		t.Errorf("got %d nodes that poll, want one", polls)
	}
	keys, err := server.Client(t).Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("got %d keys %v, want some", len(keys), err)
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "tocsin:console:") {
			t.Errorf("got the key %s, want all under tocsin:console:", key)
		}
	}
}
