package receivers_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set/caep"
)

// planted are secrets of a run, by what they are, and what was said in public.
type planted struct {
	mu      sync.Mutex
	secrets map[string]string
	public  map[string]*bytes.Buffer // by where it was said
}

// plant returns a new secret, which must be said nowhere.
func (p *planted) plant(what string) string {
	secret := fmt.Sprintf("PLANTED%xX", what) // no part of a name, and no character that is escaped anywhere
	p.add(what, secret)
	return secret
}

func (p *planted) add(what, secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets[what] = secret
}

// where collects what is said in one place.
func (p *planted) where(place string) io.Writer { return said{p, place} }

type said struct {
	p     *planted
	place string
}

func (s said) Write(b []byte) (int, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.public[s.place] == nil {
		s.p.public[s.place] = new(bytes.Buffer)
	}
	return s.p.public[s.place].Write(b)
}

// forms are how a secret may be written: as it is, in Basic, in a URL.
func forms(secret string) []string {
	list := []string{secret, url.QueryEscape(secret)}
	for _, before := range []string{"", "a", "ab"} { // wherever it begins in groups of three bytes
		text := base64.RawStdEncoding.EncodeToString([]byte(before + secret))
		list = append(list, text[4:len(text)-4])
	}
	return list
}

// judge looks for every secret in all that was said.
func (p *planted) judge(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for place, text := range p.public {
		if text.Len() == 0 {
			t.Errorf("%s: got nothing said, want something to look at", place)
		}
		for what, secret := range p.secrets {
			for _, form := range forms(secret) {
				if i := bytes.Index(text.Bytes(), []byte(form)); i >= 0 {
					all := text.Bytes()
					t.Errorf("%s: got the %s in it: …%s…", place, what, all[max(0, i-200):min(len(all), i+len(form)+80)])
					break
				}
			}
		}
	}
}

// echo is a receiver, consumer and vendor at its worst: whatever it is sent stands in its
// errors.
func echo(t *testing.T) *httptest.Server {
	t.Helper()
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") { // a transmitter, too
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"spec_version":"1_0","issuer":"%[1]s%[2]s","jwks_uri":"%[1]s/jwks-500","configuration_endpoint":"%[1]s/streams-500","status_endpoint":"%[1]s/status-500","verification_endpoint":"%[1]s/verify-500","token_endpoint":"%[1]s/token"}`, server.URL, strings.TrimPrefix(r.URL.Path, "/.well-known/ssf-configuration"))
			return
		}
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		text, _ := json.Marshal(fmt.Sprint(r.URL, r.Header, string(body)))
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Echo", strings.Join(r.Header.Values("Authorization"), " "))
		status := http.StatusBadRequest
		if strings.Contains(r.URL.Path, "500") {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"err":"authentication_failed","error":"invalid_client","error_description":%s,"description":%s,"message":%s}`, text, text, text)
	}))
	t.Cleanup(server.Close)
	return server
}

