package logtest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/logtest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// recorder is a testing.TB that notes failures instead of failing.
type recorder struct {
	testing.TB // for Context, TempDir and Cleanup
	failed     atomic.Bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Logf(string, ...any)   {}
func (r *recorder) Errorf(string, ...any) { r.failed.Store(true) }
func (r *recorder) Fatalf(string, ...any) { r.failed.Store(true); runtime.Goexit() }

// red runs a case against a store and reports whether it failed.
func red(t *testing.T, c logtest.Case, make logtest.Factory) bool {
	r := &recorder{TB: t}
	var wg sync.WaitGroup
	wg.Go(func() { c.Run(r, make(r)) })
	wg.Wait()
	return r.failed.Load()
}

// broken is a log with a fault: each field, if set, replaces a method's way.
type broken struct {
	eventlog.Log
	append func(l eventlog.Log, ctx context.Context, e []eventlog.Event) ([]eventlog.Appended, error)
	change func(r *eventlog.Record)
	hidden uint64 // latest records that are not shown
	wait   func(ctx context.Context, after uint64) error
}

func (b *broken) Append(ctx context.Context, e ...eventlog.Event) ([]eventlog.Appended, error) {
	if b.append != nil {
		return b.append(b.Log, ctx, e)
	}
	return b.Log.Append(ctx, e...)
}

func (b *broken) Head(ctx context.Context) (uint64, error) {
	n, err := b.Log.Head(ctx)
	return n - min(n, b.hidden), err
}

func (b *broken) Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error) {
	records, err := b.Log.Read(ctx, after, max)
	head, _ := b.Head(ctx)
	var out []*eventlog.Record
	for _, r := range records {
		if r.Seq > head {
			break
		}
		if b.change != nil {
			c := *r
			b.change(&c)
			r = &c
		}
		out = append(out, r)
	}
	return out, err
}

func (b *broken) Wait(ctx context.Context, after uint64) error {
	if b.wait != nil {
		return b.wait(ctx, after)
	}
	return b.Log.Wait(ctx, after)
}

// faulty makes stores whose logs have the fault; lost is how many of the
// latest records a kill takes.
func faulty(fault broken, lost uint64) logtest.Factory {
	return func(tb testing.TB) *logtest.Store {
		var offset atomic.Int64
		dir, n := tb.TempDir(), 0
		now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		path := func() string { return filepath.Join(dir, strconv.Itoa(n)) }
		var log *sqlitelog.Log
		open := func(hidden uint64) eventlog.Log {
			l, err := sqlitelog.Open(context.Background(), sqlitelog.Config{Path: path(), Now: now})
			if err != nil {
				tb.Fatalf("Open: %v", err)
			}
			tb.Cleanup(func() { _ = l.Close() })
			log = l
			b := fault
			b.Log, b.hidden = l, hidden
			return &b
		}
		return &logtest.Store{
			Log:    open(0),
			Reopen: func() eventlog.Log { _ = log.Close(); return open(0) },
			Kill: func() eventlog.Log {
				from := path()
				n++
				for _, suffix := range []string{"", "-wal"} {
					b, _ := os.ReadFile(from + suffix)
					_ = os.WriteFile(path()+suffix, b, 0o600)
				}
				return open(lost)
			},
			Advance:   func(d time.Duration) { offset.Add(int64(d)) },
			KeyMemory: sqlitelog.DefaultKeyMemory,
		}
	}
}

// The suite is green for a log without a fault, through the same wrapping.
func TestSoundLogIsGreen(t *testing.T) {
	for _, c := range logtest.Cases() {
		if red(t, c, faulty(broken{}, 0)) {
			t.Errorf("%s: got red, want green", c.Name)
		}
	}
}

