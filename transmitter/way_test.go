package transmitter_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// party is the receiving half with a stream at a house.
type party struct {
	*receiver.Receiver
	t      testing.TB
	api    *client.Client
	stream string

	mu  sync.Mutex
	got []receiver.Delivery
}

// newParty starts a receiver of an application and creates its stream, pushed
// or polled.
func (h *house) newParty(app string, push bool) *party {
	h.t.Helper()
	token := h.client(app, "ssf.manage ssf.read")
	bearer := func(context.Context) (string, error) { return token, nil }
	plain := guard.NewClient(guard.Policy{InsecureLoopback: true, Timeout: time.Minute})
	p := &party{t: h.t}
	var err error
	if p.api, err = client.New(client.Config{Issuer: h.issuer, Audience: []string{audience(app)}, Token: bearer, HTTP: plain}); err != nil {
		h.t.Fatal(err)
	}
	inbox, err := sqliteinbox.Open(context.Background(), sqliteinbox.Config{Path: filepath.Join(h.t.TempDir(), "inbox.db")})
	if err != nil {
		h.t.Fatal(err)
	}
	how := &streams.Delivery{Method: delivery.MethodPoll}
	server := httptest.NewUnstartedServer(nil)
	if push {
		how = &streams.Delivery{Method: delivery.MethodPush, EndpointURL: "http://" + server.Listener.Addr().String() + "/in", AuthorizationHeader: "Bearer of-" + app}
	}
	stream, err := p.api.Create(context.Background(), client.Request{EventsRequested: []string{sessionRevoked}, Delivery: how})
	if err != nil {
		h.t.Fatal(err)
	}
	p.stream = stream.StreamID
	mux := receiver.NewMux()
	mux.Default(p.keep)
	cfg := receiver.Config{
		Issuer: h.issuer, Audience: []string{audience(app)}, HTTP: plain, StreamID: p.stream, Inbox: inbox, Mux: mux, Client: p.api,
		Algorithms: []jose.Algorithm{jose.ES256, jose.RS256}, Authorization: how.AuthorizationHeader,
		Keys: wellknown.NewClient(wellknown.Config{HTTP: plain, MinRefresh: time.Millisecond}).Keys(h.issuer),
	}
	if !push {
		cfg.Poll = &receiver.Poll{Endpoint: stream.Delivery.EndpointURL, Token: bearer, HTTP: plain, Interval: 10 * time.Millisecond}
	}
	if p.Receiver, err = receiver.New(cfg); err != nil {
		h.t.Fatal(err)
	}
	server.Config.Handler = p.Handler()
	server.Start()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			h.t.Errorf("receiver: %v", err)
		}
	})
	h.t.Cleanup(func() {
		stop()
		running.Wait()
		server.Close()
		_ = inbox.Close()
	})
	return p
}

func (p *party) keep(_ context.Context, d receiver.Delivery) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, d)
	return nil
}

// transactions returns the txn of all events (control apart) in order of arrival.
func (p *party) transactions() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, d := range p.got {
		if d.Type == sessionRevoked {
			out = append(out, d.TransactionID)
		}
	}
	return out
}

// states returns the payloads of the control events of a type.
func (p *party) states(eventType string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, d := range p.got {
		if d.Type == eventType {
			out = append(out, string(d.Token.Events[0].Payload))
		}
	}
	return out
}

func (p *party) set(status streams.Status) {
	p.t.Helper()
	if _, err := p.api.SetStatus(context.Background(), p.stream, status, ""); err != nil {
		p.t.Fatal(err)
	}
}

// emitted waits until p has the events with these ids, all of them.
func (p *party) has(what string, ids ...string) {
	p.t.Helper()
	until(p.t, what, func() bool {
		got := p.transactions()
		return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(got, id) })
	})
}

func (h *house) emitMany(token string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = h.emit(token, "a")
	}
	return ids
}

// The whole way over HTTP, both halves: what is accepted is delivered once and
// in order, held while the stream is paused (SSF-8.1.2.1-04, -05), lost while
// it is disabled (SSF-8.1.2.1-06), and nothing comes after it is deleted
// (SSF-8.1.1.5-02). A stream beside it hears of everything.
func TestWholeWay(t *testing.T) {
	for _, c := range []struct {
		name string
		push bool
	}{{"push", true}, {"poll", false}} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			source := h.client("source", "events.write")
			p, beside := h.newParty("shop", c.push), h.newParty("witness", !c.push)

			state, err := p.RequestVerification(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(`{"state":%q}`, state)
			until(t, "the verification", func() bool { return slices.Contains(p.states(streams.TypeVerification), want) })

			before := h.emitMany(source, 20)
			p.has("events of an enabled stream", before...)
			p.set(streams.Paused)
			while := h.emitMany(source, 10)
			beside.has("a stream beside it", append(before, while...)...)
			if got := p.transactions(); len(got) != len(before) {
				t.Errorf("SSF-8.1.2.1-04: got %d events while paused, want none", len(got)-len(before))
			}
			p.set(streams.Enabled)
			after := h.emitMany(source, 5)
			expect := slices.Concat(before, while, after)
			p.has("held events", expect...)
			if got := p.transactions(); !slices.Equal(got, expect) {
				t.Errorf("SSF-8.1.2.1-05: got %v, want %v", got, expect)
			}
			p.set(streams.Disabled)
			lost := h.emitMany(source, 10)
			beside.has("a stream beside it", lost...)
			p.set(streams.Enabled)
			again := h.emitMany(source, 5)
			expect = append(expect, again...)
			p.has("events after it was disabled", expect...)
			if got := p.transactions(); !slices.Equal(got, expect) {
				t.Errorf("SSF-8.1.2.1-06: got %d events, want the %d that are not of the time it was disabled", len(got), len(expect))
			}
			if err := p.api.Delete(t.Context(), p.stream); err != nil {
				t.Fatal(err)
			}
			gone := h.emitMany(source, 10)
			beside.has("a stream beside it", gone...)
			if got := p.transactions(); !slices.Equal(got, expect) {
				t.Errorf("SSF-8.1.1.5-02: got %d more events after the stream was deleted", len(got)-len(expect))
			}
			if n := len(p.states(streams.TypeStreamUpdated)); n != 0 {
				t.Errorf("SSF-8.1.2-01: got %d stream-updated for changes that the receiver asked for, want none", n)
			}
		})
	}
}

