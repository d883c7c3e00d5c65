package transmitters_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/conformance/transmitters"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

const (
	token, otherToken   = "token-of-the-suite", "token-of-another"
	clientID, secret    = "suite", "secret-of-the-suite"
	audience, audience2 = "https://suite.example", "https://other.example"
)

// TestMain lets many suites run beside each other: they wait most of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		if err := flag.Set("test.parallel", "16"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// testKey is made once: making RSA keys is slow.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// counterpart runs a transmitter for the test.
func counterpart(t *testing.T, secure bool, change func(*peer.TransmitterConfig)) (*peer.Transmitter, string) {
	t.Helper()
	var handler http.Handler
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // what comes by an old TLS is no news
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	cfg := peer.TransmitterConfig{
		Issuer: server.URL, Key: testKey(), HTTP: loopback(),
		Clients:  []peer.Client{{ID: clientID, Secret: secret, Token: token, Audience: audience}, {ID: "other", Token: otherToken, Audience: audience2}},
		Events:   slices.DeleteFunc(slices.Concat(caep.Types(), risc.Types()), risc.Deprecated),
		LongPoll: 2 * time.Second, Redeliver: 20 * time.Millisecond, Retry: 20 * time.Millisecond,
	}
	change(&cfg)
	p, err := peer.NewTransmitter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	handler = p.Handler()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; server.CloseClientConnections(); server.Close() })
	return p, server.URL
}

func loopback() *http.Client {
	return guard.NewClient(guard.Policy{InsecureLoopback: true, Timeout: 10 * time.Second})
}

// config is a suite against a counterpart, with all that can be known of it.
func config(t *testing.T, p *peer.Transmitter, issuer string, secure bool) transmitters.Config {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client := loopback()
	if secure { // nothing is pushed then
		client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	}
	return transmitters.Config{
		Issuer: issuer, HTTP: client, InsecureLoopback: !secure, Push: !secure, Poll: true,
		Listener: listener, PublicURL: "http://" + listener.Addr().String(),
		Token:  func(context.Context) (string, error) { return token, nil },
		Other:  func(context.Context) (string, error) { return otherToken, nil },
		Scoped: func(ctx context.Context, scopes string) (string, error) { return scoped(ctx, client, issuer, scopes) },
		Trigger: func(_ context.Context, e transmitters.Event) error {
			var sub, data map[string]any
			if err := json.Unmarshal(e.Subject, &sub); err != nil {
				return err
			}
			if err := json.Unmarshal(e.Data, &data); err != nil {
				return err
			}
			p.Emit(peer.Event{Type: e.Type, Subject: sub, Payload: data})
			return nil
		},
		Wait: 2 * time.Second, Quiet: 100 * time.Millisecond,
	}
}

// scoped gets a token from the counterpart's token endpoint.
func scoped(ctx context.Context, client *http.Client, issuer, scopes string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scopes}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(clientID, secret)
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var made struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil {
		return "", err
	}
	return made.Token, nil
}

func runSuite(t *testing.T, cfg transmitters.Config, o conformance.Options) *conformance.Report {
	t.Helper()
	report, err := transmitters.Run(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Faults) > 0 {
		t.Errorf("got faults %q, want none", report.Faults)
	}
	return report
}

