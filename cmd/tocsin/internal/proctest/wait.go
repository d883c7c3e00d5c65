package proctest

import (
	"testing"
	"time"
)

// Patience bounds what a test waits for from processes that make progress, on a machine
// that is busy with other tests.
const Patience = 30 * time.Second

// Pause is how a test waits for a process that it cannot ask.
func Pause(d time.Duration) { <-time.After(d) }

// Eventually waits until check holds, and ends the test that waits in vain for what.
func Eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); Pause(20 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("%s: not in time", what)
}

// Crashed waits until the server has ended itself at a crash point.
func (s *Server) Crashed(t testing.TB, point string) {
	t.Helper()
	select {
	case <-s.Done():
		s.Kill()
	case <-time.After(Patience):
		t.Fatalf("the server did not come to %s", point)
	}
}