// No secret and no subject is in what the two halves say: logs at their most talkative,
// answers to errors, metrics, health, what operators list, the dump of a crash.
func TestNoSecretIsSaid(t *testing.T) {
	p := &planted{secrets: map[string]string{}, public: map[string]*bytes.Buffer{}}
	passphrase := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(passphrase, []byte(p.plant("the passphrase of the vault")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := proctest.New(t, "--log-level", "debug", "--push-schedule", "500ms", "--redeliver", "1s", "--key-passphrase-file", passphrase)
	s.Said = p.where("the transmitter's log")
	if err := s.Start(p.panics("ingest.before-append")...); err != nil {
		t.Fatal(err)
	}
	w := &secretWorld{planted: p, t: t, server: s, echo: echo(t).URL, client: &http.Client{Timeout: 20 * time.Second}}
	app := w.app("app", "ssf.manage ssf.read events.write events.read events.annotate consents.manage events.erase webhooks.manage")
	w.deliveries(app)
	receiver := w.receive()
	w.panicked(app, receiver)
	w.events(app)
	w.mistakes(app)
	w.operators(app)
	w.receiverTells(receiver)
	w.files()
	proctest.Eventually(t, "a vendor, a push, a webhook and a hook that failed", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		sent, received := p.public["the transmitter's log"].String(), p.public["the receiver's log"].String()
		return strings.Contains(sent, "polling a source failed") && strings.Count(sent, "verdict=") > 3 && strings.Contains(received, "session-revoked")
	})
	w.call(app, http.MethodPost, "/v1/erasures", map[string]any{"subject": w.who()}, http.StatusAccepted)
	for _, one := range []*proctest.Server{s, receiver} {
		if err := one.Process().Signal(syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
		<-one.Done()
	}
	for _, place := range []string{"the transmitter's log", "the receiver's log"} {
		if !strings.Contains(p.public[place].String(), "goroutine ") {
			t.Errorf("%s: got no dump of a crash, want one to look at", place)
		}
	}
	p.judge(t)
}

type secretWorld struct {
	*planted
	t      *testing.T
	server *proctest.Server
	echo   string
	client *http.Client
}

// app adds an application with a client, and gets a token by its secret.
func (w *secretWorld) app(id, scope string) (token string) {
	w.t.Helper()
	out, err := w.server.Command(w.t.Context(), "client", "add", "--data", w.server.Dir, "--id", id, "--audience", "https://"+id+".example", "--scope", scope, "--static")
	if err != nil {
		w.t.Fatal(err)
	}
	var made struct {
		Secret string `json:"client_secret"`
		Token  string `json:"access_token"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		w.t.Fatal(err)
	}
	w.add("client secret of "+id, made.Secret)
	w.add("static token of "+id, made.Token)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {made.Secret}}
	body := w.send(http.MethodPost, w.server.Issuer+"/oauth/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	var got struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(body, &got) != nil || got.Token == "" {
		w.t.Fatalf("token endpoint: got %s", body)
	}
	w.add("access token of "+id, got.Token)
	form.Set("client_secret", w.plant("a wrong client secret"))
	w.say("token endpoint's refusals", w.send(http.MethodPost, w.server.Issuer+"/oauth/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded"))
	return got.Token
}

func (w *secretWorld) say(place string, b []byte) { _, _ = w.where(place).Write(b) }

// send makes one request and returns the answer with its headers.
func (w *secretWorld) send(method, address, body string, header ...string) []byte {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close() // read to its end
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

func (w *secretWorld) call(token, method, path string, body any, want int) []byte {
	w.t.Helper()
	status, got, err := w.server.Call(w.t.Context(), w.client, method, path, token, body)
	if err != nil || status != want {
		w.t.Fatalf("%s %s: got %d %s (%v), want %d", method, path, status, got, err, want)
	}
	return got
}

func (w *secretWorld) command(args ...string) []byte {
	w.t.Helper()
	out, err := w.server.Command(w.t.Context(), append(args, "--data", w.server.Dir)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// deliveries sets up pushes, webhooks and vendors whose credentials are refused.
func (w *secretWorld) deliveries(token string) {
	for _, path := range []string{"/push/", "/push-500/"} {
		w.call(token, http.MethodPost, "/ssf/streams", map[string]any{"delivery": map[string]string{
			"method": "urn:ietf:rfc:8935", "endpoint_url": w.echo + path + w.plant("path of a push URL") + "?key=" + w.plant("query of a push URL"),
			"authorization_header": "Bearer " + w.plant("push authorization header"),
		}}, http.StatusCreated)
	}
	for i, auth := range []map[string]any{
		{"type": "basic", "username": "hook", "password": w.plant("webhook's password")},
		{"type": "bearer", "token": w.plant("webhook's token")},
		{"type": "oauth2", "token_url": w.echo + "/token", "client_id": "c", "client_secret": w.plant("webhook's client secret")},
	} {
		var made struct {
			Secret string `json:"secret"`
		}
		got := w.call(token, http.MethodPost, "/v1/webhooks", map[string]any{
			"url": w.echo + "/hook-500/" + w.plant("path of a webhook") + fmt.Sprint(i), "auth": auth, "headers": map[string]string{"X-Key": w.plant("webhook's header")},
		}, http.StatusCreated)
		if err := json.Unmarshal(got, &made); err != nil || made.Secret == "" {
			w.t.Fatalf("webhook: got %s (%v)", got, err)
		}
		w.add(fmt.Sprint("webhook's signing secret ", i), strings.TrimPrefix(made.Secret, "whsec_"))
	}
	for kind, api := range map[string]string{"onelogin": w.echo + "/ol", "fingerprint": w.echo + "/fp-500"} {
		body := map[string]any{"name": kind, "kind": kind, "auth": "bearer", "api": map[string]any{
			"url": api, "secret": w.plant(kind + "'s API secret"), "poll_seconds": 1,
		}}
		if kind == "onelogin" {
			body["api"].(map[string]any)["client_id"] = "id"
		} else {
			body["signature_secret"] = w.plant("signature secret")
		}
		var made struct{ Secret string }
		if err := json.Unmarshal(w.socket(http.MethodPost, "/admin/sources", body), &made); err != nil || made.Secret == "" {
			w.t.Fatalf("source %s: got no secret (%v)", kind, err)
		}
		w.add("secret of the source "+kind, made.Secret)
		for _, secret := range []string{made.Secret, w.plant("a vendor's wrong secret")} {
			w.say("a source's answers", w.send(http.MethodPost, w.server.Issuer+"/v1/sources/"+kind, `{"broken":"`+w.plant("a vendor's broken record"), "Authorization", "Bearer "+secret))
		}
	}
}

// socket asks the admin API as an operator.
func (w *secretWorld) socket(method, path string, body any) []byte {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	admin := w.adminToken()
	return w.send(method, "http://"+w.server.Admin+path, string(raw), "Authorization", "Bearer "+admin)
}

func (w *secretWorld) adminToken() string {
	w.mu.Lock()
	token := w.secrets["static token of operators"]
	w.mu.Unlock()
	if token == "" {
		w.app("operators", "admin")
		return w.adminToken()
	}
	return token
}

// panics lets a handler panic at its first request, with words that nobody may read.
func (p *planted) panics(point string) []string {
	return []string{"TOCSIN_PANIC_POINT=" + point, "TOCSIN_PANIC_WORDS=" + p.plant("the words of a panic")}
}

// panicked makes a handler of each half panic, over requests with secrets: it costs one
// answer, says where it was, and the process goes on.
func (w *secretWorld) panicked(token string, receiver *proctest.Server) {
	w.t.Helper()
	event := map[string]any{"type": caep.SessionRevokedType, "subject": w.who(), "data": map[string]any{"reason_admin": map[string]string{"en": w.plant("data of a request that panicked")}}}
	w.say("the answer to a panic", w.call(token, http.MethodPost, "/v1/events", event, http.StatusInternalServerError))
	w.call(token, http.MethodPost, "/v1/events", event, http.StatusAccepted)
	push := func(want int) {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, receiver.Issuer+"/push/bad", strings.NewReader("ey."+w.plant("a SET whose push panicked")))
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/secevent+jwt")
		req.Header.Set("Authorization", w.plant("receiver's push authorization"))
		resp, err := w.client.Do(req)
		if err != nil {
			w.t.Fatalf("a push that panics: got %v, want an answer", err)
		}
		defer resp.Body.Close() // read to its end
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			w.t.Errorf("a push: got %d %s (%v), want %d", resp.StatusCode, body, err, want)
		}
		w.say("a receiver's answer to a panic", fmt.Appendf(body, "%v", resp.Header))
	}
	push(http.StatusInternalServerError)
	push(http.StatusBadRequest)
	for _, place := range []string{"the transmitter's log", "the receiver's log"} {
		w.mu.Lock()
		text := w.public[place].String()
		w.mu.Unlock()
		if !strings.Contains(text, "a handler panicked") || !strings.Contains(text, "*errors.errorString") || !strings.Contains(text, "crash_on.go") {
			w.t.Errorf("%s: got nothing of where a handler panicked", place)
		}
	}
}

