package redistest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// told is a test that says how it ended.
type told struct {
	testing.TB
	fatal, skipped string
}

func (t *told) Fatal(args ...any) { t.fatal = fmt.Sprint(args...); runtime.Goexit() }
func (t *told) Skip(args ...any)  { t.skipped = fmt.Sprint(args...); runtime.Goexit() }

// Without an address, redis-server and Docker a test is skipped and told why; where CI
// says so it fails.
func TestNoRedis(t *testing.T) {
	t.Setenv(redistest.Address, "")
	t.Setenv("PATH", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1") // where nobody listens
	t.Setenv("CI", "")
	for _, ci := range []string{"", "1"} {
		t.Setenv("TOCSIN_CI", ci)
		for name, start := range map[string]func(testing.TB){
			"a server":  func(t testing.TB) { redistest.Start(t) },
			"durable":   func(t testing.TB) { redistest.StartDurable(t) },
			"cluster":   func(t testing.TB) { redistest.StartCluster3(t) },
			"Sentinels": func(t testing.TB) { redistest.StartSentinel(t) },
		} {
			got := &told{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				start(got)
			}()
			<-done
			said, other := got.skipped, got.fatal
			if ci != "" {
				said, other = other, said
			}
			if !strings.Contains(said, "redis-server") || other != "" {
				t.Errorf("%s, TOCSIN_CI=%q: got skipped %q, failed %q, want why", name, ci, got.skipped, got.fatal)
			}
		}
	}
}

// A server that does not start says why.
func TestStartFails(t *testing.T) {
	got := &told{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		redistest.StartSentinel(got, "--nonsense", "1")
	}()
	<-done
	if !strings.Contains(got.fatal, "nonsense") || !strings.Contains(got.fatal, "ended") {
		t.Errorf("got %q, want that it ended, and its log", got.fatal)
	}
}
