package transmitters

import (
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// Bounds on what the transmitter may push.
const (
	maxPushes   = 256 // that wait to be looked at, per hook
	sinkTimeout = 10 * time.Second
	sinkHeaders = 64 << 10
)

// sink takes pushes: each stream has a path of its own, which nobody can guess.
type sink struct {
	base string
	mask *conformance.Mask

	mu    sync.Mutex
	hooks map[string]*hook
}

// hook is where one stream pushes to.
type hook struct {
	url  string
	got  chan *push
	mu   sync.Mutex
	more func(n int) reply // answers the n-th push, from 0; nil: 202
	n    int
}

// push is one request that came.
type push struct {
	at       time.Time
	method   string
	header   http.Header
	body     []byte
	exchange conformance.Exchange
}

// reply is an answer to a push; the zero value is 202.
type reply struct {
	status int
	header http.Header
	body   string
}

func newSink(base string, mask *conformance.Mask) *sink {
	return &sink{base: base, mask: mask, hooks: map[string]*hook{}}
}

// hook returns a new place to push to.
func (s *sink) hook() *hook {
	path := "/push/" + rand.Text()
	h := &hook{url: s.base + path, got: make(chan *push, maxPushes)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[path] = h
	return h
}

// answer says what pushes are answered from now on; the count begins again.
func (h *hook) answer(fn func(n int) reply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.more, h.n = fn, 0
}

func (h *hook) next() reply {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := reply{}
	if h.more != nil {
		r = h.more(h.n)
	}
	h.n++
	if r.status == 0 {
		r.status = http.StatusAccepted
	}
	return r
}

// serve takes pushes on l until stop is called, which closes it.
func (s *sink) serve(l net.Listener) (stop func()) {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: sinkTimeout, ReadTimeout: sinkTimeout, WriteTimeout: sinkTimeout, MaxHeaderBytes: sinkHeaders,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // what a peer does is seen by what it sends
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // it ends when it is closed
	}()
	return func() {
		_ = server.Close() // nobody waits for what comes after a run
		<-done
	}
}

// ServeHTTP takes one push. Its path may be below that of another base, where a proxy
// stands before the listener.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if i := strings.LastIndex(path, "/push/"); i > 0 {
		path = path[i:]
	}
	s.mu.Lock()
	h := s.hooks[path]
	s.mu.Unlock()
	if h == nil {
		http.NotFound(w, r)
		return
	}
	p := &push{at: time.Now(), method: r.Method, header: r.Header.Clone()}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, delivery.MaxPushBodyBytes))
	p.body = body
	answer := h.next()
	p.exchange = conformance.Exchange{
		Direction: conformance.Received, At: p.at,
		Request:  s.mask.RequestMessage(r.Method, h.url, r.Header, body),
		Response: s.mask.ResponseMessage(answer.status, answer.header, []byte(answer.body), false),
	}
	if err != nil {
		p.exchange.Error = "its body is too long or broken"
	}
	p.exchange.Took = conformance.Seconds(time.Since(p.at))
	select {
	case h.got <- p:
	default: // nobody looks at so many
	}
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body) // the transmitter may have gone
}
