package simulate_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/simulate"
)

// The slots are those that a server tells (CLUSTER KEYSLOT).
func TestSlots(t *testing.T) {
	for tag, want := range map[string]int{"123456789": 0x31C3, "foo": 12182, "bar": 5061} {
		if got := simulate.SlotOf(tag); got != want {
			t.Errorf("%s: got %d, want %d", tag, got, want)
		}
	}
}
