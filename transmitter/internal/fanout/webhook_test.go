package fanout_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// hook makes a webhook of an application that takes what the keys say.
func (b *bench) hook(id, application string, keys ...string) {
	b.t.Helper()
	b.stream(id, func(s *streams.Stream) {
		s.Owner = streams.WebhookOwner(application)
		s.Delivery = streams.Delivery{Method: streams.MethodWebhook, EndpointURL: "https://r.example"}
		s.EventsDelivered = keys
	})
}

func (b *bench) append(e eventlog.Event) *eventlog.Record {
	b.t.Helper()
	done, err := b.log.Append(b.t.Context(), e)
	if err != nil {
		b.t.Fatal(err)
	}
	rec, err := b.log.Record(b.t.Context(), done[0].Seq)
	if err != nil {
		b.t.Fatal(err)
	}
	return rec
}

// An event goes to each webhook that takes its type, its environment and the
// application at its source: once, under its own id, also if it is about nobody
// and becomes no SET. Streams get none of it, and webhooks no SET.
func TestWebhooks(t *testing.T) {
	b := newBench(t, 0)
	b.stream("shop")
	for id, key := range map[string]string{
		"any":         streams.EventKey("", "", streams.AnyEvent),
		"type":        streams.EventKey("", "", "a"),
		"other":       streams.EventKey("", "", "b"),
		"environment": streams.EventKey("prod", "", streams.AnyEvent),
		"elsewhere":   streams.EventKey("test", "", streams.AnyEvent),
		"portal":      streams.EventKey("", "Portal", "a"),
		"all three":   streams.EventKey("prod", "Portal", "a"),
		"uri":         revoked, // a SET's type is none of a webhook's
	} {
		b.hook(id, "shop", key)
	}
	b.hook("another's", "mail", streams.EventKey("", "", streams.AnyEvent))
	rec := b.append(eventlog.Event{
		Source: "hr", Type: "a", Environment: "prod", Attributes: eventlog.Attributes{Application: "Portal"}, Applications: []string{"shop"},
	})
	plain := b.append(eventlog.Event{
		Source: "hr", Type: "b", Subjects: []subject.Identifier{subject.Email("jo@example.com")},
		Mapped: []eventlog.Mapped{{Type: purged, Payload: json.RawMessage(`{}`)}},
	})
	b.run("both records are fanned out", func() bool { return b.depth("another's") == 1 && b.depth("shop") == 1 })
	got := map[string][]string{}
	for _, id := range []string{"any", "type", "other", "environment", "elsewhere", "portal", "all three", "uri", "another's"} {
		for _, item := range b.take(id) {
			got[id] = append(got[id], item.ID)
			if item.Pos.N != 0 || item.Lane != streams.LaneEvents || item.Added.IsZero() {
				t.Errorf("item: got %+v", item)
			}
			if want := map[string]string{rec.ID: "", plain.ID: plain.Subjects[0].OrderKey()}[item.ID]; item.OrderKey != want {
				t.Errorf("order key: got %q, want %q", item.OrderKey, want)
			}
		}
	}
	want := map[string][]string{
		"any": {rec.ID, plain.ID}, "type": {rec.ID}, "other": {plain.ID}, "environment": {rec.ID},
		"portal": {rec.ID}, "all three": {rec.ID}, "another's": {plain.ID},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
	if set := b.take("shop"); len(set) != 1 || set[0].Type != purged {
		t.Errorf("the stream: got %+v, want the one SET", set)
	}
}

// What an application may not hear of as a SET it does not get as an event
// either; of one that becomes no SET it is asked all the same.
func TestWebhooksAreAuthorized(t *testing.T) {
	b := newBench(t, 0)
	b.hook("hook", "shop", streams.EventKey("", "", streams.AnyEvent))
	b.cfg.Authorize = func(_ context.Context, owner string, rec *eventlog.Record, n uint32) bool {
		if owner != "shop" {
			t.Errorf("owner: got %s, want the application", owner)
		}
		if len(rec.Mapped) == 0 {
			return rec.Type != "hidden"
		}
		return rec.Mapped[n].Type != purged
	}
	b.emit("jo") // becomes a revoked and a purged
	b.append(eventlog.Event{Source: "hr", Type: "hidden"})
	seen := b.append(eventlog.Event{Source: "hr", Type: "seen"})
	b.run("the last", func() bool { return b.depth("hook") > 0 })
	if got := b.take("hook"); len(got) != 1 || got[0].ID != seen.ID {
		t.Errorf("got %+v, want the last event alone", got)
	}
}