// receiverTells reads what the receiver's admin listener and its commands tell.
func (w *secretWorld) receiverTells(r *proctest.Server) {
	w.t.Helper()
	for _, path := range []string{"/metrics", "/admin/health", "/healthz", "/readyz", "/admin/journal", "/admin/acts", "/" + w.plant("a path of the receiver's admin listener")} {
		w.say("the receiver's admin listener", fmt.Appendf(w.send(http.MethodGet, "http://"+r.Admin+path, "", "Authorization", "Bearer "+w.plant("a token for the receiver's admin listener")), " of %d", len(path)))
	}
	for _, args := range [][]string{{"receive", "health", "--json"}, {"receive", "journal", "--json"}, {"receive", "audit", "--json"}} {
		out, err := r.Command(w.t.Context(), append(args, "--config", r.File)...)
		if err != nil {
			w.t.Error(err)
		}
		w.say("tocsin "+strings.Join(args, " "), append(out, '\n'))
	}
}

// who is the subject of all events.
func (w *secretWorld) who() map[string]string {
	return map[string]string{"format": "email", "email": w.plant("subject's address") + "@example.com"}
}

// events lets things happen to subjects that nobody shall read of in a log.
func (w *secretWorld) events(token string) {
	who := w.who()
	ask := map[string]any{"type": caep.SessionRevokedType, "source_id": "1", "subject": who, "data": map[string]any{"reason_admin": map[string]string{"en": w.plant("an event's data")}}}
	w.call(token, http.MethodPost, "/v1/events", ask, http.StatusAccepted)
	ask["type"] = "no-such-type"
	w.say("refused events", w.call(token, http.MethodPost, "/v1/events", ask, http.StatusBadRequest))
	w.call(token, http.MethodPost, "/v1/events", map[string]any{"format": "idme", "record": map[string]any{"event": "no.such.event", "user": who, "note": w.plant("a record that cannot be mapped")}}, http.StatusAccepted)
	w.call(token, http.MethodPost, "/v1/consents", map[string]any{"subject": who, "decision": "deny", "reason": w.plant("a reason")}, http.StatusCreated)
}

