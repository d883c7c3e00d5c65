package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// The storm: senders, push and poll receivers that fail at random, and a
// server that is killed over and over (kill -9), at named points and at any
// moment. What is compared are jtis and order, not counts.
const (
	killRounds     = 24 // each point once
	killRoundsLong = 300
	stormSenders   = 6
	stormSubjects  = 2 // per sender, used in runs of eight; each sender's are its own
	stormType      = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	settleTime     = 30 * time.Second
	window         = 8 // --push-window
)

// crashPoints are the places the server is killed at, besides random moments.
// Those of a release, a replay, an erasure, a source and a webhook need what the
// storm does not do: each has a test of its own.
func crashPoints() []string {
	return []string{
		"fanout.before-put", "fanout.after-put",
		"push.before-post", "push.after-post", "push.before-settle", "push.after-settle",
		"ingest.before-append", "ingest.after-append", "poll.after-settle", "poll.before-answer",
		"index.before-commit", "index.after-commit",
	}
}

func TestKillStorm(t *testing.T) {
	rounds := killRounds
	if os.Getenv("TOCSIN_TEST_LONG") == "1" {
		rounds = killRoundsLong
	}
	s := newStorm(t)
	ctx, stop := context.WithCancel(t.Context())
	var senders, pollers sync.WaitGroup
	for i := range stormSenders {
		senders.Go(func() { s.send(ctx, i) })
	}
	for _, r := range s.receivers {
		if r.poll != "" {
			pollers.Go(func() { s.pollLoop(t.Context(), r) })
		}
		if strings.HasSuffix(r.name, "-b") {
			senders.Go(func() { s.pauses(ctx, r) })
		}
	}
	s.killOver(t, rounds)
	stop()
	senders.Wait()
	s.settle(t)
	close(s.over)
	pollers.Wait()
	s.judge(t)
}

// storm is the world of one test.
type storm struct {
	server *proctest.Server   // that is killed
	nodes  []*proctest.Server // any of which is asked; nil: server is
	source string             // token
	client *http.Client
	over   chan struct{}
	mu     sync.Mutex
	sent   []sent        // in order per subject
	life   int           // how often the server was started
	pace   time.Duration // between two events of a sender

	receivers []*stormReceiver
}

// sent is an event that was answered 202.
type sent struct {
	id, subject string
	n           int
}

// stormReceiver records what one stream delivered.
type stormReceiver struct {
	name, token, stream, poll string
	mu                        sync.Mutex
	arrivals                  []arrival
	seen                      map[string]arrival // by jti, first acceptance
	repeats                   []repeat
	acked                     map[string]bool // jtis whose ack was answered 200
	open                      atomic.Int64    // connections to its push endpoint
}

type arrival struct {
	jti, txn, subject string
	life              int
	at                time.Time
}

type repeat struct {
	jti   string
	first arrival
	life  int
	acked bool
}

// count keeps the number of open connections.
func (r *stormReceiver) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		r.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		r.open.Add(-1)
	}
}

func newStorm(t *testing.T) *storm {
	t.Helper()
	s := &storm{
		server: proctest.New(t, binary(t), "--push-schedule", "20ms,50ms,100ms", "--redeliver", "1s",
			"--push-window", fmt.Sprint(window), "--log-level", "error"),
		client: &http.Client{Timeout: 10 * time.Second}, over: make(chan struct{}),
	}
	if err := s.server.Start(); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.source, err = s.server.Token(t.Context(), "source", "https://source.example", "events.write"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"push-a", "push-b", "poll-a", "poll-b"} {
		s.receivers = append(s.receivers, s.newReceiver(t, name))
	}
	return s
}

// call asks the server, or any node.
func (s *storm) call(ctx context.Context, client *http.Client, method, path, token string, body any) (int, []byte, error) {
	at := s.server
	s.mu.Lock()
	if len(s.nodes) > 0 {
		at = s.nodes[rand.IntN(len(s.nodes))]
	}
	s.mu.Unlock()
	return at.Call(ctx, client, method, path, token, body)
}

func (s *storm) newReceiver(t *testing.T, name string) *stormReceiver {
	t.Helper()
	r := &stormReceiver{name: name, seen: map[string]arrival{}, acked: map[string]bool{}}
	var err error
	if r.token, err = s.server.Token(t.Context(), name, "https://"+name+".example", "ssf.manage ssf.read"); err != nil {
		t.Fatal(err)
	}
	how := map[string]any{"method": delivery.MethodPoll}
	if name[:4] == "push" {
		sink := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { s.pushed(r, w, q) }))
		sink.Config.ConnState = r.count
		sink.Start()
		t.Cleanup(sink.Close)
		how = map[string]any{"method": delivery.MethodPush, "endpoint_url": sink.URL}
	}
	status, body, err := s.call(t.Context(), s.client, http.MethodPost, "/ssf/streams", r.token,
		map[string]any{"delivery": how, "events_requested": []string{stormType}})
	if err != nil || status != http.StatusCreated {
		t.Fatalf("create stream: got %d %s %v, want 201", status, body, err)
	}
	var made struct {
		ID       string `json:"stream_id"`
		Delivery struct {
			Endpoint string `json:"endpoint_url"`
		} `json:"delivery"`
	}
	if err := json.Unmarshal(body, &made); err != nil {
		t.Fatal(err)
	}
	r.stream = made.ID
	if name[:4] == "poll" {
		r.poll = "/ssf/poll/" + made.ID
	}
	return r
}

