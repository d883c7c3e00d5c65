package receivers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/conformance/receivers"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"golang.org/x/sync/errgroup"
)

// stand runs receivers of package peer, with breaks.
type stand struct {
	breaks []string
	http   *http.Client

	mu     sync.Mutex
	memory map[string]*peer.Memory // by issuer
}

// inProcess is a receiver in this process.
type inProcess struct {
	stop func()
}

// Stop ends it; a crash is not to be had here.
func (p *inProcess) Stop(bool) error {
	p.stop()
	return nil
}

// start is a receivers.Config.Start.
func (s *stand) start(_ context.Context, i receivers.Invitation) (receivers.Process, error) {
	cfg := peer.ReceiverConfig{Issuer: i.Issuer, Token: i.Token, ClientID: i.ClientID, ClientSecret: i.ClientSecret, TokenURL: i.TokenURL, Audience: i.Audience, Break: s.breaks, HTTP: s.http, Authorization: "Bearer push-secret"}
	var server *httptest.Server
	var handler http.Handler
	if i.Delivery == "push" {
		server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
		cfg.PushURL = server.URL + "/in"
	}
	s.mu.Lock()
	if s.memory[i.Issuer] == nil {
		s.memory[i.Issuer] = &peer.Memory{}
	}
	cfg.Memory = s.memory[i.Issuer]
	s.mu.Unlock()
	r, err := peer.NewReceiver(cfg)
	if err != nil {
		return nil, err
	}
	handler = r.Handler()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	return &inProcess{func() {
		cancel()
		<-done
		if server != nil {
			server.CloseClientConnections()
			server.Close()
		}
	}}, nil
}

// observe is a receivers.Config.Observe.
func (s *stand) observe(_ context.Context, _, jti string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, m := range s.memory {
		n += m.Acted(jti)
	}
	return n, nil
}

func loopback() *http.Client { return guard.NewClient(guard.Policy{InsecureLoopback: true}) }

// testKey is made once: making RSA keys is slow.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// suite runs the suite against receivers with breaks.
func suite(ctx context.Context, o conformance.Options, methods string, breaks ...string) (*conformance.Report, error) {
	return patiently(ctx, 1, o, methods, breaks...)
}

// patiently is suite with so many times its usual patience.
func patiently(ctx context.Context, patience time.Duration, o conformance.Options, methods string, breaks ...string) (*conformance.Report, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &stand{breaks: breaks, memory: map[string]*peer.Memory{}, http: loopback()}
	cfg := receivers.Config{
		Listener: listener, Base: "http://" + listener.Addr().String(), HTTP: loopback(), Key: testKey(),
		Push: methods == "push" || methods == "both", Poll: methods != "push", Start: s.start, Observe: s.observe,
		Wait: patience * 8 * time.Second, Quiet: patience * 500 * time.Millisecond,
	}
	if methods == "poll by https" {
		end, err := secure(&cfg, s)
		if err != nil {
			return nil, err
		}
		defer end()
	}
	return receivers.Run(ctx, cfg, o)
}

// secure makes the transmitters of a suite be reached by https, and receivers trust them.
func secure(cfg *receivers.Config, s *stand) (end func(), err error) {
	trusted := httptest.NewTLSServer(http.NotFoundHandler())
	cfg.Listener = tls.NewListener(cfg.Listener, trusted.TLS)
	cfg.Base = strings.Replace(cfg.Base, "http:", "https:", 1)
	s.http = trusted.Client()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	cfg.Untrusted = tls.NewListener(other, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	cfg.UntrustedBase = "https://" + other.Addr().String()
	return trusted.Close, nil
}

// A receiver that does not call who cannot be trusted passes.
func TestCertificates(t *testing.T) {
	t.Parallel()
	report, err := suite(t.Context(), conformance.Options{Only: []string{"INTEROP-2.1-02", "POLL-4.3-01"}}, "poll by https")
	if err != nil {
		t.Fatal(err)
	}
	if report.Summary.Passed != 2 || !report.OK() {
		t.Errorf("got %+v, want both passed", report)
	}
}

// A receiver that keeps to the specifications passes, by push and by poll.
func TestGoodReceiver(t *testing.T) {
	t.Parallel()
	tell := func(p conformance.Progress) {
		if p.Done {
			t.Logf("%s took %v", p.Check.Name, p.Took.Round(time.Millisecond))
		}
	}
	report, err := suite(t.Context(), conformance.Options{Progress: tell}, "both")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if r.Verdict == conformance.Failed || r.Verdict == conformance.Warned {
			t.Errorf("%s: got %s: %s", r.ID, r.Verdict, r.Reason)
		}
		if r.Verdict == conformance.Skipped && !r.Untestable {
			t.Logf("%s skipped: %s", r.ID, r.Reason)
		}
	}
	if len(report.Faults) > 0 {
		t.Errorf("got faults %q, want none", report.Faults)
	}
	t.Logf("%+v in %v", report.Summary, report.Duration)
}

