package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// worker delivers for one stream while it has work that is due.
type worker struct {
	pusher *run
	id     string
	again  bool // woken since it last looked; guarded by pusher.mu
	wake   chan struct{}

	to       target
	ripe     <-chan time.Time // a batch that is not full waits for it; nil: none does
	due      bool             // it has waited long enough
	shut     <-chan struct{}  // nothing can be signed until it is closed; nil: all can
	stale    bool             // the stream is not what it was when to was read
	health   streams.Health
	known    streams.Health // as it was last handed to the store
	results  chan result
	inFlight int
	news     int // stream-updated in flight: nothing else leaves meanwhile
	// unsettled are verdicts that are not written down yet, unsaved the health
	// that goes with them; nil: as it is in the store.
	unsettled []streams.Outcome
	unsaved   *streams.Health

	extra int   // slots held beyond the first
	round round // what the current window has seen
}

// target is where the SETs of a window go. It is never changed, so that those
// in flight may read it while the worker learns of a new one.
type target struct {
	stream streams.Stream
	way    Way // nil: what is there is not ours to bring
}

// round sums up the answers since the stream was last in good health.
type round struct {
	failed     bool // one answer backs the stream off
	answered   bool // one SET was accepted or refused: the receiver is there
	retryAfter time.Duration
	lastError  string
	pause      string // not empty: pause the stream for this reason
}

func newWorker(r *run, id string) *worker {
	return &worker{pusher: r, id: id, wake: make(chan struct{}, 1), results: make(chan result, r.cfg.Window)}
}

// run works until the stream has nothing more that is due, then leaves.
func (w *worker) run(ctx context.Context) {
	pause := retryFirst
	for {
		err := w.work(ctx)
		if errors.Is(err, streams.ErrNotHeld) {
			// What came back is another's to learn: it delivers all of it again.
			w.unsettled, w.unsaved = nil, nil
		} else if err != nil && ctx.Err() == nil && !errors.Is(err, streams.ErrNotFound) {
			w.pusher.cfg.Logger.ErrorContext(ctx, "push failed on the store, trying again", "stream_id", w.id, "err", err)
			sleep(ctx, pause)
			pause = min(2*pause, retryMost)
			continue
		}
		pause = retryFirst
		if w.pusher.leave(w) {
			return
		}
		if ctx.Err() != nil { // woken, but the run ends
			w.pusher.drop(w)
			return
		}
	}
}

// work delivers until nothing is left, the stream backs off, or ctx ends.
// All that was in flight is settled when it returns without an error.
func (w *worker) work(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	if err := w.load(ctx); err != nil {
		return err
	}
	if w.health.BacksOff(w.pusher.cfg.Now()) {
		return nil // Ready tells when it has come
	}
	defer w.freeSlots()
	for {
		if err := w.fill(ctx); err != nil {
			return errors.Join(err, w.drain(ctx))
		}
		var ended <-chan struct{}
		if w.inFlight == 0 {
			if w.ripe == nil && w.shut == nil {
				return w.pauseIfAsked(ctx)
			}
			ended = ctx.Done()
		}
		select {
		case <-ended:
		case <-w.ripe:
			w.ripe, w.due = nil, true
		case <-w.shut:
			w.shut = nil
		case r := <-w.results:
			if err := w.settle(ctx, r); err != nil {
				return errors.Join(err, w.drain(ctx))
			}
			if !w.stale {
				continue
			}
			if err := w.reload(ctx); err != nil {
				return errors.Join(err, w.drain(ctx))
			}
		case <-w.wake:
			if err := w.reload(ctx); err != nil {
				return errors.Join(err, w.drain(ctx))
			}
		}
	}
}

// load reads the stream and its health.
func (w *worker) load(ctx context.Context) error {
	w.round = round{}
	if err := w.reload(ctx); err != nil {
		return err
	}
	health, err := w.pusher.store.Health(ctx, w.id)
	if err != nil {
		return fmt.Errorf("push: reading the health: %w", err)
	}
	w.health, w.known = health, health
	return nil
}

// reload reads the stream again: its endpoint may have changed.
func (w *worker) reload(ctx context.Context) error {
	stream, err := w.pusher.store.Stream(ctx, w.id)
	if err != nil {
		return fmt.Errorf("push: reading the stream: %w", err)
	}
	way, err := w.pusher.way(ctx, stream)
	if err != nil {
		return fmt.Errorf("push: finding the way: %w", err)
	}
	if stream.Delivery != w.to.stream.Delivery {
		w.ripe, w.due = nil, false // what it says of batches may be another
	}
	w.to, w.stale = target{stream, way}, false
	return nil
}

// way returns how the items of a stream are brought; nil: not by us.
func (p *Pusher) way(ctx context.Context, s streams.Stream) (Way, error) {
	switch {
	case s.Delivery.Method == delivery.MethodPush:
		return newSets(p.cfg.Outbox, s), nil
	case s.Delivery.Method == streams.MethodWebhook && p.cfg.Webhooks != nil:
		return p.cfg.Webhooks.Way(ctx, s)
	}
	return nil, nil // there is no way, and that is no error
}

