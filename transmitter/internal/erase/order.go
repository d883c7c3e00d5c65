package erase

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Order asks for the erasure of a subject.
type Order struct {
	// Subjects are 1 to [MaxSubjects] identifiers of one subject. Events that
	// have none of them are not found: name all that are known.
	Subjects []subject.Identifier
	// Application bounds it to events for this application alone, to its
	// streams and to its consents; empty: everything.
	Application string
	Reason      string
	By          string // who ordered it
	// Now drops the subject's queued SETs instead of waiting for them.
	Now bool
}

// States of an erasure.
const (
	Pending = "pending" // SETs of the subject wait on queues, or a hold was set
	Done    = "done"
)

// Erasure is an order and what became of it. Once it is done the subject is
// named nowhere.
type Erasure struct {
	ID      string     `json:"id"`
	State   string     `json:"state"`
	Ordered time.Time  `json:"ordered_at"`
	Done    *time.Time `json:"done_at,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	By      string     `json:"by,omitempty"`
	// Waiting is how many queued SETs it waits for.
	Waiting int `json:"waiting,omitempty"`
	// Records is how many events were erased, Entries how much that was said of
	// them and of the subject, Registered how many subjects of streams.
	Records    int `json:"records"`
	Entries    int `json:"entries"`
	Registered int `json:"registered"`
	// Dropped are the jtis of SETs that had not been delivered, up to 1000;
	// DroppedCount is how many there were.
	Dropped      []string `json:"dropped,omitempty"`
	DroppedCount int      `json:"dropped_count"`

	application string
	seq         uint64
}

// orderEntry is the body of an order.
type orderEntry struct {
	Order       string            `json:"order"` // "erase"
	Subjects    []json.RawMessage `json:"subjects"`
	Application string            `json:"application,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	By          string            `json:"by,omitempty"`
	Now         bool              `json:"now,omitempty"`
}

// refPending is the key of all orders, refReport that of the reports on one.
const refPending = "orders"

func refReport(order uint64) string { return "carried-out:" + eventlog.Ref(order) }

// Order notes an order and returns it; Run carries it out. Durable on return.
// Errors: ErrHeld if a hold stands on one of its identifiers; ErrTooMany.
func (e *Eraser) Order(ctx context.Context, o Order) (Erasure, error) {
	e.work.Lock()
	defer e.work.Unlock()
	o.Subjects = named(o.Subjects)
	held, err := e.active(ctx, parts(o.Subjects))
	if err != nil {
		return Erasure{}, err
	}
	if len(held) > 0 {
		return Erasure{}, ErrHeld
	}
	if err := e.room(ctx, o.Application); err != nil {
		return Erasure{}, err
	}
	at, err := e.note(ctx, eventlog.KindErasure, orderEntry{
		Order: "erase", Subjects: raws(o.Subjects), Application: o.Application, Reason: o.Reason, By: o.By, Now: o.Now,
	}, o.Subjects, refPending)
	if err != nil {
		return Erasure{}, err
	}
	e.cfg.Crash(CrashAfterOrder)
	e.nudge()
	return e.erasure(ctx, at.ID)
}

// Erasure returns what became of an order, for an application ("" for an
// operator). Error: ErrNotFound, for another application's alike.
func (e *Eraser) Erasure(ctx context.Context, application, id string) (Erasure, error) {
	x, erased, err := e.order(ctx, id)
	others := func() bool { return application != "" && x.application != application }
	if err == nil && !erased && others() {
		err = ErrNotFound
	}
	if errors.Is(err, ErrNotFound) {
		err = cmp.Or(e.inVain(ctx), err)
	}
	if err != nil {
		return Erasure{}, err
	}
	// Of one that was carried out its reports alone know whose it was.
	if err := e.reported(ctx, &x, erased); err != nil {
		return Erasure{}, err
	}
	if others() {
		return Erasure{}, ErrNotFound
	}
	return x, nil
}