// profileOf is the profile in which a requirement is tested.
func profileOf(t *testing.T, id string) conformance.Profile {
	t.Helper()
	name := "ssf"
	switch prefix, _, _ := strings.Cut(id, "-"); prefix {
	case "CAEP", "INTEROP", "PRM":
		name = "caep-interop"
	case "RISC":
		name = "risc"
	}
	p, err := conformance.ProfileNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A transmitter that is right, of another make than ours, keeps everything, and nothing
// of the suite stays with it.
func TestRightPeer(t *testing.T) {
	right := []string{ // what cannot be decided of it
		"SSF-7.1-07", "SSF-7.1-12", "SSF-7.1-13", "SSF-8.1.3.1-02", "SSF-8.1.5-03", "PUSH-5.3-01", "POLL-4.3-01", "INTEROP-2.1-01",
		"POLL-2.3-02", "PRM-5.1-01",
		"SSF-8.1.1-04", "SSF-8.1.1-06", "SSF-8.1.2-01", "SSF-8.1.5-01", // its streams have no inactivity_timeout
	}
	for _, subjects := range []string{"ALL", "NONE"} {
		t.Run(subjects, func(t *testing.T) {
			t.Parallel()
			p, issuer := counterpart(t, false, func(c *peer.TransmitterConfig) { c.DefaultSubjects = subjects })
			report := runSuite(t, config(t, p, issuer, false), conformance.Options{})
			for _, r := range report.Violations() {
				t.Errorf("%s: got it %s, want it passed: %s", r.ID, r.Verdict, r.Reason)
			}
			if left := p.Streams(); len(left) > 0 || len(report.Notes) > 0 {
				t.Errorf("got %d streams left, and notes %q, want none", len(left), report.Notes)
			}
			for _, r := range report.Results {
				if r.Verdict == conformance.Skipped && !r.Untestable && !slices.Contains(right, r.ID) {
					t.Errorf("%s: got it skipped, want it decided: %s", r.ID, r.Reason)
				}
			}
		})
	}
}

// Where streams have a short inactivity_timeout, what follows from it is seen; where it is
// long, or they have none, that is said.
func TestInactivity(t *testing.T) {
	ids := []string{"SSF-8.1.1-04", "SSF-8.1.1-06", "SSF-8.1.2-01", "SSF-8.1.5-01"}
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		push    bool
		want    conformance.Verdict
		reason  string
	}{
		{"push", 2 * time.Second, true, conformance.Passed, ""},
		{"poll", 2 * time.Second, false, conformance.Passed, ""},
		{"long", time.Hour, true, conformance.Skipped, "and the suite waits for"},
		{"none", 0, true, conformance.Skipped, "have no inactivity_timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			try := func(patience time.Duration) (wrong []string) {
				p, issuer := counterpart(t, false, func(c *peer.TransmitterConfig) { c.InactivityTimeout = patience * tt.timeout })
				cfg := config(t, p, issuer, false)
				cfg.Push, cfg.Wait = tt.push, patience*cfg.Wait
				report := runSuite(t, cfg, conformance.Options{Only: ids})
				for _, id := range ids {
					if r, _ := report.Result(id); r.Verdict != tt.want || !strings.Contains(r.Reason, tt.reason) {
						wrong = append(wrong, fmt.Sprintf("%s: got %s %s, want %s %s", id, r.Verdict, r.Reason, tt.want, tt.reason))
					}
				}
				return wrong
			}
			if wrong := try(1); len(wrong) > 0 {
				t.Logf("again, with the patience that a busy machine needs: %q", wrong)
				for _, w := range try(5) {
					t.Error(w)
				}
			}
		})
	}
}

// A stream that nothing happens on shows nothing while it is stopped: a transmitter that
// refuses verification, without a trigger, is not said to hold events back.
func TestNothingHappens(t *testing.T) {
	t.Parallel()
	p, issuer := counterpart(t, false, func(*peer.TransmitterConfig) {})
	cfg := config(t, p, issuer, false)
	cfg.Trigger = nil
	cfg.HTTP = &http.Client{Transport: noVerification{cfg.HTTP.Transport}, Timeout: 10 * time.Second}
	report := runSuite(t, cfg, conformance.Options{Only: []string{"SSF-8.1.2.1-04", "SSF-8.1.2.1-06", "SSF-8.1.2-03"}})
	for id, want := range map[string]conformance.Verdict{"SSF-8.1.2.1-04": conformance.Skipped, "SSF-8.1.2.1-06": conformance.Skipped, "SSF-8.1.2-03": conformance.Passed} {
		if r, _ := report.Result(id); r.Verdict != want {
			t.Errorf("%s: got %s %s, want %s", id, r.Verdict, r.Reason, want)
		}
	}
}

// noVerification refuses verification in the transmitter's place.
type noVerification struct{ http.RoundTripper }

func (n noVerification) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/verify") {
		return n.RoundTripper.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	w.WriteHeader(http.StatusForbidden)
	return w.Result(), nil
}

// mutant is a transmitter that breaks one requirement.
type mutant struct {
	also   []string // what is broken by it, too, and found
	may    []string // what can look broken because of it, by its nature
	none   bool     // default_subjects is NONE
	secure bool     // it is served by https, and polled alone
	brief  bool     // streams have an inactivity_timeout of two seconds
}

