package transmitter_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

var errDisk = errors.New("disk I/O error at /var/lib/secret-path")

// failingStore fails while down, before anything is done.
type failingStore struct {
	streams.Store
	down *atomic.Bool
}

func (f failingStore) err() error {
	if f.down.Load() {
		return errDisk
	}
	return nil
}

func (f failingStore) Create(ctx context.Context, s streams.Stream, limit int) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Store.Create(ctx, s, limit)
}

func (f failingStore) Stream(ctx context.Context, id string) (streams.Stream, error) {
	if err := f.err(); err != nil {
		return streams.Stream{}, err
	}
	return f.Store.Stream(ctx, id)
}

func (f failingStore) Streams(ctx context.Context, owner string) ([]streams.Stream, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.Store.Streams(ctx, owner)
}

func (f failingStore) Depths(ctx context.Context, max int) (streams.Depth, map[string]streams.Depth, error) {
	if err := f.err(); err != nil {
		return streams.Depth{}, nil, err
	}
	return f.Store.Depths(ctx, max)
}

// failingWrites lets reads through and fails what changes something.
type failingWrites struct {
	streams.Store
	down *atomic.Bool
}

func (f failingWrites) err() error { return failingStore{down: f.down}.err() }

func (f failingWrites) Create(ctx context.Context, s streams.Stream, limit int) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Store.Create(ctx, s, limit)
}

func (f failingWrites) Update(ctx context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, error) {
	if err := f.err(); err != nil {
		return streams.Stream{}, err
	}
	return f.Store.Update(ctx, id, change)
}

func (f failingWrites) Delete(ctx context.Context, id string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Store.Delete(ctx, id)
}

func (f failingWrites) Settle(ctx context.Context, id string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.Store.Settle(ctx, id, outcomes, health)
}

func (f failingWrites) Resend(ctx context.Context, stream, id string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Store.Resend(ctx, stream, id)
}

func (f failingWrites) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	if err := f.err(); err != nil {
		return streams.PutReport{}, err
	}
	return f.Store.Put(ctx, items...)
}

// failingLog fails while down.
type failingLog struct {
	eventlog.Log
	down *atomic.Bool
}

func (f failingLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Appended, error) {
	if f.down.Load() {
		return nil, errDisk
	}
	return f.Log.Append(ctx, events...)
}

func (f failingLog) Get(ctx context.Context, id string) (*eventlog.Record, error) {
	if f.down.Load() {
		return nil, errDisk
	}
	return f.Log.Get(ctx, id)
}

func (f failingLog) Record(ctx context.Context, seq uint64) (*eventlog.Record, error) {
	if f.down.Load() {
		return nil, errDisk
	}
	return f.Log.Record(ctx, seq)
}

func (f failingLog) Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error) {
	if f.down.Load() {
		return nil, errDisk
	}
	return f.Log.Read(ctx, after, max)
}

func (f failingLog) Head(ctx context.Context) (uint64, error) {
	if f.down.Load() {
		return 0, errDisk
	}
	return f.Log.Head(ctx)
}

// Note and Entries are what is said beside events.
func (f failingLog) Note(ctx context.Context, entries ...eventlog.Entry) ([]eventlog.Appended, error) {
	if f.down.Load() {
		return nil, errDisk
	}
	return f.Log.Note(ctx, entries...)
}

func (f failingLog) Entries(ctx context.Context, kind eventlog.Kind, ref string, span eventlog.Span) ([]*eventlog.Record, error) {
	if f.down.Load() {
		return nil, errDisk
	}
	return f.Log.Entries(ctx, kind, ref, span)
}

// Whatever fails in a store is 503 with Retry-After, tells nothing of the
// inside, changes nothing, and is over when the store is back.
func TestFailingStores(t *testing.T) {
	for _, c := range []struct {
		name  string
		reads bool // reads fail too
		wrap  func(*setup, *atomic.Bool)
	}{
		{"all", true, func(s *setup, down *atomic.Bool) {
			s.wrapStore = func(store streams.Store) streams.Store { return failingStore{store, down} }
			s.wrapLog = func(log eventlog.Log) eventlog.Log { return failingLog{log, down} }
		}},
		{"writes", false, func(s *setup, down *atomic.Bool) {
			s.wrapStore = func(store streams.Store) streams.Store { return failingWrites{store, down} }
			s.wrapLog = func(log eventlog.Log) eventlog.Log { return failingLog{log, down} }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var down atomic.Bool
			h := open(t, func(s *setup) { s.idle = true; c.wrap(s, &down) })
			token := h.client("alice", everyScope)
			stream := h.stream(token, "")
			id := h.emit(token, "a")
			jti, dead := h.queued(stream), h.deadLetter(stream)
			before := h.snapshot(stream)
			down.Store(true)
			for _, o := range operations() {
				if o.path == "/v1/events" {
					o.body = event("b")
				}
				if strings.Contains(o.path, "subjects/") && !c.reads || o.method == "DELETE" && strings.Contains(o.path, "{jti}") && !c.reads {
					continue // the wrapper lets them through
				}
				if !c.reads && (o.method == "GET" && !strings.Contains(o.path, "{event}")) {
					continue
				}
				o = o.with(stream, id, dead)
				a := h.do(o.method, o.path, token, o.body)
				name := o.method + " " + o.path
				checkError(t, name, a, http.StatusServiceUnavailable)
				if a.header.Get("Retry-After") == "" {
					t.Errorf("%s: got no Retry-After", name)
				}
				if strings.Contains(a.body, "disk") || strings.Contains(a.body, "secret-path") {
					t.Errorf("%s: got %s, the inside is nobody's business", name, a.body)
				}
			}
			if !strings.Contains(h.logs.String(), errDisk.Error()) {
				t.Error("the failure was not logged")
			}
			o := h.operator(h.AdminHandler())
			if a := o.do("GET", "/readyz", "", ""); a.status != http.StatusServiceUnavailable {
				t.Errorf("readyz: got %d, want 503", a.status)
			}
			o.must(200, "GET", "/healthz", "", "")
			socket := h.operator(h.SocketHandler())
			if text := socket.must(200, "GET", "/metrics", "", "").body; !strings.Contains(text, "tocsin_events_total") {
				t.Errorf("metrics without the store: got %s", text)
			}
			down.Store(false)
			if diff := cmp.Diff(before, h.snapshot(stream)); diff != "" {
				t.Errorf("something was half done: %s", diff)
			}
			if n := h.kept(); n != 1 {
				t.Errorf("log: got %d records, want 1", n)
			}
			if list, err := h.store.Streams(t.Context(), "alice"); err != nil || len(list) != 1 {
				t.Errorf("streams: got %d, %v, want 1", len(list), err)
			}
			if ids, _ := h.poll(token, stream, `{"returnImmediately":true}`); len(ids) != 1 || ids[0] != jti {
				t.Errorf("poll afterwards: got %v, want %s", ids, jti)
			}
		})
	}
}