// mistakes sends to every path what is wrong, with secrets wherever a request has room.
func (w *secretWorld) mistakes(token string) {
	broken := `{"` + w.plant("a member's name") + `":"` + w.plant("a member's value") + `"`
	query := "?access_token=" + w.plant("a token in the query") + "&subject=" + w.plant("a subject in the query")
	for _, path := range []string{
		"/ssf/streams", "/ssf/status", "/ssf/subjects/add", "/ssf/subjects/remove", "/ssf/verify", "/ssf/poll/x", "/oauth/token", "/oauth/revoke", "/v1/events",
		"/v1/events/x", "/v1/consents", "/v1/consents/gate", "/v1/erasures", "/v1/webhooks", "/v1/webhooks/x", "/v1/sources/onelogin", "/v1/streams/x/replay",
		"/v1/streams/x/dead-letters", "/v1/participation", "/jwks.json", "/" + w.plant("a path"),
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			for _, bearer := range []string{token, w.plant("a wrong token"), token + w.plant("a token with more")} {
				for _, body := range []string{broken, broken + "}"} {
					answer := w.send(method, w.server.Issuer+path+query, body, "Authorization", "Bearer "+bearer, "Content-Type", "application/json", "Cookie", "session="+w.plant("a cookie"))
					w.say("answers to mistakes", answer)
				}
			}
		}
	}
	redis := "redis://tocsin:" + w.plant("Redis password") + "@127.0.0.1:1/x"
	for _, args := range [][]string{{"key", "list", "--redis", redis}, {"key", "list", "--redis", strings.Replace(redis, ":1/x", ":port", 1)}} {
		ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
		out, err := w.server.Command(ctx, append(args, "--data", w.t.TempDir())...)
		cancel()
		if err == nil {
			w.t.Errorf("%q: got no error", args[:2])
			continue
		}
		said := strings.TrimPrefix(err.Error(), "tocsin "+strings.Join(args, " ")) // the test's own words
		_, rest, _ := strings.Cut(said, "exit status")
		w.say("what commands say of a Redis", append(out, rest...))
	}
}