// send writes events one after the other, each until it is answered 202, so
// that the order per subject is known.
func (s *storm) send(ctx context.Context, sender int) {
	for n := 0; ctx.Err() == nil; n++ {
		who := fmt.Sprintf("s%d-%d@example.com", sender, n/8%stormSubjects)
		event := map[string]any{
			"source_id": fmt.Sprintf("%d-%d", sender, n), "type": stormType,
			"subject": map[string]string{"format": "email", "email": who},
			"data":    map[string]any{"reason_admin": map[string]string{"en": fmt.Sprint(n)}},
		}
		for {
			status, body, err := s.call(context.WithoutCancel(ctx), s.client, http.MethodPost, "/v1/events", s.source, event)
			if err == nil && status == http.StatusAccepted {
				var answer struct{ ID string }
				_ = json.Unmarshal(body, &answer)
				s.mu.Lock()
				s.sent = append(s.sent, sent{answer.ID, who, n})
				s.mu.Unlock()
				pause(s.pace)
				break
			}
			if ctx.Err() != nil { // its fate is not known: it is not counted
				return
			}
			pause(5 * time.Millisecond)
		}
	}
}

// pauses pauses and enables a stream over and over: what waits is held. It
// leaves the stream enabled.
func (s *storm) pauses(ctx context.Context, r *stormReceiver) {
	set := func(status string) bool {
		code, _, err := s.call(context.WithoutCancel(ctx), s.client, http.MethodPost, "/ssf/status", r.token,
			map[string]string{"stream_id": r.stream, "status": status})
		return err == nil && code == http.StatusOK
	}
	for ctx.Err() == nil {
		set("paused")
		pause(time.Duration(rand.IntN(30)) * time.Millisecond)
		set("enabled")
		pause(time.Duration(20+rand.IntN(100)) * time.Millisecond)
	}
	for !set("enabled") {
		pause(5 * time.Millisecond)
	}
}

// pause is how the storm waits for a server that is down.
func pause(d time.Duration) { <-time.After(d) }

// pushed is a push receiver that answers 500 now and then, before or after it
// has kept the SET.
func (s *storm) pushed(r *stormReceiver, w http.ResponseWriter, q *http.Request) {
	life := s.lifeNow() // of the server that sends it, which may die meanwhile
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	if rand.IntN(50) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	pause(time.Duration(rand.IntN(4)) * time.Millisecond) // so that those side by side overtake each other
	s.keep(r, string(body), life)
	w.WriteHeader(http.StatusAccepted)
}

func (s *storm) lifeNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

