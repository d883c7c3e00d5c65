package transmitter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// contracts.md §5, a stream costs others nothing: also one whose receiver
// hangs at the same host. A window may be larger than the usual one.
func TestSharedHost(t *testing.T) {
	const window, streams = 40, 2
	var hanging, delivered atomic.Int32
	release := make(chan struct{})
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hang") {
			hanging.Add(1)
			<-release
		} else {
			delivered.Add(1)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(host.Close)
	h := open(t, func(s *setup) { s.PushWindow, s.PushTimeout = window, time.Hour })
	t.Cleanup(func() { close(release) }) // before the transmitter ends: it waits for them
	source := h.client("hr", "events.write")
	for i := range streams {
		app := fmt.Sprint("hang", i)
		h.stream(h.client(app, everyScope), pushTo(host.URL+"/"+app))
	}
	events := make([]string, 2*window)
	for i := range events {
		events[i] = event(fmt.Sprint("u", i))
	}
	h.must(http.StatusAccepted, http.MethodPost, "/v1/events", source, "["+strings.Join(events, ",")+"]")
	until(t, "both windows are in flight", func() bool { return hanging.Load() == streams*window })
	h.stream(h.client("bob", everyScope), pushTo(host.URL+"/bob"))
	h.emit(source, "z")
	until(t, "bob's SET", func() bool { return delivered.Load() == 1 })
}
