package webhook_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/webhook"
)

// two are the services of two processes on one bench; late is how far the second one's
// clock is ahead.
func two(t *testing.T, late time.Duration) (b *bench, other *webhook.Service) {
	b = newBench(t, guard.Policy{})
	b.cfg.Shared = true
	b.Service = webhook.New(b.cfg)
	cfg := b.cfg
	cfg.Now = func() time.Time { return time.Now().Add(late) }
	return b, webhook.New(cfg)
}

// What two processes change of a webhook at once is changed, and its stream is what
// the row says in the end.
func TestChangedByTwo(t *testing.T) {
	b, other := two(t, 0)
	v := b.create(shop(), `{"url":"https://r.example"}`)
	for i := range 20 {
		url, description := fmt.Sprintf("https://r.example/%d", i), fmt.Sprint("d", i)
		var group sync.WaitGroup
		for s, body := range map[*webhook.Service]string{b.Service: `{"url":"` + url + `"}`, other: `{"description":"` + description + `"}`} {
			group.Go(func() {
				if _, err := s.Update(t.Context(), shop(), v.ID, b.request(body), false); err != nil {
					t.Errorf("got %v, want it changed", err)
				}
			})
		}
		group.Wait()
		row, err := b.apps.Webhook(t.Context(), v.ID)
		if err != nil {
			t.Fatal(err)
		}
		st, err := b.store.Stream(t.Context(), v.ID)
		if err != nil || st.Delivery.EndpointURL != url || st.Description != description || st.Delivery.AuthorizationHeader != row.Revision {
			t.Fatalf("got stream %+v %q (%v), want %s %s of revision %s", st.Delivery, st.Description, err, url, description, row.Revision)
		}
	}
}

// A process that mends leaves alone what another one is making.
func TestMendedBesideMaking(t *testing.T) {
	b, other := two(t, 0)
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := other.Reconcile(t.Context()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var made []string
	for range 20 {
		made = append(made, b.create(shop(), `{"url":"https://r.example"}`).ID)
	}
	close(stop)
	group.Wait()
	if err := other.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range made {
		_, rowErr := b.apps.Webhook(t.Context(), id)
		_, streamErr := b.store.Stream(t.Context(), id)
		if err := errors.Join(rowErr, streamErr); err != nil {
			t.Errorf("got %v, want row and stream", err)
		}
	}
}

// What was not made to its end goes, but not before its maker must have ended.
func TestHalfMadeByAnother(t *testing.T) {
	for _, tt := range []struct {
		late time.Duration
		gone bool
	}{{0, false}, {time.Hour, true}} {
		b, other := two(t, tt.late)
		if err := b.apps.AddWebhook(t.Context(), auth.Webhook{ID: "w", Application: "shop", Revision: "1", Settings: []byte("{}"), Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := other.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.apps.Webhook(t.Context(), "w"); errors.Is(err, auth.ErrNotFound) != tt.gone {
			t.Errorf("after %v: got %v, want gone %v", tt.late, err, tt.gone)
		}
	}
}
