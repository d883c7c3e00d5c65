package main_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// TestMain also lets the test binary be tocsin, which scripts call. What tests the real
// binary from outside stands in internal/proctest and below it.
func TestMain(m *testing.M) {
	testscript.Main(sideBySide{m}, map[string]func(){"tocsin": main.Main})
}

// sideBySide runs more of the tests that are parallel at once than there are processors:
// they wait for processes and the disk more than they work.
type sideBySide struct{ tests *testing.M }

// Run runs the tests.
func (s sideBySide) Run() int {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		if err := flag.Set("test.parallel", "8"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return s.tests.Run()
}
