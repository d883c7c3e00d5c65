package poll_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/poll"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

const eventType = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

// bench is a handler on a real store with the poll stream "s" of alice. A SET
// is its jti in brackets.
type bench struct {
	poll.Handler
	t     *testing.T
	store *sqlitestore.Store
	next  uint64
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(t.TempDir(), "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bench{t: t, store: store}
	b.Queue, b.Registry = store, store
	b.Sign = func(_ context.Context, s streams.Stream, item streams.Item) (string, error) {
		if s.ID != item.Stream || len(s.Audience) == 0 {
			t.Errorf("Sign got stream %+v for an item of %s", s, item.Stream)
		}
		return "[" + item.ID + "]", nil
	}
	b.create("s", delivery.MethodPoll)
	return b
}

func (b *bench) create(id, method string) {
	b.t.Helper()
	err := b.store.Create(b.t.Context(), streams.Stream{
		ID: id, Owner: "alice", Audience: []string{"a"}, EventsDelivered: []string{eventType},
		Delivery: streams.Delivery{Method: method, EndpointURL: "https://x.example"},
		Status:   streams.Enabled, StatusBy: streams.ByReceiver, DefaultSubjects: streams.SubjectsAll,
	}, 0)
	if err != nil {
		b.t.Fatal(err)
	}
}

// put puts n events on the queue, j1 and so on.
func (b *bench) put(n int) {
	b.t.Helper()
	for range n {
		b.next++
		if _, err := b.store.Put(b.t.Context(), streams.Item{
			Stream: "s", Pos: streams.Position{Seq: b.next}, ID: fmt.Sprint("j", b.next), Type: eventType, Added: time.Now(),
		}); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) set(status streams.Status, items ...streams.Item) {
	b.t.Helper()
	if _, err := b.store.Update(b.t.Context(), "s", func(s *streams.Stream) ([]streams.Item, error) {
		s.Status = status
		return items, nil
	}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) depth() streams.Depth {
	b.t.Helper()
	d, err := b.store.Depth(b.t.Context(), "s")
	if err != nil {
		b.t.Fatal(err)
	}
	d.Oldest = time.Time{}
	return d
}

// do polls as alice.
func (b *bench) do(ctx context.Context, stream, body string, header ...string) (*httptest.ResponseRecorder, error) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return b.serve(r, httptest.NewRecorder(), "alice", stream)
}

func (b *bench) serve(r *http.Request, w *httptest.ResponseRecorder, app, stream string) (*httptest.ResponseRecorder, error) {
	c := echo.New().NewContext(r, w)
	c.SetParamNames("stream_id")
	c.SetParamValues(stream)
	if app != "" {
		request.WithPrincipal(c, &auth.Principal{Application: app})
	}
	return w, b.Poll(c)
}

// want polls and compares the body of the answer.
func (b *bench) want(name, body, want string) {
	b.t.Helper()
	w, err := b.do(b.t.Context(), "s", body)
	if err != nil || w.Code != http.StatusOK || w.Body.String() != want {
		b.t.Errorf("%s: got %d %s, %v, want %s", name, w.Code, w.Body, err, want)
	}
}

func TestPoll(t *testing.T) {
	b := newBench(t)
	b.want("POLL-2.3-01 none", `{"returnImmediately":true}`, `{"sets":{}}`)
	b.put(3)
	w, err := b.do(t.Context(), "s", `{}`) // POLL-2-01: valid, with the defaults
	if err != nil || w.Code != 200 || w.Body.String() != `{"sets":{"j1":"[j1]","j2":"[j2]","j3":"[j3]"}}` {
		t.Errorf("contracts §4, the order of the queue: got %d %s, %v", w.Code, w.Body, err)
	}
	wantHeader := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Content-Length": {fmt.Sprint(w.Body.Len())}}
	if diff := cmp.Diff(wantHeader, w.Header()); diff != "" {
		t.Errorf("POLL-2-01: want - got +\n%s", diff)
	}
	b.want("they are out", `{"returnImmediately":true}`, `{"sets":{}}`)
	b.put(1)
	b.want("POLL-2.4.3-01 ack and poll", `{"ack":["j1","j3","unknown"],"returnImmediately":true}`, `{"sets":{"j4":"[j4]"}}`)
	if got, want := b.depth(), (streams.Depth{Items: 2, Leased: 2}); got != want {
		t.Errorf("POLL-2.2-03: got %+v, want %+v", got, want)
	}
	b.want("POLL-2.2-03 acked before", `{"ack":["j1"],"returnImmediately":true}`, `{"sets":{}}`)
}

// POLL-2.2-01, POLL-2.3-02, OIDF-06.
func TestMaxEvents(t *testing.T) {
	b := newBench(t)
	b.MaxBatch = 3
	b.put(9)
	b.want("maxEvents", `{"maxEvents":2,"returnImmediately":true}`, `{"sets":{"j1":"[j1]","j2":"[j2]"},"moreAvailable":true}`)
	b.want("the server's cap", `{"maxEvents":10}`, `{"sets":{"j3":"[j3]","j4":"[j4]","j5":"[j5]"},"moreAvailable":true}`)
	b.want("absent", `{}`, `{"sets":{"j6":"[j6]","j7":"[j7]","j8":"[j8]"},"moreAvailable":true}`)
	b.want("0 with more", `{"maxEvents":0,"returnImmediately":true}`, `{"sets":{},"moreAvailable":true}`)
	b.want("the last: no more could be returned", `{}`, `{"sets":{"j9":"[j9]"}}`)
	b.want("ack only, more are out but none could be returned", `{"maxEvents":0,"returnImmediately":true,"ack":["j9"]}`, `{"sets":{}}`)

	b = newBench(t)
	b.put(150)
	w, err := b.do(t.Context(), "s", `{}`)
	if got, perr := delivery.ParsePollResponse(w.Body.Bytes()); err != nil || perr != nil || len(got.Sets) != 100 || !got.MoreAvailable {
		t.Errorf("U24: got %d SETs, more %t, %v, %v, want 100 and more", len(got.Sets), got.MoreAvailable, err, perr)
	}
}

// POLL-2.2-04, U23: a refused SET leaves the queue for the dead letters; a jti
// in both is refused.
func TestSetErrs(t *testing.T) {
	b := newBench(t)
	var told []string
	b.Refused = func(_ context.Context, s streams.Stream, item streams.Item, why delivery.Failure) {
		told = append(told, fmt.Sprint(s.ID, " ", item.ID, " ", why.Err, " ", why.Description))
	}
	b.put(3)
	b.want("take", `{}`, `{"sets":{"j1":"[j1]","j2":"[j2]","j3":"[j3]"}}`)
	b.want("refuse", `{"maxEvents":0,"ack":["j1","j2"],"setErrs":{"j2":{"err":"invalid_key","description":"d"},"nobody":{"err":"x"}}}`, `{"sets":{}}`)
	if diff := cmp.Diff([]string{"s j2 invalid_key d"}, told); diff != "" {
		t.Errorf("the hook: want - got +\n%s", diff)
	}
	dead, _, err := b.store.DeadLetters(t.Context(), "s", "", 9)
	if err != nil || len(dead) != 1 || dead[0].ID != "j2" || dead[0].Code != "invalid_key" || dead[0].Description != "d" {
		t.Errorf("got dead letters %+v, %v, want j2", dead, err)
	}
	if got, want := b.depth(), (streams.Depth{Items: 1, Leased: 1, Dead: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// POLL-2.5.1-01, POLL-3-01, and streams that cannot be polled. Nothing is
// acknowledged by any of them.
func TestPollRefuses(t *testing.T) {
	b := newBench(t)
	b.create("push", delivery.MethodPush)
	b.put(1)
	many := `{"ack":[` + strings.Repeat(`"x",`, delivery.MaxAcks) + `"j1"]}`
	cases := []struct {
		name, app, stream, body, contentType string
		want                                 int
	}{
		{"not JSON", "alice", "s", `{"ack":["j1"]`, "", 400},
		{"member twice", "alice", "s", `{"ack":["j1"],"ack":["j1"]}`, "", 400},
		{"wrong type", "alice", "s", `{"ack":["j1"],"returnImmediately":1}`, "", 400},
		{"negative maxEvents", "alice", "s", `{"ack":["j1"],"maxEvents":-1}`, "", 400},
		{"empty body", "alice", "s", ``, "", 400},
		{"too many acks", "alice", "s", many, "", 413},
		{"too large", "alice", "s", `{"ack":["j1"]}` + strings.Repeat(" ", delivery.MaxPollRequestBytes), "", 413},
		{"media type", "alice", "s", `{"ack":["j1"]}`, "text/plain", 415},
		{"POLL-3-01 nobody", "", "s", `{"ack":["j1"]}`, "", 401},
		{"SSF-8-03 another's stream", "bob", "s", `{"ack":["j1"]}`, "", 404},
		{"unknown stream", "alice", "nobody", `{"ack":["j1"]}`, "", 404},
		{"a push stream", "alice", "push", `{}`, "", 404},
	}
	for _, c := range cases {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(c.body))
		if c.contentType != "" {
			r.Header.Set("Content-Type", c.contentType)
		}
		w, err := b.serve(r, httptest.NewRecorder(), c.app, c.stream)
		var refused *request.Error
		switch {
		case errors.As(err, &refused) && refused.Status == c.want:
		case c.want == 404 && err == streams.ErrNotFound: //nolint:errorlint // exactly the same for all
		default:
			t.Errorf("%s: got %v, want %d", c.name, err, c.want)
		}
		if w.Body.Len() > 0 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %q, %v, want nothing written but no-store", c.name, w.Body, w.Header())
		}
	}
	if got, want := b.depth(), (streams.Depth{Items: 1}); got != want {
		t.Errorf("got %+v, want nothing taken or acknowledged: %+v", got, want)
	}
}

// SSF-8.1.2-03, U18: a paused or disabled stream is polled for stream-updated
// alone; acknowledgements are still processed.
func TestPollByStatus(t *testing.T) {
	for _, status := range []streams.Status{streams.Paused, streams.Disabled} {
		b := newBench(t)
		b.put(2)
		b.want("take", `{"maxEvents":1}`, `{"sets":{"j1":"[j1]"},"moreAvailable":true}`)
		b.set(status, streams.Item{Stream: "s", Lane: streams.LaneControl, ID: "u1", Type: streams.TypeStreamUpdated, Payload: []byte(`{}`), Added: time.Now()})
		b.want(string(status)+" with acks", `{"ack":["j1"],"maxEvents":0}`, `{"sets":{},"moreAvailable":true}`)
		b.want(string(status), `{}`, `{"sets":{"u1":"[u1]"}}`)
		b.want(string(status)+" empty", `{"returnImmediately":true}`, `{"sets":{}}`)
		if got := b.depth(); got.Items != 2 {
			t.Errorf("%s: got %+v, want j1 gone, j2 and u1 there", status, got)
		}
	}
}

// SSF-8.1.2.1-05: events held while paused about one subject go out in order,
// none superseding another.
func TestHeldEventsKeepOrder(t *testing.T) {
	b := newBench(t)
	b.set(streams.Paused)
	for i := range 3 {
		if _, err := b.store.Put(t.Context(), streams.Item{
			Stream: "s", Pos: streams.Position{Seq: uint64(i + 1)}, ID: fmt.Sprint("j", i), OrderKey: "user", Type: eventType, Added: time.Now(),
		}); err != nil {
			t.Fatal(err)
		}
	}
	b.want("paused", `{"returnImmediately":true}`, `{"sets":{}}`)
	b.set(streams.Enabled)
	b.want("the first", `{"maxEvents":1}`, `{"sets":{"j0":"[j0]"}}`)
	b.want("the others follow it", `{"ack":["j0"]}`, `{"sets":{"j1":"[j1]","j2":"[j2]"}}`)
}

// SSF-8.1.1-04: each poll is activity of its stream.
func TestPollIsActivity(t *testing.T) {
	b := newBench(t)
	at := time.Unix(1_800_000_000, 0)
	touched := &toucher{Store: b.store}
	b.Registry, b.Now = touched, func() time.Time { return at }
	b.want("poll", `{"returnImmediately":true}`, `{"sets":{}}`)
	if touched.id != "s" || !touched.at.Equal(at) {
		t.Errorf("got %q at %v, want s at %v", touched.id, touched.at, at)
	}
	touched.id = ""
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{}`))
	if _, err := b.serve(r, httptest.NewRecorder(), "bob", "s"); err == nil || touched.id != "" {
		t.Errorf("U9 another's poll: got %v, touched %q, want it not to count", err, touched.id)
	}
}

type toucher struct {
	*sqlitestore.Store
	id string
	at time.Time
}

func (r *toucher) Touch(_ context.Context, id string, at time.Time) { r.id, r.at = id, at }

// A SET that cannot be signed fails the poll; all go back at once.
func TestSignFails(t *testing.T) {
	b := newBench(t)
	b.put(3)
	broken, sign := errors.New("no key"), b.Sign
	b.Sign = func(ctx context.Context, s streams.Stream, item streams.Item) (string, error) {
		if item.ID == "j2" {
			return "", broken
		}
		return sign(ctx, s, item)
	}
	if w, err := b.do(t.Context(), "s", `{}`); !errors.Is(err, broken) || w.Body.Len() > 0 {
		t.Errorf("got %v and %q, want the error and nothing written", err, w.Body)
	}
	b.Sign = sign
	b.want("at once again", `{"returnImmediately":true}`, `{"sets":{"j1":"[j1]","j2":"[j2]","j3":"[j3]"}}`)
}

// POLL-2.4-01: what could not be written goes back at once.
func TestWriteFails(t *testing.T) {
	b := newBench(t)
	b.put(1)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{}`))
	c := echo.New().NewContext(r, deaf{httptest.NewRecorder()})
	c.SetParamNames("stream_id")
	c.SetParamValues("s")
	request.WithPrincipal(c, &auth.Principal{Application: "alice"})
	if err := b.Poll(c); err == nil {
		t.Error("got no error, want the failed write")
	}
	b.want("at once again", `{"returnImmediately":true}`, `{"sets":{"j1":"[j1]"}}`)
}

type deaf struct{ *httptest.ResponseRecorder }

func (deaf) Write([]byte) (int, error) { return 0, errors.New("connection reset") }

// POLL-2.4-01, POLL-2.4.3-01: the client goes away while its SETs are signed.
func TestClientVanishes(t *testing.T) {
	b := newBench(t)
	b.put(3)
	b.want("take one", `{"maxEvents":1}`, `{"sets":{"j1":"[j1]"},"moreAvailable":true}`)
	ctx, cancel := context.WithCancel(t.Context())
	sign := b.Sign
	b.Sign = func(ctx context.Context, s streams.Stream, item streams.Item) (string, error) {
		cancel()
		return sign(ctx, s, item)
	}
	if w, err := b.do(ctx, "s", `{"ack":["j1"]}`); err != nil || w.Body.String() != `{"sets":{}}` {
		t.Errorf("got %s, %v, want no SETs", w.Body, err)
	}
	b.Sign = sign
	b.want("at once again, j1 acknowledged", `{"returnImmediately":true}`, `{"sets":{"j2":"[j2]","j3":"[j3]"}}`)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if w, err := b.do(gone, "s", `{"ack":["j2","j3"]}`); err != nil || w.Body.String() != `{"sets":{}}` {
		t.Errorf("aborted: got %s, %v, want no SETs", w.Body, err)
	}
	if got := b.depth(); got.Items != 0 {
		t.Errorf("POLL-2.4.3-01 acks of an aborted poll: got %+v, want none waiting", got)
	}
}

// waiting starts a long poll in a bubble and returns when it waits.
func (b *bench) waiting(ctx context.Context, body string) <-chan string {
	b.t.Helper()
	done := make(chan string, 1)
	go func() {
		start := time.Now()
		w, err := b.do(ctx, "s", body)
		done <- fmt.Sprintf("%v %s %v", time.Since(start), w.Body, err)
	}()
	synctest.Wait()
	select {
	case got := <-done:
		b.t.Errorf("%s: got %s at once, want it to wait", body, got)
	default:
	}
	return done
}

// POLL-2.5-01, POLL-2.2-02, U24.
func TestLongPoll(t *testing.T) {
	steps := []struct {
		name string
		body string
		do   func(b *bench, cancel context.CancelFunc)
		want string
	}{
		{"timeout", `{}`, func(*bench, context.CancelFunc) {}, `30s {"sets":{}} <nil>`},
		{"arrival", `{"returnImmediately":false,"maxEvents":5}`, func(b *bench, _ context.CancelFunc) {
			<-time.After(7 * time.Second) // by the bubble's clock
			b.put(1)
		}, `7s {"sets":{"j1":"[j1]"}} <nil>`},
		{"enabled again", `{}`, func(b *bench, _ context.CancelFunc) {
			b.set(streams.Paused)
			b.put(1)
			<-time.After(3 * time.Second)
			b.set(streams.Enabled)
		}, `3s {"sets":{"j1":"[j1]"}} <nil>`},
		{"SSF-8.1.1.5-02 deleted", `{}`, func(b *bench, _ context.CancelFunc) {
			if err := b.store.Delete(b.t.Context(), "s"); err != nil {
				b.t.Error(err)
			}
		}, `0s  ` + streams.ErrNotFound.Error()},
		{"the client goes or the server stops", `{}`, func(_ *bench, cancel context.CancelFunc) { cancel() }, `0s {"sets":{}} <nil>`},
	}
	for _, c := range steps {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := b.waiting(ctx, c.body)
				c.do(b, cancel)
				if got := <-done; got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			})
		})
	}
}

