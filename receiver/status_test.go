package receiver_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/ssf"
	"github.com/tocsin-ssf/tocsin/streams"
)

// contracts.md §8: older state never overrides newer, by a dead letter that is
// resent neither.
func TestStatusOfAResentDeadLetter(t *testing.T) {
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, dir)
		broken := true
		cfg.Mux.Handle(receiver.OnType(ssf.StreamUpdatedType, func(context.Context, receiver.Delivery) error {
			if broken {
				return receiver.Permanent(errors.New("no"))
			}
			return nil
		}))
		r := build(t, cfg)
		stop := running(t, r)
		for _, status := range []string{"paused", "enabled"} {
			wantAccepted(t, push(r, sign(t, aboutStream(event(builder(status), ssf.StreamUpdatedType, `{"status":"`+status+`"}`)))))
			synctest.Wait()
			broken = false
			<-time.After(time.Minute)
		}
		if err := cfg.Inbox.Resend(t.Context(), issuer, "paused"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stop()
		if s, ok := r.Status(); !ok || s.Status != streams.Enabled {
			t.Errorf("got %+v after the older event was resent, want enabled", s)
		}
	})
}
