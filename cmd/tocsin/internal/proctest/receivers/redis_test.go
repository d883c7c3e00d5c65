package receivers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// takeOver is how long the work of a process that was killed may lie still
// (docs/contracts.md §9).
const takeOver = 15 * time.Second

// crew are receivers that share a Redis, a transmitter whose SETs the test signs and
// pushes to whom it likes, and an application that a webhook tells.
type crew struct {
	*testing.T
	redis  *redistest.Server
	key    *jose.PrivateKey
	client *http.Client
	app    *httptest.Server
	hold   chan struct{} // the application answers when it is closed

	mu    sync.Mutex
	told  []string // jtis, at each call
	calls chan string
}

func newCrew(t *testing.T) *crew {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	c := &crew{
		T: t, redis: redistest.StartDurable(t), key: key, client: &http.Client{Timeout: 20 * time.Second},
		hold: make(chan struct{}), calls: make(chan string, 1000),
	}
	c.app = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message struct {
			Data struct {
				Event struct {
					ID string `json:"jti"`
				} `json:"event"`
			} `json:"data"`
		}
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Errorf("the application cannot read what it is told: %v", err)
		}
		c.mu.Lock()
		c.told = append(c.told, message.Data.Event.ID)
		hold := c.hold
		c.mu.Unlock()
		c.calls <- message.Data.Event.ID
		select {
		case <-hold:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(c.app.Close)
	t.Cleanup(c.release)
	return c
}

// release lets the application answer.
func (c *crew) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.hold:
	default:
		close(c.hold)
	}
}

// times returns how often the application was told of an event.
func (c *crew) times(jti string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range c.told {
		if id == jti {
			n++
		}
	}
	return n
}

// receiver returns one of the receivers, not started. more is of its configuration.
func (c *crew) receiver(more string) *proctest.Server {
	c.Helper()
	r := proctest.NewReceiver(c.T, "")
	public, err := json.Marshal(jose.NewKeySet(c.key.Public()))
	if err == nil {
		err = os.WriteFile(filepath.Join(r.Dir, "jwks.json"), public, 0o600)
	}
	if err != nil {
		c.Fatal(err)
	}
	r.Configure(c.T, fmt.Sprintf(`redis: redis://%s
retry: [100ms, 200ms, 500ms, 1s, 1s, 1s]
hooks:
  app: {type: webhook, url: %s, secrets: ['${SECRET}']}
issuers:
- {name: idp, issuer: "https://idp.example", key_file: jwks.json, audience: "https://shop.example", algorithms: [ES256]}
`, c.redis.Addr, c.app.URL)+more)
	return r
}

func (c *crew) start(r *proctest.Server) {
	c.Helper()
	if err := r.Start(secretOfHook); err != nil {
		c.Fatal(err)
	}
}

const secretOfHook = "SECRET=whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// set returns a signed SET: jti is also the name of the user whose sessions are revoked.
func (c *crew) set(jti string) string {
	c.Helper()
	b := set.Builder{
		Issuer: "https://idp.example", ID: jti, Audience: []string{"https://shop.example"}, IssuedAt: time.Now(), TransactionID: jti,
		Subject: subject.Email(jti + "@example.com"), Event: set.Event{Type: caep.SessionRevokedType},
	}
	claims, err := b.Claims()
	if err != nil {
		c.Fatal(err)
	}
	signer, err := jose.NewSigner(c.key, set.HeaderType)
	if err != nil {
		c.Fatal(err)
	}
	compact, err := signer.Sign(claims)
	if err != nil {
		c.Fatal(err)
	}
	return compact
}

