package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// cpuClockSched is CPUCLOCK_SCHED of the kernel's per-process clocks: the time
// that the scheduler gave to all threads of a process, in nanoseconds.
const cpuClockSched = 2

// cpuOf returns the CPU time, user and system, that a process has used so far.
func cpuOf(pid int) (time.Duration, error) {
	var ts syscall.Timespec
	clock := uintptr((^pid)<<3 | cpuClockSched) // clock_getcpuclockid(3)
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("the CPU time of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// residentOf returns the resident memory of a process, in bytes.
func residentOf(pid int) (int64, error) { return memoryOf(pid, "VmRSS:") }

// peakOf returns the largest resident memory of a process since the last call, in
// bytes.
func peakOf(pid int) (int64, error) {
	peak, err := memoryOf(pid, "VmHWM:")
	if err != nil {
		return 0, err
	}
	const resetPeak = "5" // proc_pid_clear_refs(5)
	return peak, os.WriteFile(filepath.Join(procDir(pid), "clear_refs"), []byte(resetPeak), 0)
}

// memoryOf returns a line of what the kernel tells of a process, in bytes.
func memoryOf(pid int, name string) (int64, error) {
	status, err := os.ReadFile(filepath.Join(procDir(pid), "status"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(status, []byte(name))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("process %d does not tell its memory", pid)
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	return kib << 10, err
}

func procDir(pid int) string { return filepath.Join("/proc", strconv.Itoa(pid)) }
