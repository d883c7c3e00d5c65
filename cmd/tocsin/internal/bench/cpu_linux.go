package bench

import (
	"fmt"
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
