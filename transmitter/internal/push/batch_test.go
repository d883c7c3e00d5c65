package push_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// way packs the ids of items; those that gone names are not there any more, and
// no more than fit go into one.
type way struct {
	batch push.Batch
	gone  []string
	// erased: they are gone because they were erased.
	erased bool
	fit    int // 0: all
}

func (w way) Way(context.Context, streams.Stream) (push.Way, error) { return w, nil }

func (w way) Batch() push.Batch { return w.batch }

func (w way) Pack(_ context.Context, items []streams.Item) (push.Parcel, error) {
	var p push.Parcel
	var ids []string
	for i, item := range items {
		if w.fit > 0 && i == w.fit {
			break
		}
		p.Origins = append(p.Origins, push.Origin{TransactionID: item.ID, Accepted: item.Added})
		if slices.Contains(w.gone, item.ID) {
			p.Gone = append(p.Gone, i)
			if w.erased {
				p.Erased = append(p.Erased, i)
			}
			continue
		}
		ids = append(ids, item.ID)
	}
	p.Body = strings.Join(ids, " ")
	return p, nil
}

func (way) Judge(status int, _ []byte) (push.Judgement, string, string) {
	return push.Judge(status, ""), "", ""
}

// newHook is a world whose stream s is a webhook with batches of three that
// wait for ten seconds.
func newHook(t *testing.T, w way, answer func(post) *http.Response) *world {
	t.Helper()
	if w.batch.Most == 0 {
		w.batch = push.Batch{Most: 3, Wait: 10 * time.Second}
	}
	made := newWorld(t, answer, func(c *push.Config) { c.Webhooks = w })
	made.update(func(s *streams.Stream) { s.Delivery.Method = streams.MethodWebhook })
	return made
}

func (w *world) bodies(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.jtis()); diff != "" {
		t.Errorf("requests: got (-want +got)\n%s", diff)
	}
}

func accept(post) *http.Response { return reply(204, "") }

// A batch leaves when it is full, or so long after its first item came; and
// then there is one request out at a time.
func TestBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHook(t, way{}, func(p post) *http.Response {
			<-time.After(time.Second)
			return reply(204, "")
		})
		w.put("s", 5, nil)
		after(time.Second / 2)
		w.put("s", 7, nil)
		after(9*time.Second + time.Second/2 - time.Millisecond)
		w.bodies(t, "s1 s2 s3", "s4 s5 s6")
		after(time.Minute)
		w.bodies(t, "s1 s2 s3", "s4 s5 s6", "s7")
		if got := w.times(); got[0] != 0 || got[1] != time.Second || got[2] != 10*time.Second+time.Second/2 {
			t.Errorf("got %v, want 0s, 1s when the first is answered, and 10.5s", got)
		}
		if w.most != 1 || w.depth().Items != 0 {
			t.Errorf("got %d at a time and %d left, want 1 and 0", w.most, w.depth().Items)
		}
	})
}

// What failed together is sent again together, whatever has come meanwhile.
func TestBatchAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		w := newHook(t, way{}, func(p post) *http.Response {
			if up.Load() {
				return reply(204, "")
			}
			return nil
		})
		w.put("s", 2, nil)
		after(11 * time.Second)
		w.put("s", 4, nil) // two more
		after(5 * time.Second)
		up.Store(true)
		after(5 * time.Minute)
		w.bodies(t, "s1 s2", "s1 s2", "s1 s2", "s3 s4")
	})
}

// A batch that is refused is sent again item by item: only what the receiver
// does not take is set aside.
func TestBatchRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHook(t, way{}, func(p post) *http.Response {
			if strings.Contains(p.jti, "s2") {
				return reply(413, "")
			}
			return reply(204, "")
		})
		w.put("s", 3, nil)
		after(time.Minute)
		w.bodies(t, "s1 s2 s3", "s1", "s2", "s3")
		letters, _, err := w.store.DeadLetters(t.Context(), "s", "", 10)
		if err != nil || len(letters) != 1 || letters[0].ID != "s2" || letters[0].Code != "http_413" || w.depth().Items != 0 {
			t.Errorf("dead letters: got %+v %v, want s2", letters, err)
		}
	})
}

