package main_test

import (
	"os"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

var built struct {
	once sync.Once
	path string
	err  error
}

var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tocsin-test-")
	if err != nil {
		panic(err)
	}
	scratch = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
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
