package audit_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

const origin = "ssf.example/log"

// house is a folder with a log and its checkpoints.
type house struct {
	t      testing.TB
	dir    string
	log    *sqlitelog.Log
	admin  *auth.Store
	keeper *checkpoint.Keeper
	key    string
}

func newHouse(t testing.TB) *house {
	h := &house{t: t, dir: t.TempDir()}
	h.open()
	return h
}

func (h *house) open() {
	h.t.Helper()
	ctx := context.Background()
	var err error
	if h.log, err = sqlitelog.Open(ctx, sqlitelog.Config{Path: filepath.Join(h.dir, "log.db")}); err != nil {
		h.t.Fatal(err)
	}
	if h.admin, err = auth.Open(ctx, filepath.Join(h.dir, "admin.db")); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(h.close)
	if h.keeper, err = checkpoint.Open(ctx, checkpoint.Config{Store: checkpoint.NewStore(h.admin.DB()), Log: h.log, Origin: origin}); err != nil {
		h.t.Fatal(err)
	}
	if h.key, err = h.keeper.Verifier(); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) close() { _ = errors.Join(h.log.Close(), h.admin.Close()) }

// copied returns a house on a copy of the files, which are closed.
func (h *house) copied() *house {
	h.t.Helper()
	h.close()
	c := &house{t: h.t, dir: h.t.TempDir(), key: h.key}
	if err := os.CopyFS(c.dir, os.DirFS(h.dir)); err != nil {
		h.t.Fatal(err)
	}
	return c
}

func event(n int) eventlog.Event {
	return eventlog.Event{
		Source: "hr", SourceID: fmt.Sprint(n), Type: "account.suspended", Time: time.Unix(1_700_000_000, 0),
		Subjects: []subject.Identifier{subject.Email(fmt.Sprintf("u%d@example.com", n))},
		Mapped: []eventlog.Mapped{
			{Type: "https://a.example/1", Payload: json.RawMessage(`{}`)},
			{Type: "https://a.example/2", Payload: json.RawMessage(`{}`)},
		},
	}
}

// grow appends events until the log has so many records.
func (h *house) grow(size int) {
	h.t.Helper()
	head, err := h.log.Head(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	var events []eventlog.Event
	for n := int(head) + 1; n <= size; n++ {
		if events = append(events, event(n)); len(events) == 1000 || n == size {
			if _, err := h.log.Append(context.Background(), events...); err != nil {
				h.t.Fatal(err)
			}
			events = events[:0:0]
		}
	}
}

func (h *house) sign() checkpoint.Checkpoint {
	h.t.Helper()
	c, err := h.keeper.Sign(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// erase erases records and says so in the log.
func (h *house) erase(seqs ...uint64) {
	h.t.Helper()
	body, err := json.Marshal(map[string]any{"records": eventlog.RunsOf(seqs), "last": true})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.log.Note(context.Background(), eventlog.Entry{Kind: eventlog.KindErasure, Body: body, Refs: []string{eventlog.RefAll}}); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.log.Erase(context.Background(), seqs...); err != nil {
		h.t.Fatal(err)
	}
}

// alter runs SQL on a file of the folder, which is closed.
func (h *house) alter(file, script string) {
	h.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(h.dir, file))
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := db.Exec(script); err != nil {
		h.t.Fatalf("%s: %v", script, err)
	}
	if err := db.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// files are a folder's, looked into without being opened for work.
type files struct {
	*sqlitelog.File
	checkpoint.Store
}

func (f files) Checkpoints(ctx context.Context, from uint64, max int) ([]checkpoint.Checkpoint, error) {
	return f.All(ctx, from, max)
}

// check checks the folder's files, which are closed.
func (h *house) check(opts audit.Options) (*audit.Report, error) {
	h.t.Helper()
	ctx := context.Background()
	log, err := sqlitelog.OpenFile(ctx, filepath.Join(h.dir, "log.db"))
	if err != nil {
		h.t.Fatal(err)
	}
	admin, err := auth.Open(ctx, filepath.Join(h.dir, "admin.db"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = errors.Join(log.Close(), admin.Close()) }()
	return audit.Check(ctx, files{log, checkpoint.NewStore(admin.DB())}, opts)
}