// push pushes a SET to a receiver and returns the status.
func (c *crew) push(to *proctest.Server, compact string) int {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), http.MethodPost, to.Issuer+"/push/idp", strings.NewReader(compact))
	if err != nil {
		c.Fatal(err)
	}
	r.Header.Set("Content-Type", delivery.MediaType)
	resp, err := c.client.Do(r)
	if err != nil {
		c.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (c *crew) accepted(to *proctest.Server, compact string) {
	c.Helper()
	if got := c.push(to, compact); got != http.StatusAccepted {
		c.Fatalf("push: got %d, want 202", got)
	}
}

// journal returns the jti, hook and verdict of each entry, the newest first, or why it
// cannot be had now.
func (c *crew) journal(of *proctest.Server) (list []string) {
	c.Helper()
	out, err := of.Command(c.Context(), "receive", "journal", "--json", "--config", of.File)
	var entries []receive.Entry
	if err == nil {
		err = json.Unmarshal(out, &entries)
	}
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range entries {
		list = append(list, e.ID+" "+e.Hook+" "+e.Verdict)
	}
	return list
}

// Two receivers on one Redis: what is accepted at one and repeated at the other is
// answered alike and handled once, a signal that comes to one closes the gate of the
// other, and nothing of it lies in their folders.
func TestReceiversShareRedis(t *testing.T) {
	c := newCrew(t)
	c.release()
	var gates []*gateSocket
	var list []*proctest.Server
	for range 2 {
		g := newGateSocket(t)
		token := filepath.Join(filepath.Dir(g.path), "token")
		if err := os.WriteFile(token, []byte(gateToken), 0o600); err != nil {
			t.Fatal(err)
		}
		r := c.receiver(fmt.Sprintf("gate: {fail: closed, check: {listen: %q, cookie: sid, token_file: %q}}\n", g.path, token))
		c.start(r)
		gates, list = append(gates, g), append(list, r)
	}
	a, b := list[0], list[1]

	first := c.set("first")
	c.accepted(a, first)
	c.accepted(b, first)
	proctest.Eventually(t, "the first event", func() bool { return c.times("first") > 0 })
	c.accepted(b, first)
	proctest.Eventually(t, "the journal", func() bool { return slices.Contains(c.journal(b), "first app done") })

	// A session of which a is told is known at b, and ends there by what a is pushed.
	var took []time.Duration
	for n := range 20 {
		user := fmt.Sprintf("user-%d", n)
		login := fmt.Sprintf(`{"id":"s-%s","begun":%q,"members":{"user":[%s]}}`, user, time.Now().Add(-time.Minute).Format(time.RFC3339), email(user+"@example.com"))
		if got := gates[0].asked(t, http.MethodPost, "/sessions", "", login); got != http.StatusNoContent {
			t.Fatalf("login: got %d, want 204", got)
		}
		if got := gates[1].asked(t, http.MethodGet, "/check", "s-"+user, ""); got != http.StatusOK {
			t.Fatalf("%s at the other receiver after the login: got %d, want 200", user, got)
		}
		compact := c.set(user)
		c.accepted(a, compact)
		began := time.Now()
		for gates[1].asked(t, http.MethodGet, "/check", "s-"+user, "") != http.StatusUnauthorized {
			if time.Since(began) > proctest.Patience {
				t.Fatalf("the gate of the other receiver is still open for %s", user)
			}
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("from the answer to a push until the other receiver's gate is closed: median %v, worst %v", took[len(took)/2], took[len(took)-1])
	if median := took[len(took)/2]; median > time.Second {
		t.Errorf("got the other gate closed after %v, want it within 50 ms on a machine that is idle", median)
	}
	if n := c.times("first"); n != 1 {
		t.Errorf("got the application told %d times of what came three times, want once", n)
	}

	for _, r := range list {
		err := filepath.WalkDir(filepath.Join(r.Dir, "data"), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (strings.HasSuffix(path, ".db") || strings.HasSuffix(path, ".json")) {
				t.Errorf("got the file %s, want nothing kept in the folder", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// Where no receiver runs a command asks Redis.
	a.Kill()
	b.Kill()
	if got := c.journal(a); len(got) < 21 || !slices.Contains(got, "first app done") {
		t.Errorf("got %q without a receiver, want the whole journal", got)
	}
}

// A receiver that is killed while a hook runs leaves the event to the other one, within
// the lease.
func TestReceiverKilledAtHook(t *testing.T) {
	c := newCrew(t)
	a, b := c.receiver(""), c.receiver("")
	c.start(a)
	c.accepted(a, c.set("one"))
	if got := <-c.calls; got != "one" {
		t.Fatalf("got the application told of %s, want one", got)
	}
	c.start(b)
	a.Kill()
	killed := time.Now()
	select {
	case <-c.calls:
		t.Logf("taken over after %v", time.Since(killed))
	case <-time.After(takeOver):
		t.Fatalf("got nothing within %v of the kill, want the hook run by the other receiver", takeOver)
	}
	c.release()
	proctest.Eventually(t, "the journal", func() bool { return slices.Contains(c.journal(b), "one app done") })
}

// Redis is away for longer than any lease lasts: pushes are answered 503 meanwhile, and
// then all goes on by itself.
func TestReceiversOutliveRedis(t *testing.T) {
	c := newCrew(t)
	a, b := c.receiver(""), c.receiver("")
	c.start(a)
	c.start(b)
	c.accepted(a, c.set("before"))
	<-c.calls // and the application has not answered yet
	c.redis.Stop()
	began := time.Now()
	for n := 0; time.Since(began) < 11*time.Second; n++ {
		if got := c.push([]*proctest.Server{a, b}[n%2], c.set("meanwhile")); got != http.StatusServiceUnavailable {
			t.Fatalf("push without Redis: got %d, want 503", got)
		}
		proctest.Pause(200 * time.Millisecond)
	}
	c.release()
	c.redis.Restart(t)
	back := time.Now()
	for n, r := range []*proctest.Server{a, b} {
		proctest.Eventually(t, "a push that is accepted again", func() bool { return c.push(r, c.set(fmt.Sprint("after-", n))) == http.StatusAccepted })
	}
	proctest.Eventually(t, "every event", func() bool {
		got := c.journal(b)
		return slices.Contains(got, "before app done") && slices.Contains(got, "after-0 app done") && slices.Contains(got, "after-1 app done")
	})
	t.Logf("all is done %v after Redis is back", time.Since(back))
}

// A polled stream of several receivers is one stream, which one of them polls; when that
// one is killed another goes on.
func TestReceiversPollByTurns(t *testing.T) {
	redis := redistest.StartDurable(t)
	s := newShop(t, func(s *shop) string {
		return "redis: redis://" + redis.Addr + "\n" + s.hooks() + "issuers:\n" + s.issuer("polled", "poll")
	}, "polled")
	other := proctest.NewReceiver(t, "redis: redis://"+redis.Addr+"\n"+s.hooks()+"issuers:\n"+s.issuer("polled", "poll"))
	first := s.receiver
	for _, r := range []*proctest.Server{first, other} {
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := func(r *proctest.Server) bool {
		s.receiver = r
		h, err := s.health(context.Background())
		return err == nil && h.Issuers[0].Elsewhere
	}
	for _, r := range []*proctest.Server{first, other} {
		s.receiver = r
		s.verified(t, "polled")
	}
	polling, waiting := first, other
	if elsewhere(first) {
		polling, waiting = other, first
	}
	if elsewhere(polling) || !elsewhere(waiting) {
		t.Error("got no receiver, or both, keeping the stream, want one")
	}
	emit := func(n int) {
		s.login(t, fmt.Sprintf("u%d@example.com", n), fmt.Sprint("s", n))
		s.emit(t, fmt.Sprint(n), email(fmt.Sprintf("u%d@example.com", n)))
	}
	emit(1)
	proctest.Eventually(t, "the first session's end", func() bool { return len(s.left(t)) == 0 })
	polling.Kill()
	killed := time.Now()
	emit(2)
	proctest.Eventually(t, "the second session's end", func() bool { return len(s.left(t)) == 0 })
	took := time.Since(killed)
	t.Logf("taken over after %v", took)
	if took > takeOver {
		t.Errorf("got the other receiver polling after %v, want it within %v", took, takeOver)
	}
	token, err := os.ReadFile(s.token("polled"))
	if err != nil {
		t.Fatal(err)
	}
	status, body, err := s.idp.Call(t.Context(), s.client, http.MethodGet, "/ssf/streams", strings.TrimSpace(string(token)), nil)
	var all []json.RawMessage
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &all) != nil || len(all) != 1 {
		t.Errorf("got %d %s %v, want one stream at the transmitter", status, body, err)
	}
	if ran := s.column(t, "SELECT DISTINCT jti FROM ran"); len(ran) != 2 {
		t.Errorf("got %d events handled, want 2", len(ran))
	}
}
