package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams"
)

// SSF-8.1.2.2-01, SSF-8.1.2.2-03, INTEROP-2.3.5-01: the receiver goes from
// any state to any other, without an event (SSF-8.1.2-01). Disabling raises
// the epoch, on which the queue is purged (U16); leaving disabled begins at
// the log's head (SSF-8.1.2.1-06).
func TestSetStatus(t *testing.T) {
	all := []streams.Status{streams.Enabled, streams.Paused, streams.Disabled}
	for _, from := range all {
		for _, to := range all {
			b := newBench(t)
			s := b.create(t, alice, `{}`)
			set := func(status streams.Status, reason string) {
				t.Helper()
				got, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: s.ID, Status: status, Reason: reason})
				if want := (streams.StatusReport{StreamID: s.ID, Status: status, Reason: reason}); err != nil || got != want {
					t.Errorf("%s to %s: got %+v, %v, want %+v", from, to, got, err, want)
				}
			}
			set(from, "why")
			before := b.stored(t, s.ID)
			b.head = 50
			set(to, "") // an omitted reason clears the stored one
			after := b.stored(t, s.ID)
			if raised := after.Epoch > before.Epoch; raised != (to == streams.Disabled && from != streams.Disabled) {
				t.Errorf("U16, %s to %s: got epoch %d after %d", from, to, after.Epoch, before.Epoch)
			}
			if moved := after.From == 50; moved != (from == streams.Disabled && to != streams.Disabled) {
				t.Errorf("SSF-8.1.2.1-06, %s to %s: got from %d", from, to, after.From)
			}
			if after.StatusBy != streams.ByReceiver || len(b.store.items) > 0 {
				t.Errorf("SSF-8.1.2-01, %s to %s: got by %s, items %v, want receiver, none", from, to, after.StatusBy, b.store.items)
			}
			if got, err := b.Status(t.Context(), alice, s.ID); err != nil || got.Status != to {
				t.Errorf("SSF-8.1.2.1-01: got %+v, %v, want %s", got, err, to)
			}
		}
	}
}

func TestSetStatusRefuses(t *testing.T) {
	b := newBench(t)
	s := b.create(t, alice, `{}`)
	for _, wrong := range []streams.StatusReport{
		{StreamID: s.ID, Status: "ENABLED"},
		{StreamID: s.ID},
		{StreamID: s.ID, Status: streams.Paused, Reason: strings.Repeat("a", streams.MaxReasonBytes+1)},
	} {
		_, err := b.SetStatus(t.Context(), alice, wrong)
		if refusal(t, err).Kind != streams.Invalid || b.stored(t, s.ID).Status != streams.Enabled {
			t.Errorf("SSF-8.1.2.1-02: got %v, want Invalid and no change", err)
		}
	}
	broken := errors.New("no head")
	b = newBench(t, func(c *streams.CatalogConfig) {
		head := c.Head
		c.Head = func(ctx context.Context) (uint64, error) {
			if b.head == 99 {
				return 0, broken
			}
			return head(ctx)
		}
	})
	s = b.create(t, alice, `{}`)
	to := streams.StatusReport{StreamID: s.ID, Status: streams.Disabled}
	if _, err := b.SetStatus(t.Context(), alice, to); err != nil {
		t.Fatal(err)
	}
	b.head, to.Status = 99, streams.Enabled
	if _, err := b.SetStatus(t.Context(), alice, to); !errors.Is(err, broken) || b.stored(t, s.ID).Status != streams.Disabled {
		t.Errorf("unknown head: got %v, want it and no change", err)
	}
}

