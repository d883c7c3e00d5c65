package doctor_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// provoked are conditions under which all that can be found is found.
func provoked() map[string]func(t *testing.T, r *doctor.Report) {
	all := map[string]func(t *testing.T, r *doctor.Report){
		"settings": func(_ *testing.T, r *doctor.Report) {
			doctor.Settings(r, "serve", "f.yaml", nil)
			doctor.Settings(r, "serve", "f.yaml", errors.New("issuer: it is missing"))
			doctor.NotRunning(r, "/data", "server", "keys")
		},
		"loose": func(_ *testing.T, r *doctor.Report) {
			wide := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
			doctor.Loose{}.Look(r)
			doctor.Loose{InsecureLoopback: true, TokenAnyType: true, RedisVolatile: true, Conformance: true, TrustedProxy: wide, PushAllow: wide, TokenAllow: wide}.Look(r)
		},
		"loosened":     loosened,
		"certificates": certificates,
		"acme":         acmeLooks,
		"folders":      folders,
		"rules":        rules,
		"issuers":      issuers,
		"others":       others,
		"transmitter":  transmitter,
		"receiver":     receiver,
		"signer":       signerLooks,
		"redis":        redisLooks,
		"clock": func(_ *testing.T, r *doctor.Report) {
			wall, steady := time.Now(), time.Duration(0)
			done := doctor.Steady(r, func() (time.Time, time.Duration) { return wall, steady })
			done()
			wall = wall.Add(time.Hour)
			done()
		},
	}
	return all
}

func loosened(t *testing.T, r *doctor.Report) {
	file := filepath.Join(t.TempDir(), "receive.yaml")
	must(t, os.WriteFile(file, []byte("gate: {fail: open, check: {tokens: {trust_unverified_jwt: true}}}\n"), 0o600))
	gate, err := settings.Read(file, nil)
	must(t, err)
	wide := []netip.Prefix{netip.MustParsePrefix("::/0")}
	doctor.Loosened(r, receive.Config{})
	cfg := receive.Config{
		InsecureLoopback: true, Gate: gate.At("gate"),
		Issuers: []receive.Issuer{{Name: "one", Profile: "okta", Allow: wide, Tolerances: []string{"typ_jwt"}}},
	}
	cfg.TrustedProxy = wide
	doctor.Loosened(r, cfg)
}

func certificates(t *testing.T, r *doctor.Report) {
	now, year := time.Now(), 365*24*time.Hour
	good := issued{names: []string{"ssf.example.com"}, begin: now.Add(-year / 2), end: now.Add(year / 2)}
	cert, key := good.write(t)
	doctor.Front{Cert: cert, Key: key, Names: good.names, Admin: "10.0.0.1:9000"}.Look(r, now) // no certificate for the admin's address
	doctor.Certificate(r, cert, key+".gone", nil, now)
	pool, other := t.TempDir(), issued{begin: now.Add(-year), end: now.Add(9 * 24 * time.Hour), weak: true}
	cert, key = other.write(t)
	must(t, os.Chmod(key, 0o644))
	doctor.Certificate(r, cert, key, nil, now)
	cert, key = issued{begin: now.Add(-year), end: now.Add(-time.Hour)}.write(t)
	doctor.Certificate(r, cert, key, nil, now)
	doctor.Front{Data: pool, Names: []string{"ssf.example.com"}}.Look(r, now)
	doctor.Front{Data: pool, Names: []string{"localhost"}}.Look(r, now)
	cert, _ = good.write(t)
	doctor.Trusted(r, cert, now) // its authority is among those of the system
}

func folders(t *testing.T, r *doctor.Report) {
	doctor.Folder(r, filepath.Join(t.TempDir(), "none"), roomy)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.WriteFile(dir+"/log.db", append([]byte("SQLite format 3\x00"), make([]byte, 84)...), 0o600))
	must(t, os.WriteFile(dir+"/other.db", []byte("gone"), 0o600))
	doctor.Folder(r, dir, func(string) (doctor.Disk, error) { return doctor.Disk{Free: 1, Total: 1 << 40, Kind: "network"}, nil })
	doctor.Folder(r, filepath.Join(dir, "log.db"), roomy) // no folder
	head := append([]byte("SQLite format 3\x00"), make([]byte, 84)...)
	head[18], head[19] = 2, 2
	dir = t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	must(t, os.WriteFile(dir+"/log.db", head, 0o604))
	must(t, os.Chmod(dir+"/log.db", 0o604))
	must(t, os.WriteFile(dir+"/log.db-wal", nil, 0o600))
	must(t, os.Truncate(dir+"/log.db-wal", 2<<30)) // of holes
	doctor.Folder(r, dir, func(string) (doctor.Disk, error) {
		return doctor.Disk{Free: 4 << 30, Total: 1 << 40, Kind: "memory"}, nil
	})
	doctor.Folder(r, dir, roomy)
	doctor.Sealed(r, dir, true, true)
	doctor.Sealed(r, dir, false, true)
	doctor.Secrets(r, dir+"/log.db", dir+"/log.db-wal", "") // others may read the first
}