// A receiver that refuses everything costs some requests and no more: it is
// paused, and what it was not asked about waits.
func TestBatchAllRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHook(t, way{batch: push.Batch{Most: 100, Wait: time.Second}}, func(post) *http.Response { return reply(400, "") })
		w.put("s", 100, nil)
		after(time.Minute)
		if got := len(w.jtis()); got != 21 {
			t.Errorf("got %d requests, want the batch and 20", got)
		}
		if got := w.depth(); got.Dead != 20 || got.Items != 80 {
			t.Errorf("got %+v, want 20 dead letters and 80 that wait", got)
		}
		if reason := <-w.paused; !strings.Contains(reason, "20") {
			t.Errorf("reason: got %q", reason)
		}
	})
}

// Of what is gone the receiver hears nothing, and it counts for nothing; what
// does not fit goes with the next.
func TestBatchGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHook(t, way{gone: []string{"s2", "s5", "s6"}, fit: 2}, accept)
		w.put("s", 6, nil)
		after(time.Minute)
		w.bodies(t, "s1", "s3 s4")
		if got := w.depth(); got.Dead != 3 || got.Items != 0 {
			t.Errorf("got %+v, want 3 dead letters", got)
		}
		if got := w.health(); got.Refusals != 0 {
			t.Errorf("health: got %+v, want no refusal by the receiver", got)
		}
	})
}

// What was erased is off the queue and no dead letter: that would bear its subject.
func TestBatchErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHook(t, way{gone: []string{"s2", "s3"}, erased: true}, accept)
		w.put("s", 4, nil)
		after(time.Minute)
		w.bodies(t, "s1", "s4")
		if got := w.depth(); got.Dead != 0 || got.Items != 0 {
			t.Errorf("got %+v, want an empty queue and no dead letter", got)
		}
	})
}

// While a batch waits nothing is done but for what is put.
func TestBatchWaitsIdly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := &counted{}
		w := newWorldOn(t, func(s push.Store) push.Store { looks.Store = s; return looks }, accept, func(c *push.Config) {
			c.Webhooks = way{batch: push.Batch{Most: 100, Wait: 5 * time.Minute}}
		})
		w.update(func(s *streams.Stream) { s.Delivery.Method = streams.MethodWebhook })
		for i := range 10 {
			w.put("s", i+1, nil)
			after(time.Second)
		}
		after(4*time.Minute + 40*time.Second)
		if len(w.jtis()) != 0 || looks.depths.Load() > 30 {
			t.Errorf("got %d requests and %d looks, want none and a few", len(w.jtis()), looks.depths.Load())
		}
		after(time.Minute)
		if got := w.jtis(); len(got) != 1 || strings.Count(got[0], " ") != 9 {
			t.Errorf("got %q, want the ten together", got)
		}
	})
}

// counted counts how often the depth is looked at.
type counted struct {
	push.Store
	depths atomic.Int32
}

func (c *counted) Depth(ctx context.Context, stream string) (streams.Depth, error) {
	c.depths.Add(1)
	return c.Store.Depth(ctx, stream)
}

// A clock that was ahead when the items came makes them wait no longer.
func TestBatchOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHook(t, way{}, accept)
		item := streams.Item{Stream: "s", Pos: streams.Position{Seq: 1}, ID: "s1", Type: "urn:e", Added: time.Now().Add(time.Hour)}
		if _, err := w.store.Put(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		after(9 * time.Second)
		w.put("s", 2, nil) // something comes meanwhile
		after(time.Second)
		w.bodies(t, "s1 s2")
	})
}

// A pause ends the wait, and what waited stays until it is over.
func TestBatchPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHook(t, way{}, accept)
		w.put("s", 2, nil)
		after(5 * time.Second)
		w.update(func(s *streams.Stream) { s.Status = streams.Paused })
		after(time.Hour)
		w.bodies(t, []string(nil)...)
		w.update(func(s *streams.Stream) { s.Status = streams.Enabled })
		after(time.Second)
		w.bodies(t, "s1 s2")
	})
}

// Webhooks without batches are sent side by side like SETs.
func TestWebhookWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHook(t, way{batch: push.Batch{Most: 1}}, func(post) *http.Response {
			<-time.After(time.Second)
			return reply(204, "")
		})
		w.put("s", 64, func(i int) string { return fmt.Sprint(i % 32) })
		after(time.Minute)
		if w.most != 32 || len(w.jtis()) != 64 {
			t.Errorf("got %d at a time, %d in all, want 32 and 64", w.most, len(w.jtis()))
		}
	})
}