// updated is the one stream-updated event that was put, and empties the list.
func (b *bench) updated(t *testing.T, stream string) (payload map[string]string) {
	t.Helper()
	defer func() { b.store.items = nil }()
	if len(b.store.items) != 1 {
		t.Fatalf("got %d items, want 1", len(b.store.items))
	}
	item := b.store.items[0]
	if item.Stream != stream || item.Lane != streams.LaneControl || len(item.ID) != 22 || !item.Added.Equal(b.now) ||
		item.Type != "https://schemas.openid.net/secevent/ssf/event-type/stream-updated" {
		t.Errorf("got %+v, want a stream-updated with a fresh jti", item)
	}
	if err := json.Unmarshal(item.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	return payload
}

// SSF-8.1.5-01, SSF-8.1.5-02, SSF-8.1.5-03, SSF-8.1.2-01: what the transmitter
// decides is told by stream-updated, in the step that changes the status.
func TestImposedStatus(t *testing.T) {
	b := newBench(t)
	s := b.create(t, alice, `{}`)

	got, err := b.Pause(t.Context(), s.ID, "delivery fails", streams.ByTransmitter)
	if err != nil || got.Status != streams.Paused || got.StatusBy != streams.ByTransmitter || got.Reason != "delivery fails" || got.Epoch != 0 {
		t.Errorf("pause: got %+v, %v", got, err)
	}
	if diff := cmp.Diff(map[string]string{"status": "paused", "reason": "delivery fails"}, b.updated(t, s.ID)); diff != "" {
		t.Error(diff)
	}
	if _, err := b.Pause(t.Context(), s.ID, "again", streams.ByTransmitter); err != nil || len(b.store.items) > 0 || b.stored(t, s.ID).Reason != "delivery fails" {
		t.Errorf("pause again: got %v, %v, want nothing changed", err, b.store.items)
	}

	b.head = 60
	got, err = b.Resume(t.Context(), s.ID, "")
	if err != nil || got.Status != streams.Enabled || got.Reason != "" || got.From != 7 {
		t.Errorf("resume: got %+v, %v", got, err)
	}
	if diff := cmp.Diff(map[string]string{"status": "enabled"}, b.updated(t, s.ID)); diff != "" {
		t.Error(diff)
	}
	if _, err := b.Resume(t.Context(), s.ID, ""); err != nil || len(b.store.items) > 0 {
		t.Errorf("resume again: got %v, %v, want no event", err, b.store.items)
	}

	got, err = b.Disable(t.Context(), s.ID, "abuse", streams.ByPolicy)
	if err != nil || got.Status != streams.Disabled || got.Epoch != 1 {
		t.Errorf("disable: got %+v, %v", got, err)
	}
	if diff := cmp.Diff(map[string]string{"status": "disabled", "reason": "abuse"}, b.updated(t, s.ID)); diff != "" {
		t.Error(diff)
	}
	if _, err := b.Disable(t.Context(), s.ID, "again", streams.ByPolicy); err != nil || len(b.store.items) > 0 {
		t.Errorf("disable again: got %v, %v, want no event", err, b.store.items)
	}
	if got, err = b.Resume(t.Context(), s.ID, ""); err != nil || got.From != 60 {
		t.Errorf("resume from disabled: got from %d, %v, want the head", got.From, err)
	}
	for _, act := range []func() error{
		func() error { _, err := b.Pause(t.Context(), "nobody", "", streams.ByPolicy); return err },
		func() error { _, err := b.Resume(t.Context(), "nobody", ""); return err },
	} {
		if err := act(); !errors.Is(err, streams.ErrNotFound) {
			t.Errorf("unknown stream: got %v, want ErrNotFound", err)
		}
	}
}

// U17: who may lift what.
func TestWhoMayLift(t *testing.T) {
	imposed := map[string]struct {
		impose func(*bench, string) error
		kind   error // nil: the receiver may enable
	}{
		"paused for delivery": {func(b *bench, id string) error {
			_, err := b.Pause(t.Context(), id, "r", streams.ByTransmitter)
			return err
		}, nil},
		"disabled": {func(b *bench, id string) error {
			_, err := b.Disable(t.Context(), id, "r", streams.ByTransmitter)
			return err
		}, nil},
		"paused by policy": {func(b *bench, id string) error { _, err := b.Pause(t.Context(), id, "r", streams.ByPolicy); return err }, &streams.RuleError{}},
		"disabled by policy": {func(b *bench, id string) error {
			_, err := b.Disable(t.Context(), id, "r", streams.ByPolicy)
			return err
		}, &streams.RuleError{}},
		"paused by the receiver, then by policy": {func(b *bench, id string) error {
			_, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: id, Status: streams.Paused})
			if err == nil {
				_, err = b.Pause(t.Context(), id, "r", streams.ByPolicy)
			}
			return err
		}, &streams.RuleError{}},
	}
	for name, c := range imposed {
		b := newBench(t)
		s := b.create(t, alice, `{}`)
		if err := c.impose(b, s.ID); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		held := b.stored(t, s.ID)
		got, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: s.ID, Status: streams.Enabled})
		if c.kind == nil {
			if err != nil || got.Status != streams.Enabled {
				t.Errorf("%s: got %+v, %v, want enabled", name, got, err)
			}
			continue
		}
		if rule := refusal(t, err); rule.Kind != streams.Forbidden {
			t.Errorf("%s: got %v, want Forbidden", name, rule)
		}
		same, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: s.ID, Status: held.Status, Reason: "mine"})
		if err != nil || same.Reason != "r" {
			t.Errorf("%s: the same status: got %+v, %v, want success with the policy's reason", name, same, err)
		}
		held.Active = b.stored(t, s.ID).Active
		if diff := cmp.Diff(held, b.stored(t, s.ID)); diff != "" {
			t.Errorf("%s: the lock changed: %s", name, diff)
		}
	}
	b := newBench(t)
	s := b.create(t, alice, `{}`)
	if _, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: s.ID, Status: streams.Paused}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Resume(t.Context(), s.ID, ""); refusal(t, err).Kind != streams.Conflict || len(b.store.items) > 0 {
		t.Errorf("the receiver's own pause: got %v, want Conflict and no event", err)
	}
}