// U24: an answer without SETs waits for nothing, whatever returnImmediately says.
func TestAckOnlyReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		start := time.Now()
		b.want("POLL-2.4.2-01", `{"maxEvents":0}`, `{"sets":{}}`)
		b.want("POLL-2.2-02", `{"returnImmediately":true}`, `{"sets":{}}`)
		if took := time.Since(start); took != 0 {
			t.Errorf("got %v, want at once", took)
		}
	})
}

// POLL-2.4-01: what is not acknowledged is returned again after the delay,
// with the same jti, and wakes a long poll.
func TestRedelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.LongPoll = 5 * time.Minute
		b.put(1)
		b.want("first", `{}`, `{"sets":{"j1":"[j1]"}}`)
		done := b.waiting(t.Context(), `{}`)
		if got, want := <-done, `1m0s {"sets":{"j1":"[j1]"}} <nil>`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// A long poll outlives the server's deadlines, which are for other requests,
// and leaves the connection as it found it.
func TestServerDeadlines(t *testing.T) {
	b := newBench(t)
	b.LongPoll = 200 * time.Millisecond
	e := echo.New()
	e.POST("/poll/:stream_id", func(c echo.Context) error {
		request.WithPrincipal(c, &auth.Principal{Application: "alice"})
		return b.Poll(c)
	})
	for _, timeout := range []time.Duration{0, 50 * time.Millisecond} {
		server := httptest.NewUnstartedServer(e)
		server.Config.ReadTimeout, server.Config.WriteTimeout = timeout, timeout
		server.Start()
		for _, body := range []string{`{}`, `{"returnImmediately":true}`, `{}`} {
			res, err := server.Client().Post(server.URL+"/poll/s", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatalf("timeout %v: %s: %v", timeout, body, err)
			}
			got, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK || string(got) != `{"sets":{}}` {
				t.Errorf("timeout %v: %s: got %d %s, %v, want 200 without SETs", timeout, body, res.StatusCode, got, err)
			}
		}
		server.Close()
	}
}
