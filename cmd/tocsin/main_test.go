package main_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

var built struct {
	once sync.Once
	path string
	err  error
}

var scratch string

// TestMain also lets the test binary be tocsin, which scripts call.
func TestMain(m *testing.M) {
	testscript.Main(withScratch{m}, map[string]func(){"tocsin": main.Main})
}

// withScratch runs the tests with a folder for what they build.
type withScratch struct{ tests *testing.M }

// Run runs the tests.
func (w withScratch) Run() int {
	dir, err := os.MkdirTemp("", "tocsin-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) // a folder of the system's temporary ones
	scratch = dir
	return w.tests.Run()
}

// binary returns the path of the binary, which is built once.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() { built.path, built.err = proctest.Build(scratch) })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}
