//go:build linux

package soak_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/transmitter/audit"
)

// Bounds of what a soak may leave behind.
const (
	moreMemory   = 64 << 10 // KiB of resident memory
	moreFiles    = 24       // open ones, connections among them
	moreRoutines = 40
	baseBytes    = 48 << 20 // of a data folder, without its events
	eventBytes   = 16 << 10 // of each event, all indexes and copies of it
	folderFiles  = 48
)

// level is what a process holds.
type level struct{ memory, files, routines int }

// atRest returns the levels of the processes when they have come to rest: the lowest of
// what is seen for a while.
func (w *world) atRest() (levels []level) {
	w.Helper()
	for _, s := range w.processes() {
		low := level{1 << 40, 1 << 40, 1 << 40}
		for range 10 {
			l := w.level(s)
			low = level{min(low.memory, l.memory), min(low.files, l.files), min(low.routines, l.routines)}
			proctest.Pause(100 * time.Millisecond)
		}
		levels = append(levels, low)
	}
	return levels
}

// level asks a process for its own figures.
func (w *world) level(s *proctest.Server) (l level) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+s.Admin+"/metrics", nil)
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.operator)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close() // read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	number := func(name string) int {
		found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
		if found == nil {
			w.Fatalf("no %s among %d bytes of metrics (%d)", name, len(text), resp.StatusCode)
		}
		n, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			w.Fatal(err)
		}
		return int(n)
	}
	return level{memory: number("process_resident_memory_bytes") >> 10, files: number("process_open_fds"), routines: number("go_goroutines")}
}

// judgeLevels: what happened to a process that lived on has left nothing in it.
func (w *world) judgeLevels(before, after []level) {
	w.Helper()
	for i, s := range w.processes() {
		b, a := before[i], after[i]
		w.Logf("%s: %d MiB, %d files, %d goroutines; then %d MiB, %d files, %d goroutines", filepath.Base(s.Dir), b.memory>>10, b.files, b.routines, a.memory>>10, a.files, a.routines)
		if a.memory > b.memory+moreMemory || a.files > b.files+moreFiles || a.routines > b.routines+moreRoutines {
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
	out, err := w.idp.Command(w.Context(), "event", "verify-log", "--data", w.idp.Dir, "--json")
	if err != nil {
		w.Errorf("verify-log: got %v\n%s", err, out)
	}
	for _, wrong := range unhealthy(out, w.load.Sent()) {
		w.Errorf("verify-log: %s, in %s", wrong, out)
	}
}

// unhealthy returns what is wrong with a log by the report of verify-log --json, whatever its
// exit code said. Events that were taken and never answered are in the log, too.
func unhealthy(report []byte, sent int) (wrong []string) {
	var r audit.Report
	if err := json.Unmarshal(report, &r, json.RejectUnknownMembers(true)); err != nil {
		return []string{fmt.Sprintf("got no report (%v), want one", err)}
	}
	fault := func(when bool, format string, args ...any) {
		if when {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	fault(!r.Sound() || len(r.Findings) > 0, "got %d findings %v, want none", r.Found, r.Findings)
	fault(r.Events < uint64(max(sent, 1)), "got %d events, want the %d that were taken", r.Events, max(sent, 1))
	fault(r.Records != r.Events+r.Entries, "got %d records, want the %d events and %d entries", r.Records, r.Events, r.Entries)
	fault(r.Erased != 0, "got %d erased, want none: nobody erased any", r.Erased)
	fault(len(r.Root) != sha256.Size, "got a root of %d bytes, want %d", len(r.Root), sha256.Size)
	fault(r.Checkpoints == 0, "got no checkpoint that holds, want some")
	return wrong
}

// The judge of the log finds each thing that can be wrong in a report.
func TestUnhealthyLog(t *testing.T) {
	t.Parallel()
	const root = `"root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`
	good := `{"records":12,"events":10,"entries":2,"erased":0,` + root + `,"checkpoints":3,"since":0,"findings":[],"found":0}`
	if got := unhealthy([]byte(good), 9); len(got) > 0 {
		t.Errorf("a sound log: got %q, want nothing", got)
	}
	for _, tt := range []struct{ name, from, to string }{
		{"an event is missing", `"records":12,"events":10`, `"records":10,"events":8`},
		{"a record is neither", `"records":12`, `"records":13`},
		{"a finding", `"findings":[],"found":0`, `"findings":[{"problem":"leaf","seq":3,"text":"x"}],"found":1`},
		{"one that is not counted", `"findings":[]`, `"findings":[{"problem":"leaf","seq":3,"text":"x"}]`},
		{"one that is only counted", `"found":0`, `"found":1`},
		{"erased", `"erased":0`, `"erased":1`},
		{"no checkpoint holds", `"checkpoints":3`, `"checkpoints":0`},
		{"no root", root, `"root":""`},
		{"another form", `"found"`, `"lost"`},
		{"no report", good, `the log is sound`},
		{"nothing", good, ``},
	} {
		if got := unhealthy([]byte(strings.Replace(good, tt.from, tt.to, 1)), 9); len(got) != 1 {
			t.Errorf("%s: got %q, want one fault", tt.name, got)
		}
	}
	if got := unhealthy([]byte(`{}`), 0); len(got) < 3 {
		t.Errorf("an empty report: got %q, want several faults", got)
	}
}