// operators reads all that operators are shown. They may see subjects, and no secret.
func (w *secretWorld) operators(token string) {
	urls := regexp.MustCompile(`"(endpoint_url|url)":\s*"[^"]*"`) // where things go is to be seen by whose they are
	admin := w.adminToken()
	for _, path := range []string{
		"/admin/applications", "/admin/clients", "/admin/sources", "/admin/webhooks", "/admin/streams?application=app", "/admin/keys", "/admin/acts?limit=500", "/metrics", "/healthz", "/readyz",
	} {
		w.say("GET "+path, urls.ReplaceAll(w.send(http.MethodGet, "http://"+w.server.Admin+path, "", "Authorization", "Bearer "+admin), nil))
	}
	for _, path := range []string{"/v1/webhooks", "/ssf/streams", "/jwks.json", "/.well-known/ssf-configuration", "/.well-known/oauth-authorization-server"} {
		answer := w.send(http.MethodGet, w.server.Issuer+path, "", "Authorization", "Bearer "+token)
		w.say("GET "+path, urls.ReplaceAll(answer, nil))
	}
	for _, args := range [][]string{{"client", "list"}, {"source", "list"}, {"key", "list"}, {"audit"}} {
		w.say("tocsin "+strings.Join(args, " "), w.command(args...))
	}
}

// files are private keys of the data folder.
func (w *secretWorld) files() {
	all, err := filepath.Glob(filepath.Join(w.server.Dir, "*.key"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range all {
		text, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if len(line) >= 40 && !strings.HasPrefix(line, "-") {
				w.add(fmt.Sprint(filepath.Base(name), " line ", i), line)
			}
		}
	}
}

// hookSecret plants the secret that signs what a hook sends.
func (w *secretWorld) hookSecret() string {
	secret := base64.StdEncoding.EncodeToString([]byte(w.plant("what a hook signs with")))
	w.add("signing secret of a hook", secret)
	return secret
}

// receive runs a receiver with credentials of its own, and sends it what is wrong.
func (w *secretWorld) receive() *proctest.Server {
	w.t.Helper()
	out := w.command("client", "add", "--id", "rp", "--audience", "https://rp.example", "--scope", "ssf.manage ssf.read")
	var made struct {
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		w.t.Fatal(err)
	}
	w.add("client secret of rp", made.Secret)
	file := func(name, secret string) string {
		path := filepath.Join(w.t.TempDir(), name)
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
			w.t.Fatal(err)
		}
		return path
	}
	r := proctest.NewReceiver(w.t, fmt.Sprintf(`log_level: debug
hooks:
  told: {type: webhook, url: "%s/told-500/%s", secrets_file: %s}
issuers:
- {name: good, issuer: %s, audience: "https://rp.example", delivery: {method: poll}, credentials: {client: {id: rp, secret_file: %s}}}
- {name: bad, issuer: %s, audience: "https://rp.example", delivery: {method: push, authorization_file: %s}, credentials: {token_file: %s}}
- {name: echo, issuer: %s, audience: "https://rp.example", delivery: {method: poll}, credentials: {token_file: %s}}
- {name: oauth, issuer: %s/two, audience: "https://rp.example", delivery: {method: poll}, credentials: {client: {id: rp, secret_file: %s, token_url: "%s/token"}}}
`, w.echo, w.plant("path of a hook"), file("hook", "whsec_"+w.hookSecret()),
		w.server.Issuer, file("secret", made.Secret), w.server.Issuer, file("push", w.plant("receiver's push authorization")), file("token", w.plant("receiver's token")),
		w.echo, file("echo", w.plant("token for a transmitter that echoes")), w.echo, file("oauth", w.plant("secret for a token endpoint that echoes")), w.echo))
	r.Said = w.where("the receiver's log")
	if err := r.Start(w.panics("push.taken")...); err != nil {
		w.t.Fatal(err)
	}
	proctest.Eventually(w.t, "a stream of the receiver", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		said := w.public["the receiver's log"]
		return said != nil && strings.Contains(said.String(), "stream verified")
	})
	for _, auth := range []string{w.plant("a wrong push authorization"), "Basic " + w.plant("another")} {
		w.say("a receiver's refusals", w.send(http.MethodPost, r.Issuer+"/push/bad?token="+w.plant("query of a push"), "ey."+w.plant("a SET that is none"), "Authorization", auth, "Content-Type", "application/secevent+jwt"))
	}
	return r
}
