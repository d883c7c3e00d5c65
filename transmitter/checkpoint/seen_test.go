package checkpoint_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
)

// seeing opens a keeper that keeps what it saw last in a file, too.
func (h *house) seeing(file string) (*checkpoint.Keeper, error) {
	return checkpoint.Open(h.t.Context(), checkpoint.Config{
		Store: h.store(), Log: h.log, Origin: h.origin, Seen: file, Now: func() time.Time { return h.now },
	})
}

// copyOf copies files of the house, as they are.
func (h *house) copyOf(files ...string) (restore func()) {
	h.t.Helper()
	kept := h.t.TempDir()
	for _, name := range files {
		backup := h.log.Backup
		if name == "admin.db" {
			backup = h.admin.Backup
		}
		if err := backup(h.t.Context(), filepath.Join(kept, name)); err != nil {
			h.t.Fatal(err)
		}
	}
	return func() {
		h.t.Helper()
		h.close()
		for _, name := range files {
			for _, suffix := range []string{"-wal", "-shm"} {
				_ = os.Remove(filepath.Join(h.dir, name+suffix))
			}
			if err := os.Rename(filepath.Join(kept, name), filepath.Join(h.dir, name)); err != nil {
				h.t.Fatal(err)
			}
		}
		h.open()
	}
}

// A log that is older together with its checkpoints, as after a failover to a server
// that lagged behind, is found out by the checkpoint that was seen; one whose
// checkpoints alone are older goes on, and has them put back.
func TestSeen(t *testing.T) {
	for _, tt := range []struct {
		name  string
		older []string
		later int // records that were added to what is older
		want  error
	}{
		{"both older", []string{"log.db", "admin.db"}, 0, checkpoint.ErrOldLog},
		{"both older, gone on with others", []string{"log.db", "admin.db"}, 30, checkpoint.ErrOtherLog},
		{"checkpoints older", []string{"admin.db"}, 0, nil},
		{"checkpoints older, gone on", []string{"admin.db"}, 5, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			file := filepath.Join(t.TempDir(), "checkpoint")
			keeper := func() *checkpoint.Keeper {
				k, err := h.seeing(file)
				if err != nil {
					t.Fatal(err)
				}
				return k
			}
			h.add(10)
			h.sign(keeper())
			restore := h.copyOf(tt.older...)
			h.add(10)
			last := h.sign(keeper())
			restore()
			h.add(tt.later)
			k, err := h.seeing(file)
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), file) {
				t.Fatalf("got %v, want %v with the name of the file", err, tt.want)
			}
			if tt.want != nil {
				return
			}
			h.sign(k)
			if back, err := h.store().At(t.Context(), last.Size); err != nil || back.Tree != last.Tree {
				t.Errorf("the checkpoint that the store had lost: got %v, %v, want it back", back.Tree, err)
			}
		})
	}
}

// What another log's key signed is no checkpoint of this one.
func TestSeenOfAnotherLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "checkpoint")
	h := newHouse(t)
	h.add(3)
	k, err := h.seeing(file)
	if err != nil {
		t.Fatal(err)
	}
	h.sign(k)
	other := newHouse(t)
	other.add(3)
	if _, err := other.seeing(file); !errors.Is(err, checkpoint.ErrOtherLog) {
		t.Errorf("got %v, want %v", err, checkpoint.ErrOtherLog)
	}
}
