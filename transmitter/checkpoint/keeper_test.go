package checkpoint_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// house is a folder with a log and its checkpoints.
type house struct {
	t         testing.TB
	dir       string
	log       *sqlitelog.Log
	admin     *auth.Store
	now       time.Time
	witnesses []string
	origin    string
}

func newHouse(t testing.TB) *house {
	h := &house{t: t, dir: t.TempDir(), now: epoch, origin: "ssf.example/log"}
	h.open()
	return h
}

func (h *house) open() {
	h.t.Helper()
	var err error
	if h.log, err = sqlitelog.Open(context.Background(), sqlitelog.Config{Path: filepath.Join(h.dir, "log.db")}); err != nil {
		h.t.Fatal(err)
	}
	if h.admin, err = auth.Open(context.Background(), filepath.Join(h.dir, "admin.db")); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(h.close)
}

func (h *house) close() { _ = errors.Join(h.log.Close(), h.admin.Close()) }

func (h *house) store() checkpoint.Store { return checkpoint.NewStore(h.admin.DB()) }

func (h *house) tryKeeper() (*checkpoint.Keeper, error) {
	return checkpoint.Open(context.Background(), checkpoint.Config{
		Store: h.store(), Log: h.log, Origin: h.origin, Witnesses: h.witnesses, Now: func() time.Time { return h.now },
	})
}

func (h *house) keeper() *checkpoint.Keeper {
	h.t.Helper()
	k, err := h.tryKeeper()
	if err != nil {
		h.t.Fatal(err)
	}
	return k
}

func (h *house) add(n int) {
	h.t.Helper()
	events := make([]eventlog.Event, n)
	for i := range events {
		events[i] = eventlog.Event{Source: "hr", Type: "t"}
	}
	if _, err := h.log.Append(context.Background(), events...); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) sign(k *checkpoint.Keeper) checkpoint.Checkpoint {
	h.t.Helper()
	c, err := k.Sign(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// alter runs SQL on a file of the folder, which is closed meanwhile.
func (h *house) alter(file, script string) {
	h.t.Helper()
	h.close()
	db, err := sql.Open("sqlite", filepath.Join(h.dir, file))
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := db.Exec(script); err != nil {
		h.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// A head is signed once, is durable, and goes on from the one before.
func TestSign(t *testing.T) {
	h := newHouse(t)
	k := h.keeper()
	empty := h.sign(k)
	if empty.Tree != eventlog.EmptyTree() {
		t.Errorf("of an empty log: got %+v, want the empty tree", empty.Tree)
	}
	h.add(300)
	first := h.sign(k)
	h.now = h.now.Add(time.Minute)
	if again := h.sign(k); again.Size != 300 || !again.Made.Equal(first.Made) || string(again.Text) != string(first.Text) {
		t.Errorf("the same head: got %+v, want %+v", again, first)
	}
	stored, err := h.store().Last(t.Context())
	if err != nil || string(stored.Text) != string(first.Text) || stored.Tree != first.Tree || !stored.Made.Equal(epoch) {
		t.Errorf("stored: got %+v (%v), want %+v", stored, err, first)
	}
	h.close()
	h.open()
	h.add(5)
	k = h.keeper()
	covering, err := k.Covering(t.Context(), 300)
	if err != nil || covering.Size != 300 {
		t.Errorf("covering 300: got %d (%v), want the one of 300", covering.Size, err)
	}
	if covering, err = k.Covering(t.Context(), 301); err != nil || covering.Size != 305 {
		t.Errorf("covering 301: got %d (%v), want a new one of 305", covering.Size, err)
	}
	if _, err := k.Covering(t.Context(), 306); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("covering 306: got %v, want ErrNotFound", err)
	}
	proof, err := eventlog.ProveConsistency(t.Context(), h.log, first.Size, covering.Size)
	if err == nil {
		err = eventlog.CheckConsistency(proof, first.Tree, covering.Tree)
	}
	if err != nil {
		t.Errorf("from one to the next: got %v, want consistency", err)
	}
}

// A command that knows no issuer signs under the origin of before, or not at all.
func TestOrigin(t *testing.T) {
	h := newHouse(t)
	h.origin = ""
	k := h.keeper()
	if _, err := k.Sign(t.Context()); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("without an origin: got %v, want ErrNone", err)
	}
	if _, err := k.Verifier(); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("its key: got %v, want ErrNone", err)
	}
	h.origin = "a.example/log"
	first := h.sign(h.keeper())
	h.origin = ""
	if got := h.sign(h.keeper()); got.Origin != first.Origin {
		t.Errorf("later: got %s, want %s", got.Origin, first.Origin)
	}
	h.origin = "b.example/log"
	k = h.keeper()
	if got, err := k.Last(t.Context()); err != nil || got.Origin != h.origin || got.Tree != first.Tree {
		t.Errorf("with another issuer: got %+v (%v), want the same head under %s", got, err, h.origin)
	}
}

// A log that is not the one that was signed is refused with what to do, also
// when state.db knows nothing of it.
func TestOtherLogRefused(t *testing.T) {
	tests := []struct {
		name, script string
		want         error
	}{
		{"cut", "DELETE FROM record WHERE seq > 290", checkpoint.ErrOldLog},
		{"a leaf of the edge", "UPDATE record SET leaf = randomblob(32) WHERE seq = 299", checkpoint.ErrOtherLog},
		{"an old node", "UPDATE tree_node SET hash = randomblob(32)", checkpoint.ErrOtherLog},
		{"swapped", "UPDATE record SET seq = -1 WHERE seq = 270; UPDATE record SET seq = 270 WHERE seq = 271; UPDATE record SET seq = 271 WHERE seq = -1", checkpoint.ErrOtherLog},
		{"signed root", "", nil},
	}
	for _, tt := range tests {
		h := newHouse(t)
		h.add(300)
		h.sign(h.keeper())
		h.alter("log.db", tt.script)
		h.open()
		_, err := h.tryKeeper()
		if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), "restore the log.db") {
			t.Errorf("%s: got %v, want %v with what to do", tt.name, err, tt.want)
		}
	}
}