// SSF-8.1.1-05, SSF-8.1.1-06: pausing for inactivity.
func TestPauseInactive(t *testing.T) {
	b := newBench(t, func(c *streams.CatalogConfig) { c.InactivityTimeout = time.Hour })
	idle, busy, held := b.create(t, alice, `{}`), b.create(t, bob, `{}`), b.create(t, alice, `{}`)
	if _, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: held.ID, Status: streams.Paused}); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(30 * time.Minute)
	if _, err := b.Status(t.Context(), bob, busy.ID); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(30 * time.Minute)
	got, err := b.PauseInactive(t.Context())
	if err != nil || !cmp.Equal(got, []string{idle.ID, held.ID}) {
		t.Fatalf("got %v, %v, want %s and %s", got, err, idle.ID, held.ID)
	}
	if len(b.store.items) != 2 || b.stored(t, busy.ID).Status != streams.Enabled {
		t.Errorf("SSF-8.1.1-06: got items %+v, want two stream-updated", b.store.items)
	}
	s := b.stored(t, idle.ID)
	if s.Status != streams.Paused || s.StatusBy != streams.ByTransmitter || s.Reason != streams.ReasonInactive {
		t.Errorf("got %s by %s for %q", s.Status, s.StatusBy, s.Reason)
	}
	if again, err := b.PauseInactive(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("again: got %v, %v, want none", again, err)
	}
	// U17: the receiver may go on.
	if _, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: idle.ID, Status: streams.Enabled}); err != nil {
		t.Error(err)
	}
}

// Where several processes see activity, and each keeps it for a moment, a stream is not
// paused before all of them have told.
func TestPauseInactiveOfSeveral(t *testing.T) {
	b := newBench(t, func(c *streams.CatalogConfig) { c.InactivityTimeout, c.ActivityLag = time.Minute, 10*time.Second })
	s := b.create(t, alice, `{}`)
	for _, tt := range []struct {
		after time.Duration
		want  []string
	}{{time.Minute, nil}, {time.Minute + 9*time.Second, nil}, {time.Minute + 10*time.Second, []string{s.ID}}} {
		now := b.now
		b.now = now.Add(tt.after)
		if got, err := b.PauseInactive(t.Context()); err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("after %v: got %v, %v, want %v", tt.after, got, err, tt.want)
		}
		b.now = now
	}
}

// More streams than one look at the store yields.
func TestPauseInactiveMany(t *testing.T) {
	b := newBench(t, func(c *streams.CatalogConfig) { c.InactivityTimeout = time.Second })
	for range 250 {
		b.create(t, alice, `{}`)
	}
	b.now = b.now.Add(time.Minute)
	if got, err := b.PauseInactive(t.Context()); err != nil || len(got) != 250 {
		t.Errorf("got %d, %v, want 250", len(got), err)
	}
}

// A webhook is paused and resumed like a stream, by the same rules, but hears
// nothing of it: stream-updated is SSF's.
func TestWebhookHearsNoStreamUpdated(t *testing.T) {
	b := newBench(t)
	s := b.create(t, alice, `{}`)
	if _, err := b.store.Update(t.Context(), s.ID, func(s *streams.Stream) ([]streams.Item, error) {
		s.Delivery.Method = streams.MethodWebhook
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Pause(t.Context(), s.ID, "why", streams.ByPolicy); err != nil || got.Status != streams.Paused || got.StatusBy != streams.ByPolicy {
		t.Errorf("pause: got %+v, %v", got, err)
	}
	if got, err := b.Resume(t.Context(), s.ID, ""); err != nil || got.Status != streams.Enabled {
		t.Errorf("resume: got %+v, %v", got, err)
	}
	if got, err := b.Disable(t.Context(), s.ID, "", streams.ByTransmitter); err != nil || got.Epoch != 1 {
		t.Errorf("disable: got %+v, %v", got, err)
	}
	if len(b.store.items) != 0 {
		t.Errorf("got items %v, want none", b.store.items)
	}
}