// related returns the ids of the checks that decide an id: what else they decide must not
// be found violated because of it.
func related(id string) (ids []string) {
	for _, decides := range receivers.Checks() {
		if slices.Contains(decides, id) {
			ids = append(ids, decides...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Every break of a receiver is found, and nothing else because of it.
func TestMutants(t *testing.T) {
	// What a break violates besides, or in place of, what it is called.
	besides := map[string][]string{
		"rotation-missed":      {"SEC-03"},
		"states-unchecked":     {"SSF-8.1.4.1-02", "SSF-8.1.4.1-03"},
		"twice-done":           {"SEC-06"},
		"milliseconds-refused": {"EVT-02"},
		"INTEROP-2.1-02":       {"INTEROP-2.1-02", "POLL-4.3-01"},
		"INTEROP-2.5-01":       {"INTEROP-2.5-01", "SUBJ-3.2.3-01"},
		"SSF-4.1.8-03":         {"SSF-4.1.8-03", "JWT-3.9-01"},
		"SSF-7.2.4-01":         {"SSF-7.2.4-01", "SSF-7.2.4-02"},
		"SET-4-01":             {"SET-4-01", "SUBJ-4.1-01"},
		"SUBJ-3-02":            {"SUBJ-3-02", "SSF-3.4-01"},
	}
	t.Parallel()
	const atOnce = 16 // they mostly wait
	list := peer.ReceiverBreaks()
	reports, errs := make([]*conformance.Report, len(list)), make([]error, len(list))
	var group errgroup.Group
	group.SetLimit(atOnce)
	expected := func(id string) []string {
		if want := besides[id]; want != nil {
			return want
		}
		return []string{id}
	}
	// sound reports whether a report finds what is expected of a break and nothing else.
	sound := func(id string, report *conformance.Report) bool {
		var got []string
		for _, r := range report.Violations() {
			got = append(got, r.ID)
		}
		return slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(expected(id)))) && len(report.Faults) == 0
	}
	for i, b := range list {
		group.Go(func() error {
			method := "push"
			switch {
			case strings.HasPrefix(b.ID, "POLL-"):
				method = "poll"
			case b.ID == "INTEROP-2.4.1-01":
				method = "both"
			case b.ID == "INTEROP-2.1-02":
				method = "poll by https"
			}
			only := conformance.Options{Only: related(expected(b.ID)[0])}
			for _, patience := range []time.Duration{1, 6} { // the second on a machine that is busy with other tests
				reports[i], errs[i] = patiently(t.Context(), patience, only, method, b.ID)
				if errs[i] == nil && sound(b.ID, reports[i]) {
					break
				}
			}
			return nil
		})
	}
	_ = group.Wait() // errors are told below
	for i, b := range list {
		if errs[i] != nil {
			t.Errorf("%s: %v", b.ID, errs[i])
			continue
		}
		if report := reports[i]; !sound(b.ID, report) {
			var got []string
			for _, r := range report.Violations() {
				got = append(got, r.ID)
			}
			t.Errorf("%s, %s: got %q violated and faults %q, want %q", b.ID, b.Does, got, report.Faults, expected(b.ID))
			for _, r := range report.Results {
				t.Logf("%s %s: %s", r.ID, r.Verdict, r.Reason)
			}
		}
	}
}

// Whatever binds a receiver is decided by a check, or it is said why nobody can see it.
func TestComplete(t *testing.T) {
	list, err := conformance.ReadChecklist()
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := receivers.Untestable()
	if err != nil {
		t.Fatal(err)
	}
	decided := receivers.Decided()
	broken := map[string]bool{}
	for _, b := range peer.ReceiverBreaks() {
		broken[b.ID] = true
	}
	for _, r := range list.Requirements {
		is, reason := slices.Contains(decided, r.ID), reasons[r.ID]
		switch {
		case is && reason != "":
			t.Errorf("%s: got it decided and untestable, want one of them", r.ID)
		case r.Binding(conformance.Receiver) && !is && reason == "":
			t.Errorf("%s: got it neither decided nor untestable, want one of them", r.ID)
		case is && !broken[r.ID]:
			t.Logf("%s is decided, and no receiver breaks it by itself", r.ID)
		}
		delete(reasons, r.ID)
	}
	for id := range reasons {
		t.Errorf("%s: got it untestable, want only what is in the checklist", id)
	}
}

// A receiver that comes by itself is invited, and what needs a fresh one is skipped.
func TestInvited(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{memory: map[string]*peer.Memory{}, http: loopback()}
	var running []receivers.Process
	report, err := receivers.Run(t.Context(), receivers.Config{
		Listener: listener, Base: "http://" + listener.Addr().String(), HTTP: loopback(), Key: testKey(), Push: true,
		Wait: 8 * time.Second, Quiet: 100 * time.Millisecond, Arrive: 8 * time.Second,
		Invite: func(i receivers.Invitation) {
			p, err := s.start(t.Context(), i)
			if err != nil {
				t.Error(err)
			}
			running = append(running, p)
		},
	}, conformance.Options{Only: []string{"PUSH-2.2-01", "SET-2.4-01", "SSF-8.1.1.1-06", "SEC-06"}})
	for _, p := range running {
		_ = p.Stop(false) // it has nothing to say
	}
	if err != nil || len(running) != 1 {
		t.Fatalf("got %d invitations and %v, want one", len(running), err)
	}
	for id, want := range map[string]conformance.Verdict{"PUSH-2.2-01": "passed", "SET-2.4-01": "passed", "SSF-8.1.1.1-06": "skipped", "SEC-06": "skipped"} {
		if r, ok := report.Result(id); !ok || r.Verdict != want {
			t.Errorf("%s: got %s (%s), want %s", id, r.Verdict, r.Reason, want)
		}
	}
}

// A push endpoint is tested without the stream API, one that takes everything fails, and
// so does a receiver that never comes.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	credulous := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer registered" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer credulous.Close()
	run := func(change func(*receivers.Config)) *conformance.Report {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		cfg := receivers.Config{
			Listener: listener, Base: "http://" + listener.Addr().String(), HTTP: loopback(), Key: testKey(), Push: true,
			Wait: 3 * time.Second, Quiet: 100 * time.Millisecond, Arrive: 3 * time.Second,
		}
		change(&cfg)
		report, err := receivers.Run(t.Context(), cfg, conformance.Options{Only: []string{"PUSH-2.2-01", "PUSH-2-01", "SET-2.4-01", "SSF-4.1.8-03", "SSF-7.2.1-01"}})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	wants := func(name string, report *conformance.Report, want map[string]conformance.Verdict) {
		for id, want := range want {
			if r, ok := report.Result(id); !ok || r.Verdict != want {
				t.Errorf("%s, %s: got %s (%s), want %s", name, id, r.Verdict, r.Reason, want)
			}
		}
	}
	wants("credulous", run(func(c *receivers.Config) { c.Endpoint, c.Authorization = credulous.URL, "Bearer registered" }), map[string]conformance.Verdict{
		"PUSH-2.2-01": "passed", "PUSH-2-01": "passed", "SET-2.4-01": "failed", "SSF-4.1.8-03": "failed", "SSF-7.2.1-01": "skipped",
	})
	wants("absent", run(func(*receivers.Config) {}), map[string]conformance.Verdict{
		"PUSH-2.2-01": "failed", "SET-2.4-01": "skipped", "SSF-7.2.1-01": "failed",
	})
	for name, change := range map[string]func(*receivers.Config){
		"no listener": func(c *receivers.Config) { c.Listener = nil }, "no client": func(c *receivers.Config) { c.HTTP = nil },
		"no method": func(c *receivers.Config) { c.Push = false }, "an endpoint to poll": func(c *receivers.Config) { c.Endpoint, c.Poll = "http://127.0.0.1/", true },
	} {
		cfg := receivers.Config{Base: "http://127.0.0.1", HTTP: loopback(), Push: true}
		if listener, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
			cfg.Listener = listener
			defer listener.Close()
		}
		change(&cfg)
		if _, err := receivers.Run(t.Context(), cfg, conformance.Options{}); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

// A receiver that takes one SET and then nothing, or gives no answer any more, is not said to
// refuse what it should refuse.
func TestTakesNothing(t *testing.T) {
	t.Parallel()
	for name, later := range map[string]http.HandlerFunc{
		"refuses": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"err":"invalid_request","description":"no"}`))
		},
		"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var taken atomic.Bool
			endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if taken.Swap(true) {
					later(w, r)
					return
				}
				w.WriteHeader(http.StatusAccepted)
			}))
			defer endpoint.Close()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ids := []string{"SET-2.4-01", "JWT-3.3-01", "SSF-4.1.6-02", "SSF-4.1.1-01", "PUSH-2-01", "PUSH-2-03"}
			report, err := receivers.Run(t.Context(), receivers.Config{
				Listener: listener, Base: "http://" + listener.Addr().String(), HTTP: loopback(), Key: testKey(), Push: true,
				Wait: 2 * time.Second, Quiet: 100 * time.Millisecond, Arrive: 3 * time.Second, Endpoint: endpoint.URL, Authorization: "Bearer registered",
			}, conformance.Options{Only: ids})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if r, _ := report.Result(id); r.Verdict == conformance.Passed {
					t.Errorf("%s: got passed, want nothing said for a receiver that takes nothing", id)
				}
			}
			if r, _ := report.Result("JWT-3.3-01"); !strings.Contains(r.Reason, "it takes nothing") && !strings.Contains(r.Reason, "no answer") {
				t.Errorf("got the reason %q, want that nothing is taken", r.Reason)
			}
		})
	}
}