// inVain asks of the log what a report on an order that was carried out takes: how long a
// refusal takes does not tell whether there is another application's.
func (e *Eraser) inVain(ctx context.Context) error {
	for _, span := range []eventlog.Span{{Max: chunk, Alike: true}, {Max: chunk}} {
		if _, err := e.cfg.Log.Entries(ctx, eventlog.KindErasure, refReport(0), span); err != nil {
			return fmt.Errorf("erase: %w", err)
		}
	}
	return nil
}

// Pending returns the orders that are still to be carried out, of an application
// ("" for all).
func (e *Eraser) Pending(ctx context.Context, application string) ([]Erasure, error) {
	orders, err := e.pendingOrders(ctx)
	if err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	list := []Erasure{}
	for _, r := range orders {
		x, err := e.erasure(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		if application == "" || x.application == application {
			list = append(list, x)
		}
	}
	return list, nil
}

func (e *Eraser) erasure(ctx context.Context, id string) (Erasure, error) {
	x, erased, err := e.order(ctx, id)
	if err != nil {
		return Erasure{}, err
	}
	if err := e.reported(ctx, &x, erased); err != nil {
		return Erasure{}, err
	}
	return x, nil
}

// order returns an order without what was reported of it, and whether it is erased.
func (e *Eraser) order(ctx context.Context, id string) (x Erasure, erased bool, err error) {
	r, err := e.cfg.Log.Get(ctx, id)
	if errors.Is(err, eventlog.ErrNotFound) || errors.Is(err, eventlog.ErrMalformedID) || err == nil && r.Kind != eventlog.KindErasure {
		return Erasure{}, false, ErrNotFound
	}
	if err != nil {
		return Erasure{}, false, fmt.Errorf("erase: %w", err)
	}
	x = Erasure{ID: r.ID, State: Pending, Ordered: r.Recorded, Waiting: e.waitsFor(r.Seq), seq: r.Seq}
	if !r.Erased {
		var body orderEntry
		if json.Unmarshal(r.Entry, &body) != nil || body.Order == "" {
			return Erasure{}, false, ErrNotFound // a report
		}
		x.Reason, x.By, x.application = body.Reason, body.By, body.Application
	}
	return x, r.Erased, nil
}

// pendingOrders returns the orders that are not carried out, in the order of the
// log. Of what was there the last time those alone are read again that were
// pending then.
func (e *Eraser) pendingOrders(ctx context.Context) ([]*eventlog.Record, error) {
	p := &e.pending
	p.Lock()
	defer p.Unlock()
	var orders []*eventlog.Record
	for _, seq := range p.orders {
		r, err := e.cfg.Log.Record(ctx, seq)
		if err != nil {
			return nil, err
		}
		if !r.Erased {
			orders = append(orders, r)
		}
	}
	upTo := p.upTo
	err := e.each(ctx, eventlog.KindErasure, refPending, eventlog.Span{After: upTo}, func(r *eventlog.Record) bool {
		if !r.Erased {
			orders = append(orders, r)
		}
		upTo = r.Seq
		return true
	})
	if err != nil {
		return nil, err
	}
	p.upTo, p.orders = upTo, p.orders[:0]
	for _, r := range orders {
		p.orders = append(p.orders, r.Seq)
	}
	return orders, nil
}

// room refuses one more order of an application that has too many.
func (e *Eraser) room(ctx context.Context, application string) error {
	orders, err := e.pendingOrders(ctx)
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	n := 0
	for _, r := range orders {
		var body orderEntry
		if json.Unmarshal(r.Entry, &body) == nil && body.Application == application {
			n++
		}
	}
	if n >= MaxPending {
		return ErrTooMany
	}
	return nil
}

// waits notes how many queued SETs an order waits for.
func (e *Eraser) waits(order uint64, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n == 0 {
		delete(e.waiting, order)
		return
	}
	e.waiting[order] = n
}

func (e *Eraser) waitsFor(order uint64) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.waiting[order]
}
