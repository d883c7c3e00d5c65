package memjournal_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/journal/journaltest"
	"github.com/tocsin-ssf/tocsin/receiver/journal/memjournal"
)

func TestContract(t *testing.T) {
	journaltest.Run(t, func(_ *testing.T, _ string, max int) journaltest.Closer { return memjournal.New(max) })
}
