//go:build crashpoints

package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// crash kills the process, as kill -9 does, when the point named by
// TOCSIN_CRASH_POINT=<point>[:<n>] is reached for the n-th time. At that of
// TOCSIN_PANIC_POINT whoever comes there panics, with the words of TOCSIN_PANIC_WORDS.
var crash = func() func(string) {
	dies, panics := at(os.Getenv("TOCSIN_CRASH_POINT")), at(os.Getenv("TOCSIN_PANIC_POINT"))
	return func(point string) {
		if dies(point) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		if panics(point) {
			panic(errors.New(os.Getenv("TOCSIN_PANIC_WORDS")))
		}
	}
}()

// at returns what reports that a point is reached for the n-th time: <point>[:<n>].
func at(spec string) func(point string) bool {
	name, nth, _ := strings.Cut(spec, ":")
	var left atomic.Int64
	left.Store(1)
	if n, err := strconv.ParseInt(nth, 10, 64); err == nil {
		left.Store(n)
	}
	return func(point string) bool { return name != "" && point == name && left.Add(-1) == 0 }
}
