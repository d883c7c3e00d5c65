package sqliteindex_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqliteindex"
)

// follow runs the index until it has all of the log.
func (r *rig) follow() {
	r.tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.index.Run(ctx) }()
	head, err := r.log.Head(ctx)
	if err != nil {
		r.tb.Fatal(err)
	}
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := r.index.Wait(limit, head); err != nil {
		r.tb.Errorf("Wait: got %v at %d, want no error", err, r.index.Place())
	}
	stop()
	if err := <-done; err != nil {
		r.tb.Errorf("Run: got %v, want no error", err)
	}
}

func (r *rig) add(n int) {
	r.tb.Helper()
	for i := range n {
		if _, err := r.log.Append(context.Background(), eventlog.Event{Source: "hr", Type: fmt.Sprint("t", i)}); err != nil {
			r.tb.Fatal(err)
		}
	}
}

// found is how many events there are of any kind.
func (r *rig) found() int {
	r.tb.Helper()
	page, err := r.index.Search(context.Background(), &eventlog.Query{Sources: []string{"hr"}, Limit: 100})
	if err != nil {
		r.tb.Fatalf("Search: got %v, want no error", err)
	}
	return len(page.Hits)
}

// A file that is missing, damaged or of another log is built anew.
func TestOpenAnew(t *testing.T) {
	for name, spoil := range map[string]func(r *rig){
		"missing": func(r *rig) { r.remove() },
		"junk":    func(r *rig) { r.remove(); r.writeFile(bytes.Repeat([]byte("junk"), 4096)) },
		"damaged": func(r *rig) {
			b, err := os.ReadFile(r.path())
			if err != nil {
				r.tb.Fatal(err)
			}
			for i := 100; i < len(b); i += 7 { // behind the header
				b[i] ^= 0x5a
			}
			r.remove()
			r.writeFile(b)
		},
		"of another log": func(r *rig) {
			other := newRig(r.tb, r.tb.TempDir())
			other.add(3)
			other.follow()
			if err := other.index.Close(); err != nil {
				r.tb.Fatal(err)
			}
			b, err := os.ReadFile(other.path())
			if err != nil {
				r.tb.Fatal(err)
			}
			r.remove()
			r.writeFile(b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, t.TempDir())
			r.add(5)
			r.follow()
			if err := r.index.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(r)
			r.openIndex()
			if place := r.index.Place(); place != 0 {
				t.Errorf("Place: got %d, want 0", place)
			}
			for range 2 {
				if got := r.found(); got != 5 {
					t.Errorf("at %d: got %d events, want 5", r.index.Place(), got)
				}
				r.follow()
			}
		})
	}
}

func (r *rig) remove() {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(r.path() + suffix)
	}
}

func (r *rig) writeFile(b []byte) {
	r.tb.Helper()
	if err := os.WriteFile(r.path(), b, 0o600); err != nil {
		r.tb.Fatal(err)
	}
}

// A file of a newer version, or of somebody else, is refused and stays.
func TestOpenRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		at    int // in SQLite's header
		value uint32
		want  func(error) bool
	}{
		"newer": {60, 99, func(err error) bool {
			var newer *sqlitedb.SchemaError
			return errors.As(err, &newer) && strings.Contains(err.Error(), "remove the file")
		}},
		"foreign": {68, 1, func(err error) bool { return errors.Is(err, sqlitedb.ErrForeign) }},
	} {
		r := newRig(t, t.TempDir())
		if err := r.index.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(r.path())
		if err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint32(b[tt.at:], tt.value)
		r.writeFile(b)
		if _, err := sqliteindex.Open(t.Context(), sqliteindex.Config{Path: r.path(), Log: r.log}); err == nil || !tt.want(err) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
		if after, err := os.ReadFile(r.path()); err != nil || !bytes.Equal(after, b) {
			t.Errorf("%s: the file changed (%v)", name, err)
		}
	}
}

