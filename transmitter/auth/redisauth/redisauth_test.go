package redisauth_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/auth/authtest"
	"github.com/tocsin-ssf/tocsin/transmitter/auth/redisauth"
)

// servers are a server by itself and one that is a cluster.
func servers(t *testing.T, test func(t *testing.T, cfg redisdb.Config)) {
	t.Run("single", func(t *testing.T) {
		test(t, redisdb.Config{URL: "redis://" + redistest.Start(t).Addr, Volatile: true})
	})
	t.Run("cluster", func(t *testing.T) {
		test(t, redisdb.Config{URL: "redis://" + redistest.StartCluster(t).Addr, Cluster: true, Volatile: true})
	})
}

func openDB(t testing.TB, cfg redisdb.Config) *redisdb.DB {
	t.Helper()
	db, err := redisdb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// opener opens the store of a folder, which is a prefix of keys here.
func opener(cfg redisdb.Config) authtest.Open {
	return func(t *testing.T, dir string) *auth.Store {
		cfg.Prefix = strings.NewReplacer("{", "_", "}", "_").Replace(filepath.Base(filepath.Dir(dir)) + filepath.Base(dir))
		return auth.NewStore(redisauth.New(openDB(t, cfg)))
	}
}

func TestContract(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) { authtest.Run(t, opener(cfg)) })
}

func TestShared(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		authtest.RunShared(t, func(t *testing.T, dir string) *auth.Store {
			t.Cleanup(func() { <-time.After(time.Second) }) // a cluster client's goroutines, which sleep a little, end with the bubble
			return opener(cfg)(t, dir)
		})
	})
}

// wire counts exchanges with the server, and loses answers.
type wire struct {
	exchanges atomic.Int64
	lose      atomic.Int64 // the answers of that many scripts are lost
}

func (w *wire) DialHook(next redis.DialHook) redis.DialHook { return next }

func (w *wire) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		w.exchanges.Add(1)
		err := next(ctx, cmd)
		if err == nil && strings.HasPrefix(cmd.Name(), "eval") && w.lose.Add(-1) >= 0 {
			err = next(ctx, cmd) // as the client does, which did not get the answer
		}
		return err
	}
}

func (w *wire) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		w.exchanges.Add(1)
		return next(ctx, cmds)
	}
}

func wired(t *testing.T) (*auth.Store, *redisauth.Backend, *wire, redis.UniversalClient) {
	client, w := redistest.Start(t).Client(t), new(wire)
	client.AddHook(w)
	b := redisauth.New(openDB(t, redisdb.Config{Client: client, Volatile: true}))
	s := auth.NewStore(b)
	if _, err := s.AddApplication(t.Context(), auth.Application{ID: "rp", Audience: []string{"https://rp.example"}}); err != nil {
		t.Fatal(err)
	}
	return s, b, w, client
}

// A request costs one exchange with the server, whoever sends it.
func TestOneExchange(t *testing.T) {
	ctx := t.Context()
	s, b, w, _ := wired(t)
	c := auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true}
	if _, err := s.AddClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	given, err := s.AddVendorSource(ctx, auth.VendorSource{Source: auth.Source{Name: "hr"}, Kind: auth.KindIDme, Auth: auth.VendorHeader, Header: "X-Secret"})
	if err != nil {
		t.Fatal(err)
	}
	ask := auth.Credential{Client: "c", TokenID: "jti"}
	h, err := b.Holder(ctx, ask, 0) // loads the script
	if err != nil || h.ID != "c" || h.Stamp == 0 {
		t.Fatalf("got %+v (%v), want c", h, err)
	}
	for name, fn := range map[string]func() error{
		"for the first time": func() error { _, err := b.Holder(ctx, ask, 0); return err },
		"again":              func() error { _, err := b.Holder(ctx, ask, h.Stamp); return err },
		"static":             func() error { _, err := b.Holder(ctx, auth.Credential{Static: []byte("none")}, 0); return err },
		"revoke":             func() error { return s.Revoke(ctx, "other", time.Now(), time.Now()) },
		"vendor": func() error {
			_, err := s.AdmitVendor(ctx, "hr", map[string][]string{"X-Secret": {given.Secret}})
			return err
		},
	} {
		if name == "revoke" {
			if err := fn(); err != nil { // loads the script
				t.Fatal(err)
			}
		}
		before := w.exchanges.Load()
		if err := fn(); err != nil && !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := w.exchanges.Load() - before; got != 1 {
			t.Errorf("%s: got %d exchanges, want 1", name, got)
		}
	}
	if got, err := b.Holder(ctx, ask, h.Stamp); err != nil || !got.Same {
		t.Errorf("got %+v (%v), want that nothing changed", got, err)
	}
}