// Each broken log turns the case red that is about its fault.
func TestBrokenLogsAreRed(t *testing.T) {
	forget := func(l eventlog.Log, ctx context.Context, e []eventlog.Event) ([]eventlog.Appended, error) {
		e = slices.Clone(e)
		for i := range e {
			e[i].SourceID += fmt.Sprint("#", time.Now().UnixNano(), i)
		}
		return l.Append(ctx, e...)
	}
	reorder := func(l eventlog.Log, ctx context.Context, e []eventlog.Event) ([]eventlog.Appended, error) {
		e = slices.Clone(e)
		slices.Reverse(e)
		return l.Append(ctx, e...)
	}
	oneByOne := func(l eventlog.Log, ctx context.Context, e []eventlog.Event) (out []eventlog.Appended, err error) {
		for _, one := range e {
			a, err := l.Append(ctx, one)
			if err != nil {
				return nil, err
			}
			out = append(out, a...)
		}
		return out, nil
	}
	ignoreConflict := func(l eventlog.Log, ctx context.Context, e []eventlog.Event) ([]eventlog.Appended, error) {
		a, err := l.Append(ctx, e...)
		for i := range a {
			a[i].Duplicate, a[i].Err = a[i].Duplicate || a[i].Err != nil, nil
		}
		return a, err
	}
	ignoreContext := func(l eventlog.Log, ctx context.Context, e []eventlog.Event) ([]eventlog.Appended, error) {
		return l.Append(context.WithoutCancel(ctx), e...)
	}
	plainIDs := func(l eventlog.Log, ctx context.Context, e []eventlog.Event) ([]eventlog.Appended, error) {
		a, err := l.Append(ctx, e...)
		for i := range a {
			a[i].ID = fmt.Sprintf("%020d", a[i].Seq)
		}
		return a, err
	}
	tests := []struct {
		name  string
		fault broken
		lost  uint64
		want  []string
	}{
		{"forgets keys", broken{append: forget}, 0, []string{"keys/duplicate", "keys/duplicate-in-call", "keys/duplicate-after", "keys/duplicate-race", "keys/conflict", "keys/mapping"}},
		{"reorders", broken{append: reorder}, 0, []string{"append/order"}},
		{"appends one by one", broken{append: oneByOne}, 0, []string{"append/all-or-none"}},
		{"loses the last commit", broken{}, 1, []string{"append/durable", "record/round-trip"}},
		{"takes conflicts for duplicates", broken{append: ignoreConflict}, 0, []string{"keys/conflict"}},
		{"ignores contexts", broken{append: ignoreContext}, 0, []string{"append/context"}},
		{"counts in its ids", broken{append: plainIDs}, 0, []string{"read/id-opaque", "read/get"}},
		{"drops the original", broken{change: func(r *eventlog.Record) { r.Original = nil }}, 0, []string{"record/round-trip"}},
		{"makes empty lists nil", broken{change: func(r *eventlog.Record) {
			if len(r.Applications) == 0 {
				r.Applications = nil
			}
		}}, 0, []string{"record/round-trip"}},
		{"alters canonical bytes", broken{change: func(r *eventlog.Record) { r.Canonical = append(slices.Clone(r.Canonical), ' ') }}, 0, []string{"record/leaf"}},
		{"uses one salt", broken{change: func(r *eventlog.Record) { r.Salt = [eventlog.SaltSize]byte{1} }}, 0, []string{"record/salt", "record/leaf"}},
		{"salts anew at each reading", broken{change: func(r *eventlog.Record) {
			r.Salt[0] = byte(time.Now().UnixNano())
			r.Salt[1] = byte(time.Now().UnixNano() >> 8)
		}}, 0, []string{"record/identical", "record/jti"}},
		{"shifts time", broken{change: func(r *eventlog.Record) { r.Recorded = r.Recorded.Add(time.Microsecond) }}, 0, []string{"record/recorded"}},
		{"waits for nothing", broken{wait: func(context.Context, uint64) error { return nil }}, 0, []string{"wait/context"}},
		{"refuses to wait", broken{wait: func(context.Context, uint64) error { return context.Canceled }}, 0, []string{"wait/there", "wait/context"}},
	}
	cases := make(map[string]logtest.Case)
	for _, c := range logtest.Cases() {
		cases[c.Name] = c
	}
	for _, tt := range tests {
		for _, name := range tt.want {
			c, ok := cases[name]
			if !ok {
				t.Errorf("%s: no case %s", tt.name, name)
				continue
			}
			if !red(t, c, faulty(tt.fault, tt.lost)) {
				t.Errorf("a log that %s: got green, want red in %s", tt.name, name)
			}
		}
	}
}