// fill takes as many items as the window has room for and sends them off.
func (w *worker) fill(ctx context.Context) error {
	if w.to.way == nil || ctx.Err() != nil {
		w.ripe, w.due, w.shut = nil, false, nil
		return nil
	}
	if way, ok := w.to.way.(waiter); ok && w.shut == nil {
		w.shut = way.Away()
	}
	if w.shut != nil {
		return nil
	}
	if batch := w.to.way.Batch(); batch.Most > 1 {
		return w.fillBatch(ctx, batch)
	}
	room := w.room()
	if room == 0 {
		return nil
	}
	items, err := w.take(ctx, room)
	if err != nil {
		return err
	}
	news, rest := announcements(items)
	if w.news = len(news); w.news > 0 {
		go w.announce(ctx, w.to, news, rest)
		return nil
	}
	to := w.to
	for _, line := range lines(rest) {
		w.pusher.start(ctx, func() { w.send(ctx, to, line) })
	}
	return nil
}

// take takes up to max items, which are in flight then; none if ctx ends.
func (w *worker) take(ctx context.Context, max int) ([]streams.Item, error) {
	cfg := &w.pusher.cfg
	items, err := w.pusher.store.Take(ctx, w.id, streams.TakeOptions{
		Max: max,
		// Items with one order key may wait for each other in one answer.
		Lease: cfg.Timeout*time.Duration(max) + time.Minute,
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil
		}
		return nil, fmt.Errorf("push: taking: %w", err)
	}
	w.inFlight += len(items)
	return items, nil
}

// room returns how many more items may be in flight.
func (w *worker) room() int {
	if w.round.failed || w.round.pause != "" || w.news > 0 {
		return 0
	}
	window := w.pusher.cfg.Window
	if w.health.Failures > 0 {
		window = 1 // a probe: one SET tests the receiver
	}
	for w.extra+1 < window {
		select {
		case w.pusher.extra <- struct{}{}:
			w.extra++
			continue
		default:
		}
		break
	}
	return max(min(window, w.extra+1)-w.inFlight, 0)
}

func (w *worker) freeSlots() {
	for ; w.extra > 0; w.extra-- {
		<-w.pusher.extra
	}
}

// lines splits items into those that may travel side by side: items with one
// order key form one line, in order.
func lines(items []streams.Item) [][]streams.Item {
	out := make([][]streams.Item, 0, len(items))
	var at map[string]int
	for i, item := range items {
		if item.OrderKey == "" {
			out = append(out, items[i:i+1:i+1])
			continue
		}
		if at == nil {
			at = make(map[string]int, len(items))
		}
		if j, ok := at[item.OrderKey]; ok {
			out[j] = append(out[j], item)
			continue
		}
		at[item.OrderKey] = len(out)
		out = append(out, items[i:i+1:i+1])
	}
	return out
}

// announcements splits off stream-updated, which goes ahead of held events
// (SSF-8.1.5-02).
func announcements(items []streams.Item) (news, rest []streams.Item) {
	if !slices.ContainsFunc(items, isAnnouncement) {
		return nil, items
	}
	for _, item := range items {
		if isAnnouncement(item) {
			news = append(news, item)
		} else {
			rest = append(rest, item)
		}
	}
	return news, rest
}

func isAnnouncement(item streams.Item) bool {
	return item.Lane == streams.LaneControl && item.Type == streams.TypeStreamUpdated
}

// announce delivers news in order and, once it has been answered, what was
// taken with it, which goes back unsent if the news must be tried again.
func (w *worker) announce(ctx context.Context, to target, news, rest []streams.Item) {
	if !w.send(ctx, to, news) {
		w.release(rest)
		return
	}
	for _, line := range lines(rest) {
		w.pusher.start(ctx, func() { w.send(ctx, to, line) })
	}
}

func (w *worker) release(items []streams.Item) {
	for _, item := range items {
		w.results <- result{item, Finding{Judgement: BackOff, Code: released}}
	}
}

// send delivers a line in order and reports whether it came to its end. After
// a SET that must be tried again, the rest of the line goes back unsent.
func (w *worker) send(ctx context.Context, to target, line []streams.Item) bool {
	for i, item := range line {
		if ctx.Err() != nil { // nothing new begins
			w.release(line[i:])
			return false
		}
		f, _ := w.pusher.deliver(ctx, to, line[i:i+1])
		w.results <- result{item, f}
		if f.Judgement == Accepted || f.Judgement == SetAside {
			continue
		}
		w.release(line[i+1:])
		return false
	}
	return true
}

// released, changed and unsigned are the codes of a result that stands for no
// attempt: the item goes back. With changed the stream is read again; with unsigned
// nothing more is taken until SETs can be signed. gone is that of an item of which
// nothing can be made any more.
const (
	released = "released"
	changed  = "changed"
	unsigned = "unsigned"
	gone     = "gone"
	// erased: of an item whose event was erased nothing is kept, no dead letter.
	erased = "erased"
)
