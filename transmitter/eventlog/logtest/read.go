package logtest

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func readCases() []Case {
	return []Case{
		{"read/window", "Read returns up to max records after the sequence number, in order; none if there are none yet", readWindow},
		{"read/get", "Get returns the record with the public id; Record the one at seq", readGet},
		{"read/malformed", "ErrMalformedID: the text is not the id of any event", readMalformed},
		{"read/id-opaque", "The public id of an event reveals neither its number nor its time", idOpaque},
		{"wait/there", "Wait returns at once if there is a record after the sequence number", waitThere},
		{"wait/wakes", "Wait waits until there is a record after the sequence number", waitWakes},
		{"wait/context", "Wait ends with ctx", waitContext},
	}
}

func readWindow(tb testing.TB, s *Store) {
	for i := range 20 {
		one(tb, s.Log, event(i))
	}
	check := func(what string) {
		for _, w := range []struct{ after, max, first, n int }{
			{0, 5, 1, 5}, {0, 20, 1, 20}, {0, 1000, 1, 20}, {7, 1, 8, 1}, {18, 5, 19, 2}, {19, 5, 20, 1}, {20, 5, 0, 0}, {500, 5, 0, 0},
		} {
			got, err := s.Log.Read(tb.Context(), uint64(w.after), w.max)
			if err != nil || len(got) != w.n {
				tb.Errorf("%s: Read(%d, %d): got %d records (%v), want %d", what, w.after, w.max, len(got), err, w.n)
				continue
			}
			for i, r := range got {
				if r.Seq != uint64(w.first+i) {
					tb.Errorf("%s: Read(%d, %d): got seq %d at %d, want %d", what, w.after, w.max, r.Seq, i, w.first+i)
				}
			}
		}
	}
	check("live")
	s.Log = s.Reopen()
	check("after a reopen")
	one(tb, s.Log, event(100))
	got, err := s.Log.Read(tb.Context(), 18, 5) // from both sides of the reopen
	if err != nil || len(got) == 0 || got[0].Seq != 19 {
		tb.Errorf("across a reopen: got %d records (%v), want the first to be 19", len(got), err)
	}
}

func readGet(tb testing.TB, s *Store) {
	var done []eventlog.Appended
	for i := range 5 {
		done = append(done, one(tb, s.Log, event(i)))
	}
	records := all(tb, s.Log)
	for range 2 {
		for i, a := range done {
			byID, err := s.Log.Get(tb.Context(), a.ID)
			if err != nil {
				tb.Fatalf("Get: got %v, want no error", err)
			}
			bySeq, err := s.Log.Record(tb.Context(), a.Seq)
			if err != nil {
				tb.Fatalf("Record: got %v, want no error", err)
			}
			same(tb, "Get and Record", []*eventlog.Record{records[i], records[i]}, []*eventlog.Record{byID, bySeq})
		}
		s.Log = s.Reopen()
	}
	for _, seq := range []uint64{0, 6, 1 << 40, 1<<64 - 1} {
		if _, err := s.Log.Record(tb.Context(), seq); !errors.Is(err, eventlog.ErrNotFound) {
			tb.Errorf("Record(%d): got %v, want ErrNotFound", seq, err)
		}
	}
}

func readMalformed(tb testing.TB, s *Store) {
	id := one(tb, s.Log, event(1)).ID
	flipped := []byte(id)
	if flipped[3]++; flipped[3] > 'z' {
		flipped[3] = 'A'
	}
	for _, text := range []string{
		"", "1", "0", "nonsense", string(flipped), id + "A", id[1:], id + "=", " " + id, id[:10] + "\n" + id[10:],
		strings.Repeat("A", 22), strings.Repeat("A", 1<<16), "../../etc/passwd", "%00", id[:21] + "!",
	} {
		if _, err := s.Log.Get(tb.Context(), text); !errors.Is(err, eventlog.ErrMalformedID) {
			tb.Errorf("Get(%.40q): got %v, want ErrMalformedID", text, err)
		}
	}
}

func idOpaque(tb testing.TB, s *Store) {
	const n = 12
	var ids []string
	for i := range n {
		a := one(tb, s.Log, event(i))
		ids = append(ids, a.ID)
		b, err := base64.RawURLEncoding.DecodeString(a.ID)
		if err != nil {
			b = []byte(a.ID)
		}
		if len(b) < 16 {
			tb.Errorf("id %q: got %d bytes, want at least 16", a.ID, len(b))
		}
		var be [4]byte
		binary.BigEndian.PutUint32(be[:], uint32(a.Seq))
		if strings.Contains(string(b), string(be[:])) || strings.HasPrefix(a.ID, fmt.Sprint(a.Seq)) && n > 9 && i == 10 {
			tb.Errorf("id %q reveals the number %d", a.ID, a.Seq)
		}
	}
	for i := 1; i < n; i++ {
		alike := 0
		for j := range min(len(ids[i]), len(ids[i-1])) {
			if ids[i][j] == ids[i-1][j] {
				alike++
			}
		}
		if alike > len(ids[i])/2 {
			tb.Errorf("neighbours' ids are alike: %q and %q", ids[i-1], ids[i])
		}
	}
	if slices.IsSorted(ids) {
		tb.Errorf("ids sort as their events: %q", ids)
	}
}

func waitThere(tb testing.TB, s *Store) {
	one(tb, s.Log, event(1))
	for range 2 {
		err := within(tb, "Wait", func(ctx context.Context) error { return s.Log.Wait(ctx, 0) })
		if err != nil {
			tb.Errorf("got %v, want no error", err)
		}
		s.Log = s.Reopen()
	}
}

func waitWakes(tb testing.TB, s *Store) {
	const waiters = 5
	woken := make(chan error, waiters)
	for i := range waiters {
		go func() {
			woken <- within(tb, "Wait", func(ctx context.Context) error {
				for after := uint64(0); after <= uint64(i); { // later waiters wait for more
					if err := s.Log.Wait(ctx, after); err != nil {
						return err
					}
					got, err := s.Log.Read(ctx, after, 1)
					if err != nil || len(got) != 1 {
						return fmt.Errorf("after Wait(%d): got %d records (%w), want 1", after, len(got), err)
					}
					after++
				}
				return nil
			})
		}()
	}
	for i := range waiters {
		one(tb, s.Log, event(i))
	}
	for range waiters {
		if err := <-woken; err != nil {
			tb.Errorf("waiter: got %v, want no error", err)
		}
	}
}

func waitContext(tb testing.TB, s *Store) {
	one(tb, s.Log, event(1))
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Log.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		tb.Errorf("got %v, want context.DeadlineExceeded", err)
	}
}