func rules(t *testing.T, r *doctor.Report) {
	file := filepath.Join(t.TempDir(), "receive.yaml")
	look := func(text string) {
		must(t, os.WriteFile(file, []byte("issuers: [{name: idp, issuer: \"https://idp.example\", audience: https://app.example}]\npublic_url: https://rp.example\n"+text), 0o600))
		cfg, err := receive.Read(file, nil, nil)
		must(t, err)
		doctor.Rules(r, cfg)
	}
	look("hooks:\n  told: {type: log}\n")
	look("hooks:\n  told: {type: nothing}\n")
	wrong := new(doctor.Report)
	look = func(text string) {
		must(t, os.WriteFile(file, []byte(text), 0o600))
		cfg, err := receive.Read(file, nil, nil)
		must(t, err)
		doctor.Rules(wrong, cfg)
	}
	look("issuers: [{name: idp, issuer: \"https://idp.example\", audience: https://app.example}]\npublic_url: https://rp.example\nhooks:\n  told: {type: log}\n" +
		"tests:\n- {name: none, issuer: idp, event: {type: session-revoked}, subject: {format: email, email: jo@example.org}, want: {rules: [], do: {}}}\n")
	if check(t, wrong, "rules", doctor.Fail); !strings.Contains(said(wrong), "tests of rules failed") {
		t.Errorf("got\n%s, want a test of rules that failed", said(wrong))
	}
}

func issuers(t *testing.T, r *doctor.Report) {
	for _, spoil := range []func(p *idp, is *receive.Issuer){
		func(*idp, *receive.Issuer) {},
		func(p *idp, _ *receive.Issuer) { p.Close() },
		func(_ *idp, is *receive.Issuer) { is.CA = "/nowhere.pem" },
		func(p *idp, _ *receive.Issuer) { p.spoil["/jwks.json"] = answers(http.StatusOK, `{"keys":[]}`) },
		func(_ *idp, is *receive.Issuer) { is.Delivery.Method = receive.MethodPoll },
		func(p *idp, _ *receive.Issuer) {
			p.spoil["/token"] = answers(http.StatusUnauthorized, `{"error":"invalid_client\u001b[2J"}`)
		},
		func(_ *idp, is *receive.Issuer) { is.Credentials = receive.Credentials{} },
		func(p *idp, _ *receive.Issuer) { p.spoil["/streams"] = answers(http.StatusForbidden, `{}`) },
		func(p *idp, _ *receive.Issuer) { p.ahead = 20 * time.Second },
		func(p *idp, _ *receive.Issuer) { p.ahead = 5 * time.Minute },
		func(_ *idp, is *receive.Issuer) { // polled, with keys in a file and a client's key that everybody can read
			key, err := jose.Generate(jose.ES256)
			must(t, err)
			raw, err := key.MarshalPrivateJWK()
			must(t, err)
			name := filepath.Join(t.TempDir(), "client.jwk")
			must(t, os.WriteFile(name, raw, 0o600))
			must(t, os.Chmod(name, 0o644))
			keys := filepath.Join(t.TempDir(), "keys.jwks")
			must(t, os.WriteFile(keys, []byte(jwks), 0o600))
			is.Mode, is.KeyFile, is.Delivery.Method = receive.ModeStatic, keys, receive.MethodPoll
			is.Credentials.Client = receive.Client{ID: "app", KeyFile: name}
		},
		func(_ *idp, is *receive.Issuer) {
			name := filepath.Join(t.TempDir(), "secret")
			must(t, os.WriteFile(name, []byte("s3cr3t"), 0o600))
			is.Credentials.Client = receive.Client{ID: "app", SecretFile: name}
		},
	} {
		p := newIDP(t, nil)
		is := p.configured(t)
		spoil(p, &is)
		doctor.Issuer(t.Context(), r, receive.Config{}, is, time.Now)
	}
}

