//go:build !linux

package bench

import (
	"errors"
	"time"
)

// cpuOf needs the kernel's clock of another process.
func cpuOf(int) (time.Duration, error) {
	return 0, errors.New("the CPU time of another process is measured on Linux alone")
}

// peakOf needs the kernel's account of another process.
func peakOf(int) (int64, error) {
	return 0, errors.New("the memory of another process is measured on Linux alone")
}

// residentOf needs it too.
func residentOf(pid int) (int64, error) { return peakOf(pid) }
