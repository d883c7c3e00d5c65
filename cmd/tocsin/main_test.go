package main_test

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// TestMain also lets the test binary be tocsin, which scripts call. What tests the real
// binary from outside stands in internal/proctest and below it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tocsin": main.Main})
}