// others are those whom a transmitter asks, and whose certificates end.
func others(t *testing.T, r *doctor.Report) {
	day := 24 * time.Hour
	cert, key := issued{names: []string{"127.0.0.1"}, begin: time.Now().Add(-300 * day), end: time.Now().Add(100 * day)}.write(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	must(t, err)
	ends := newIDP(t, &pair)
	for _, later := range []time.Duration{0, 90 * day, 101 * day} {
		doctor.Issuer(t.Context(), r, receive.Config{}, ends.configured(t), func() time.Time { return time.Now().Add(later) })
	}
	p := newIDP(t, nil)
	policy := guard.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: p.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	doctor.Published(t.Context(), r, p.URL, policy, time.Now)
	doctor.TokenIssuer(t.Context(), r, p.URL, policy, time.Now)
	doctor.TokenIssuer(t.Context(), r, p.URL, guard.Policy{}, time.Now)
	p.spoil["/jwks.json"] = answers(http.StatusNotFound, "")
	doctor.Published(t.Context(), r, p.URL, policy, time.Now)
	p.Close()
	doctor.Published(t.Context(), r, p.URL, policy, time.Now)
}

// asked is a server of an admin API on a folder, that answers as it is told.
func asked(t *testing.T, answers map[string]string) *adminapi.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "d")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, adminapi.SocketFile))
	must(t, err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		switch {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case answer == "":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte(answer))
		}
	}))
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	api := adminapi.Server(t.Context(), dir)
	if api == nil {
		t.Fatal("got no server")
	}
	t.Cleanup(func() { _ = api.Close() })
	return api
}

func transmitter(t *testing.T, r *doctor.Report) {
	now := time.Now()
	old, fresh := now.Add(-200*24*time.Hour).Format(time.RFC3339), now.Add(-time.Hour).Format(time.RFC3339)
	sink := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(sink.Close)
	push := guard.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: sink.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	look := func(answers map[string]string, spoil func(*doctor.Transmitter)) {
		usual := map[string]string{
			"/readyz": "ready\n", "/admin/keys": `[]`, "/admin/index": `{"indexed":1,"records":1}`, "/admin/sources": `[]`, "/admin/applications": `[{"id":"app"}]`,
			"/admin/streams": `[]`, "/admin/webhooks": `{"webhooks":[]}`,
		}
		for path, answer := range answers {
			usual[path] = answer
		}
		tr := doctor.Transmitter{API: asked(t, usual), Data: "/data", Push: push, KnownPush: true, Now: time.Now}
		if spoil != nil {
			spoil(&tr)
		}
		must(t, tr.Look(t.Context(), r))
	}
	look(map[string]string{
		"/admin/keys":     `[{"kid":"1","created":"` + fresh + `","current":true,"elsewhere":true},{"kid":"2","announced":true}]`,
		"/admin/sources":  `[{"name":"ol","auth":"off","api":{"poll_seconds":60},"polled":{"last_success":"` + fresh + `"}}]`,
		"/admin/streams":  `[{"stream_id":"s1","status":"enabled","delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"` + sink.URL + `"}}]`,
		"/admin/webhooks": `{"webhooks":[{"id":"w1","status":"enabled","url":"` + sink.URL + `"}]}`,
	}, func(tr *doctor.Transmitter) { tr.Held = []string{"1", "2"} })
	bad := `"status":"paused","reason":"\u001b[31mfull","dead_letters":2}`
	behind := `"status":"enabled","queued":3,"oldest":"` + old + `","last_error":"503\u0007"`
	look(map[string]string{
		"/readyz":         "ready, but the signer is away: events are taken, SETs wait\n",
		"/admin/keys":     `[{"kid":"1","created":"` + old + `","current":true,"elsewhere":true},{"kid":"0","created":"` + old + `","last_used":"` + old + `"}]`,
		"/admin/index":    `{"indexed":1,"records":1000000}`,
		"/admin/sources":  `[{"name":"open","auth":"none"},{"name":"ol","auth":"off","api":{"poll_seconds":1},"polled":{"last_success":"` + old + `","failures":3,"last_error":"401"}}]`,
		"/admin/streams":  `[{"stream_id":"s1",` + bad + `,{"stream_id":"s2",` + behind + `,"delivery":{"endpoint_url":"https://127.0.0.1:1/in"}}]`,
		"/admin/webhooks": `{"webhooks":[{"id":"w1",` + bad + `,{"id":"w2",` + behind + `,"url":"https://[::1]:1/in"}]}`,
	}, func(tr *doctor.Transmitter) { tr.Held = []string{"2"} })
	look(map[string]string{"/readyz": "", "/admin/keys": `[{"kid":"1","created":"` + old + `","current":true,"elsewhere":true}]`}, func(tr *doctor.Transmitter) { tr.RotateEvery = 24 * time.Hour })
	many := make([]map[string]any, 501)
	for i := range many {
		many[i] = map[string]any{"stream_id": "s", "status": "enabled", "delivery": map[string]string{"endpoint_url": "https://10.0.0.1/" + strings.Repeat("x", i)}}
	}
	raw, err := json.Marshal(many)
	must(t, err)
	look(map[string]string{"/admin/streams": string(raw)}, func(tr *doctor.Transmitter) { tr.KnownPush, tr.Push = false, guard.Policy{} })
}

