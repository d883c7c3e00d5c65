package signers_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// kids counts the SETs that are pushed, by the key that signed them.
type kids struct {
	*httptest.Server
	mu  sync.Mutex
	got map[string]int
}

func newKids(t *testing.T) *kids {
	t.Helper()
	k := &kids{got: map[string]int{}}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return // doctor knocks
		}
		body, err := io.ReadAll(r.Body)
		head, _, _ := strings.Cut(string(body), ".")
		raw, _ := base64.RawURLEncoding.DecodeString(head)
		var header struct {
			KeyID string `json:"kid"`
		}
		if err != nil || json.Unmarshal(raw, &header) != nil {
			t.Errorf("got %.40q (%v), want a SET", body, err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.got[header.KeyID]++
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *kids) count() map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.got)
}

// Nodes whose signers have different keys: one key signs, that of the store. The node whose
// signer does not have it says so, takes events and signs nothing, least of all with a key
// that the others do not publish; once its signer has the key all that waited is sent.
func TestSignersDiffer(t *testing.T) {
	t.Parallel()
	binary, redis := proctest.Binary(t), "redis://"+redistest.StartDurable(t).Addr
	one, other := newSigner(t, binary), newSigner(t, binary)
	fileA, kidA := one.key("a", jose.ES256)
	fileB, kidB := other.key("b", jose.ES256)
	one.args, other.args = []string{"--key", fileA}, []string{"--key", fileB}
	one.start()
	other.start()
	flags := func(s *signerProcess) []string { return []string{"--redis", redis, "--signer", "unix:" + s.socket()} }
	first := proctest.New(t, append(flags(one), "--log-level", "error")...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	second := proctest.New(t, append(flags(other), "--log-level", "error", "--issuer", first.Issuer)...)
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, "the second node to say what it lacks", func() bool { return strings.Contains(ask(t, second, "/readyz"), "200 ready, but the signer is away") })
	if got := ask(t, first, "/readyz"); got != "200 ready" {
		t.Errorf("the first node: got %s, want ready", got)
	}

	sink := newKids(t)
	const streams = 16 // over 16 partitions, of which each node holds some
	for i := range streams {
		token, err := first.Token(t.Context(), fmt.Sprint("app", i), fmt.Sprintf("https://app%d.example", i), "ssf.manage ssf.read")
		if err != nil {
			t.Fatal(err)
		}
		body := map[string]any{"events_requested": []string{sessionRevoked}, "delivery": map[string]string{"method": "urn:ietf:rfc:8935", "endpoint_url": sink.URL}}
		if status, said, err := first.Call(t.Context(), http.DefaultClient, http.MethodPost, "/ssf/streams", token, body); err != nil || status != http.StatusCreated {
			t.Fatalf("got %d %s (%v), want a stream", status, said, err)
		}
	}
	if out, err := second.Command(t.Context(), "event", "emit", "--data", second.Dir, "--type", "session.revoked", "--subject", `{"format":"email","email":"jo@example.com"}`); err != nil {
		t.Fatalf("an event at the second node: got %s (%v), want it taken", out, err)
	}
	out, err := second.Command(t.Context(), append([]string{"doctor", "serve", "--json", "--data", second.Dir, "--listen", second.Listen, "--issuer", first.Issuer, "--insecure-loopback"}, flags(other)...)...)
	var found doctor.Report
	if json.Unmarshal(out, &found) != nil || err == nil {
		t.Fatalf("doctor: got %s (%v), want findings and failures", out, err)
	}
	fails := map[string]bool{}
	for _, f := range found.Findings {
		if f.Verdict == doctor.Fail {
			fails[f.Check] = true
		}
	}
	if !fails["signer.keys"] || !fails["running.ready"] {
		t.Errorf("doctor: got the failures %v, want signer.keys and running.ready", fails)
	}
	proctest.Pause(2 * time.Second) // what could be signed is
	before := sink.count()
	if before[kidB] != 0 || before[kidA] == streams {
		t.Errorf("got %v, want some SETs to wait, and none of %s", before, kidB)
	}

	other.kill()
	other.args = []string{"--key", fileA, "--key", fileB}
	other.start()
	proctest.Eventually(t, "all SETs", func() bool { return sink.count()[kidA] == streams })
	proctest.Eventually(t, "the second node to be ready", func() bool { return ask(t, second, "/readyz") == "200 ready" })
	if got := sink.count(); got[kidB] != 0 {
		t.Errorf("got %v, want none of %s", got, kidB)
	}
	if got := metric(t, first, "tocsin_dead_letters"); got != "0" {
		t.Errorf("dead letters: got %s, want none", got)
	}
}
