package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	receiverToken = "the-token-of-the-admin"
	hookSecret    = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // a test's own
)

// receiving is a receiver with its console, whose one hook calls an application that
// answers what the test says.
type receiving struct {
	*house
	daemon *receive.Daemon
	key    *jose.PrivateKey
	answer chan int // of the application; closed: 204
	reload error    // what reading the configuration anew says
}

func openReceiver(t *testing.T, more ...string) *receiving {
	t.Helper()
	return openReceiverWith(t, nil, more...)
}

// openReceiverWith is openReceiver with an OpenID Provider that people sign in with, whose
// transmitter is the issuer; more are lines of its configuration.
func openReceiverWith(t *testing.T, provider *console.Provider, more ...string) *receiving {
	t.Helper()
	r := &receiving{house: &house{t: t, logs: &lines{}}, answer: make(chan int, 10)}
	logger := slog.New(slog.NewTextHandler(r.logs, nil))
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status, ok := <-r.answer; ok {
			w.WriteHeader(status)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(application.Close)
	dir := t.TempDir()
	var err error
	if r.key, err = jose.Generate(jose.ES256); err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.NewKeySet(r.key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	text := "listen: 127.0.0.1:1\ninsecure_loopback: true\ndata: data\nretry: [10ms]\n" +
		"hooks:\n  app: {type: webhook, url: " + application.URL + ", secrets: ['${SECRET}']}\n" +
		"issuers:\n- {name: idp, issuer: https://idp.example, key_file: jwks.json, audience: https://shop.example, algorithms: [ES256]}\n" + strings.Join(more, "")
	if provider != nil {
		text += "console_provider: " + provider.Issuer + "\nconsole_client: console\nconsole_secret: ${SECRET}\nconsole_role: {ops: operator}\nconsole_signals: idp\n"
	}
	path := filepath.Join(dir, "receive.yaml")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "jwks.json"), keys, 0o600), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	cfg, err := receive.Read(path, []string{"SECRET=" + hookSecret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.daemon, err = receive.Open(t.Context(), cfg, receive.Options{
		Address: "http://127.0.0.1:1", Logger: logger, Figures: func(of string) (any, bool) { return r.figures.Document(of) },
	}); err != nil {
		t.Fatal(err)
	}
	r.figures = figures.New(figures.Config{Path: filepath.Join(dir, "figures.bin"), Gatherer: r.daemon.Gatherer(), Figures: figures.Receiver(), Logger: logger})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.daemon.Run(ctx) }()
	if provider != nil {
		gate, err := r.daemon.ConsoleGate()
		if err != nil {
			t.Fatal(err)
		}
		iss := cfg.ProviderIssuer()
		provider.Signals = &console.Signals{Gate: gate, Issuers: []string{iss}, Deaf: func(ctx context.Context) (string, bool) { return r.daemon.Deaf(ctx, iss) }}
	}
	reload := func(context.Context) error { return r.reload }
	r.console, err = console.ForReceiver(r.daemon, reload, "https://shop.example", receiverToken, provider, func() string { return r.url }, logger)
	if err != nil {
		t.Fatal(err)
	}
	admin := httptest.NewServer(edge.Handler(r.console.Beside(r.daemon.AdminHandler(receiverToken)), edge.Config{Listener: "admin", Logger: logger}))
	r.url = admin.URL
	r.socket = adminapi.Of(r.console.SocketHandler(r.daemon.SocketHandler(reload)), nil)
	t.Cleanup(func() {
		r.console.EndLive()
		admin.Close()
		stop()
		if err := errors.Join(<-done, r.daemon.Close()); err != nil {
			t.Errorf("the receiver's end: got %v", err)
		}
	})
	return r
}

// set signs an event of the issuer.
func (r *receiving) set(id string) string {
	r.t.Helper()
	b := set.Builder{
		Issuer: "https://idp.example", ID: id, Audience: []string{"https://shop.example"}, IssuedAt: time.Now(), TransactionID: "txn-" + id,
		Subject: subject.Email("jo@example.com"), Event: set.Event{Type: caep.SessionRevokedType},
	}
	claims, err := b.Claims()
	if err != nil {
		r.t.Fatal(err)
	}
	signer, err := jose.NewSigner(r.key, set.HeaderType)
	if err != nil {
		r.t.Fatal(err)
	}
	compact, err := signer.Sign(claims)
	if err != nil {
		r.t.Fatal(err)
	}
	return compact
}

// take pushes an event, and waits until the journal has a verdict on it.
func (r *receiving) take(id, verdict string) {
	r.t.Helper()
	req := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://127.0.0.1:1/push/idp", strings.NewReader(r.set(id)))
	req.Header.Set("Content-Type", delivery.MediaType)
	w := httptest.NewRecorder()
	r.daemon.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusAccepted {
		r.t.Fatalf("push: got %d %s, want 202", w.Code, w.Body)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		var page receive.EntryPage
		r.operate(http.MethodGet, "/admin/journal?jti="+id+"&verdict="+verdict, nil, &page)
		if len(page.Entries) > 0 {
			return
		}
	}
	r.t.Fatalf("%s: no verdict %s in time", id, verdict)
}

// The pages of a receiver: its issuers, what hooks did, what was set aside, and what
// would become of a SET.
func TestReceiver(t *testing.T) {
	r := openReceiver(t)
	r.answer <- http.StatusGone
	r.take("jti-1", "set-aside")
	close(r.answer)
	r.take("jti-2", "done")

	v := r.visitor()
	v.post("/console/sign-in", "token", receiverToken+"x").wants(t, 403, "no good admin token")
	v.post("/console/sign-in", "token", receiverToken).wants(t, 200, "Receiver", "https://idp.example", "admin token")
	v.get("/console/journal").wants(t, 200, "session-revoked", "jti-1", "jti-2", "set-aside", "Totals")
	if p := v.get("/console/journal?verdict=done"); strings.Contains(p.body, `title="jti-1"`) || !strings.Contains(p.body, `title="jti-2"`) {
		t.Errorf("what is done: got %s, want jti-2 alone", p.body)
	}
	v.get("/console/journal?verdict=nonsense").wants(t, 400, "verdict")
	v.get("/console/dead-letters").wants(t, 200, `title="jti-1"`, "410")
	v.post("/console/dead-letters/retry", "iss", "https://idp.example", "jti", "jti-1").wants(t, 200, "handed to its hooks again", "Nothing was set aside")
	v.post("/console/dead-letters/drop", "iss", "https://idp.example", "jti", "jti-1").wants(t, 200, "Not done: there is no such dead letter")
	v.get("/console/explain").wants(t, 200, "idp")
	r.figures.Sample()
	v.get("/console/figures").wants(t, 200, "2 in the last hour", "Lag, and time of hooks", "from arrival to hooks done", "Decisions of the gate")
	v.get("/console/figures?range=7d").wants(t, 200, `href="/console/figures?range=7d" aria-current="true"`)
	v.get("/console/figures?range=1y").wants(t, 400, "No such range")
	v.post("/console/explain", "set", r.set("jti-3")).wants(t, 200, "session-revoked", "&#34;verified&#34;: true")
	v.post("/console/explain", "set", "nonsense").wants(t, 400, "Not explained")
	v.post("/console/reload").wants(t, 200, "is in force")
	r.reload = errors.New("issuer idp: audience is missing")
	v.post("/console/reload").wants(t, 200, "Not done: issuer idp: audience is missing")
	v.get("/console/audit").wants(t, 200, "configuration.reload", "refused", "invalid_configuration", "dead_letter.resend", `title="jti-1"`, "console.sign_in", "by the console", "admin token")
	if p := v.get("/console/audit?act=console.sign_in"); strings.Contains(p.body, "<th scope=\"row\">configuration.reload") || !strings.Contains(p.body, "127.0.0.1") {
		t.Errorf("sign-ins: got %s, want them alone, with their address", p.body)
	}
	v.get("/console/audit?since=nonsense").wants(t, 400, "since")
	if logs := r.logs.String(); strings.Contains(logs, receiverToken) || strings.Contains(logs, "jo@example.com") {
		t.Error("a token or a subject is in the log")
	}
}

// What the audit does not take is not done: nobody is let in, and nothing is dropped.
func TestReceiverWithoutAudit(t *testing.T) {
	r := openReceiver(t)
	r.answer <- http.StatusGone
	r.take("jti-1", "set-aside")
	close(r.answer)
	v := r.visitor()
	v.post("/console/sign-in", "token", receiverToken).wants(t, 200, "Receiver")
	if err := r.daemon.Acts.(io.Closer).Close(); err != nil { // as a disk that takes no more
		t.Fatal(err)
	}
	v.post("/console/dead-letters/drop", "iss", "https://idp.example", "jti", "jti-1").wants(t, 503, "nothing was done")
	v.get("/console/dead-letters").wants(t, 200, `title="jti-1"`)
	r.visitor().post("/console/sign-in", "token", receiverToken).wants(t, 503, "cannot be noted")
	if other := r.visitor(); other.get("/console/journal").path != "/console/sign-in" {
		t.Error("got somebody let in")
	}
}

func TestReceiverInBrowser(t *testing.T) {
	r := openReceiver(t)
	r.answer <- http.StatusGone
	r.take("jti-1", "set-aside")
	close(r.answer)
	r.take("jti-2", "done")
	b := r.browse(t)
	b.look("receiver-issuers")
	b.press(`nav a[href="/console/journal"]`)
	b.look("receiver-journal")
	b.press(`nav a[href="/console/dead-letters"]`)
	b.look("receiver-dead-letters")
	b.press("td form button")
	b.says("handed to its hooks again", "Nothing was set aside")
	b.open("/console/explain")
	b.fill("#set", r.set("jti-3"))
	b.press("section button.main")
	b.says("What would be done")
	b.look("receiver-explain")
	r.figures.Sample()
	b.press(`nav a[href="/console/figures"]`)
	b.says("2 in the last hour", "hooks done", "From arrival to hooks done")
	b.until(`document.getElementById("live-state").textContent.includes("live")`)
	b.look("receiver-figures")
	b.press(`nav a[href="/console/audit"]`)
	b.says("dead_letter.resend", "console.sign_in")
	b.look("receiver-audit")
}

// People sign in to the console of a receiver with the provider, too, in their role; what
// the receiver hears of it ends their sessions there.
func TestReceiverProvider(t *testing.T) {
	p := newProvider(t)
	r := openReceiverWith(t, p.configured())
	close(r.answer)
	r.house.visitor().get("/console/sign-in").wants(t, 200, "/console/oidc/start")
	enter := func(email string, at time.Time) *visitor {
		t.Helper()
		p.Claim(func(all map[string]any) { all["sub"], all["email"], all["iat"] = email, email, at.Unix() })
		v := r.visitor()
		v.signIn(p).wants(t, 200, "Signed in")
		v.get("/console/journal").wants(t, 200, "operator")
		return v
	}
	jo, kim := enter("jo@example.com", time.Now()), enter("kim@example.com", time.Now())
	if first := jo.get("/console/"); strings.Contains(first.body, "not heard") || strings.Contains(first.body, "None of the issuers") {
		t.Error("all is heard: got a warning")
	}
	if why, meant := r.daemon.Deaf(t.Context(), "https://nobody.example"); why == "" || meant {
		t.Errorf("a provider that is no issuer: got %q, a fault %v, want it told and none", why, meant)
	}
	jo.post("/console/reload").wants(t, 403, "this takes the role admin")
	r.take("1", "done")
	jo.house.until("their session has ended", func() bool { return jo.get("/console/journal").path == "/console/sign-in" })
	jo.get("/console/journal").wants(t, 200, "Your organisation ended your session here")
	if got := kim.get("/console/journal"); got.path != "/console/journal" {
		t.Errorf("somebody else: got %s, want them signed in", got.path)
	}
	enter("jo@example.com", time.Now().Add(30*time.Second)) // a later sign-in
}
