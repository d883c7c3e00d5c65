package segments_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/segments"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// world is a log of 1,000 records, every tenth an entry, a second each, and a folder.
type world struct {
	*testing.T
	log   *redislog.Log
	other *redislog.Log // a process that has all in memory that it reads
	began time.Time
	dir   string
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, began: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), dir: t.TempDir()}
	var seconds atomic.Int64
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: "redis://" + redistest.Start(t).Addr, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	open := func(tail int) *redislog.Log {
		log, err := redislog.Open(t.Context(), redislog.Config{DB: db, Tail: tail, Now: func() time.Time {
			return w.began.Add(time.Duration(seconds.Load()) * time.Second)
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		return log
	}
	w.log, w.other = open(1), open(0)
	for n := range 1000 {
		seconds.Store(int64(n))
		if n%10 == 9 {
			w.note(eventlog.KindAnnotation, fmt.Sprintf(`{"n":%d}`, n))
			continue
		}
		if _, err := w.log.Append(t.Context(), eventlog.Event{Source: "hr", SourceID: fmt.Sprint(n), Type: "t", Data: json.RawMessage(`{"secret":1}`)}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) note(kind eventlog.Kind, body string) {
	w.Helper()
	if _, err := w.log.Note(w.Context(), eventlog.Entry{Kind: kind, Body: json.RawMessage(body), Refs: []string{eventlog.RefAll}}); err != nil {
		w.Fatal(err)
	}
}

// export exports a run, and trims it.
func (w *world) export(first, last uint64) segments.File {
	w.Helper()
	file, err := segments.Export(w.Context(), w.log, w.dir, eventlog.Seqs{first, last})
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.log.Trim(w.Context(), last); err != nil {
		w.Fatal(err)
	}
	return file
}

// A process that had events in memory lets go of them when they are in files: one that is
// erased later must not be read there.
func TestExportLeavesMemory(t *testing.T) {
	w := newWorld(t)
	other := w.other
	for after := uint64(0); after < 1000; {
		records, err := other.Read(t.Context(), after, 1000)
		if err != nil || len(records) == 0 || records[0].Erased {
			t.Fatalf("got %d records (%v), want those of the log", len(records), err)
		}
		after = records[len(records)-1].Seq
	}
	w.export(1, 512)
	if _, err := other.Head(t.Context()); err != nil { // it looks
		t.Fatal(err)
	}
	for seq, gone := range map[uint64]bool{1: true, 10: false, 512: true, 513: false} {
		records, err := other.Read(t.Context(), seq-1, 1)
		if err != nil || len(records) != 1 || records[0].Erased != gone {
			t.Errorf("record %d: got %v (%v), want its bytes gone %v", seq, records, err, gone)
		}
	}
}

// A log whose old events are in files is taken elsewhere: with the files whole, without
// them as one whose events were erased; the tree is the same.
func TestImportArchived(t *testing.T) {
	w := newWorld(t)
	w.export(1, 512)
	id, err := w.log.Identity(t.Context())
	w.must(err)
	want, err := w.log.Tree(t.Context())
	w.must(err)
	over, err := segments.Over(w.log, w.dir)
	w.must(err)
	defer func() { _ = over.Close() }()
	for _, tt := range []struct {
		name   string
		from   eventlog.Archive
		erased bool
	}{{"with the files", over, false}, {"without them", w.log, true}} {
		to, err := sqlitelog.Create(t.Context(), sqlitelog.Config{Path: filepath.Join(t.TempDir(), "log.db")}, id)
		w.must(err)
		for after := uint64(0); after < want.Size; {
			records, err := tt.from.Stored(t.Context(), after, 256)
			w.must(err)
			w.must(to.Import(t.Context(), records))
			after += uint64(len(records))
		}
		got, err := to.Tree(t.Context())
		if err != nil || got != want {
			t.Errorf("%s: got the tree %+v (%v), want %+v", tt.name, got, err, want)
		}
		for seq, erased := range map[uint64]bool{1: tt.erased, 10: false, 513: false} { // 10 is an entry
			if r, err := to.Record(t.Context(), seq); err != nil || r.Erased != erased {
				t.Errorf("%s: record %d: got %+v (%v), want it without bytes %v", tt.name, seq, r, err, erased)
			}
		}
		w.must(to.Close())
	}
}

// checked is a log without checkpoints.
type checked struct{ eventlog.Archive }

func (checked) Checkpoints(context.Context, uint64, int) ([]checkpoint.Checkpoint, error) {
	return nil, nil
}

func (w *world) check(log eventlog.Archive) (*audit.Report, error) {
	return audit.Check(w.Context(), checked{log}, audit.Options{})
}

// found returns what is wrong with the log and the folder together.
func (w *world) found() string {
	w.Helper()
	over, err := segments.Over(w.log, w.dir)
	if err != nil {
		w.Fatal(err)
	}
	report, err := w.check(over)
	if err := errors.Join(err, over.Close()); err != nil {
		return err.Error()
	}
	text := fmt.Sprint(report.Records)
	for _, f := range report.Findings {
		text += " " + string(f.Problem)
	}
	return text
}

// A log whose old events are in files is sound together with them, and not without. What
// its entries say stays in it.
func TestExport(t *testing.T) {
	w := newWorld(t)
	before, err := w.check(w.log)
	if err != nil || !before.Sound() {
		t.Fatalf("got %+v (%v), want a sound log", before, err)
	}
	end, err := segments.End(t.Context(), w.log, segments.Bounds{First: 1, Before: w.began.Add(800 * time.Second)})
	if err != nil || end != 768 { // 800 records, of which 3 tiles are whole
		t.Fatalf("got the end %d (%v), want 768", end, err)
	}
	w.export(1, 300)
	w.export(301, end)
	if n, err := w.log.Archived(t.Context()); err != nil || n != end {
		t.Errorf("got %d archived (%v), want %d", n, err, end)
	}
	for seq, gone := range map[uint64]bool{1: true, 10: false, 768: true, 769: false} {
		if r, err := w.log.Record(t.Context(), seq); err != nil || r.Erased != gone {
			t.Errorf("record %d: got %+v (%v), want its bytes gone %v", seq, r, err, gone)
		}
	}
	alone, err := w.check(w.log)
	if err != nil || alone.Sound() || alone.Findings[0].Problem != audit.Lost {
		t.Errorf("without the files: got %+v (%v), want records lost", alone, err)
	}
	over, err := segments.Over(w.log, w.dir)
	if err != nil {
		t.Fatal(err)
	}
	with, err := w.check(over)
	if err := errors.Join(err, over.Close()); err != nil || !with.Sound() || string(with.Root) != string(before.Root) || with.Erased != 0 {
		t.Errorf("with the files: got %+v (%v), want what was before, %+v", with, err, before)
	}
	if n, err := w.log.Trim(t.Context(), end); err != nil || n != 0 {
		t.Errorf("again: got %d trimmed (%v), want none", n, err)
	}
}

// What was done to files is found.
func TestDamagedFiles(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(w *world, f segments.File)
		want string
	}{
		{"nothing", func(*world, segments.File) {}, "1000"},
		{"removed", func(w *world, f segments.File) { w.must(os.Remove(f.Path)) }, "lost"},
		{"cut", func(w *world, f segments.File) {
			b, err := os.ReadFile(f.Path)
			w.must(err)
			w.must(os.WriteFile(f.Path, b[:len(b)/2], 0o600))
		}, "not a whole segment"},
		{"renamed", func(w *world, f segments.File) {
			w.must(os.Rename(f.Path, filepath.Join(w.dir, fmt.Sprintf("%015d-%015d.jsonl.gz", 2, 513))))
		}, "not a whole segment"},
		{"of another log", func(w *world, f segments.File) {
			other := newWorld(w.T)
			other.dir = w.dir
			w.must(os.Remove(f.Path))
			other.export(f.Range[0], f.Range[1])
		}, "changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.do(w, w.export(1, 512))
			if got := w.found(); !strings.Contains(got, tt.want) {
				t.Errorf("got %.200q, want %q", got, tt.want)
			}
		})
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// What the log erases leaves the files too, before and after it was exported, and the log
// is sound still.
func TestErase(t *testing.T) {
	w := newWorld(t)
	if n, err := w.log.Erase(t.Context(), 3); err != nil || n != 1 {
		t.Fatalf("got %d erased (%v), want 1", n, err)
	}
	w.note(eventlog.KindErasure, `{"records":[[3,3]]}`)
	w.export(1, 256)
	file := w.export(257, 512)
	before, err := os.Stat(file.Path)
	w.must(err)
	w.note(eventlog.KindErasure, `{"records":[[5,6]],"entries":[[10,10]]}`)
	if n, err := w.log.Erase(t.Context(), 5, 6, 10); err != nil || n != 1 {
		t.Fatalf("got %d erased (%v), want the entry", n, err)
	}
	erased, err := w.log.Erasures(t.Context())
	w.must(err)
	for _, want := range []int{3, 0} {
		if n, err := segments.Erase(w.dir, erased); err != nil || n != want {
			t.Errorf("got %d erased in the files (%v), want %d", n, err, want)
		}
	}
	files, err := segments.List(w.dir)
	w.must(err)
	var gone []uint64
	for _, f := range files {
		w.must(segments.Each(f, func(s eventlog.Stored) error {
			if s.Canonical == nil {
				gone = append(gone, s.Seq)
			}
			return nil
		}))
	}
	if got := fmt.Sprint(gone); got != "[3 5 6 10]" {
		t.Errorf("got %s without bytes, want 3, 5, 6 and 10", got)
	}
	if after, err := os.Stat(file.Path); err != nil || !os.SameFile(before, after) {
		t.Errorf("got the other file written anew (%v), want it as it was", err)
	}
	if got := w.found(); got != "1002" {
		t.Errorf("got %s, want a sound log", got)
	}
	if entries, err := os.ReadDir(w.dir); err != nil || len(entries) != 2 {
		t.Errorf("got %d files (%v), want 2", len(entries), err)
	}
}

// A run that the log does not have whole is not exported.
func TestNotExported(t *testing.T) {
	w := newWorld(t)
	for _, run := range []eventlog.Seqs{{0, 5}, {5, 4}, {900, 1100}, {1, segments.MaxRecords + 1}} {
		if _, err := segments.Export(t.Context(), w.log, w.dir, run); err == nil {
			t.Errorf("%v: got no error, want one", run)
		}
	}
	if entries, err := os.ReadDir(w.dir); err != nil || len(entries) != 0 {
		t.Errorf("got %d files (%v), want none", len(entries), err)
	}
}
