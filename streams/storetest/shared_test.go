package storetest_test

import (
	"context"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
)

// memorySite is one Memory that several processes have.
type memorySite struct{ *storetest.Memory }

func (s memorySite) Join(context.Context) (streams.Shared, error) { return s.Process(), nil }
func (memorySite) Leave(streams.Shared) error                     { return nil }

func (s memorySite) EndLeases() error {
	s.Memory.EndLeases()
	return nil
}

func TestSharedMemory(t *testing.T) {
	storetest.RunShared(t, func(testing.TB) storetest.Site {
		return memorySite{storetest.NewMemory(storetest.Options{})}
	})
}