// A script whose answer is lost is sent again, and comes to the same.
func TestAnswersLost(t *testing.T) {
	ctx := t.Context()
	s, _, w, _ := wired(t)
	for i, change := range []func() error{
		func() error {
			_, err := s.AddClient(ctx, auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}})
			return err
		},
		func() error { return s.RemoveClient(ctx, "c") },
		func() error { return s.RemoveApplication(ctx, "rp") },
	} {
		w.lose.Store(1)
		if err := change(); err != nil {
			t.Errorf("change %d: got %v, want it made once", i, err)
		}
	}
}

// Revocations end by themselves, soon after their tokens.
func TestRevocationsExpire(t *testing.T) {
	s, _, _, client := wired(t)
	now := time.Unix(1_000_000_000, 0) // whatever the process's clock says
	if err := s.Revoke(t.Context(), "jti", now.Add(time.Hour), now); err != nil {
		t.Fatal(err)
	}
	life, err := client.PTTL(t.Context(), "tocsin:{admin}:revoked:jti").Result()
	if err != nil || life < time.Hour || life > time.Hour+15*time.Minute {
		t.Errorf("got %v (%v), want a little more than an hour", life, err)
	}
}

// SEC-04: secrets and static tokens are not there in clear.
func TestSecretsAreDigests(t *testing.T) {
	ctx := t.Context()
	s, _, _, client := wired(t)
	c, err := s.AddClient(ctx, auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.AddVendorSource(ctx, auth.VendorSource{Source: auth.Source{Name: "hr"}, Kind: auth.KindIDme, Auth: auth.VendorBearer})
	if err != nil {
		t.Fatal(err)
	}
	names, err := client.Keys(ctx, "*").Result()
	if err != nil || len(names) < 5 {
		t.Fatalf("got keys %q (%v), want those of the store", names, err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "tocsin:{admin}:") {
			t.Errorf("got key %s, want all in one slot", name)
		}
		content, err := client.Dump(ctx, name).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{c.Secret, c.AccessToken, v.Secret} {
			if bytes.Contains([]byte(content), []byte(secret[len(secret)-20:])) {
				t.Errorf("%s has a secret in clear", name)
			}
		}
	}
}

// Another process has the same secret, and a call whose answer is lost makes no second.
func TestSecret(t *testing.T) {
	ctx := t.Context()
	_, b, w, client := wired(t)
	w.lose.Store(1)
	first, err := b.Secret(ctx, "search cursors", 32)
	if err != nil || len(first) != 32 {
		t.Fatalf("got %d bytes (%v), want 32", len(first), err)
	}
	other := redisauth.New(openDB(t, redisdb.Config{Client: client, Volatile: true}))
	if again, err := other.Secret(ctx, "search cursors", 32); err != nil || !bytes.Equal(again, first) {
		t.Errorf("got another secret (%v), want the same", err)
	}
	if another, err := other.Secret(ctx, "something else", 32); err != nil || bytes.Equal(another, first) {
		t.Errorf("got the same secret (%v), want another", err)
	}
	for _, n := range []int{16, 8, 100} {
		if _, err := b.Secret(ctx, "search cursors", n); err == nil {
			t.Errorf("of %d bytes: got no error", n)
		}
	}
}

// A change that replicas do not acknowledge is told apart; the server has it.
func TestReplicasAway(t *testing.T) {
	s, _, _, client := wired(t)
	short := auth.NewStore(redisauth.New(openDB(t, redisdb.Config{Client: client, Volatile: true, Replicas: 1, ReplicaWait: 10 * time.Millisecond})))
	if _, err := short.AddApplication(t.Context(), auth.Application{ID: "x", Audience: []string{"x"}}); !errors.Is(err, redisdb.ErrReplicas) {
		t.Errorf("got %v, want ErrReplicas", err)
	}
	if _, err := s.Application(t.Context(), "x"); err != nil {
		t.Errorf("got %v, want it there", err)
	}
}

// Of what was removed nothing is left but that the application was.
func TestNothingLeft(t *testing.T) {
	ctx := t.Context()
	s, _, _, client := wired(t)
	for _, c := range []auth.Client{
		{ID: "c", Application: "rp", Scopes: []auth.Scope{"events.write"}, Source: &auth.Source{Name: "hr"}, Static: true},
		{ID: "d", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true},
	} {
		if _, err := s.AddClient(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	v := auth.VendorSource{
		Source: auth.Source{Name: "it"}, Kind: auth.KindOneLogin, Auth: auth.VendorOff,
		API: &auth.VendorAPI{URL: "https://acme.onelogin.com", Secret: "x", Every: time.Minute},
	}
	if _, err := s.AddVendorSource(ctx, v); err != nil {
		t.Fatal(err)
	}
	called, err := s.CalledSource(ctx, "it")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		s.AddWebhook(ctx, auth.Webhook{ID: "w", Application: "rp", Settings: []byte("{}")}),
		s.AddWebhook(ctx, auth.Webhook{ID: "x", Application: "rp", Settings: []byte("{}")}),
		s.SavePlace(ctx, "it", called.Registration, auth.VendorPlace{Cursor: "c"}),
		s.RemoveWebhook(ctx, "w"), s.RemoveClient(ctx, "c"), s.RemoveVendorSource(ctx, "it"), s.RemoveApplication(ctx, "rp"),
	); err != nil {
		t.Fatal(err)
	}
	names, err := client.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if what := strings.TrimPrefix(name, "tocsin:{admin}:"); what != "removed" && what != "state" && !strings.HasPrefix(what, "answer:") {
			t.Errorf("got %s left, want nothing", name)
		}
	}
}

// A server that is away is no refusal: who asks is to ask again.
func TestServerAway(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client(t)
	b := redisauth.New(openDB(t, redisdb.Config{Client: client, Volatile: true}))
	s := auth.NewStore(b)
	if _, err := s.AddApplication(t.Context(), auth.Application{ID: "rp", Audience: []string{"https://rp.example"}}); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, holder := b.Holder(ctx, auth.Credential{Client: "c"}, 0)
	_, app := s.Application(ctx, "rp")
	_, vendor := s.AdmitVendor(ctx, "hr", nil)
	for what, err := range map[string]error{
		"holder": holder, "application": app, "vendor": vendor, "revoke": s.Revoke(ctx, "jti", time.Now(), time.Now()),
		"change": s.RemoveApplication(ctx, "rp"), "removed": second(s.Removed(ctx, "rp")),
	} {
		if err == nil || errors.Is(err, auth.ErrNotFound) || errors.Is(err, auth.ErrExists) {
			t.Errorf("%s: got %v, want a failure of the store", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// An assertion whose answer was lost is asked for again, and is good; the memory of it
// ends, after it.
func TestAssertionsAreForgotten(t *testing.T) {
	ctx := t.Context()
	_, b, w, client := wired(t)
	now := time.Now()
	w.lose.Store(1)
	if err := b.UseAssertion(ctx, "c", []byte("1"), now.Add(time.Minute), now); err != nil {
		t.Errorf("answer lost: got %v, want it good", err)
	}
	if err := b.UseAssertion(ctx, "c", []byte("1"), now.Add(time.Minute), now); !errors.Is(err, auth.ErrUsed) {
		t.Errorf("again: got %v, want ErrUsed", err)
	}
	keys, err := client.Keys(ctx, "*assertion*").Result()
	if err != nil || len(keys) != 2 {
		t.Fatalf("got keys %v (%v), want two", keys, err)
	}
	for _, key := range keys {
		if left, err := client.PTTL(ctx, key).Result(); err != nil || left <= time.Minute || left > 12*time.Minute {
			t.Errorf("%s: got %v left (%v), want the assertion's minute and ten", key, left, err)
		}
	}
}
