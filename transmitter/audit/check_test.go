package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Sound logs are found sound, of every size about the edges of tiles.
func TestCheckSound(t *testing.T) {
	for _, size := range []int{0, 1, 255, 256, 257, 600} {
		h := newHouse(t)
		early := h.sign()
		for _, n := range []int{size / 2, size - 1, size} {
			h.grow(n)
			h.sign()
		}
		h.close()
		var last, total uint64
		r, err := h.check(audit.Options{Key: h.key, Since: [][]byte{early.Text}, Progress: func(d, of uint64) { last, total = d, of }})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Sound() || r.Records != uint64(size) || r.Events != r.Records || r.Since != 1 || r.Checkpoints < 1 || last != total || total != r.Records {
			t.Errorf("size %d: got %+v, progress %d of %d, want it sound", size, r, last, total)
		}
	}
}

// Erasures that the log tells of, entries, and a tree that is still to be made
// are no findings.
func TestCheckHonest(t *testing.T) {
	h := newHouse(t)
	h.grow(300)
	seen := h.sign()
	h.erase(1, 2, 3, 150, 256, 257, 300)
	if _, err := h.log.Note(t.Context(), eventlog.Entry{Kind: eventlog.KindHold, Body: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	h.grow(400)
	h.sign()
	h.erase(151, 152)
	h.close()
	r, err := h.check(audit.Options{Key: h.key, Since: [][]byte{seen.Text}})
	if err != nil || !r.Sound() || r.Erased != 9 || r.Entries != 3 || r.Checkpoints != 2 || r.Since != 1 {
		t.Errorf("got %+v (%v), want a sound log with 9 erased", r, err)
	}
	older := h.copied()
	older.alter("log.db", "DROP TABLE tree_node; PRAGMA user_version = 2")
	if r, err := older.check(audit.Options{}); err != nil || !r.Sound() || r.Checkpoints != 2 {
		t.Errorf("without key, and of schema 2: got %+v (%v), want it sound", r, err)
	}
}

// What somebody does to the files who knows the format, and what finds it.
// Rewriting also means that the stored tree and checkpoints are made to fit
// where that needs no key.
func TestCheckFinds(t *testing.T) {
	const (
		unsign = "admin.db:DELETE FROM checkpoints; DELETE FROM log_key"
		swap   = "log.db:UPDATE record SET seq = -1 WHERE seq = 270; UPDATE record SET seq = 270 WHERE seq = 271; UPDATE record SET seq = 271 WHERE seq = -1"
	)
	tests := []struct {
		name    string
		scripts []string
		since   bool
		want    audit.Problem
		says    string
	}{
		{"a changed body", []string{"log.db:UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'u7@', 'u8@') AS BLOB) WHERE seq = 7"}, false, audit.Changed, "record 7 was changed"},
		{"a changed time", []string{"log.db:UPDATE record SET recorded = recorded + 1 WHERE seq = 7"}, false, audit.Changed, "record 7 was changed"},
		{"a changed kind", []string{"log.db:UPDATE record SET kind = 2 WHERE seq = 7"}, false, audit.Changed, "record 7 was changed"},
		{"a changed salt", []string{"log.db:UPDATE record SET salt = randomblob(32) WHERE seq = 7"}, false, audit.Changed, "record 7 was changed"},
		{"a changed leaf", []string{"log.db:UPDATE record SET leaf = randomblob(32) WHERE seq = 7"}, false, audit.Changed, "record 7 was changed"},
		{"an erased flag", []string{"log.db:UPDATE record SET salt = NULL, body = NULL WHERE seq = 7"}, false, audit.Lost, "records 7 to 7 have no bytes"},
		{"half an erased flag", []string{"log.db:UPDATE record SET salt = NULL WHERE seq = 7"}, false, audit.Changed, "record 7 was changed"},
		{"bytes instead of an erasure", []string{"log.db:UPDATE record SET salt = randomblob(32), body = x'7b7d' WHERE seq = 9"}, false, audit.Changed, "record 9 was changed"},
		{"an erased order of erasure", []string{"log.db:UPDATE record SET salt = NULL, body = NULL WHERE seq = 301"}, false, audit.Lost, "records 9 to 10"},
		{"another leaf of an erased record", []string{"log.db:UPDATE record SET leaf = randomblob(32) WHERE seq = 9"}, false, audit.TreeDiffs, "up to 256"},
		{"a stored node", []string{"log.db:UPDATE tree_node SET hash = randomblob(32)"}, false, audit.TreeDiffs, "up to 256"},
		{"a removed record", []string{"log.db:DELETE FROM record WHERE seq = 7"}, false, audit.Missing, "record 7 is missing"},
		{"removed records", []string{"log.db:DELETE FROM record WHERE seq BETWEEN 7 AND 9"}, false, audit.Missing, "records 7 to 9 are missing"},
		{"a removed record, the rest moved up", []string{"log.db:DELETE FROM record WHERE seq = 7; UPDATE record SET seq = seq - 1 WHERE seq > 7"}, false, audit.Changed, "record 7 was changed"},
		{"a cut tail", []string{"log.db:DELETE FROM record WHERE seq > 280"}, false, audit.Shorter, "the log ends at record 280"},
		{"a cut tail and no checkpoints", []string{"log.db:DELETE FROM record WHERE seq > 280", unsign}, true, audit.Shorter, "before the given checkpoint of 310"},
		{"a reordered log", []string{swap}, false, audit.Changed, "record 270 was changed"},
		{"a reordered log of erased records", []string{"log.db:UPDATE record SET leaf = (SELECT b.leaf FROM record b WHERE b.seq = 19 - record.seq) WHERE seq IN (9, 10)"}, false, audit.TreeDiffs, "up to 256"},
		{"the same, tree and checkpoints removed", []string{"log.db:UPDATE record SET leaf = (SELECT b.leaf FROM record b WHERE b.seq = 19 - record.seq) WHERE seq IN (9, 10); DELETE FROM tree_node", unsign}, true, audit.Other, "the given checkpoint"},
		{"a forged checkpoint", []string{"admin.db:UPDATE checkpoints SET root = randomblob(32) WHERE size = 310"}, false, audit.Unsigned, "of 310 records is not signed"},
		{"a forged text", []string{"admin.db:UPDATE checkpoints SET text = replace(text, x'0a' || '310' || x'0a', x'0a' || '311' || x'0a')"}, false, audit.Unsigned, "is not signed"},
	}
	h := newHouse(t)
	h.grow(300)
	h.erase(9, 10)
	h.grow(310)
	seen := h.sign()
	for _, tt := range tests {
		c := h.copied()
		for _, script := range tt.scripts {
			file, sql, _ := strings.Cut(script, ":")
			c.alter(file, sql)
		}
		opts := audit.Options{Key: c.key}
		if tt.since {
			without, err := c.check(opts)
			if err != nil || tt.want != audit.Shorter && !without.Sound() {
				t.Errorf("%s, nothing kept: got %+v (%v), want nothing found", tt.name, without, err)
			}
			opts.Since = [][]byte{seen.Text}
		}
		r, err := c.check(opts)
		if err != nil {
			t.Errorf("%s: got %v", tt.name, err)
			continue
		}
		found := false
		for _, f := range r.Findings {
			found = found || f.Problem == tt.want && strings.Contains(f.Text, tt.says)
		}
		if !found {
			t.Errorf("%s: got %+v, want %s with %q", tt.name, r.Findings, tt.want, tt.says)
		}
	}
	if r, err := h.copied().check(audit.Options{Key: h.key, Since: [][]byte{seen.Text}}); err != nil || !r.Sound() {
		t.Errorf("nothing done: got %+v (%v), want it sound", r, err)
	}
}

// Two logs that grew from one copy, and an older copy that was put back, are
// each sound in themselves; the checkpoint that was kept tells them.
func TestCheckFork(t *testing.T) {
	h := newHouse(t)
	h.grow(100)
	h.sign()
	fork, older := h.copied(), h.copied()
	h.open()
	h.grow(120)
	ours := h.sign()
	h.close()
	fork.open()
	fork.grow(130)
	fork.sign()
	fork.close()
	for name, tt := range map[string]struct {
		h    *house
		want audit.Problem
	}{"the fork": {fork, audit.Other}, "the older copy": {older, audit.Shorter}} {
		if r, err := tt.h.check(audit.Options{Key: h.key}); err != nil || !r.Sound() {
			t.Errorf("%s by itself: got %+v (%v), want it sound", name, r, err)
		}
		r, err := tt.h.check(audit.Options{Key: h.key, Since: [][]byte{ours.Text}})
		if err != nil || r.Found != 1 || r.Findings[0].Problem != tt.want || r.Findings[0].Seq != 120 {
			t.Errorf("%s: got %+v (%v), want %s at 120", name, r, err, tt.want)
		}
	}
	// admin.db alone finds a log.db that was put back.
	old, err := os.ReadFile(filepath.Join(older.dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	half := h.copied()
	_ = os.Remove(filepath.Join(half.dir, "log.db-wal"))
	if err := os.WriteFile(filepath.Join(half.dir, "log.db"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := half.check(audit.Options{Key: h.key}); err != nil || r.Found != 1 || r.Findings[0].Problem != audit.Shorter {
		t.Errorf("an older log.db alone: got %+v (%v), want it found", r, err)
	}
}

// What is not the log's own checkpoint is no measure of it.
func TestCheckRefuses(t *testing.T) {
	h := newHouse(t)
	h.grow(3)
	c := h.sign()
	h.close()
	forged := []byte(strings.Replace(string(c.Text), "\n3\n", "\n2\n", 1))
	for name, tt := range map[string]struct {
		opts audit.Options
		want error
	}{
		"forged":      {audit.Options{Key: h.key, Since: [][]byte{forged}}, checkpoint.ErrSignature},
		"another key": {audit.Options{Key: checkpoint.NewKey().Verifier(origin), Since: [][]byte{c.Text}}, checkpoint.ErrSignature},
		"no key":      {audit.Options{Since: [][]byte{c.Text}}, checkpoint.ErrKey},
		"a bad key":   {audit.Options{Key: "x"}, checkpoint.ErrKey},
	} {
		if r, err := h.check(tt.opts); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %+v (%v), want %v", name, r, err, tt.want)
		}
	}
}

// Of very much that is wrong a report tells the beginning, and counts the rest.
func TestCheckMuch(t *testing.T) {
	h := newHouse(t)
	h.grow(500)
	h.close()
	h.alter("log.db", "UPDATE record SET recorded = 1")
	r, err := h.check(audit.Options{Key: h.key})
	if err != nil || r.Found != 500 || len(r.Findings) != 100 {
		t.Errorf("got %d findings of %d (%v), want 100 of 500", len(r.Findings), r.Found, err)
	}
}

// An attacker who rewrites one record of a large log, with a leaf that fits, is
// told by the tree. TOCSIN_TEST_LONG=1 makes it so large that the tree has a
// level more.
func TestCheckLarge(t *testing.T) {
	size := 3000
	if os.Getenv("TOCSIN_TEST_LONG") == "1" {
		size = 70_000
	}
	seq := uint64(size - 700)
	h := newHouse(t)
	h.grow(size)
	seen := h.sign()
	rec, err := h.log.Record(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	h.close()
	if r, err := h.check(audit.Options{Key: h.key, Since: [][]byte{seen.Text}}); err != nil || !r.Sound() || r.Records != uint64(size) {
		t.Fatalf("got %+v (%v), want it sound", r, err)
	}
	d, err := eventlog.NewDraft(&eventlog.Event{Source: "hr", Type: "account.enabled"})
	if err != nil {
		t.Fatal(err)
	}
	other := d.Record(seq, "", rec.Recorded)
	h.alter("log.db", fmt.Sprintf("UPDATE record SET body = x'%x', salt = x'%x', leaf = x'%x' WHERE seq = %d", other.Canonical, other.Salt, other.Leaf, seq))
	r, err := h.check(audit.Options{Key: h.key})
	if err != nil || r.Found == 0 || r.Findings[0].Problem != audit.TreeDiffs {
		t.Errorf("a record with its leaf: got %+v (%v), want the tree's", r, err)
	}
	h.alter("log.db", "DELETE FROM tree_node")
	if r, err = h.check(audit.Options{Key: h.key}); err != nil || r.Found != 1 || r.Findings[0].Problem != audit.Other {
		t.Errorf("and without the tree: got %+v (%v), want the checkpoint's", r, err)
	}
}

// Follow tells a log that went on from one that did not.
func TestFollow(t *testing.T) {
	h := newHouse(t)
	h.grow(10)
	seen := h.sign()
	fork := h.copied()
	h.open()
	h.grow(300)
	now := h.sign()
	fork.open()
	fork.grow(20)
	if _, err := fork.log.Append(t.Context(), eventlog.Event{Source: "x", Type: "y"}); err != nil {
		t.Fatal(err)
	}
	forked := fork.sign()
	prove := func(l eventlog.Prover) func(context.Context, uint64, uint64) ([]eventlog.Hash, error) {
		return func(ctx context.Context, from, to uint64) ([]eventlog.Hash, error) {
			return eventlog.ProveConsistency(ctx, l, from, to)
		}
	}
	foreign := seen
	foreign.Origin = "other.example/log"
	failing := func(context.Context, uint64, uint64) ([]eventlog.Hash, error) { return nil, os.ErrClosed }
	for _, tt := range []struct {
		name      string
		seen, now checkpoint.Checkpoint
		log       eventlog.Prover
		want      error
	}{
		{"went on", seen, now, h.log, nil},
		{"still there", now, now, h.log, nil},
		{"the fork from the common part", seen, forked, fork.log, nil},
		{"fork", forked, now, h.log, checkpoint.ErrOtherLog},
		{"shorter", now, forked, fork.log, checkpoint.ErrOldLog},
		{"another log", foreign, now, h.log, checkpoint.ErrOtherLog},
		{"failure", seen, now, nil, os.ErrClosed},
	} {
		p := failing
		if tt.log != nil {
			p = prove(tt.log)
		}
		if err := audit.Follow(t.Context(), tt.seen, tt.now, p); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}
