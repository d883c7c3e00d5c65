package storetest_test

import (
	"context"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
)

// TestMemory shows that the model keeps the promises that it is the measure of.
func TestMemory(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Harness { return &memoryHarness{} })
}

type memoryHarness struct{ m *storetest.Memory }

func (h *memoryHarness) Open(_ context.Context, opts storetest.Options) (streams.Store, error) {
	if h.m == nil {
		h.m = storetest.NewMemory(opts)
	}
	h.m.Restart(opts)
	return h.m, nil
}

func (h *memoryHarness) Close() error { return nil }
func (h *memoryHarness) Kill() error  { return nil }
