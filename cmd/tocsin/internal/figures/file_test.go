package figures_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
)

// filled runs a keeper for a while and returns its file.
func filled(t *testing.T, w *world) []byte {
	t.Helper()
	run(t, w.keeper(), func() {
		for i := range 24 {
			w.events.WithLabelValues("accepted").Add(float64(i))
			w.took.WithLabelValues("push").Observe(float64(i) / 100)
			w.depth.Set(float64(i))
			<-time.After(10 * time.Second)
		}
	})
	raw, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A file that is torn, of something else or of another version is put aside, and the
// keeper works on.
func TestFileThatCannotBeRead(t *testing.T) {
	for name, spoil := range map[string]func(raw []byte) []byte{
		"empty":              func([]byte) []byte { return nil },
		"torn":               func(raw []byte) []byte { return raw[:len(raw)/2] },
		"a bit is wrong":     func(raw []byte) []byte { raw[len(raw)/2] ^= 4; return raw },
		"something else":     func([]byte) []byte { return []byte("SQLite format 3\x00 and so on, and so on") },
		"a later version":    func(raw []byte) []byte { raw[len("tocsin figures\n")] = 9; return raw },
		"far too long":       func([]byte) []byte { return make([]byte, 9<<20) },
		"more behind itself": func(raw []byte) []byte { return append(raw, raw...) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				spoiled := spoil(filled(t, w))
				if err := os.WriteFile(w.path, spoiled, 0o600); err != nil {
					t.Fatal(err)
				}
				w.begin()
				k := w.keeper()
				if got := known(read(t, k, "1h").Rate("events")); len(got) > 0 {
					t.Errorf("got %v of a file that is wrong, want nothing", got)
				}
				if aside, err := os.ReadFile(w.path + ".aside"); err != nil || !slices.Equal(aside, spoiled) {
					t.Errorf("got %d bytes (%v) put aside, want the file", len(aside), err)
				}
				if !strings.Contains(w.said.String(), "put aside") || strings.Count(w.said.String(), "\n") != 1 {
					t.Errorf("got %q, want it told once", w.said.String())
				}
				run(t, k, func() { w.events.WithLabelValues("accepted").Add(5); <-time.After(time.Minute) })
				near(t, "events kept after it", read(t, w.keeper(), "1h").Total("events"), 5)
			})
		})
	}
}

// The file is written each minute, whole, for its owner alone, with nothing beside it.
func TestFileIsWrittenEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		run(t, w.keeper(), func() {
			w.events.WithLabelValues("accepted").Add(90)
			<-time.After(65 * time.Second)
			synctest.Wait()
			// What a kill would leave:
			near(t, "events", read(t, w.keeper(), "15m").Total("events"), 90)
			info, err := os.Stat(w.path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("got %v %v, want 0600", info.Mode(), err)
			}
		})
		if all, err := filepath.Glob(filepath.Join(filepath.Dir(w.path), "*")); err != nil || len(all) != 1 {
			t.Errorf("got %v (%v), want one file", all, err)
		}
	})
}

// A folder that cannot be written to is told of once, and figures stay in memory.
func TestFileThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.path = filepath.Join(t.TempDir(), "gone", "figures.bin")
		k := w.keeper()
		run(t, k, func() { w.events.WithLabelValues("accepted").Add(90); <-time.After(5 * time.Minute) })
		near(t, "events", read(t, k, "15m").Total("events"), 90)
		if got := strings.Count(w.said.String(), "cannot be written"); got != 1 {
			t.Errorf("got it told %d times, want once: %s", got, w.said.String())
		}
	})
}

// Figures that are new have no past, those that are gone are dropped, and those whose
// buckets are others begin anew; the rest stays.
func TestOtherFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		filled(t, w)
		other := list()
		other[1].Name, other[2].With = "another", nil
		w.begin()
		w.registry.Unregister(w.took)
		w.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "took_seconds", Buckets: []float64{1, 2}}, []string{"method"})
		w.registry.MustRegister(w.took)
		k := w.keeper(other...)
		run(t, k, func() { w.took.WithLabelValues("push").Observe(1.5); w.depth.Set(4); <-time.After(10 * time.Second) })
		r := read(t, k, "1h")
		near(t, "events", r.Total("events"), 23*24/2)
		near(t, "pushes by other buckets", r.Total("push"), 1)
		if got := known(r.Level("another")); !slices.Equal(got, []float64{4}) {
			t.Errorf("got %v, want the sample after it was new", got)
		}
	})
}

// A file that has all that it can have is small.
func TestFileIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var many []figures.Figure
		for i := range 20 {
			f := list()[i%4]
			f.Name += fmt.Sprint(i)
			many = append(many, f)
		}
		k := w.keeper(many...)
		for range 30 * 24 * 4 {
			w.events.WithLabelValues("accepted").Add(float64(rand.IntN(1000)))
			w.depth.Set(float64(rand.IntN(1000)))
			for range 20 {
				w.took.WithLabelValues("push").Observe(rand.ExpFloat64() / 10)
			}
			<-time.After(15 * time.Minute)
			k.Sample()
		}
		for range 24 * 60 * 6 {
			w.events.WithLabelValues("accepted").Add(float64(rand.IntN(1000)))
			<-time.After(10 * time.Second)
			k.Sample()
		}
		run(t, k, func() {})
		info, err := os.Stat(w.path)
		if err != nil || info.Size() > 1<<20 {
			t.Fatalf("got %d bytes (%v), want at most 1 MiB", info.Size(), err)
		}
		t.Logf("%d figures of a whole month: %d bytes", len(many), info.Size())
		before := read(t, k, "30d")
		after := read(t, w.keeper(many...), "30d")
		for i, v := range after.Quantile("push2", 0.99) {
			if want := before.Quantile("push2", 0.99)[i]; math.Float64bits(v) != math.Float64bits(want) {
				t.Fatalf("point %d: got %v, want %v", i, v, want)
			}
		}
	})
}

// Whatever a file holds, it is read or put aside, and what was read is read again.
func FuzzFile(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 6, 'e', 'v', 'e', 'n', 't', 's', 1, 0, 1, 10, 100, 1, 0, 0x3f, 0x80, 0, 0, 0x3f, 0x80, 0, 0})
	f.Add([]byte{1, 1, 'a', 3, 1, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 1, 10, 100, 1, 0, 0x3f, 0x80, 0, 0, 2, 1, 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, figures.Seal(body), 0o600); err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, path: path}
		w.begin()
		k := w.keeper()
		for _, r := range figures.Ranges() {
			one := k.Read(r)
			one.Rate("events")
			one.Quantile("push", 0.5)
		}
		k.Sample()
	})
}
