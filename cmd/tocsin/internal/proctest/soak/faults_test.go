//go:build linux

package soak_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// faults are done to a world, as a seed has them.
type faults struct {
	*world
	*rand.Rand
	long    bool
	senders int
	done    map[string]int
	crash   map[*proctest.Server]string // the point at which a process ends itself
}

// kind is one kind of fault.
type kind struct {
	name string
	do   func(f *faults)
}

// troubles leave every process alive.
func troubles() []kind {
	return []kind{
		{"frozen", (*faults).freeze},
		{"cut", func(f *faults) { f.wire(state{cut: true}) }},
		{"slow", func(f *faults) { f.wire(state{delay: time.Duration(20+f.IntN(200)) * time.Millisecond}) }},
		{"lies", func(f *faults) { f.wire(state{lies: wrongAnswers()}) }},
		{"full disk", (*faults).fill},
	}
}

// deaths are those, and the end of a process at any moment or at a named point.
func deaths() []kind {
	die := kind{"killed", (*faults).kill}
	return append(troubles(), die, die, kind{"crashed", (*faults).crashed}, kind{"crashed", (*faults).crashed})
}

// wrongAnswers are those that tell nobody that a SET was taken, or refused for good.
func wrongAnswers() []string {
	return []string{
		"", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\nno",
		"HTTP/1.1 202 Accepted\r\nContent-Le", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "HTTP/9.9 999 \x00\r\n\r\n",
		"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
	}
}

// one does a fault, and ends it.
func (f *faults) one(k kind) {
	if f.done == nil {
		f.done = map[string]int{}
	}
	f.done[k.name]++
	k.do(f)
	f.revive()
}

func (f *faults) any() *proctest.Server {
	all := f.processes()
	return all[f.IntN(len(all))]
}

func (f *faults) wire(how state) {
	all := f.wires()
	w := all[f.IntN(len(all))]
	w.set(how)
	proctest.Pause(time.Duration(50+f.IntN(400)) * time.Millisecond)
	w.set(state{})
}

// freeze stops a process: for long enough that its leases end, if there is time.
func (f *faults) freeze() {
	p, d := f.any().Process(), time.Duration(50+f.IntN(1500))*time.Millisecond
	if f.long && f.IntN(8) == 0 {
		d = 12 * time.Second
	}
	if p.Signal(syscall.SIGSTOP) == nil {
		proctest.Pause(d)
		_ = p.Signal(syscall.SIGCONT)
	}
}

func (f *faults) kill() { f.any().Kill() }

// points are the crash points of the two programs that a load comes to.
func (f *faults) points(s *proctest.Server) []string {
	if s == f.idp {
		return []string{
			"fanout.before-put", "fanout.after-put", "push.before-post", "push.after-post", "push.before-settle", "push.after-settle",
			"ingest.before-append", "ingest.after-append", "poll.after-settle", "poll.before-answer",
		}
	}
	return []string{"receive.before-append", "receive.after-append", "hook.before-run", "policy.after-act", "policy.after-record", "hook.after-run", "hook.after-settle"}
}

// crashed starts a process again so that it ends itself at a named point, when it comes
// to it.
func (f *faults) crashed() {
	s := f.any()
	s.Kill()
	points := f.points(s)
	point := fmt.Sprintf("%s:%d", points[f.IntN(len(points))], 1+f.IntN(30))
	if err := s.Start("TOCSIN_CRASH_POINT=" + point); err != nil {
		f.Fatalf("start before %s: %v", point, err)
	}
	if f.crash == nil {
		f.crash = map[*proctest.Server]string{}
	}
	f.crash[s] = point
}

// revive starts the processes that have ended.
func (f *faults) revive() {
	f.Helper()
	for _, s := range f.processes() {
		select {
		case <-s.Done():
			delete(f.crash, s)
			if err := s.Start(); err != nil {
				f.Fatalf("start again: %v", err)
			}
		default:
		}
	}
}

// heal starts a last life of those that would still end at a point, and revives all.
func (f *faults) heal() {
	f.Helper()
	for s := range f.crash {
		s.Kill()
	}
	f.revive()
}

// fill lets no file of a process grow beyond the largest that there is, as a full disk
// does.
func (f *faults) fill() {
	s := f.any()
	dir := s.Dir
	if s != f.idp {
		dir = filepath.Join(dir, "data")
	}
	limitFiles(s.Process().Pid, largest(dir))
	proctest.Pause(time.Duration(50+f.IntN(400)) * time.Millisecond)
	limitFiles(s.Process().Pid, ^uint64(0))
}

func largest(dir string) (most uint64) {
	files, _ := filepath.Glob(filepath.Join(dir, "*")) // the pattern is one
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			most = max(most, uint64(info.Size()))
		}
	}
	return most
}

// limitFiles does nothing to a process that has ended.
func limitFiles(pid int, size uint64) {
	limit := syscall.Rlimit{Cur: size, Max: ^uint64(0)}
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
}
