package receiver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"go.uber.org/goleak"
)

const (
	issuer   = "https://transmitter.example"
	audience = "https://receiver.example"
	streamID = "stream-1"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedFolder); dir != "" {
		fmt.Fprintln(os.Stderr, killedReceiver(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// transmitterKey is the one key of the fake transmitter; making RSA keys is slow.
var transmitterKey = sync.OnceValue(func() *jose.PrivateKey { return generate(jose.RS256) })

func generate(alg jose.Algorithm) *jose.PrivateKey {
	key, err := jose.Generate(alg)
	if err != nil {
		panic(err)
	}
	return key
}

// keysFunc is a set.KeySource.
type keysFunc func(kid string, alg jose.Algorithm) (*jose.PublicKey, error)

func (f keysFunc) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return f(kid, alg)
}

func published(keys ...*jose.PublicKey) set.KeySource {
	return keysFunc(jose.NewKeySet(keys...).Find)
}

// builder returns a session-revoked event about alice.
func builder(id string) set.Builder {
	return set.Builder{
		Issuer: issuer, ID: id, Audience: []string{audience}, IssuedAt: time.Now(), TransactionID: "txn-" + id,
		Subject: subject.Email("alice@example.com"), Event: set.Event{Type: caep.SessionRevokedType},
	}
}

// about returns b about another user.
func about(b set.Builder, user string) set.Builder {
	b.Subject = subject.Email(user + "@example.com")
	return b
}

// event returns b with another event.
func event(b set.Builder, typ, payload string) set.Builder {
	b.Event = set.Event{Type: typ, Payload: []byte(payload)}
	return b
}

func sign(t testing.TB, b set.Builder) string {
	t.Helper()
	return signWith(t, b, transmitterKey(), set.HeaderType)
}

func signWith(t testing.TB, b set.Builder, key *jose.PrivateKey, typ string) string {
	t.Helper()
	claims, err := b.Claims()
	if err != nil {
		t.Fatal(err)
	}
	return signClaims(t, string(claims), key, typ)
}

func signClaims(t testing.TB, claims string, key *jose.PrivateKey, typ string) string {
	t.Helper()
	signer, err := jose.NewSigner(key, typ)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func openInbox(t testing.TB, dir string) *sqliteinbox.Inbox {
	t.Helper()
	in, err := sqliteinbox.Open(t.Context(), sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return in
}

// config returns a complete configuration with an inbox in dir.
func config(t testing.TB, dir string) receiver.Config {
	t.Helper()
	return receiver.Config{
		Issuer: issuer, Audience: []string{audience}, Keys: published(transmitterKey().Public()),
		StreamID: streamID, Inbox: openInbox(t, dir), Mux: receiver.NewMux(),
		Logger: slog.New(slog.DiscardHandler),
	}
}

func build(t testing.TB, cfg receiver.Config) *receiver.Receiver {
	t.Helper()
	r, err := receiver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// push sends a SET to the handler and returns its answer.
func push(r *receiver.Receiver, compact string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "https://receiver.example/events", strings.NewReader(compact))
	req.Header.Set("Content-Type", delivery.MediaType)
	for _, f := range change {
		f(req)
	}
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, req)
	return w
}

func wantAccepted(t testing.TB, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusAccepted || w.Body.Len() != 0 {
		t.Fatalf("got %d %q, want 202 and no body", w.Code, w.Body)
	}
}

// running runs r until the returned function is called or the test ends.
func running(t *testing.T, r *receiver.Receiver) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("got error %v from Run, want none", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func counts(t testing.TB, in inbox.Inbox) inbox.Counts {
	t.Helper()
	c, err := in.Counts(context.Background(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// roundTrip is a transmitter in this process.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func respond(status int, body string, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewBufferString(body))}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}
