package push_test

import (
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// Streams that come due at once begin a few at a time, and all of them soon.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		most := push.StartsPerCPU * runtime.GOMAXPROCS(0)
		ids := make([]string, 3*most)
		for i := range ids {
			ids[i] = fmt.Sprint("s", i)
		}
		w := newWorld(t, func(post) *http.Response { return reply(202, "") }, nil, ids...)
		for _, id := range ids {
			w.put(id, 1, nil)
		}
		synctest.Wait()
		if got := len(w.jtis()); got != most {
			t.Errorf("at once: got %d SETs, want %d", got, most)
		}
		after(time.Second)
		if got := len(w.jtis()); got != len(ids) {
			t.Errorf("within a second: got %d SETs, want %d", got, len(ids))
		}
	})
}