// Deliveries go on by themselves after the stores failed in the middle of
// them, and nothing is lost.
func TestStoresFailMeanwhile(t *testing.T) {
	var down atomic.Bool
	h := open(t, func(s *setup) {
		s.wrapStore = func(store streams.Store) streams.Store { return failingWrites{store, &down} }
		s.wrapLog = func(log eventlog.Log) eventlog.Log { return failingLog{log, &down} }
	})
	token := h.client("alice", everyScope)
	to := newSink(t)
	h.stream(token, pushTo(to.URL))
	want := map[string]bool{}
	for i := range 60 {
		down.Store(i%20 == 10)
		for {
			a := h.do("POST", "/v1/events", token, event("a"))
			if a.status == http.StatusAccepted {
				want[a.member("id")] = true
				break
			}
			checkError(t, "POLL-2.4-01", a, http.StatusServiceUnavailable)
			time.AfterFunc(100*time.Millisecond, func() { down.Store(false) })
			until(t, "the store is back", func() bool { return !down.Load() })
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("delivered %d of %d\n%s", len(to.transactions()), len(want), h.logs)
		}
	})
	until(t, "every event is delivered", func() bool { return len(to.transactions()) == len(want) })
	for _, txn := range to.transactions() {
		if !want[txn] {
			t.Errorf("got %s, which nobody sent", txn)
		}
	}
}

// Without admin.db nobody can be let in: 503, on the token endpoint too, never
// 401, which would make clients throw their tokens away.
func TestFailingApplications(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	made := h.credentials("alice", everyScope)
	if err := h.apps.Close(); err != nil {
		t.Fatal(err)
	}
	for _, o := range operations() {
		a := h.do(o.method, o.with("s", "e", "j").path, made.AccessToken, o.body)
		checkError(t, o.method+" "+o.path, a, http.StatusServiceUnavailable)
	}
	for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
		a := h.do("POST", path, "", "grant_type=client_credentials&token=x&client_id="+made.ClientID+"&client_secret="+made.Secret,
			"Content-Type", "application/x-www-form-urlencoded")
		if a.status != http.StatusServiceUnavailable || a.member("error") != "temporarily_unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d %s, Retry-After %q, want 503", path, a.status, a.body, a.header.Get("Retry-After"))
		}
	}
}

// An application is removed with its streams, also if the store of streams
// fails in the middle: the same request again finishes it.
func TestRemovalGoesOn(t *testing.T) {
	var down atomic.Bool
	h := open(t, func(s *setup) {
		s.idle = true
		s.wrapStore = func(store streams.Store) streams.Store { return failingWrites{store, &down} }
	})
	o := h.operator(h.SocketHandler())
	token := h.client("shop", everyScope)
	stream := h.stream(token, "")
	down.Store(true)
	checkError(t, "half-way", o.do("DELETE", "/admin/applications/shop", "", ""), http.StatusServiceUnavailable)
	down.Store(false)
	o.must(http.StatusNoContent, "DELETE", "/admin/applications/shop", "", "")
	checkError(t, "again", o.do("DELETE", "/admin/applications/shop", "", ""), http.StatusNotFound)
	if _, err := h.store.Stream(t.Context(), stream); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("stream of a removed application: got %v, want ErrNotFound", err)
	}
}

// A handler that panics, here by a hook of the deployment's, costs its answer
// and nothing else.
func TestPanicCostsOneAnswer(t *testing.T) {
	var bad atomic.Bool
	h := open(t, func(s *setup) {
		s.Redeliver = 10 * time.Millisecond
		s.FilterPayload = func(_, _ string, payload []byte) []byte {
			if bad.Load() {
				panic("secret of the hook")
			}
			return payload
		}
	})
	token := h.client("shop", everyScope)
	stream := h.stream(token, "")
	bad.Store(true)
	h.emit(token, "a")
	a := h.do("POST", "/ssf/poll/"+stream, token, "{}")
	checkError(t, "a panic", a, http.StatusInternalServerError)
	if strings.Contains(a.body, "secret") || !strings.Contains(h.logs.String(), "a handler panicked") {
		t.Errorf("got %s, want the cause in the log alone", a.body)
	}
	bad.Store(false)
	if ids, _ := h.poll(token, stream, "{}"); len(ids) != 1 {
		t.Errorf("afterwards: got %d SETs, want 1", len(ids))
	}
}