// forked is a log whose tree became another one while the keeper had it open.
type forked struct {
	*sqlitelog.Log
	other *sqlitelog.Log
}

func (f *forked) Tree(ctx context.Context) (eventlog.Tree, error) { return f.other.Tree(ctx) }

func (f *forked) Tile(ctx context.Context, level int, n uint64, width int) ([]eventlog.Hash, error) {
	return f.other.Tile(ctx, level, n, width)
}

// No second history is signed, whatever became of the log, by the keeper nor
// by the store.
func TestNoTwoHeads(t *testing.T) {
	h, other := newHouse(t), newHouse(t)
	h.add(10)
	f := &forked{h.log, h.log}
	k, err := checkpoint.Open(t.Context(), checkpoint.Config{Store: h.store(), Log: f, Origin: h.origin, Now: func() time.Time { return epoch }})
	if err != nil {
		t.Fatal(err)
	}
	first := h.sign(k)
	f.other = other.log
	for _, tt := range []struct {
		size int
		want error
	}{{5, checkpoint.ErrOldLog}, {10, checkpoint.ErrOtherLog}, {20, checkpoint.ErrOtherLog}} {
		n, err := other.log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other.add(tt.size - int(n))
		if c, err := k.Sign(t.Context()); !errors.Is(err, tt.want) {
			t.Errorf("another log of %d: got %+v (%v), want %v", tt.size, c.Tree, err, tt.want)
		}
	}
	fork := first
	fork.Root[0] ^= 1
	if err := h.store().Add(t.Context(), fork, first.Tree); !errors.Is(err, checkpoint.ErrFork) {
		t.Errorf("Add of another tree of the size: got %v, want ErrFork", err)
	}
	if got, err := h.store().Last(t.Context()); err != nil || got.Tree != first.Tree {
		t.Errorf("afterwards: got %+v (%v), want %+v", got.Tree, err, first.Tree)
	}
}

