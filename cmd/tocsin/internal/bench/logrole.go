package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqliteindex"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// openCall opens the log of a data folder, which is made.
type openCall struct {
	Dir   string `json:"dir"`
	Index bool   `json:"index,omitempty"` // with its search index, which follows
}

// appendCall appends records one by one, by writers at once, to a file and
// then to the log. The answer is a Round of records a second.
type appendCall struct {
	Writers int `json:"writers"`
	Records int `json:"records"`
}

// store is a log, as a server has it, with nothing around it.
type store struct {
	dir     string
	log     *sqlitelog.Log
	index   *sqliteindex.Index // nil: not opened
	plain   *sqlitedb.DB       // the log's file, for look-ups; nil: not opened
	made    int                // events so far
	closers []func() error
}

func (s *store) role() role {
	return role{
		"open":    with(func(ctx context.Context, c openCall) (any, error) { return nil, s.open(ctx, c) }),
		"append":  with(func(ctx context.Context, c appendCall) (any, error) { return s.append(ctx, c) }),
		"fill":    with(func(ctx context.Context, c fillCall) (any, error) { return nil, s.fill(ctx, c) }),
		"wait":    with(func(ctx context.Context, _ any) (any, error) { return nil, s.wait(ctx) }),
		"search":  with(func(ctx context.Context, c searchCall) (any, error) { return s.search(ctx, c) }),
		"lag":     with(func(ctx context.Context, c lagCall) (any, error) { return s.lag(ctx, c) }),
		"missing": with(func(ctx context.Context, _ any) (any, error) { return s.missing(ctx) }),
	}
}

// with is an operation whose argument is decoded.
func with[A any](op func(context.Context, A) (any, error)) func(context.Context, json.RawMessage) (any, error) {
	return func(ctx context.Context, arg json.RawMessage) (any, error) {
		var a A
		if err := json.Unmarshal(arg, &a); err != nil {
			return nil, err
		}
		return op(ctx, a)
	}
}

func (s *store) path() string { return filepath.Join(s.dir, "log.db") }

func (s *store) open(ctx context.Context, c openCall) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	lock, err := sqlitedb.LockFolder(c.Dir)
	if err != nil {
		return err
	}
	s.dir, s.closers = c.Dir, append(s.closers, lock.Unlock)
	if s.log, err = sqlitelog.Open(ctx, sqlitelog.Config{Path: s.path()}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.log.Close)
	if !c.Index {
		return nil
	}
	s.index, err = sqliteindex.Open(ctx, sqliteindex.Config{Path: filepath.Join(c.Dir, "index.db"), Log: s.log})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.index.Run(ctx) }()
	s.closers = append(s.closers, s.index.Close, func() error { cancel(); return <-ended })
	return nil
}

func (s *store) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// append appends the same records to a file and to the log. They are made
// before the clocks start; their canonical bytes are computed by the log.
func (s *store) append(ctx context.Context, c appendCall) (Round, error) {
	from := newSynthetic(c.Records, time.Now())
	events, rows := make([]eventlog.Event, c.Records), make([][]byte, c.Records)
	for i := range events {
		s.made++
		events[i] = from.event("append-", s.made)
		var err error
		if rows[i], err = row(&events[i]); err != nil {
			return Round{}, err
		}
	}
	raw, err := newRawLog(filepath.Join(s.dir, "raw"))
	if err != nil {
		return Round{}, err
	}
	floor, err := rate(c, func(i int) error { return raw.append(rows[i]) })
	if err = errors.Join(err, raw.close()); err != nil {
		return Round{}, fmt.Errorf("appending to a file: %w", err)
	}
	value, err := rate(c, func(i int) error {
		done, err := s.log.Append(ctx, events[i])
		if err == nil && (done[0].Duplicate || done[0].Err != nil) {
			err = fmt.Errorf("the log has the event already: %w", done[0].Err)
		}
		return err
	})
	return Round{Value: value, Floor: floor}, err
}

// row is what is stored of an event: its canonical bytes, salt and leaf.
func row(e *eventlog.Event) ([]byte, error) {
	d, err := eventlog.NewDraft(e)
	if err != nil {
		return nil, err
	}
	r := d.Record(1, "", time.Now())
	b := append(make([]byte, 0, len(r.Canonical)+len(r.Salt)+len(r.Leaf)), r.Canonical...)
	return append(append(b, r.Salt[:]...), r.Leaf[:]...), nil
}

// rate has writers make the calls of 0 to c.Records-1, and returns how many
// were done in a second.
func rate(c appendCall, one func(i int) error) (float64, error) {
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		failed atomic.Pointer[error]
	)
	runtime.GC() // of what was made before
	start := time.Now()
	for range c.Writers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(c.Records) && failed.Load() == nil; i = next.Add(1) - 1 {
				if err := one(int(i)); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	if p := failed.Load(); p != nil {
		return 0, *p
	}
	return float64(c.Records) / took.Seconds(), nil
}
