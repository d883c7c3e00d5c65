package signer_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

// tick is the unit of times in /proc: a hundredth of a second, on every Linux.
const tick = 10 * time.Millisecond

// spent is the CPU time of a process.
func spent(b *testing.B, pid int) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	var user, system int64
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	if _, err := fmt.Sscan(string(fields[11])+" "+string(fields[12]), &user, &system); err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * tick
}