// While it trails too far a search says so, unless what is missing was asked
// for before; and appends are held up only once it followed.
func TestBehind(t *testing.T) {
	x, err := sqliteindex.Open(t.Context(), sqliteindex.Config{Path: t.TempDir() + "/index.db", Log: synthetic(2*sqliteindex.MaxTrail + 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var behind *eventlog.BehindError
	if _, err := x.Search(t.Context(), &eventlog.Query{Limit: 1}); !errors.As(err, &behind) || behind.Place != 0 || behind.Head != 2*sqliteindex.MaxTrail+1 {
		t.Errorf("Search: got %v, want a BehindError", err)
	}
	if _, err := x.Of(t.Context(), nil, 0, 0, 1); !errors.As(err, &behind) {
		t.Errorf("Of: got %v, want a BehindError", err)
	}
	if err := x.Pace(t.Context()); err != nil {
		t.Errorf("Pace while it is built: got %v, want no error", err)
	}
}

// growing is a log that is longer than the index thinks.
type growing struct {
	synthetic
	head *uint64
}

func (g growing) Head(context.Context) (uint64, error) { return *g.head, nil }

// An index that followed and falls behind holds up appends, for a bounded time.
func TestPace(t *testing.T) {
	head := uint64(0)
	x, err := sqliteindex.Open(t.Context(), sqliteindex.Config{Path: t.TempDir() + "/index.db", Log: growing{head: &head}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for _, tt := range []struct {
		head uint64
		want error
	}{{0, nil}, {sqliteindex.MaxTrail, nil}, {sqliteindex.MaxTrail + 1, eventlog.ErrPaced}} {
		head = tt.head
		if err := x.Pace(t.Context()); !errors.Is(err, tt.want) {
			t.Errorf("Pace with %d records to index: got %v, want %v", head, err, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Pace(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Pace with an ended context: got %v, want its error", err)
	}
}

// What was forgotten is gone from the files too.
func TestForgetErases(t *testing.T) {
	r := newRig(t, t.TempDir())
	const score = 1234.5625 // its bytes are looked for
	s := score
	if _, err := r.log.Append(t.Context(), eventlog.Event{Source: "hr", Type: "t", Attributes: eventlog.Attributes{RiskScore: &s}}); err != nil {
		t.Fatal(err)
	}
	r.add(1)
	r.follow()
	if !r.holds(score) {
		t.Fatal("got no file with the score: the test shows nothing")
	}
	if _, err := r.log.Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := r.index.Forget(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if r.holds(score) {
		t.Error("got a file with the score, want none")
	}
	if got := r.found(); got != 1 {
		t.Errorf("got %d events, want 1", got)
	}
}

// holds looks for a number in the index's files.
func (r *rig) holds(n float64) bool {
	r.tb.Helper()
	var want bytes.Buffer
	if err := binary.Write(&want, binary.BigEndian, n); err != nil {
		r.tb.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(r.path() + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			r.tb.Fatal(err)
		}
		if bytes.Contains(b, want.Bytes()) {
			return true
		}
	}
	return false
}

// Damage that shows later is told as an index that is being built, and is mended.
func TestDamage(t *testing.T) {
	r := newRig(t, t.TempDir())
	events := make([]eventlog.Event, 3000)
	for i := range events {
		events[i] = eventlog.Event{Source: "hr", Type: fmt.Sprint("t", i)}
	}
	if _, err := r.log.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	r.follow()
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(r.path())
	if err != nil {
		t.Fatal(err)
	}
	for i := 16 * 4096; i < len(b); i++ { // events and their lists stand there
		b[i] ^= 0x5a
	}
	r.writeFile(b)
	r.openIndex()
	if place := r.index.Place(); place == 0 {
		t.Fatal("Place: got 0: the damage was seen at once, and the test shows nothing")
	}
	var behind *eventlog.BehindError
	if _, err := r.index.Search(t.Context(), &eventlog.Query{Limit: 100}); !errors.As(err, &behind) {
		t.Errorf("Search: got %v, want a BehindError", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.index.Run(ctx) }()
	for end := time.Now().Add(time.Minute); ; {
		page, err := r.index.Search(t.Context(), &eventlog.Query{Types: []string{"t7"}, Limit: 1})
		if err == nil && len(page.Hits) == 1 {
			break
		}
		if err != nil && !errors.As(err, &behind) || time.Now().After(end) {
			t.Fatalf("Search: got %+v (%v), want the event", page, err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
}

// An index that could not be built anew, as on a full disk, is built as soon as
// it can be.
func TestRebuildFails(t *testing.T) {
	r := newRig(t, t.TempDir())
	done, err := r.log.Append(t.Context(), eventlog.Event{Source: "hr", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- r.index.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: got %v, want no error", err)
		}
	}()
	if err := r.index.Wait(ctx, done[0].Seq); err != nil {
		t.Fatal(err)
	}
	// What stands in the way: a folder that is not empty.
	obstacle := r.path() + "-shm"
	_ = os.Remove(obstacle)
	if err := os.MkdirAll(filepath.Join(obstacle, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.index.Rebuild(ctx); err == nil {
		t.Fatal("got no error of the rebuilding")
	}
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; {
		page, err := r.index.Search(ctx, &eventlog.Query{Limit: 1})
		if err == nil && len(page.Hits) == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Search: got %+v (%v), want the event", page, err)
		}
	}
}

// The key of cursors is the file's and stays, or is that of all nodes.
func TestCursorKey(t *testing.T) {
	one, other := newRig(t, t.TempDir()), newRig(t, t.TempDir())
	key := func(r *rig, given [sqliteindex.KeySize]byte) [sqliteindex.KeySize]byte {
		t.Helper()
		x, err := sqliteindex.Open(t.Context(), sqliteindex.Config{Path: filepath.Join(r.dir, "other.db"), Log: r.log, CursorKey: given})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		return x.CursorKey()
	}
	none, shared := [sqliteindex.KeySize]byte{}, [sqliteindex.KeySize]byte{1}
	first := key(one, none)
	if first == none || key(one, none) != first || key(other, none) == first {
		t.Error("got a key that another file has, or that changes, want one of the file")
	}
	if key(one, shared) != shared || key(other, shared) != shared {
		t.Error("got another key than the one given")
	}
	if key(one, none) != first {
		t.Error("got another key of the file afterwards, want the one before")
	}
}
