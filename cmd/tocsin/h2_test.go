package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
)

// Bounds of what an attack within one connection of HTTP/2 may take, and of what it may
// send before it is cut.
const (
	h2Handlers = 250      // at once: the streams that a connection may have
	h2Heap     = 48 << 20 // bytes beyond what was there before
	h2Routines = 3 * h2Handlers
	h2Sent     = 64 << 20
)

// fortress is a listener by https, with what is asked of it.
type fortress struct {
	*testing.T
	addr    net.Addr
	secure  *tls.Config // of clients
	now     atomic.Int64
	most    atomic.Int64 // handlers at once
	started atomic.Int64
}

func newFortress(t *testing.T) *fortress {
	t.Helper()
	pair, ca, err := localca.Certificate(t.TempDir(), []string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(ca)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatalf("%s: got no certificate (%v)", ca, err)
	}
	f := &fortress{T: t, secure: &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}}
	f.addr = door(t, f, config.EdgeSettings{}, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	return f
}

// ServeHTTP waits for the end of /wait, answers without end to /much, and reads the body
// of all else.
func (f *fortress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.started.Add(1)
	n := f.now.Add(1)
	defer f.now.Add(-1)
	for most := f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
	}
	switch r.URL.Path {
	case "/wait":
		<-r.Context().Done()
	case "/much":
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	default:
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// attacker speaks frames on one connection.
type attacker struct {
	*http2.Framer
	conn  net.Conn
	head  bytes.Buffer
	enc   *hpack.Encoder
	sent  int64
	ended chan struct{} // the other side has cut
}

func (f *fortress) attacker(settings ...http2.Setting) *attacker {
	f.Helper()
	secure := f.secure.Clone()
	secure.NextProtos = []string{"h2"}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: soon}, Config: secure}
	c, err := d.DialContext(f.Context(), "tcp", f.addr.String())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * soon))
	a := &attacker{conn: c, ended: make(chan struct{})}
	a.Framer = http2.NewFramer(counted{c, &a.sent}, c)
	a.AllowIllegalWrites = true
	a.enc = hpack.NewEncoder(&a.head)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		f.Fatal(err)
	}
	if err := a.WriteSettings(settings...); err != nil {
		f.Fatal(err)
	}
	return a
}

type counted struct {
	io.Writer
	n *int64
}

func (c counted) Write(p []byte) (int, error) {
	*c.n += int64(len(p))
	return c.Writer.Write(p)
}

// listen reads what the other side says, to its end.
func (a *attacker) listen() {
	go func() {
		defer close(a.ended)
		for {
			if _, err := a.ReadFrame(); err != nil {
				return
			}
		}
	}()
}

// block is the head of a request.
func (a *attacker) block(method, path string, fields ...string) []byte {
	a.head.Reset()
	all := append([]string{":method", method, ":scheme", "https", ":authority", "localhost", ":path", path}, fields...)
	for i := 0; i+1 < len(all); i += 2 {
		_ = a.enc.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}) // into memory
	}
	return bytes.Clone(a.head.Bytes())
}

func (a *attacker) open(id uint32, block []byte, last bool) error {
	return a.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: last, EndHeaders: true})
}

// attack is one way to wear a server down by a single connection: it sends until it is
// refused, or has sent all that it wants to.
type attack struct {
	name string
	do   func(f *fortress)
}

func attacks() []attack {
	return []attack{
		{"rapid reset", rapidReset},
		{"streams beyond the bound", manyStreams},
		{"a head that never ends", continuation},
		{"empty frames of a head", emptyContinuation},
		{"a small head that becomes a large one", headerBomb},
		{"a window that is shut", shutWindow},
		{"bodies byte by byte", slowBodies},
		{"pings", pings},
		{"settings", settingsFlood},
		{"empty frames of a body", emptyData},
		{"window updates of a byte", windowUpdates},
	}
}

