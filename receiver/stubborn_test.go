package receiver_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// A hook that does not heed its context does not keep Run from ending; the
// outcomes of the others are kept.
func TestRunEndsBesideAStubbornHook(t *testing.T) {
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, dir)
		free := make(chan struct{})
		cfg.Mux.Default(func(ctx context.Context, d receiver.Delivery) error {
			if d.ID == "stubborn" {
				<-free
			} else {
				<-ctx.Done()
			}
			return nil
		})
		r := build(t, cfg)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		wantAccepted(t, push(r, sign(t, about(builder("stubborn"), "alice"))))
		wantAccepted(t, push(r, sign(t, about(builder("other"), "bob"))))
		synctest.Wait()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("got %v from Run, want nil", err)
			}
		case <-time.After(receiver.DefaultGrace + 5*time.Second):
			t.Error("Run did not end")
			defer func() {
				err := <-done
				t.Logf("Run ended late: %v", err)
			}()
		}
		if c := counts(t, cfg.Inbox); c.Waiting != 1 {
			t.Errorf("got %+v, want the stubborn one's event alone left", c)
		}
		close(free)
		synctest.Wait()
	})
}