// Of what is older than an hour one an hour is kept, and what was cosigned.
func TestThinning(t *testing.T) {
	h := newHouse(t)
	name, sk := h.witness()
	k := h.keeper()
	for i := range 4 * 6 {
		h.add(1)
		c := h.sign(k)
		if i == 8 {
			if _, err := k.Cosign(t.Context(), cosign(t, c.Text, sk)); err != nil {
				t.Fatal(err)
			}
		}
		h.now = h.now.Add(10 * time.Minute)
	}
	all, err := k.All(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []uint64
	for _, c := range all {
		sizes = append(sizes, c.Size)
	}
	if want := []uint64{1, 7, 9, 13, 18, 19, 20, 21, 22, 23, 24}; !slices.Equal(sizes, want) {
		t.Errorf("got sizes %v, want %v", sizes, want)
	}
	if page, err := k.All(t.Context(), 13, 2); err != nil || len(page) != 2 || page[0].Size != 13 {
		t.Errorf("a page: got %d (%v), want 2 from 13", len(page), err)
	}
	if c, err := k.Cosigned(t.Context(), name); err != nil || c.Size != 9 {
		t.Errorf("cosigned: got %d (%v), want 9", c.Size, err)
	}
}

// witness adds a witness to the keeper's configuration.
func (h *house) witness() (name, skey string) {
	h.t.Helper()
	name = fmt.Sprint("witness", len(h.witnesses), ".example")
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		h.t.Fatal(err)
	}
	if vkey, err = formats.VKeyToCosignatureV1(vkey); err != nil {
		h.t.Fatal(err)
	}
	h.witnesses = append(h.witnesses, vkey)
	return name, skey
}

// cosign returns the checkpoint with a witness's cosignature.
func cosign(t *testing.T, text []byte, skey string) []byte {
	t.Helper()
	s, err := formats.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	body, _, ok := strings.Cut(string(text), "\n\n")
	if !ok {
		t.Fatalf("got %q, want a note", text)
	}
	signed, err := note.Sign(&note.Note{Text: body + "\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Cosignatures are verified, stored, and served with their checkpoint.
func TestCosign(t *testing.T) {
	h := newHouse(t)
	name, sk := h.witness()
	_, second := h.witness()
	stranger := &house{t: t}
	_, unknown := stranger.witness()
	k := h.keeper()
	h.add(3)
	c := h.sign(k)
	for name, text := range map[string][]byte{
		"no note":            []byte("x"),
		"of a stranger":      cosign(t, c.Text, unknown),
		"of the log alone":   c.Text,
		"of another tree":    cosign(t, []byte(strings.Replace(string(c.Text), "\n3\n", "\n2\n", 1)), sk),
		"of another log":     cosign(t, []byte(strings.Replace(string(c.Text), "ssf", "sss", 1)), sk),
		"of no checkpoint":   cosign(t, []byte("a\nb\n\n"), sk),
		"with a wrong bit":   []byte(strings.Replace(string(cosign(t, c.Text, sk)), "\n3\n", "\n4\n", 1)),
		"longer than it may": append(cosign(t, c.Text, sk), make([]byte, checkpoint.MaxBytes)...),
	} {
		if n, err := k.Cosign(t.Context(), text); !errors.Is(err, checkpoint.ErrWitness) || n != 0 {
			t.Errorf("%s: got %d (%v), want ErrWitness", name, n, err)
		}
	}
	if _, err := k.Cosigned(t.Context(), name); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("before: got %v, want ErrNone", err)
	}
	for _, key := range []string{sk, second, sk} {
		if n, err := k.Cosign(t.Context(), cosign(t, c.Text, key)); err != nil || n != 1 {
			t.Errorf("got %d (%v), want 1", n, err)
		}
	}
	last, err := k.Last(t.Context())
	if err != nil || strings.Count(string(last.Text), "\n— ") != 3 {
		t.Fatalf("got %s (%v), want three signatures", last.Text, err)
	}
	for _, vkey := range h.witnesses {
		v, err := formats.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := note.Open(last.Text, note.VerifierList(v)); err != nil {
			t.Errorf("as served: got %v, want the cosignature of %s verified", err, v.Name())
		}
	}
	h.add(1)
	h.sign(k)
	if last, err := k.Last(t.Context()); err != nil || last.Size != 4 || strings.Count(string(last.Text), "\n— ") != 1 {
		t.Errorf("the next: got %s (%v), want one signature", last.Text, err)
	}
	if c, err := k.Cosigned(t.Context(), name); err != nil || c.Size != 3 {
		t.Errorf("the cosigned one: got %d (%v), want 3", c.Size, err)
	}
	if _, err := checkpoint.Open(t.Context(), checkpoint.Config{Store: h.store(), Log: h.log, Witnesses: []string{"x"}}); !errors.Is(err, checkpoint.ErrKey) {
		t.Errorf("a wrong witness: got %v, want ErrKey", err)
	}
}

// clockLog is a log in memory that grows by itself, for time that passes at
// once.
type clockLog struct {
	mu   sync.Mutex
	edge eventlog.Edge
	next chan struct{}
}

func (c *clockLog) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.edge.Add(eventlog.Hash{byte(c.edge.Size())}, func(eventlog.Node) {})
	close(c.next)
	c.next = make(chan struct{})
}

func (c *clockLog) Tree(context.Context) (eventlog.Tree, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.edge.Tree(), nil
}

func (c *clockLog) Tile(_ context.Context, level int, _ uint64, width int) ([]eventlog.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.edge.Tile(level)[:width]), nil
}

