package redisdb_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// A URL names servers, or is refused by words that repeat no password of it; one whose
// files are put into a folder names the same servers.
func FuzzConnect(f *testing.F) {
	for _, url := range []string{
		"redis://jo:%s@host:1/2?pool_size=3", "rediss://:%s@[::1]:1?tls_server_name=x", "redis+sentinel://jo:%s@a:1,b/m/1?sentinel_username=u&sentinel_password=%s",
		"redis+cluster://jo:%s@a,b:2?addr=c:3", "unix://jo:%s@/run/redis.sock?db=1", "redis://jo:%s?x@host", "redis://host/%s", "redis://h?password_file=%s", "redis://h?db=%s&read_timeout=9s", "redis://h?pool_size=2000000000", "redis://h?pool_size=-5&min_idle_conns=2000000000",
	} {
		f.Add(url, false)
		f.Add(url, true)
	}
	const secret = "s3cr3tw0rd"
	f.Fuzz(func(t *testing.T, form string, cluster bool) {
		raw := strings.ReplaceAll(form, "%s", secret)
		c, err := redisdb.Connect(raw, cluster)
		if err != nil {
			if c != nil {
				t.Fatalf("%q: got %v and %v", raw, c, err)
			}
			// The path of a file is no secret.
			if strings.Contains(err.Error(), secret) && !strings.Contains(raw, "_file=") && !strings.Contains(raw, "tls_") {
				t.Fatalf("%q: got %v, which repeats it", raw, err)
			}
			return
		}
		defer c.Close() // it never connected
		switch c := c.(type) {
		case *redis.Client:
			if c.Options().Addr == "" || cluster {
				t.Fatalf("%q: got %+v", raw, c.Options())
			}
		case *redis.ClusterClient:
			if n := len(c.Options().Addrs); n == 0 || n > redisdb.MaxAddrs {
				t.Fatalf("%q: got %d servers", raw, n)
			}
		default:
			t.Fatalf("%q: got %T", raw, c)
		}
		if strings.Contains(raw, "_file") || strings.Contains(raw, "tls_") {
			return // files that are not there
		}
		again, err := redisdb.Connect(redisdb.Within("/nowhere", raw), cluster)
		if err != nil {
			t.Fatalf("%q: got %v of %q", raw, err, redisdb.Within("/nowhere", raw))
		}
		_ = again.Close()
	})
}
