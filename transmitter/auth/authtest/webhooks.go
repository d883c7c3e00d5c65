package authtest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

func webhooks(t *testing.T, open Open) {
	ctx, dir := t.Context(), t.TempDir()
	s := sourceStoreIn(t, open, dir)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	of := func(id, application string, after time.Duration) auth.Webhook {
		return auth.Webhook{ID: id, Application: application, Revision: "r1", Settings: []byte(`{"secret":"<&> ü"}`), Created: at.Add(after)}
	}
	// Application by application, then by time and id.
	want := []auth.Webhook{of("z", "other", time.Hour), of("b", "rp", 0), of("c", "rp", 0), of("a", "rp", time.Minute)}
	for _, i := range []int{3, 1, 0, 2} {
		if err := s.AddWebhook(ctx, want[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddWebhook(ctx, of("a", "other", 0)); !errors.Is(err, auth.ErrExists) {
		t.Errorf("id taken: got %v, want ErrExists", err)
	}
	if err := s.AddWebhook(ctx, of("x", "nobody", 0)); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("of nobody: got %v, want ErrNotFound", err)
	}
	if err := s.ChangeWebhook(ctx, "c", "r1", "r2", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	want[2].Revision, want[2].Settings = "r2", []byte("{}")
	if err := s.ChangeWebhook(ctx, "x", "r1", "r2", []byte("{}")); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("change of none: got %v, want ErrNotFound", err)
	}
	if err := s.ChangeWebhook(ctx, "c", "r1", "r3", []byte("{}")); !errors.Is(err, auth.ErrChanged) {
		t.Errorf("change of an older revision: got %v, want ErrChanged", err)
	}
	s = open(t, dir)
	all, err := s.Webhooks(ctx, "")
	if diff := cmp.Diff(want, all); err != nil || diff != "" {
		t.Errorf("all: got %v, diff %s", err, diff)
	}
	mine, err := s.Webhooks(ctx, "rp")
	if diff := cmp.Diff(want[1:], mine); err != nil || diff != "" {
		t.Errorf("of rp: got %v, diff %s", err, diff)
	}
	if got, err := s.Webhook(ctx, "z"); err != nil || cmp.Diff(want[0], got) != "" {
		t.Errorf("got %+v (%v), want %+v", got, err, want[0])
	}
	for range 2 {
		if err := s.RemoveWebhook(ctx, "z"); err != nil {
			t.Errorf("remove: got %v, want no error", err)
		}
	}
	if _, err := s.Webhook(ctx, "z"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("removed: got %v, want ErrNotFound", err)
	}
	if none, err := s.Webhooks(ctx, "other"); err != nil || len(none) != 0 {
		t.Errorf("got %v (%v), want none", none, err)
	}
}