func receiver(t *testing.T, r *doctor.Report) {
	now := time.Now()
	look := func(h receive.Health) {
		raw, err := json.Marshal(h)
		must(t, err)
		must(t, doctor.Receiver(t.Context(), r, asked(t, map[string]string{"/admin/health": string(raw)}), "/data", map[string]bool{"idp": true}, now))
	}
	one := func(h keeper.Health) []receive.IssuerHealth { return []receive.IssuerHealth{{Name: "idp", Health: h}} }
	look(receive.Health{Ready: true, Issuers: one(keeper.Health{Standing: keeper.OK})})
	look(receive.Health{
		Reload: "workers: -1", Gate: "the store is away", DryRun: true, Orphans: []string{"gone"},
		Issuers: one(keeper.Health{
			Standing: keeper.Failing, Problems: []string{"no stream\x1b[0m"}, Refusals: 2, Refused: now.Add(-time.Minute), RefusedCode: "invalid_issuer",
			Stream: &keeper.StreamHealth{DecidedByTransmitter: true, Status: "paused", NotDelivered: []string{"x"}},
			Inbox:  keeper.InboxHealth{Dead: 1, Waiting: 1, Oldest: now.Add(-time.Hour)},
		}),
	})
	look(receive.Health{Ready: true, Issuers: one(keeper.Health{Standing: keeper.Starting, Inbox: keeper.InboxHealth{Error: "locked"}})})
}

func signerLooks(t *testing.T, r *doctor.Report) {
	dir, err := os.MkdirTemp("", "s")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s.sock")
	if kids := doctor.Signer(t.Context(), r, path); kids != nil {
		t.Errorf("nobody: got keys %q", kids)
	}
	key, err := jose.Generate(jose.ES256)
	must(t, err)
	server, err := signer.NewServer(signer.ServerConfig{Keys: []signer.Key{{Public: key.Public(), Signer: key.Raw()}}, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	l, err := signer.Listen(t.Context(), path, false)
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- server.Serve(t.Context(), l) }()
	if kids := doctor.Signer(t.Context(), r, path); len(kids) != 1 || kids[0] != key.ID() {
		t.Errorf("got keys %q, want %q", kids, key.ID())
	}
	must(t, os.Chmod(dir, 0o777))
	doctor.Signer(t.Context(), r, path)
	must(t, os.Chmod(dir, 0o700))
	for name, hello := range map[string]string{
		"refuses": `{"protocol":"tocsin-signer","version":1,"error":{"code":"peer"}}`, "another": `{"protocol":"ssh","version":1}`,
	} {
		other := filepath.Join(dir, name)
		l, err := net.Listen("unix", other)
		must(t, err)
		go func() {
			if conn, err := l.Accept(); err == nil {
				_, _ = conn.Write(append([]byte{0, 0, 0, byte(len(hello))}, hello...))
				_ = conn.Close()
			}
		}()
		doctor.Signer(t.Context(), r, other)
		_ = l.Close()
	}
}

func redisLooks(t *testing.T, r *doctor.Report) {
	server := redistest.StartDurable(t)
	client := server.Client(t)
	set := func(name, value string) { must(t, client.ConfigSet(t.Context(), name, value).Err()) }
	look := func(now func() time.Time) { doctor.Redis(t.Context(), r, redisdb.Config{URL: server.URL()}, now) }
	set("maxmemory", "1mb")
	set("appendfsync", "always")
	look(time.Now)
	info, err := client.Info(t.Context()).Result()
	must(t, err)
	for _, field := range []string{"rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"} {
		one := new(doctor.Report)
		doctor.RedisState(one, strings.Replace(info, field+":ok", field+":err", 1), 0)
		check(t, one, "redis.disk", doctor.Fail)
		r.Findings = append(r.Findings, one.Findings...)
	}
	doctor.RedisState(r, info, 1)
	doctor.RedisState(r, strings.Replace(info, "connected_slaves:0", "connected_slaves:1", 1), 1)
	set("maxmemory", "0")
	at := time.Now()
	look(func() time.Time { at = at.Add(50 * time.Millisecond); return at }) // an answer takes so long
	must(t, client.Do(t.Context(), "ACL", "SETUSER", "default", "-time").Err())
	look(time.Now)
	set("maxmemory-policy", "allkeys-lru")
	look(time.Now)
	server.Stop()
	doctor.Redis(t.Context(), r, redisdb.Config{URL: "redis://:s3cr3t@" + server.Addr}, time.Now)
	doctor.Redis(t.Context(), r, redisdb.Config{URL: "redis://:s3cr3t@" + server.Addr + ":x"}, time.Now) // no URL
}