// span is the time of a call.
type span struct{ from, to time.Time }

// Statuses change in the middle of deliveries: every event has the fate that
// its time demands, and no other.
func TestStatusChangesMeanwhile(t *testing.T) {
	for _, push := range []bool{true, false} {
		t.Run(fmt.Sprintf("push %v", push), func(t *testing.T) {
			h := open(t)
			source := h.client("source", "events.write")
			p, beside := h.newParty("shop", push), h.newParty("witness", true)
			var mu sync.Mutex
			sent := map[string]span{}
			stop := make(chan struct{})
			var sending sync.WaitGroup
			for range 3 {
				sending.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						from := time.Now()
						id := h.emit(source, "a")
						mu.Lock()
						sent[id] = span{from, time.Now()}
						mu.Unlock()
					}
				})
			}
			// change sets a status and returns when it was set, after about n more events.
			change := func(to streams.Status, n int) span {
				mu.Lock()
				have := len(sent)
				mu.Unlock()
				until(t, "events", func() bool { mu.Lock(); defer mu.Unlock(); return len(sent) >= have+n })
				at := span{from: time.Now()}
				p.set(to)
				at.to = time.Now()
				return at
			}
			for range 3 {
				change(streams.Paused, 15)
				change(streams.Enabled, 15)
			}
			// The events are of one subject: who has the marker has all before it.
			markerAt := time.Now()
			marker := h.emit(source, "a")
			p.has("what came before it was disabled", marker)
			off := change(streams.Disabled, 5)
			on := change(streams.Enabled, 15)
			change(streams.Paused, 10)
			change(streams.Enabled, 10)
			close(stop)
			sending.Wait()
			last := h.emit(source, "a")
			p.has("the last", last)
			all := []string{marker, last}
			for id := range sent {
				all = append(all, id)
			}
			beside.has("all, at a stream beside it", all...)

			got := map[string]int{}
			for _, id := range p.transactions() {
				got[id]++
			}
			var held, lost, either int
			for id, at := range sent {
				switch {
				case at.to.Before(markerAt), at.from.After(on.to):
					held++
					if got[id] != 1 {
						t.Errorf("SSF-8.1.2.1-04 event %s, sent while enabled or paused: got it %d times, want once", id, got[id])
					}
				case at.from.After(off.to) && at.to.Before(on.from):
					lost++
					if got[id] != 0 {
						t.Errorf("SSF-8.1.2.1-06 event %s, sent while disabled: got it %d times, want never", id, got[id])
					}
				default:
					either++
					if got[id] > 1 {
						t.Errorf("event %s: got it %d times", id, got[id])
					}
				}
			}
			if held == 0 || lost == 0 {
				t.Errorf("got %d held, %d lost, %d either: the test saw too little", held, lost, either)
			}
		})
	}
}

// A stream is paused, disabled or deleted while its window is out: no request
// begins afterwards (SSF-8.1.2.1-04, SSF-8.1.1.5-02), and a receiver that
// hangs meanwhile loses nothing once it is enabled again.
func TestPauseStopsTheWindow(t *testing.T) {
	for _, stop := range []string{"paused", "disabled", "deleted"} {
		t.Run(stop, func(t *testing.T) {
			h := open(t)
			token := h.client("shop", everyScope)
			to := newSink(t)
			first, release := make(chan struct{}), make(chan struct{})
			to.status = func(n int) int {
				if n == 0 {
					close(first)
					<-release
				}
				return 0
			}
			stream := h.stream(token, `{"method":"urn:ietf:rfc:8936"}`)
			sent := h.emitMany(token, 10) // one subject: one window, one after the other
			until(t, "all are queued", func() bool {
				d, err := h.store.Depth(t.Context(), stream)
				return err == nil && d.Items == len(sent)
			})
			h.must(200, "PATCH", "/ssf/streams", token, `{"stream_id":"`+stream+`","delivery":`+pushTo(to.URL)+`}`)
			<-first
			if stop == "deleted" {
				h.must(204, "DELETE", "/ssf/streams?stream_id="+stream, token, "")
			} else {
				h.must(200, "POST", "/ssf/status", token, `{"stream_id":"`+stream+`","status":"`+stop+`"}`)
			}
			close(release)
			beside := newSink(t)
			h.stream(token, pushTo(beside.URL))
			more := h.emitMany(token, 5)
			until(t, "a stream beside it", func() bool { return len(beside.transactions()) == len(more) })
			if n := len(to.requests()); n != 1 {
				t.Errorf("got %d requests, want the one that was out alone", n)
			}
			if stop != "paused" {
				return
			}
			h.must(200, "POST", "/ssf/status", token, `{"stream_id":"`+stream+`","status":"enabled"}`)
			until(t, "what was held", func() bool { return len(to.transactions()) == len(sent)+len(more) })
			if n := len(to.requests()); n != len(sent)+len(more) {
				t.Errorf("got %d requests, want each SET once", n)
			}
		})
	}
}