func (c *clockLog) Wait(ctx context.Context, after uint64) error {
	for {
		c.mu.Lock()
		size, next := c.edge.Size(), c.next
		c.mu.Unlock()
		if size > after {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next:
		}
	}
}

// A growing log is signed every second, an idle one is not, and the end is.
func TestRun(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		log := &clockLog{next: make(chan struct{})}
		k, err := checkpoint.Open(t.Context(), checkpoint.Config{Store: h.store(), Log: log, Origin: "a/log"})
		if err != nil {
			t.Fatal(err)
		}
		sizes := func() (out []uint64) {
			all, err := k.All(t.Context(), 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				out = append(out, c.Size)
			}
			return out
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- k.Run(ctx) }()
		for range 25 { // from 0.1 s on, every 0.1 s
			<-time.After(100 * time.Millisecond)
			log.add()
			synctest.Wait()
		}
		if got := sizes(); len(got) != 3 || got[0] != 0 {
			t.Errorf("after 2.5 s: got sizes %v, want the empty log's and two more", got)
		}
		<-time.After(10 * time.Second)
		if got := sizes(); len(got) != 4 || got[3] != 25 {
			t.Errorf("10 s later: got sizes %v, want one more, of 25", got)
		}
		log.add()
		synctest.Wait()
		if got := sizes(); len(got) != 5 {
			t.Errorf("a record after a pause: got sizes %v, want it signed at once", got)
		}
		log.add()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v", err)
		}
		if got := sizes(); got[len(got)-1] != 27 {
			t.Errorf("at the end: got sizes %v, want 27 signed", got)
		}
	})
}

// A copy of admin.db alone finds a log.db that was put back.
func TestRestoredLog(t *testing.T) {
	h := newHouse(t)
	h.add(10)
	h.sign(h.keeper())
	old := filepath.Join(t.TempDir(), "log.db")
	if err := h.log.Backup(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	h.add(10)
	h.sign(h.keeper())
	h.close()
	raw, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(h.dir, "log.db"+suffix))
	}
	if err := os.WriteFile(filepath.Join(h.dir, "log.db"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	h.open()
	if _, err := h.tryKeeper(); !errors.Is(err, checkpoint.ErrOldLog) {
		t.Errorf("an older log.db: got %v, want ErrOldLog", err)
	}
	h.add(30) // went on with others
	if _, err := h.tryKeeper(); !errors.Is(err, checkpoint.ErrOtherLog) {
		t.Errorf("one that went on: got %v, want ErrOtherLog", err)
	}
}
