package proctest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// program is the path of the binary, which is looked for once in a process of tests.
var program = sync.OnceValues(func() (string, error) { return build(crashpoints) })

const crashpoints = "crashpoints"

// Binary returns the path of the real binary, with crash points. It lies in Go's cache of
// what it has built, so that all packages that test it have one, and its base name is
// tocsin.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Tagged returns the path of the binary that is built with one more tag.
func Tagged(t testing.TB, tag string) string {
	t.Helper()
	path, err := build(crashpoints + "," + tag)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build lets `go run` build the binary and tell its path instead of running it. The first
// to build a binary is told of a temporary one, and the next of the one that is kept.
func build(tags string) (string, error) {
	for range 3 {
		cmd := exec.Command("go", "run", "-tags", tags, "-exec", "echo", "github.com/tocsin-ssf/tocsin/cmd/tocsin")
		out, err := cmd.Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return "", fmt.Errorf("building tocsin: %w\n%s", err, exit.Stderr)
		}
		if err != nil {
			return "", fmt.Errorf("building tocsin: %w", err)
		}
		path := strings.TrimSpace(string(out))
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("building tocsin: go keeps no binary in its cache")
}
