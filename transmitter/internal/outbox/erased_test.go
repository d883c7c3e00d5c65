package outbox_test

import (
	"errors"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
)

// An item that was put while its event was erased is told from one that merely
// cannot be signed: it must not become a dead letter, which bears the subject.
func TestErased(t *testing.T) {
	rec := record(t, 1)
	b := newBench(t, func(c *outbox.Config) { c.Records = records{1: rec.Erase()} })
	if _, err := b.Sign(t.Context(), stream(), item(rec, 0, 0)); !errors.Is(err, outbox.ErrErased) || !errors.Is(err, outbox.ErrGone) {
		t.Errorf("got %v, want ErrErased, an ErrGone", err)
	}
}