func (s *storm) keep(r *stormReceiver, compact string, life int) string {
	token, err := set.Parse([]byte(compact))
	if err != nil {
		return ""
	}
	who, _ := token.Subject.Value("email")
	a := arrival{token.ID, token.TransactionID, who, life, time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first, ok := r.seen[a.jti]; ok {
		r.repeats = append(r.repeats, repeat{a.jti, first, life, r.acked[a.jti]})
		return a.jti
	}
	r.seen[a.jti] = a
	r.arrivals = append(r.arrivals, a)
	return a.jti
}

// pollLoop polls and acknowledges until the storm is over.
func (s *storm) pollLoop(ctx context.Context, r *stormReceiver) {
	var ack []string
	for {
		select {
		case <-s.over:
			return
		default:
		}
		ask := map[string]any{"ack": ack, "maxEvents": 20, "returnImmediately": len(ack) > 0}
		if len(ack) == 0 {
			delete(ask, "ack")
		}
		poller := &http.Client{Timeout: 2 * time.Second}
		life := s.lifeNow()
		status, body, err := s.call(ctx, poller, http.MethodPost, r.poll, r.token, ask)
		if err != nil || status != http.StatusOK {
			pause(5 * time.Millisecond)
			continue // the acks are sent again
		}
		r.mu.Lock()
		for _, jti := range ack {
			r.acked[jti] = true
		}
		r.mu.Unlock()
		answer, err := delivery.ParsePollResponse(body)
		if err != nil {
			continue
		}
		ack = nil
		for _, one := range answer.Sets {
			if jti := s.keep(r, one.SET, life); jti != "" && rand.IntN(20) > 0 { // now and then one is not acknowledged
				ack = append(ack, jti)
			}
		}
	}
}

// killOver kills and restarts the server, by turns at a named point and at a
// random moment.
func (s *storm) killOver(t *testing.T, rounds int) {
	t.Helper()
	points := crashPoints()
	point := "" // the one at which the server ends itself
	for round := range rounds {
		moment := time.After(time.Duration(50+rand.IntN(400)) * time.Millisecond)
		if point != "" {
			moment = time.After(settleTime)
		}
		select {
		case <-s.server.Done():
		case <-moment:
			if point != "" {
				t.Errorf("the server did not come to %s within %v", point, settleTime)
			}
		}
		s.kill()
		point = ""
		var env []string
		if round%2 == 0 {
			point = fmt.Sprintf("%s:%d", points[round/2%len(points)], 1+rand.IntN(30))
			env = []string{"TOCSIN_CRASH_POINT=" + point}
		}
		if err := s.server.Start(env...); err != nil {
			t.Fatalf("start after kill %d: %v", round+1, err)
		}
	}
	// The last life must not end by itself.
	s.kill()
	if err := s.server.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill ends a life of the server.
func (s *storm) kill() {
	s.server.Kill()
	s.lastWords()
	s.mu.Lock()
	s.life++
	s.mu.Unlock()
}

// lastWords waits until the receivers have read what the dead server had
// still sent: it belongs to its life.
func (s *storm) lastWords() {
	pause(20 * time.Millisecond) // what the kernel holds is accepted by then
	for _, r := range s.receivers {
		for r.open.Load() > 0 {
			pause(time.Millisecond)
		}
	}
}

// settle waits until every receiver has every event, as long as there is progress.
func (s *storm) settle(t *testing.T) {
	t.Helper()
	last, since := -1, time.Now()
	for {
		missing := 0
		for _, r := range s.receivers {
			missing += len(s.missing(r))
		}
		switch {
		case missing == 0:
			return
		case missing != last:
			last, since = missing, time.Now()
		case time.Since(since) > settleTime:
			t.Errorf("no delivery for %v, and %d are missing", settleTime, missing)
			return
		}
		pause(200 * time.Millisecond)
	}
}

// missing returns the events that a receiver does not have.
func (s *storm) missing(r *stormReceiver) []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	have := map[string]bool{}
	for _, a := range r.arrivals {
		have[a.txn] = true
	}
	var out []sent
	for _, e := range s.sent {
		if !have[e.id] {
			out = append(out, e)
		}
	}
	return out
}

// judge compares what was sent with what arrived.
func (s *storm) judge(t *testing.T) {
	t.Helper()
	t.Logf("%d events, %d kills", len(s.sent), s.life)
	if len(s.sent) == 0 {
		t.Fatal("no event was accepted: the storm proves nothing")
	}
	for _, r := range s.receivers {
		t.Run(r.name, func(t *testing.T) {
			if missing := s.missing(r); len(missing) > 0 {
				t.Errorf("events answered 202 and never delivered: got %d, want 0: %v", len(missing), missing[:min(5, len(missing))])
			}
			s.judgeIdentity(t, r)
			s.judgeOrder(t, r)
			s.judgeRepeats(t, r)
		})
	}
}

// judgeIdentity: one event has one jti on a stream, whatever happened.
func (s *storm) judgeIdentity(t *testing.T, r *stormReceiver) {
	t.Helper()
	jtis := map[string]string{}
	for _, a := range r.arrivals {
		if other, ok := jtis[a.txn]; ok && other != a.jti {
			t.Errorf("event %s left under two jtis: %s and %s", a.txn, other, a.jti)
		}
		jtis[a.txn] = a.jti
	}
}

// judgeOrder: first arrivals of a subject come in the order of acceptance.
func (s *storm) judgeOrder(t *testing.T, r *stormReceiver) {
	t.Helper()
	number := map[string]int{}
	for _, e := range s.sent {
		number[e.id] = e.n
	}
	last := map[string]int{}
	for _, a := range r.arrivals {
		n, ok := number[a.txn]
		if !ok {
			continue // accepted, but its answer was lost at the end
		}
		if before, ok := last[a.subject]; ok && n < before {
			t.Errorf("%s: event %d arrived after %d", a.subject, n, before)
		}
		last[a.subject] = n
	}
}

// judgeRepeats: what was acknowledged by a poll never comes back; what was
// answered 202 comes back only if the server was killed before it had written
// the answer down: in a later life, at most a window for each kill.
func (s *storm) judgeRepeats(t *testing.T, r *stormReceiver) {
	t.Helper()
	perLife := map[int]map[string]bool{} // jtis by the life that first sent them
	for _, again := range r.repeats {
		switch {
		case r.poll != "" && again.acked:
			t.Errorf("%s came back after its acknowledgement was answered", again.jti)
		case r.poll == "" && again.life == again.first.life:
			t.Errorf("%s came back in the life in which it was answered 202", again.jti)
		case r.poll == "":
			if perLife[again.first.life] == nil {
				perLife[again.first.life] = map[string]bool{}
			}
			perLife[again.first.life][again.jti] = true
		}
	}
	for life, jtis := range perLife {
		if len(jtis) > window {
			t.Errorf("SETs answered 202 in life %d that came back: got %d, want at most %d", life, len(jtis), window)
		}
	}
}
