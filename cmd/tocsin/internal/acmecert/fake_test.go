package acmecert_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// fake is an ACME server within a transport: it gives whatever is asked for, and does
// wrong what answer says.
type fake struct {
	t      *testing.T
	life   time.Duration                      // of certificates
	before time.Duration                      // how long ago they began
	answer func(*http.Request) *http.Response // nil, or returns nil: as it should be
	key    *ecdsa.PrivateKey

	mu    sync.Mutex
	asked map[string][]time.Time // by path
	said  map[string]string      // last payload, by path
	made  []byte
}

func newFake(t *testing.T) *fake {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &fake{t: t, life: 90 * 24 * time.Hour, key: key, asked: map[string][]time.Time{}, said: map[string]string{}}
}

// when is when a path was asked for.
func (f *fake) when(path string) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.asked[path]...)
}

func (f *fake) payload(path string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said[path]
}

// RoundTrip answers.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	var signed struct{ Payload string }
	if r.Body != nil {
		_ = json.NewDecoder(r.Body).Decode(&signed)
	}
	text, _ := base64.RawURLEncoding.DecodeString(signed.Payload)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[r.URL.Path] = append(f.asked[r.URL.Path], time.Now())
	f.said[r.URL.Path] = string(text)
	if f.answer != nil {
		if resp := f.answer(r); resp != nil {
			return resp, nil
		}
	}
	const at = "https://ca.example"
	switch r.URL.Path {
	case "/dir":
		return say(200, `{"newNonce":"`+at+`/nonce","newAccount":"`+at+`/account","newOrder":"`+at+`/order"}`), nil
	case "/nonce", "/account/1":
		return say(200, `{"status":"valid"}`), nil
	case "/account":
		return say(map[bool]int{true: 201, false: 200}[len(f.asked["/account"]) == 1], `{"status":"valid"}`, "Location", at+"/account/1"), nil
	case "/order":
		return say(201, `{"status":"ready","finalize":"`+at+`/finalize"}`, "Location", at+"/order/1"), nil
	case "/finalize":
		f.sign(text)
		return say(200, `{"status":"valid","certificate":"`+at+`/cert"}`), nil
	case "/cert":
		return say(200, string(f.made)), nil
	}
	return say(404, `{"type":"urn:ietf:params:acme:error:malformed"}`), nil
}

func (f *fake) sign(text []byte) {
	var asked struct{ CSR string }
	_ = json.Unmarshal(text, &asked)
	der, _ := base64.RawURLEncoding.DecodeString(asked.CSR)
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		f.t.Error(err)
		return
	}
	begin := time.Now().Add(-f.before)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: request.DNSNames, NotBefore: begin, NotAfter: begin.Add(f.life)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, request.PublicKey, f.key)
	if err != nil {
		f.t.Error(err)
		return
	}
	f.made = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
}

var nonces = func() func() string {
	n := make(chan int, 1)
	n <- 0
	return func() string { i := <-n; n <- i + 1; return "nonce" + strconv.Itoa(i) }
}()

// say is an answer; headers are names and values.
func say(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Replay-Nonce": {nonces()}}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// of has a manager of names ask f. It runs until the test ends, or stop.
func (f *fake) of(t *testing.T, said *log, change func(*acmecert.Config)) (m *acmecert.Manager, stop func()) {
	t.Helper()
	client := guard.NewClient(guard.Policy{})
	client.Transport = f
	cfg := acmecert.Config{
		Domains: []string{host}, Directory: "https://ca.example/dir", AcceptTerms: true, Dir: filepath.Join(t.TempDir(), "acme"),
		Client: client, Logger: slog.New(slog.NewTextHandler(said, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	m, err := acmecert.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = m.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return m, stop
}
