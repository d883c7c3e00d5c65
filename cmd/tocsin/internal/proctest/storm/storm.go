// Package storm is the load under which tests kill the real binary: senders, and
// receivers of pushes and polls that fail at random. What is judged are jtis and order,
// not counts.
package storm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

const (
	subjects = 2 // per sender, used in runs of eight; each sender's are its own
	window   = 8 // --push-window
)

// Storm is the world of one test.
type Storm struct {
	Server    *proctest.Server // that is killed
	Source    string           // token
	Pace      time.Duration    // between two events of a sender
	Receivers []*Receiver

	client *http.Client
	over   chan struct{}
	mu     sync.Mutex
	nodes  []*proctest.Server // any of which is asked; nil: Server is
	sent   []Sent             // in order per subject
	life   int                // how often the server was started
}

// Sent is an event that was answered 202.
type Sent struct {
	id, subject string
	n           int
}

// Receiver records what one stream delivered.
type Receiver struct {
	Name, Token string
	Poll        string // path; empty: it is pushed to

	stream   string
	mu       sync.Mutex
	arrivals []arrival
	seen     map[string]arrival // by jti, first acceptance
	repeats  []repeat
	acked    map[string]bool // jtis whose ack was answered 200
	open     atomic.Int64    // connections to its push endpoint
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
func (r *Receiver) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		r.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		r.open.Add(-1)
	}
}

// New starts a server with these flags besides, a source, and two receivers each of pushes and of polls, which end
// with the test.
func New(t *testing.T, flags ...string) *Storm {
	t.Helper()
	s := &Storm{
		Server: proctest.New(t, append(flags, "--push-schedule", "20ms,50ms,100ms", "--redeliver", "1s",
			"--push-window", fmt.Sprint(window), "--log-level", "error")...),
		client: &http.Client{Timeout: 10 * time.Second}, over: make(chan struct{}),
	}
	if err := s.Server.Start(); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.Source, err = s.Server.Token(t.Context(), "source", "https://source.example", "events.write"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"push-a", "push-b", "poll-a", "poll-b"} {
		s.Receivers = append(s.Receivers, s.newReceiver(t, name))
	}
	return s
}

// OnNodes is the storm on running nodes that share a Redis, as many receivers as said.
func OnNodes(t *testing.T, nodes []*proctest.Server, pushes, polls int) *Storm {
	t.Helper()
	s := &Storm{Server: nodes[0], nodes: nodes, Pace: 20 * time.Millisecond, client: &http.Client{Timeout: 3 * time.Second}, over: make(chan struct{})}
	var err error
	if s.Source, err = nodes[0].Token(t.Context(), "source", "https://source.example", "events.write"); err != nil {
		t.Fatal(err)
	}
	for i := range pushes {
		s.Receivers = append(s.Receivers, s.newReceiver(t, fmt.Sprintf("push-%d", i)))
	}
	for i := range polls {
		s.Receivers = append(s.Receivers, s.newReceiver(t, fmt.Sprintf("poll-%d", i)))
	}
	return s
}

// call asks the server, or any node.
func (s *Storm) call(ctx context.Context, client *http.Client, method, path, token string, body any) (int, []byte, error) {
	at := s.Server
	s.mu.Lock()
	if len(s.nodes) > 0 {
		at = s.nodes[rand.IntN(len(s.nodes))]
	}
	s.mu.Unlock()
	return at.Call(ctx, client, method, path, token, body)
}

func (s *Storm) newReceiver(t *testing.T, name string) *Receiver {
	t.Helper()
	r := &Receiver{Name: name, seen: map[string]arrival{}, acked: map[string]bool{}}
	var err error
	if r.Token, err = s.Server.Token(t.Context(), name, "https://"+name+".example", "ssf.manage ssf.read"); err != nil {
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
	status, body, err := s.call(t.Context(), s.client, http.MethodPost, "/ssf/streams", r.Token,
		map[string]any{"delivery": how, "events_requested": []string{caep.SessionRevokedType}})
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
		r.Poll = "/ssf/poll/" + made.ID
	}
	return r
}

// Send writes events one after the other, each until it is answered 202, so
// that the order per subject is known.
func (s *Storm) Send(ctx context.Context, sender int) { s.send(ctx, ctx, sender) }