// SEC-08: what one connection of HTTP/2 can do to the process is bounded in handlers,
// goroutines and memory, others are served meanwhile, and nothing of it stays.
func TestHTTP2Attacks(t *testing.T) {
	for _, tt := range attacks() {
		t.Run(tt.name, func(t *testing.T) {
			f := newFortress(t)
			f.served() // what the first request costs is not what is measured
			routines, heap := runtime.NumGoroutine(), heapNow()
			done := make(chan struct{})
			go func() {
				defer close(done)
				tt.do(f)
			}()
			mostRoutines, mostHeap := 0, uint64(0)
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				case <-time.After(100 * time.Millisecond):
				}
				f.served()
				mostRoutines, mostHeap = max(mostRoutines, runtime.NumGoroutine()), max(mostHeap, heapNow())
			}
			t.Logf("%d handlers of %d at once; %d goroutines more, %d KiB more", f.most.Load(), f.started.Load(), mostRoutines-routines, (int64(mostHeap)-int64(heap))>>10)
			if f.most.Load() > h2Handlers+1 || mostRoutines > routines+h2Routines || mostHeap > heap+h2Heap {
				t.Errorf("got %d handlers, %d goroutines more, %d MiB more, want at most %d, %d, %d MiB", f.most.Load(), mostRoutines-routines, (mostHeap-heap)>>20, h2Handlers+1, h2Routines, h2Heap>>20)
			}
			until := time.Now().Add(soon)
			for f.now.Load() > 0 || runtime.NumGoroutine() > routines+8 {
				if time.Now().After(until) {
					t.Fatalf("after it: got %d handlers and %d goroutines more, want none", f.now.Load(), runtime.NumGoroutine()-routines)
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// served makes a request as anybody does, on a connection of its own.
func (f *fortress) served() {
	f.Helper()
	transport := &http.Transport{TLSClientConfig: f.secure.Clone(), ForceAttemptHTTP2: true, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(f.Context(), soon)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+f.addr.String()+"/", nil)
	if err != nil {
		f.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		f.Errorf("somebody else: got %v, want 204", err)
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || resp.ProtoMajor != 2 {
		f.Errorf("somebody else: got %s %d, want 204", resp.Proto, resp.StatusCode)
	}
}

// leave ends the connection, and waits for what reads it.
func (a *attacker) leave() {
	_ = a.conn.Close()
	<-a.ended
}

// wantCut fails unless the other side has ended it.
func (f *fortress) wantCut(a *attacker, err error) {
	f.Helper()
	select {
	case <-a.ended:
	case <-time.After(soon):
		f.Errorf("SEC-08: got %d KiB taken (%v), want it cut", a.sent>>10, err)
	}
	if a.sent > h2Sent {
		f.Errorf("SEC-08: got %d MiB taken, want it cut before", a.sent>>20)
	}
}

func rapidReset(f *fortress) {
	a := f.attacker()
	a.listen()
	defer a.leave()
	for id := uint32(1); id < 40_000; id += 2 {
		if a.open(id, a.block("GET", "/wait"), true) != nil || a.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break // told to be calm
		}
	}
}

func manyStreams(f *fortress) {
	a := f.attacker()
	a.listen()
	defer a.leave()
	for id := uint32(1); id < 4000; id += 2 {
		if a.open(id, a.block("GET", "/wait"), true) != nil {
			break
		}
	}
	<-time.After(200 * time.Millisecond) // all that will run do
}

func continuation(f *fortress) {
	a := f.attacker()
	a.listen()
	defer a.leave()
	err := a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.block("GET", "/", "x-a", "b")})
	for err == nil && a.sent < 2*h2Sent {
		a.head.Reset()
		_ = a.enc.WriteField(hpack.HeaderField{Name: "x-b", Value: strings.Repeat("c", 8<<10), Sensitive: true})
		err = a.WriteContinuation(1, false, a.head.Bytes())
	}
	f.wantCut(a, err)
}

func emptyContinuation(f *fortress) {
	a := f.attacker()
	a.listen()
	defer a.leave()
	err := a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.block("GET", "/", "x-a", "b")})
	for began := time.Now(); err == nil && time.Since(began) < soon; {
		err = a.WriteContinuation(1, false, nil)
	}
	f.wantCut(a, err)
}

func headerBomb(f *fortress) {
	a := f.attacker()
	a.listen()
	defer a.leave()
	block := a.block("GET", "/wait", "x-bomb", strings.Repeat("b", 3<<10))
	block = append(block, bytes.Repeat([]byte{0x80 | 62}, 12<<10)...) // the newest entry of the table, again and again: 36 MiB
	for id := uint32(1); id < 64; id += 2 {
		if a.open(id, block, true) != nil {
			break
		}
	}
	<-time.After(200 * time.Millisecond)
	if f.now.Load() > 0 {
		f.Errorf("got %d handlers that were given such a head", f.now.Load())
	}
}

func shutWindow(f *fortress) {
	a := f.attacker(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	a.listen()
	defer a.leave()
	for id := uint32(1); id < 2*h2Handlers; id += 2 {
		if a.open(id, a.block("GET", "/much"), true) != nil {
			break
		}
	}
	f.goneBy("answers that nobody reads")
}

func slowBodies(f *fortress) {
	a := f.attacker()
	a.listen()
	defer a.leave()
	for id := uint32(1); id < 100; id += 2 {
		if a.open(id, a.block("POST", "/read"), false) != nil {
			break
		}
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				if a.WriteData(uint32(1+2*(n%50)), false, []byte("a")) != nil {
					return
				}
			}
		}
	}()
	f.goneBy("bodies that never end")
}

// goneBy waits until no handler runs any more although the connection is there.
func (f *fortress) goneBy(what string) {
	f.Helper()
	for began := time.Now(); time.Since(began) < soon; {
		<-time.After(50 * time.Millisecond)
		if f.started.Load() > 1 && f.now.Load() == 0 {
			return
		}
	}
	f.Errorf("SEC-08 %s: got %d handlers still there after %v, want them cut", what, f.now.Load(), soon)
}

func pings(f *fortress) {
	a := f.attacker()
	defer func() { // nothing was read: the answers pile up where they can
		_ = a.conn.Close()
	}()
	for n := range 200_000 {
		_ = a.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		if a.WritePing(false, [8]byte{byte(n)}) != nil {
			return
		}
	}
}

func settingsFlood(f *fortress) {
	a := f.attacker()
	defer func() { _ = a.conn.Close() }()
	for n := range 100_000 {
		_ = a.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		if a.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(n)}) != nil {
			return
		}
	}
}

func emptyData(f *fortress) {
	a := f.attacker()
	a.listen()
	defer a.leave()
	err := a.open(1, a.block("POST", "/read"), false)
	for began := time.Now(); err == nil && time.Since(began) < time.Second; {
		err = a.WriteData(1, false, nil)
	}
}

func windowUpdates(f *fortress) {
	a := f.attacker()
	a.listen()
	defer a.leave()
	err := a.open(1, a.block("GET", "/wait"), true)
	for began := time.Now(); err == nil && time.Since(began) < soon; {
		<-time.After(time.Millisecond)
		err = a.WriteWindowUpdate(0, 1)
	}
	f.wantCut(a, err)
}
