//go:build crashpoints

package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// crash kills the process, as kill -9 does, when the point named by
// TOCSIN_CRASH_POINT=<point>[:<n>] is reached for the n-th time.
var crash = func() func(string) {
	name, nth, _ := strings.Cut(os.Getenv("TOCSIN_CRASH_POINT"), ":")
	left := int64(1)
	if n, err := strconv.ParseInt(nth, 10, 64); err == nil {
		left = n
	}
	var count atomic.Int64
	count.Store(left)
	return func(point string) {
		if point == name && count.Add(-1) == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}()