// mutants are breaks that need a counterpart of another kind, or cannot break one thing
// alone. All others must be found alone.
func mutants() map[string]mutant {
	events := []string{"SSF-7.1-12", "SSF-7.1-13", "SSF-7.1-14", "SSF-8.1.1-01", "SSF-8.1.3.1-01"} // what is seen of events that come
	return map[string]mutant{
		"SET-2.2-02":         {may: []string{"SSF-7.1-12", "SSF-7.1-14", "SSF-8.1.3-03"}}, // an acknowledgement is of all that have the jti
		"INTEROP-2.6-01":     {also: []string{"JWT-3.1-01"}},                              // the key that it has is for RS256
		"RISC-3.1-01":        {also: []string{"SUBJ-3-01"}},                               // in place of format
		"SSF-7.1-05":         {secure: true},
		"INTEROP-2.3.2-01":   {also: []string{"SSF-7.1-03"}}, // the same, stricter
		"INTEROP-2.3.3-01":   {also: []string{"SSF-7.1-02"}}, // the same
		"SSF-8-01":           {also: []string{"SET-4-01", "SSF-7.1-09"}},
		"SSF-6.1.2-01":       {may: append([]string{"SET-2.2-02", "POLL-2.2-03", "POLL-2.2-04"}, events...)}, // each gets what is the other's
		"SSF-8.1.1.1-02":     {also: []string{"SSF-8.1.1.1-01"}},
		"SSF-8.1.1.1-03":     {may: []string{"SSF-6.1.2-01"}},
		"INTEROP-2.3.8.1-01": {also: []string{"SSF-8.1.1.1-01", "SSF-8.1.1.1-04"}, may: []string{"SSF-8.1.1-02", "SSF-8.1.1-09", "SSF-8.1.1.1-02"}},
		"SSF-8.1.1-04":       {brief: true},
		"SSF-8.1.2-01":       {brief: true, also: []string{"SSF-8.1.1-06", "SSF-8.1.5-01"}}, // the same
		"SSF-8.1.5-03":       {brief: true, also: []string{"SSF-8.1.1-06", "SSF-8.1.2-01", "SSF-8.1.5-01"}},
		"SSF-8.1.2.1-03":     {may: append([]string{"SSF-8.1.4.1-01", "SSF-8.1.3.1-03"}, events...)}, // nothing comes
		"SSF-8.1.2.1-04":     {may: []string{"SSF-8.1.2.1-06"}},
		"SSF-8.1.2.2-02":     {may: []string{"SSF-8-03"}}, // another's stream is one that is not there
		"SSF-8.1.4.2-03":     {also: []string{"SSF-8.1.4.2-02"}},
		"INTEROP-2.3.8.2-01": {also: []string{"SSF-8.1.4.1-01"}},
		"SSF-7.1-12":         {may: events},
		"SSF-7.1-13":         {none: true, may: append([]string{"SSF-8.1.3.1-02"}, events...)},
		"SSF-7.1-14":         {also: []string{"SSF-7.1-12"}},
		"SSF-8.1.3.1-01":     {none: true, may: events},
		"SSF-8.1.3.1-02":     {none: true},
		"SSF-8.1.3.2-02":     {also: []string{"SSF-8.1.3.2-01"}, may: []string{"SSF-8.1.3.2-04", "SSF-8-03"}},
		"SSF-8.1.3.2-04":     {may: []string{"SSF-8.1.3.3-01"}},
	}
}

// unseen are breaks that the suite does not see, with why.
func unseen() map[string]string {
	return map[string]string{
		"SSF-8.1.5-01": "nothing waits when a stream is left alone, behind which stream-updated could come",
		"POLL-2.3-02":  "moreAvailable may be left out",
	}
}

// Each requirement that the suite decides and that the counterpart can break is found
// broken, and no other is.
func TestMutants(t *testing.T) {
	decided, special, hidden := transmitters.Decided(), mutants(), unseen()
	tested := 0
	for _, b := range peer.TransmitterBreaks() {
		if !slices.Contains(decided, b.ID) || hidden[b.ID] != "" {
			continue
		}
		tested++
		t.Run(b.ID, func(t *testing.T) {
			t.Parallel()
			m := special[b.ID]
			options := conformance.Options{Profile: profileOf(t, b.ID)}
			if os.Getenv("TOCSIN_TEST_LONG") != "1" { // else the whole suite, which finds nothing besides
				options.Only = append([]string{b.ID}, m.also...)
			}
			try := func(patience time.Duration) []string {
				p, issuer := counterpart(t, m.secure, func(c *peer.TransmitterConfig) {
					c.Break = []string{b.ID}
					if m.brief {
						c.InactivityTimeout = 2 * time.Second * min(patience, 4)
					}
					if m.none {
						c.DefaultSubjects = "NONE"
					}
				})
				cfg := config(t, p, issuer, m.secure)
				cfg.Wait, cfg.Quiet = patience*cfg.Wait, patience*cfg.Quiet
				return judge(b, m, runSuite(t, cfg, options))
			}
			if wrong := try(1); len(wrong) > 0 {
				t.Logf("again, with the patience that a busy machine needs: %q", wrong)
				for _, w := range try(8) {
					t.Error(w)
				}
			}
		})
	}
	if tested < 100 {
		t.Errorf("got %d mutants, want all that there are", tested)
	}
}

// judge tells what of a report is wrong that must find what is broken, and nothing else.
func judge(b peer.Break, m mutant, report *conformance.Report) (wrong []string) {
	for _, id := range append([]string{b.ID}, m.also...) {
		if r, _ := report.Result(id); r.Verdict != r.Violation() {
			wrong = append(wrong, fmt.Sprintf("%s: %s: got %s %s, want it violated", b.Does, id, r.Verdict, r.Reason))
		}
	}
	for _, r := range report.Violations() {
		if r.ID != b.ID && !slices.Contains(m.also, r.ID) && !slices.Contains(m.may, r.ID) {
			wrong = append(wrong, fmt.Sprintf("%s: got %s %s, too: %s", b.Does, r.ID, r.Verdict, r.Reason))
		}
	}
	return wrong
}
