package transmitter_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqliteindex"
)

// twins are two transmitters of one issuer on the same stores, as two processes
// would be.
type twins struct {
	a, b   *house
	store  *storetest.Memory
	end    func() // of b; once
	sender string // token
}

// once is a transmitter.Config.Once for those that share it.
type once chan struct{}

func (o once) run(ctx context.Context, run func(context.Context) error) error {
	select {
	case o <- struct{}{}:
		defer func() { <-o }()
		return run(ctx)
	case <-ctx.Done():
		return nil
	}
}

func openTwins(t *testing.T, change ...func(*setup)) *twins {
	t.Helper()
	tw := &twins{store: storetest.NewMemory(storetest.Options{})}
	var shared transmitter.Config
	alone := make(once, 1)
	tw.a = open(t, append(change, func(s *setup) {
		s.Once = alone.run
		s.wrapStore = func(streams.Store) streams.Store { return tw.store.Process() }
		s.keep = &shared
	})...)
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	b := *tw.a
	b.server, b.issuer = server, server.URL // where it is asked; its SETs have the one issuer
	index, err := sqliteindex.Open(t.Context(), sqliteindex.Config{Path: filepath.Join(t.TempDir(), "index.db"), Log: tw.a.log})
	if err != nil {
		t.Fatal(err)
	}
	shared.Streams, shared.Index = tw.store.Process(), index
	if b.Transmitter, err = transmitter.New(shared); err != nil {
		t.Fatal(err)
	}
	handler = b.Handler()
	tw.b = &b
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx); err != nil {
			t.Errorf("Run: got %v", err)
		}
	}()
	tw.end = sync.OnceFunc(func() {
		b.Refuse()
		server.Close()
		stop()
		<-ended
		if err := index.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(tw.end)
	tw.sender = tw.a.client("hr", everyScope)
	return tw
}

// pushStreams makes n streams, each of an application and with a sink of its own.
func (tw *twins) pushStreams(t *testing.T, n int) []*sink {
	t.Helper()
	sinks := make([]*sink, n)
	for i := range sinks {
		sinks[i] = newSink(t)
		h := tw.a
		if i%2 == 1 {
			h = tw.b
		}
		h.stream(h.client(fmt.Sprintf("app%d", i), everyScope), pushTo(sinks[i].URL))
	}
	return sinks
}

// complete waits until each sink has the events, and checks that each has one
// jti for each and has them in order.
func complete(t *testing.T, sinks []*sink, txns []string, repeats bool) {
	t.Helper()
	jtis := map[string]string{}
	for i, s := range sinks {
		until(t, fmt.Sprintf("sink %d has %d events", i, len(txns)), func() bool { return len(s.transactions()) >= len(txns) })
		var first []string
		for _, p := range s.requests() {
			key := fmt.Sprint(i, p.txn)
			if had := jtis[key]; had != "" {
				if had != p.jti {
					t.Errorf("sink %d: event %s came under %s and %s, want one jti", i, p.txn, had, p.jti)
				}
				if !repeats {
					t.Errorf("sink %d: event %s came twice", i, p.txn)
				}
				continue
			}
			jtis[key] = p.jti
			first = append(first, p.txn)
		}
		if !slices.Equal(first, txns) {
			t.Errorf("sink %d: got the events in order %v, want %v", i, first, txns)
		}
	}
}

// contracts.md §9: of what either accepts every stream gets each event once, in
// order, whichever works on it; and when one ends the other goes on with all.
func TestTwinsDeliver(t *testing.T) {
	tw := openTwins(t)
	sinks := tw.pushStreams(t, 8)
	var txns []string
	for i := range 20 {
		h := tw.a
		if i%2 == 1 {
			h = tw.b
		}
		txns = append(txns, h.emit(tw.sender, "u")) // of one subject: order counts
	}
	complete(t, sinks, txns, false)
	tw.end()
	for range 5 {
		txns = append(txns, tw.a.emit(tw.sender, "u"))
	}
	complete(t, sinks, txns, false)
}

// A stream created on one gets the next event that the other accepts, and a poll
// that waits on one is woken by it.
func TestTwinsPoll(t *testing.T) {
	tw := openTwins(t, func(s *setup) { s.LongPoll = patience })
	token := tw.a.client("shop", everyScope)
	stream := tw.a.stream(token, "")
	got := make(chan []string)
	go func() {
		ids, _ := tw.a.poll(token, stream, `{"maxEvents":1}`)
		got <- ids
	}()
	txn := tw.b.emit(tw.sender, "u")
	select {
	case ids := <-got:
		if len(ids) != 1 {
			t.Fatalf("got %v, want the SET of event %s", ids, txn)
		}
		// Acknowledged on the other it is gone on both.
		tw.b.poll(token, stream, `{"ack":["`+ids[0]+`"],"maxEvents":0}`)
		if left, _ := tw.a.poll(token, stream, `{"returnImmediately":true}`); len(left) != 0 {
			t.Errorf("got %v after the acknowledgement, want none", left)
		}
	case <-time.After(patience):
		t.Fatal("the poll was not woken")
	}
}

// A holder that was frozen past its lease finishes what is in flight; what it
// writes does not count, and all comes again under the same jtis.
func TestTwinFrozen(t *testing.T) {
	tw := openTwins(t)
	s := newSink(t)
	arrived, free := make(chan struct{}, 100), make(chan struct{})
	hold := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-free
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(hold.Close)
	tw.a.stream(tw.a.client("shop", everyScope), pushTo(hold.URL))
	txns := []string{tw.b.emit(tw.sender, "u")}
	<-arrived
	tw.store.EndLeases()
	<-arrived // from whoever holds the partition now
	close(free)
	txns = append(txns, tw.a.emit(tw.sender, "u"))
	complete(t, []*sink{s}, txns, true)
	until(t, "nothing waits", func() bool {
		total, _, err := tw.store.Depths(t.Context(), 1)
		return err == nil && total.Items == 0
	})
}

// What one sets another knows within a moment: the gate of an application, its
// consents, the status of a stream.
func TestTwinsSeeChanges(t *testing.T) {
	tw := openTwins(t)
	token := tw.a.client("shop", everyScope)
	stream := tw.a.stream(token, "")
	tw.b.must(http.StatusOK, http.MethodPost, "/ssf/status", token, `{"stream_id":"`+stream+`","status":"paused"}`)
	if got := tw.a.must(http.StatusOK, http.MethodGet, "/ssf/status?stream_id="+stream, token, "").member("status"); got != "paused" {
		t.Errorf("status on the other: got %s, want paused", got)
	}
	gate := func(h *house) string {
		return h.must(http.StatusOK, http.MethodGet, "/v1/consents/gate", token, "").member("enabled")
	}
	for i, set := range []string{"true", "false"} { // both know the settings by now, and one changes them
		from, to := tw.a, tw.b
		if i == 1 {
			from, to = to, from
		}
		gate(to)
		from.must(http.StatusOK, http.MethodPut, "/v1/consents/gate", token, `{"enabled":`+set+`}`)
		until(t, "the gate of the other is enabled: "+set, func() bool { return gate(to) == set })
	}
}
