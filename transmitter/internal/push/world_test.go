package push_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// post is one request that the receiver saw.
type post struct {
	jti    string
	at     time.Duration // since the start
	header http.Header
}

// world is a pusher on the real store, with a receiver in this process, under
// virtual time.
type world struct {
	t      *testing.T
	store  *sqlitestore.Store
	start  time.Time
	answer func(p post) *http.Response // nil response: the connection fails
	paused chan string

	mu       sync.Mutex
	posts    []post
	unsigned chan struct{}  // nothing is signed until it is closed; nil: all is
	leaves   int            // after so many signatures the key goes away, with the last; 0: never
	inFlight map[string]int // by stream
	most     int
}

// errRefused is a connection that is refused.
var errRefused = errors.New("connection refused")

func reply(status int, body string) *http.Response {
	h := http.Header{}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Header: h,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// RoundTrip is the receiver.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	p := post{jti: string(body), at: time.Since(w.start), header: r.Header}
	stream := r.URL.Path
	w.mu.Lock()
	w.posts = append(w.posts, p)
	w.inFlight[stream]++
	w.most = max(w.most, w.inFlight[stream])
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.inFlight[stream]--
		w.mu.Unlock()
	}()
	if resp := w.answer(p); resp != nil {
		return resp, nil
	}
	return nil, errRefused
}

// Sign stands for the outbox: the SET is its jti.
func (w *world) Sign(_ context.Context, _ streams.Stream, item streams.Item) (outbox.SET, error) {
	w.mu.Lock()
	if w.leaves > 0 {
		if w.leaves--; w.leaves == 0 {
			w.unsigned = make(chan struct{})
		}
	}
	w.mu.Unlock()
	if w.Away() != nil {
		return outbox.SET{}, outbox.ErrAway
	}
	return outbox.SET{Compact: item.ID, TransactionID: "txn", Accepted: item.Added}, nil
}

// Away tells whether the test lets nothing be signed.
func (w *world) Away() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unsigned
}

// signing lets everything be signed, or nothing.
func (w *world) signing(can bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if can {
		close(w.unsigned)
		w.unsigned = nil
		return
	}
	w.unsigned = make(chan struct{})
}

// Keep forgets.
func (*world) Keep(streams.Item, outbox.SET) {}

func newWorld(t *testing.T, answer func(post) *http.Response, change func(*push.Config), ids ...string) *world {
	t.Helper()
	return newWorldOn(t, func(s push.Store) push.Store { return s }, answer, change, ids...)
}

// newWorldOn is newWorld with a pusher that sees the store through wrap.
func newWorldOn(
	t *testing.T, wrap func(push.Store) push.Store, answer func(post) *http.Response, change func(*push.Config), ids ...string,
) *world {
	t.Helper()
	w := &world{t: t, start: time.Now(), answer: answer, inFlight: map[string]int{}, paused: make(chan string, 8)}
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(t.TempDir(), "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	for _, id := range append(ids, "s") {
		err := store.Create(t.Context(), streams.Stream{
			ID: id, Owner: "app", Issuer: "https://t.example", Audience: []string{"https://r.example"},
			Delivery: streams.Delivery{
				Method: delivery.MethodPush, EndpointURL: "https://r.example/" + id, AuthorizationHeader: "Bearer secret",
			},
			DefaultSubjects: streams.SubjectsAll, Status: streams.Enabled, Created: w.start,
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg := push.Config{
		Outbox: w, Client: &http.Client{Transport: w},
		Pause: func(ctx context.Context, stream, reason string) error {
			w.paused <- reason
			_, err := store.Update(ctx, stream, func(s *streams.Stream) ([]streams.Item, error) {
				s.Status, s.Reason, s.StatusBy = streams.Paused, reason, streams.ByTransmitter
				return nil, nil
			})
			return err
		},
		Jitter: func() float64 { return 0.5 }, // no jitter: exact times
	}
	if change != nil {
		change(&cfg)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- push.New(cfg).Run(ctx, wrap(store)) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return w
}

// put queues SETs "1", "2", …; key names the order key of each.
func (w *world) put(stream string, n int, key func(i int) string) {
	w.t.Helper()
	var items []streams.Item
	for i := 1; i <= n; i++ {
		item := streams.Item{
			Stream: stream, Pos: streams.Position{Seq: uint64(i)}, ID: stream + fmt.Sprint(i), Type: "urn:e", Added: time.Now(),
		}
		if key != nil {
			item.OrderKey = key(i)
		}
		items = append(items, item)
	}
	if _, err := w.store.Put(w.t.Context(), items...); err != nil {
		w.t.Fatal(err)
	}
}

// after lets d of virtual time pass.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *world) jtis() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, p := range w.posts {
		out = append(out, p.jti)
	}
	return out
}

func (w *world) times() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []time.Duration
	for _, p := range w.posts {
		out = append(out, p.at)
	}
	return out
}

func (w *world) depth() streams.Depth {
	w.t.Helper()
	d, err := w.store.Depth(w.t.Context(), "s")
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}
