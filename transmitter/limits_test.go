package transmitter_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// maxHeap is what a hostile request may add to the heap, in bytes.
const maxHeap = 64 << 20

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// counted is an endless body that counts what is read of it.
type counted struct {
	read atomic.Int64
	most int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.read.Load() >= c.most {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = '['
	}
	c.read.Add(int64(len(p)))
	return len(p), nil
}

// SEC-08: a body of 200 MiB is refused with 413 as soon as it is too long, on
// every route that takes one, whether its length is told or not.
func TestHugeBodies(t *testing.T) {
	const size = 200 << 20
	h := open(t, func(s *setup) { s.idle = true })
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	before := heap()
	for _, o := range append(operations(), operation{method: "POST", path: "/oauth/token", body: "x"}, operation{method: "POST", path: "/oauth/revoke", body: "x"}) {
		if o.body == "" {
			continue
		}
		o = o.with(stream, "e", "j")
		contentType := "application/json"
		if strings.HasPrefix(o.path, "/oauth") {
			contentType = "application/x-www-form-urlencoded"
		}
		for _, told := range []bool{false, true} {
			name := fmt.Sprintf("%s %s, length told: %v", o.method, o.path, told)
			body := &counted{most: size}
			length := "Transfer-Encoding: chunked"
			if told {
				length = fmt.Sprintf("Content-Length: %d", size)
			}
			conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", h.server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n%s\r\n\r\n", o.method, o.path, token, contentType, length)
			go func() {
				buf := make([]byte, 32<<10)
				for {
					n, err := body.Read(buf)
					if err != nil {
						return
					}
					if !told {
						fmt.Fprintf(conn, "%x\r\n", n)
					}
					if _, err := conn.Write(buf[:n]); err != nil {
						return
					}
					if !told {
						_, _ = io.WriteString(conn, "\r\n")
					}
				}
			}()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%s: got %v, want an answer", name, err)
				_ = conn.Close()
				continue
			}
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("SEC-08 %s: got %d, want 413", name, resp.StatusCode)
			}
			if sent := body.read.Load(); sent > 32<<20 {
				t.Errorf("SEC-08 %s: %d MiB were sent before the answer, want an early one", name, sent>>20)
			}
			_ = conn.Close()
		}
	}
	if after := heap(); after > before+maxHeap {
		t.Errorf("SEC-08: the heap grew from %d to %d MiB", before>>20, after>>20)
	}
}

// A sender that trickles its body holds up no other; the body's deadline ends it.
func TestSlowBodies(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	token := h.client("alice", everyScope)
	for range 100 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{", token)
	}
	for range 50 {
		h.emit(token, "a")
	}
}

// SEC-08: the bound on subjects is 429, and a stream with very many subjects
// is matched as quickly as one with few.
func TestManySubjects(t *testing.T) {
	t.Parallel() // it mostly waits for the disk
	const many = 100_000
	h := open(t, func(s *setup) { s.DefaultSubjects, s.MaxSubjects = "NONE", many+1 })
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	add := func(ctx context.Context, from, to int) {
		for i := from; i < to; i++ {
			if err := h.store.Add(ctx, stream, subject.Email(fmt.Sprintf("u%d@example.com", i)), 0); err != nil {
				t.Error(err)
				return
			}
		}
	}
	const lanes = 250 // they share commits
	done := make(chan struct{})
	for lane := range lanes {
		go func() { add(context.Background(), lane*many/lanes, (lane+1)*many/lanes); done <- struct{}{} }()
	}
	for range lanes {
		<-done
	}
	body := func(user string) string {
		return `{"stream_id":"` + stream + `","subject":{"format":"email","email":"` + user + `@example.com"}}`
	}
	h.must(200, "POST", "/ssf/subjects/add", token, body("last"))
	full := h.do("POST", "/ssf/subjects/add", token, body("one-more"))
	checkError(t, "SSF-8.1.3.2-04 the bound", full, http.StatusTooManyRequests)
	if full.header.Get("Retry-After") == "" {
		t.Error("SEC-08: got no Retry-After")
	}
	h.must(200, "POST", "/ssf/subjects/add", token, body("last")) // SSF-8.1.3-02: again
	start := time.Now()
	unknown, known := h.emit(token, "nobody"), h.emit(token, "u99999")
	ids, sets := h.poll(token, stream, `{}`)
	if len(ids) != 1 || !strings.Contains(claims(t, sets[0]), known) || strings.Contains(claims(t, sets[0]), unknown) {
		t.Errorf("SSF-7.1-13: got %d SETs, want the one of the added subject", len(ids))
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("one event took %v", took)
	}
}

// A receiver that answers without end, or drop by drop, costs bounded memory
// and time, and other streams nothing.
func TestEndlessAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		drop   bool
	}{
		{"endless 202", 202, false}, {"endless 400", 400, false}, {"endless 500", 500, false}, {"trickling 400", 400, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t, func(s *setup) { s.PushTimeout = 500 * time.Millisecond; s.PushSchedule = []time.Duration{time.Hour} })
			token := h.client("alice", everyScope)
			var asked, written atomic.Int64
			evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				asked.Add(1)
				w.WriteHeader(c.status)
				piece := []byte(strings.Repeat("x", 64<<10))
				if c.drop {
					piece = piece[:1]
				}
				for r.Context().Err() == nil {
					n, err := w.Write(piece)
					if err != nil {
						return
					}
					written.Add(int64(n))
					_ = http.NewResponseController(w).Flush()
					if c.drop {
						wait(r.Context(), 50*time.Millisecond)
					}
				}
			}))
			defer evil.Close()
			good := newSink(t)
			before := heap()
			h.stream(token, pushTo(evil.URL))
			h.stream(token, pushTo(good.URL))
			for range 40 {
				h.emit(token, "a")
			}
			until(t, "the other stream has all", func() bool { return len(good.transactions()) == 40 })
			until(t, "the bad one was asked", func() bool { return asked.Load() > 0 })
			if after := heap(); after > before+maxHeap {
				t.Errorf("the heap grew from %d to %d MiB", before>>20, after>>20)
			}
		})
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// An event for very many streams goes to each of them once, in bounded memory.
func TestManyStreams(t *testing.T) {
	const many = 600 // more than the fan-out puts at once
	h := open(t, func(s *setup) { s.MaxStreams = many })
	token := h.client("alice", everyScope)
	streams := make([]string, many)
	for i := range streams {
		streams[i] = h.stream(token, "")
	}
	first, second := h.emit(token, "a"), h.emit(token, "a")
	jtis := map[string]bool{}
	for _, s := range streams {
		var got []string
		for ack := ""; len(got) < 2; {
			ids, sets := h.poll(token, s, `{"ack":[`+ack+`]}`)
			if len(sets) == 0 {
				t.Fatalf("stream %s: got %d SETs, want 2", s, len(got))
			}
			for _, set := range sets {
				got = append(got, claims(t, set))
			}
			ack = `"` + strings.Join(ids, `","`) + `"`
		}
		// SSF-8.1.2.1-05, SSF-4.1.9-01, U32: in order, with the txn that all share.
		if !strings.Contains(got[0], first) || !strings.Contains(got[1], second) {
			t.Errorf("stream %s: got %v, want %s and %s in order", s, got, first, second)
		}
		jtis[got[0]] = true
	}
	if len(jtis) != many {
		t.Errorf("U32: got %d different SETs, want %d", len(jtis), many)
	}
}
