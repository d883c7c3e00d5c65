//go:build linux

package soak_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// Bounds of what a soak may leave behind.
const (
	moreMemory  = 64 << 10 // KiB of resident memory
	moreFiles   = 24       // open ones, connections among them
	moreThreads = 24
	baseBytes   = 48 << 20 // of a data folder, without its events
	eventBytes  = 16 << 10 // of each event, all indexes and copies of it
	folderFiles = 48
)

// level is what a process holds.
type level struct{ memory, files, threads int }

// atRest returns the levels of the processes when they have come to rest: the lowest of
// what is seen for a while.
func (w *world) atRest() (levels []level) {
	w.Helper()
	for _, s := range w.processes() {
		low := level{1 << 40, 1 << 40, 1 << 40}
		for range 10 {
			l := w.level(s)
			low = level{min(low.memory, l.memory), min(low.files, l.files), min(low.threads, l.threads)}
			proctest.Pause(100 * time.Millisecond)
		}
		levels = append(levels, low)
	}
	return levels
}

func (w *world) level(s *proctest.Server) (l level) {
	w.Helper()
	dir := fmt.Sprintf("/proc/%d/", s.Process().Pid)
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		w.Fatal(err)
	}
	number := func(name string) int {
		found := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+)`).FindSubmatch(status)
		if found == nil {
			w.Fatalf("no %s in %s", name, status)
		}
		n, err := strconv.Atoi(string(found[1]))
		if err != nil {
			w.Fatal(err)
		}
		return n
	}
	files, err := os.ReadDir(dir + "fd")
	if err != nil {
		w.Fatal(err)
	}
	return level{memory: number("VmRSS"), files: len(files), threads: number("Threads")}
}

// judgeLevels: what happened to a process that lived on has left nothing in it.
func (w *world) judgeLevels(before, after []level) {
	w.Helper()
	for i, s := range w.processes() {
		b, a := before[i], after[i]
		w.Logf("%s: %d MiB, %d files, %d threads; then %d MiB, %d files, %d threads", filepath.Base(s.Dir), b.memory>>10, b.files, b.threads, a.memory>>10, a.files, a.threads)
		if a.memory > b.memory+moreMemory || a.files > b.files+moreFiles || a.threads > b.threads+moreThreads {
			w.Errorf("process %d: got %+v, want no more than about %+v", i, a, b)
		}
	}
}

// judgeFiles: folders grow with their events alone.
func (w *world) judgeFiles() {
	w.Helper()
	for _, s := range w.processes() {
		size, files := int64(0), 0
		err := filepath.WalkDir(s.Dir, func(_ string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				size, files = size+info.Size(), files+1
			}
			return err
		})
		if err != nil {
			w.Fatal(err)
		}
		if most := int64(baseBytes + w.load.Sent()*eventBytes); size > most || files > folderFiles {
			w.Errorf("%s: got %d files of %d MiB, want at most %d of %d MiB", s.Dir, files, size>>20, folderFiles, most>>20)
		}
	}
}

// judgeLog: the log is whole, has every event, and its checkpoints hold.
func (w *world) judgeLog() {
	w.Helper()
	args := []string{"event", "verify-log", "--data", w.idp.Dir}
	out, err := w.idp.Command(w.Context(), append(args, "--json")...)
	if err != nil {
		w.Errorf("verify-log: got %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "{") {
		w.Errorf("verify-log: got %s", out)
	}
}
