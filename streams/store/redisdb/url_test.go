package redisdb_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// Files of a URL that a configuration names are in its folder, unless they say where.
func TestWithin(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{"redis://u@h?password_file=pw", "redis://u@h?password_file=%2Fetc%2Ft%2Fpw"},
		{"rediss+sentinel://h/m?tls_ca=..%2Fca.pem&sentinel_password_file=%2Fs", "rediss+sentinel://h/m?sentinel_password_file=%2Fs&tls_ca=%2Fetc%2Fca.pem"},
		{"rediss://h?tls_cert=c&tls_key=k", "rediss://h?tls_cert=%2Fetc%2Ft%2Fc&tls_key=%2Fetc%2Ft%2Fk"},
		{"redis://h?password_file=/run/pw&pool_size=3", "redis://h?password_file=/run/pw&pool_size=3"},
		{"redis://u:a?b%ZZ@h", "redis://u:a?b%ZZ@h"},
		{"redis://h", "redis://h"},
		{"", ""},
	} {
		if got := redisdb.Within("/etc/t", tt.raw); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.raw, got, tt.want)
		}
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConnectSingle(t *testing.T) {
	password := file(t, "of file\n")
	for _, tt := range []struct {
		url, addr, user, password, server string
		db                                int
	}{
		{url: "redis://host", addr: "host:6379"},
		{url: "redis://host:1/2", addr: "host:1", db: 2},
		{url: "redis://jo:s%40c%2Fret@[::1]:1/?db=3", addr: "[::1]:1", user: "jo", password: "s@c/ret", db: 3},
		{url: "rediss://host", addr: "host:6379", server: "host:6379"},
		{url: "rediss://10.0.0.1:1?tls_server_name=redis.example", addr: "10.0.0.1:1", server: "redis.example"},
		{url: "redis://jo@host?password_file=" + password, addr: "host:6379", user: "jo", password: "of file"},
		{url: "unix:///run/redis.sock?db=1", addr: "/run/redis.sock", db: 1},
	} {
		c, err := redisdb.Connect(tt.url, false)
		if err != nil {
			t.Errorf("%s: got %v", tt.url, err)
			continue
		}
		o := c.(*redis.Client).Options()
		user, secret := o.Username, o.Password
		if o.CredentialsProviderContext != nil {
			if user, secret, err = o.CredentialsProviderContext(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if o.Addr != tt.addr || user != tt.user || secret != tt.password || o.DB != tt.db || (o.TLSConfig != nil) != (tt.server != "") {
			t.Errorf("%s: got %s %s %s %d, TLS %v, want %+v", tt.url, o.Addr, user, secret, o.DB, o.TLSConfig != nil, tt)
		}
		if !o.ContextTimeoutEnabled || o.ClientName != "tocsin" || o.ReadTimeout <= redisdb.MaxReplicaWait {
			t.Errorf("%s: got %v %q %v, want deadlines heeded, a name, and time for replicas", tt.url, o.ContextTimeoutEnabled, o.ClientName, o.ReadTimeout)
		}
		_ = c.Close()
	}
	c, err := redisdb.Connect("redis://host?client_name=other&read_timeout=9s&pool_size=5", false)
	if err != nil {
		t.Fatal(err)
	}
	if o := c.(*redis.Client).Options(); o.ClientName != "other" || o.ReadTimeout != 9*time.Second || o.PoolSize != 5 {
		t.Errorf("got %q %v %d, want what the URL says", o.ClientName, o.ReadTimeout, o.PoolSize)
	}
	_ = c.Close()
}

func TestConnectCluster(t *testing.T) {
	for _, tt := range []struct {
		url     string
		cluster bool
		want    []string
	}{
		{"redis+cluster://a:1,b", false, []string{"a:1", "b:6379"}},
		{"rediss+cluster://jo:secret@a,a,[::1]:2/0", false, []string{"a:6379", "[::1]:2"}},
		{"redis://a:1?addr=b:2&addr=c:3", true, []string{"a:1", "b:2", "c:3"}},
	} {
		c, err := redisdb.Connect(tt.url, tt.cluster)
		if err != nil {
			t.Errorf("%s: got %v", tt.url, err)
			continue
		}
		cluster, ok := c.(*redis.ClusterClient)
		if !ok || !slices.Equal(cluster.Options().Addrs, tt.want) {
			t.Errorf("%s: got %T, want a cluster of %q", tt.url, c, tt.want)
		}
		_ = c.Close()
	}
}

// What is wrong is named, and nothing of the URL is repeated.
func TestConnectRefused(t *testing.T) {
	for _, tt := range []struct {
		url     string
		cluster bool
		want    string
	}{
		{url: "", want: "want redis://"},
		{url: "http://jo:secret@host", want: "want redis://"},
		{url: "redis://jo:se/secret@host", want: "host"},
		{url: "redis://jo:se?secret@host", want: "form"},
		{url: "redis://jo:%secret@host", want: "form"},
		{url: "redis://jo:secret@ho st", want: "host"},
		{url: "redis://jo:secret@host:70000", want: "host:port"},
		{url: "redis://jo:secret@a,b", want: "redis+sentinel:// or redis+cluster://"},
		{url: "redis://jo:secret@host/secret", want: "database"},
		{url: "redis://jo:secret@host?pool_size=secret", want: "parameter"},
		{url: "redis://jo:secret@host?pool=4", want: "pool"},
		{url: "redis://jo:secret@host?pool_size=2000000000", want: "0 to 10000 connections"},
		{url: "redis://jo:secret@host?min_idle_conns=2000000000", want: "0 to 10000 connections"},
		{url: "redis://jo:secret@host?tls_ca=x", want: "tls_ca is for rediss"},
		{url: "redis://jo:secret@host?sentinel_password=secret", want: "sentinel_password is for"},
		{url: "redis://jo:secret@host?password_file=x", want: "a password and a password_file"},
		{url: "redis://host?password_file=/nowhere", want: "password_file"},
		{url: "redis://host?password_file=" + file(t, "\n"), want: "password_file: the file is empty"},
		{url: "redis://host?password_file=" + file(t, strings.Repeat("x", 5000)), want: "password_file: the file has more than"},
		{url: "rediss://host?tls_cert=x", want: "go together"},
		{url: "rediss://host?tls_ca=/nowhere", want: "tls_ca"},
		{url: "rediss://host?tls_ca=" + file(t, "secret"), want: "tls_ca: the file has no certificate"},
		{url: "redis+sentinel://jo:secret@host", want: "name the master"},
		{url: "redis+sentinel://host/m?sentinel_password=secret&sentinel_password_file=x", want: "sentinel_password_file"},
		{url: "redis+sentinel://jo:secret@host/m", cluster: true, want: "not of a cluster"},
		{url: "redis+cluster://jo:secret@host/1", want: "database 0"},
		{url: "redis+cluster://" + strings.Repeat("secret,", 9) + strings.Join(many(70), ","), want: "at most 64"},
		{url: "redis://" + strings.Repeat("secret", 9000), want: "bytes"},
	} {
		c, err := redisdb.Connect(tt.url, tt.cluster)
		if err == nil {
			_ = c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.60s: got %v, want an error with %q and without values", tt.url, err, tt.want)
		}
	}
}

func many(n int) []string {
	hosts := make([]string, n)
	for i := range hosts {
		hosts[i] = "h" + strings.Repeat("x", i)
	}
	return hosts
}

// The URL alone finds the master by its Sentinels, the nodes of a cluster, and with the
// password of a file who asks for one.
func TestReached(t *testing.T) {
	script := redis.NewScript(`return redis.call('INCR', KEYS[1])`)
	count := func(t *testing.T, cfg redisdb.Config) {
		t.Helper()
		cfg.Volatile = true
		db := open(t, cfg)
		for i, key := range []string{"a", "b", "c", "d"} {
			if got, err := db.Write(t.Context(), script, []string{key}); err != nil || got != int64(1) {
				t.Errorf("got %v, %v for write %d, want 1", got, err, i)
			}
		}
	}
	t.Run("sentinel", func(t *testing.T) {
		s := redistest.StartSentinel(t)
		count(t, redisdb.Config{URL: s.URL(), Replicas: 2})
		if _, err := redisdb.Open(t.Context(), redisdb.Config{URL: s.URL() + "x"}); err == nil || !strings.Contains(err.Error(), "Sentinel") {
			t.Errorf("got %v for a name that no Sentinel knows, want an error that says so", err)
		}
	})
	t.Run("cluster", func(t *testing.T) { count(t, redisdb.Config{URL: redistest.StartCluster3(t).URL()}) })
	t.Run("password", func(t *testing.T) {
		s := redistest.StartDurable(t)
		if err := s.Client(t).ConfigSet(t.Context(), "requirepass", "first").Err(); err != nil {
			t.Fatal(err)
		}
		path := file(t, "first\n")
		count(t, redisdb.Config{URL: s.URL() + "?password_file=" + path})
		_, err := redisdb.Open(t.Context(), redisdb.Config{URL: "redis://:secret@" + s.Addr, Volatile: true})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v with a wrong password, want an error without it", err)
		}
	})
}

// A server by TLS is told by its certificate, and knows us by ours.
func TestTLS(t *testing.T) {
	s := redistest.StartTLS(t)
	ours := "tls_ca=" + s.CA + "&tls_cert=" + s.Cert + "&tls_key=" + s.Key
	for _, tt := range []struct {
		name, url string
		want      string // of the error
	}{
		{"both certificates", "rediss://" + s.Addr + "?" + ours, ""},
		{"by name", "rediss://" + s.Addr + "?tls_server_name=redis.example&" + ours, ""},
		{"another name", "rediss://" + s.Addr + "?tls_server_name=other.example&" + ours, "other.example"},
		{"an authority that is not known", "rediss://" + s.Addr + "?tls_cert=" + s.Cert + "&tls_key=" + s.Key, "unknown authority"},
		{"no certificate of ours", "rediss://" + s.Addr + "?tls_ca=" + s.CA, "redisdb"},
	} {
		db, err := redisdb.Open(t.Context(), redisdb.Config{URL: tt.url, Volatile: true})
		if err == nil {
			_ = db.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// What a URL says of the way to the server is looked at: a time that is over before
// replicas may answer is refused, and a way that others can listen to is warned of.
func TestLineChecked(t *testing.T) {
	s := redistest.StartTLS(t)
	gone := "127.0.0.1:1" // where nobody listens
	for _, tt := range []struct {
		name, url string
		replicas  int
		want      string // of the error
		warned    string
	}{
		{name: "too short", url: "redis://" + gone + "?read_timeout=1s", replicas: 1, want: "read_timeout"},
		{name: "nothing to wait for", url: "redis://" + gone + "?read_timeout=1s", want: "refused"},
		{name: "in clear", url: "redis://redis.invalid", want: "redis.invalid", warned: "in clear"},
		{name: "in clear to some", url: "redis+cluster://127.0.0.1:1,redis.invalid", want: "redisdb", warned: "in clear"},
		{name: "here", url: "redis+cluster://127.0.0.1:1,localhost:1", want: "redisdb"},
		{name: "no certificate is checked", url: "rediss://" + s.Addr + "?skip_verify=true&tls_cert=" + s.Cert + "&tls_key=" + s.Key, warned: "skip_verify"},
	} {
		var log syncBuffer
		db, err := redisdb.Open(t.Context(), redisdb.Config{
			URL: tt.url, Volatile: true, Replicas: tt.replicas, ReplicaWait: 2 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err == nil {
			_ = db.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		for _, word := range []string{"in clear", "skip_verify"} {
			if strings.Contains(log.String(), word) != (word == tt.warned) {
				t.Errorf("%s: got %q logged, want warned %q", tt.name, log.String(), tt.warned)
			}
		}
	}
}