// send begins no event after the end of ctx, and gives none up before that of last.
func (s *Storm) send(ctx, last context.Context, sender int) {
	for n := 0; ctx.Err() == nil; n++ {
		who := fmt.Sprintf("s%d-%d@example.com", sender, n/8%subjects)
		event := map[string]any{
			"source_id": fmt.Sprintf("%d-%d", sender, n), "type": caep.SessionRevokedType,
			"subject": map[string]string{"format": "email", "email": who},
			"data":    map[string]any{"reason_admin": map[string]string{"en": fmt.Sprint(n)}},
		}
		for {
			status, body, err := s.call(context.WithoutCancel(ctx), s.client, http.MethodPost, "/v1/events", s.Source, event)
			if err == nil && status == http.StatusAccepted {
				var answer struct{ ID string }
				_ = json.Unmarshal(body, &answer)
				s.mu.Lock()
				s.sent = append(s.sent, Sent{answer.ID, who, n})
				s.mu.Unlock()
				proctest.Pause(s.Pace)
				break
			}
			if last.Err() != nil { // its fate is not known: it is not counted
				return
			}
			proctest.Pause(5 * time.Millisecond)
		}
	}
}

// Pauses pauses and enables a stream over and over: what waits is held. It
// leaves the stream enabled.
func (s *Storm) Pauses(ctx context.Context, r *Receiver) {
	set := func(status string) bool {
		code, _, err := s.call(context.WithoutCancel(ctx), s.client, http.MethodPost, "/ssf/status", r.Token,
			map[string]string{"stream_id": r.stream, "status": status})
		return err == nil && code == http.StatusOK
	}
	for ctx.Err() == nil {
		set("paused")
		proctest.Pause(time.Duration(rand.IntN(30)) * time.Millisecond)
		set("enabled")
		proctest.Pause(time.Duration(20+rand.IntN(100)) * time.Millisecond)
	}
	for !set("enabled") {
		proctest.Pause(5 * time.Millisecond)
	}
}

// pushed is a push receiver that answers 500 now and then, before or after it
// has kept the SET.
func (s *Storm) pushed(r *Receiver, w http.ResponseWriter, q *http.Request) {
	life := s.lifeNow() // of the server that sends it, which may die meanwhile
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	if rand.IntN(50) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	proctest.Pause(time.Duration(rand.IntN(4)) * time.Millisecond) // so that those side by side overtake each other
	s.Keep(r, string(body), life)
	w.WriteHeader(http.StatusAccepted)
}

func (s *Storm) lifeNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

// Keep records a SET that came in a life of the server, and returns its jti: empty for what
// is none.
func (s *Storm) Keep(r *Receiver, compact string, life int) string {
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

// PollLoop polls and acknowledges until the storm is over.
func (s *Storm) PollLoop(ctx context.Context, r *Receiver) {
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
		status, body, err := s.call(ctx, poller, http.MethodPost, r.Poll, r.Token, ask)
		if err != nil || status != http.StatusOK {
			proctest.Pause(5 * time.Millisecond)
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
			if jti := s.Keep(r, one.SET, life); jti != "" && rand.IntN(20) > 0 { // now and then one is not acknowledged
				ack = append(ack, jti)
			}
		}
	}
}

// Kill ends a life of the server.
func (s *Storm) Kill() {
	s.Server.Kill()
	s.lastWords()
	s.mu.Lock()
	s.life++
	s.mu.Unlock()
}

// lastWords waits until the receivers have read what the dead server had
// still sent: it belongs to its life.
func (s *Storm) lastWords() {
	proctest.Pause(20 * time.Millisecond) // what the kernel holds is accepted by then
	for _, r := range s.Receivers {
		for r.open.Load() > 0 {
			proctest.Pause(time.Millisecond)
		}
	}
}

// End ends the polls.
func (s *Storm) End() { close(s.over) }

// Settle waits until every receiver has every event, as long as there is progress.
func (s *Storm) Settle(t *testing.T) {
	t.Helper()
	last, since := -1, time.Now()
	for {
		missing := 0
		for _, r := range s.Receivers {
			missing += len(s.Missing(r))
		}
		switch {
		case missing == 0:
			return
		case missing != last:
			last, since = missing, time.Now()
		case time.Since(since) > proctest.Patience:
			t.Errorf("no delivery for %v, and %d are missing", proctest.Patience, missing)
			return
		}
		proctest.Pause(200 * time.Millisecond)
	}
}

// Ask makes nodes the ones that are asked.
func (s *Storm) Ask(nodes []*proctest.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = nodes
}

// Accepted returns what was answered 202 so far.
func (s *Storm) Accepted() []Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}
