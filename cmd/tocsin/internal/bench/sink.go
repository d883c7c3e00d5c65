package bench

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Paths of the sink's receivers; what follows tells one from another.
const (
	pathPrompt = "/prompt/" // answers at once
	pathSlow   = "/slow/"   // takes slowTime
	pathHang   = "/hang/"   // never answers, and is not counted
)

// slowTime is what a slow receiver takes for each push.
const slowTime = 20 * time.Millisecond

// waitTime bounds a wait for SETs; a server may have a million events to read first.
const waitTime = 5 * time.Minute

// expectCall starts to count: SETs until SETs were received.
type expectCall struct {
	SETs  int  `json:"sets"`
	Times bool `json:"times"` // read how long each event was under way
}

// waitAnswer is what was counted.
type waitAnswer struct {
	SETs    int     `json:"sets"`
	Seconds float64 `json:"seconds"` // from the first to the last
	P50     float64 `json:"p50"`     // from sending the event, µs
	P99     float64 `json:"p99"`
	Bytes   float64 `json:"bytes"` // of a SET, on average
}

// pollsCall asks for polls of streams that have nothing: a number of each, or one of each
// that waits and is not waited for.
type pollsCall struct {
	URLs  []string `json:"urls"`
	Token string   `json:"token"`
	Each  int      `json:"each,omitempty"`
}

// pollCall asks to poll and acknowledge SETs, batch by batch.
type pollCall struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	SETs  int    `json:"sets"`
	Batch int    `json:"batch"`
	// Patient polls again where there is nothing yet, for waitTime at most.
	Patient bool `json:"patient,omitempty"`
}

// sink receives SETs: it counts them and keeps none.
type sink struct {
	server *http.Server
	client *http.Client
	url    string
	over   chan struct{} // closed by close

	mu          sync.Mutex
	want, got   int
	first, last time.Time
	times       bool
	took        []float64
	bytes       int
	done        chan struct{} // closed when got reaches want
}

func newSink(ctx context.Context) (*sink, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{url: "http://" + l.Addr().String(), over: make(chan struct{}), done: make(chan struct{}), client: newHTTPClient()}
	mux := http.NewServeMux()
	mux.HandleFunc(pathPrompt, s.push)
	mux.HandleFunc(pathSlow, func(w http.ResponseWriter, r *http.Request) {
		if pause(r.Context(), slowTime) == nil {
			s.push(w, r)
		}
	})
	mux.HandleFunc(pathHang, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that we see the caller leave
		select {
		case <-s.over:
		case <-r.Context().Done():
		}
	})
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: callTime}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

func (s *sink) close() {
	close(s.over)
	_ = s.server.Close()
}

func (s *sink) role() role {
	return role{
		"url": func(context.Context, json.RawMessage) (any, error) { return s.url, nil },
		"expect": func(_ context.Context, arg json.RawMessage) (any, error) {
			var c expectCall
			err := json.Unmarshal(arg, &c)
			s.expect(c)
			return nil, err
		},
		"wait":  func(ctx context.Context, _ json.RawMessage) (any, error) { return s.wait(ctx) },
		"tls":   func(ctx context.Context, _ json.RawMessage) (any, error) { return s.tls(ctx) },
		"polls": with(func(ctx context.Context, c pollsCall) (any, error) { return nil, s.polls(ctx, c) }),
		"poll": func(ctx context.Context, arg json.RawMessage) (any, error) {
			var c pollCall
			if err := json.Unmarshal(arg, &c); err != nil {
				return nil, err
			}
			return nil, s.poll(ctx, c)
		},
	}
}

// push takes a SET.
func (s *sink) push(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.WriteHeader(http.StatusAccepted)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.got++; s.got == 1 {
		s.first = at
	}
	s.last = at
	s.bytes += len(body)
	if s.times {
		if sent, ok := sentAt(body); ok {
			s.took = append(s.took, micros(at.Sub(sent)))
		}
	}
	if s.got == s.want {
		close(s.done)
	}
}

func (s *sink) expect(c expectCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want, s.got, s.times, s.took, s.bytes, s.done = c.SETs, 0, c.Times, nil, 0, make(chan struct{})
}

func (s *sink) wait(ctx context.Context) (waitAnswer, error) {
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		return waitAnswer{}, fmt.Errorf("got %d SETs of %d in time", s.got, s.want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return waitAnswer{
		SETs: s.got, Seconds: s.last.Sub(s.first).Seconds(),
		P50: percentile(s.took, 50), P99: percentile(s.took, 99), Bytes: float64(s.bytes) / float64(s.got),
	}, nil
}

// sentAt reads the time of sending from the subject of a SET.
func sentAt(compact []byte) (time.Time, bool) {
	parts := bytes.Split(compact, []byte{'.'})
	if len(parts) != 3 {
		return time.Time{}, false
	}
	claims, err := base64.RawURLEncoding.AppendDecode(nil, parts[1])
	if err != nil {
		return time.Time{}, false
	}
	before, _, ok := bytes.Cut(claims, []byte(subjectHost))
	if !ok {
		return time.Time{}, false
	}
	nanos, err := strconv.ParseInt(string(before[bytes.LastIndexByte(before, '-')+1:]), 10, 64)
	return time.Unix(0, nanos), err == nil
}

// poll polls until it has c.SETs, acknowledges each batch with the next
// request (RFC 8936 §2.4) and the last one with a request of its own.
func (s *sink) poll(ctx context.Context, c pollCall) error {
	var ack []string
	start := time.Now()
	for got := 0; got < c.SETs; got += len(ack) {
		var err error
		if ack, err = s.batch(ctx, c, ack, min(c.Batch, c.SETs-got)); err != nil {
			return err
		}
		if len(ack) == 0 && c.Patient && time.Since(start) < waitTime {
			if err := pause(ctx, time.Millisecond); err != nil {
				return err
			}
			continue
		}
		if len(ack) == 0 {
			return fmt.Errorf("the stream is empty after %d SETs of %d", got, c.SETs)
		}
	}
	_, err := s.batch(ctx, c, ack, 0)
	return err
}

// polls makes polls that bring nothing.
func (s *sink) polls(ctx context.Context, c pollsCall) error {
	if c.Each == 0 {
		for _, url := range c.URLs {
			go func() { _ = s.waits(ctx, url, c.Token) }() // until the server ends
		}
		return nil
	}
	for _, url := range c.URLs {
		for range c.Each {
			if _, err := s.batch(ctx, pollCall{URL: url, Token: c.Token}, nil, redisBatch); err != nil {
				return err
			}
		}
	}
	return nil
}

// waits has a poll open at a stream, and again when it is answered.
func (s *sink) waits(ctx context.Context, url, token string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := s.client.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
	}
}

// batch makes one poll request and returns the jtis of its SETs.
func (s *sink) batch(ctx context.Context, c pollCall, ack []string, limit int) ([]string, error) {
	ask, err := json.Marshal(map[string]any{"maxEvents": limit, "returnImmediately": true, "ack": append([]string{}, ack...)})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(ask))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("polling: %d %.300s", resp.StatusCode, body)
	}
	var found struct {
		Sets map[string]string `json:"sets"`
	}
	if err := json.Unmarshal(body, &found); err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(found.Sets))
	for id := range found.Sets {
		ids = append(ids, id)
	}
	return ids, nil
}
