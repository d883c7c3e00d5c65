package source_test

import (
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/source"
	"github.com/tocsin-ssf/tocsin/transmitter/source/sourcetest"
)

// vendor is a server with events.
type vendor interface {
	http.Handler
	Fail(faults ...sourcetest.Fault)
	Add(events ...sourcetest.Event)
}

// eventOf makes an event of a kind's vendor.
func eventOf(kind string, id int64, at time.Time) sourcetest.Event {
	if kind == auth.KindFingerprint {
		return sourcetest.FingerprintEvent(id, at, "")
	}
	return sourcetest.OneLoginEvent(id, 8, at)
}

// each runs a test with each vendor that is polled, in virtual time. It has n
// events, a second apart, the last of them an hour ago.
func each(t *testing.T, n int, test func(t *testing.T, w *world, v vendor, kind string)) {
	for _, kind := range []string{auth.KindOneLogin, auth.KindFingerprint} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var v vendor = sourcetest.NewOneLogin("secret")
				if kind == auth.KindFingerprint {
					v = sourcetest.NewFingerprint("secret", time.Now)
				}
				first := time.Now().Add(-time.Hour - time.Duration(n)*time.Second)
				for i := range n {
					v.Add(eventOf(kind, int64(i), first.Add(time.Duration(i+1)*time.Second)))
				}
				test(t, newWorld(polled(kind, first)), v, kind)
			})
		})
	}
}

// All that there is comes once, then what is new; a quiet vendor costs nothing.
func TestPoll(t *testing.T) {
	each(t, 1234, func(t *testing.T, w *world, v vendor, kind string) {
		stop := w.start(t, v)
		defer stop()
		pass(2 * every)
		if kept, again := w.count(); kept != 1234 || again != 0 {
			t.Fatalf("got %d records and %d twice, want 1234 and none", kept, again)
		}
		place := w.place()
		if place.Cursor != "" || place.Success.IsZero() || place.Failures != 0 || time.Since(place.Since) < time.Hour+overlap {
			t.Errorf("got place %+v, want one at the overlap before the last record", place)
		}
		offers := w.offers
		pass(10 * every)
		if w.offers != offers {
			t.Errorf("got %d offers while nothing happened, want %d", w.offers, offers)
		}
		v.Add(eventOf(kind, 5000, time.Now()))
		pass(2 * every)
		if kept, again := w.count(); kept != 1235 || again != 0 {
			t.Errorf("got %d records and %d twice, want 1235 and none", kept, again)
		}
	})
}

// A record that the vendor lists late, behind newer ones, is not missed.
func TestPollLateArrival(t *testing.T) {
	each(t, 10, func(t *testing.T, w *world, v vendor, kind string) {
		stop := w.start(t, v)
		defer stop()
		v.Add(eventOf(kind, 100, time.Now()))
		pass(2 * every)
		v.Add(eventOf(kind, 99, time.Now().Add(-2*every-overlap/2)))
		pass(2 * every)
		if kept, _ := w.count(); kept != 12 {
			t.Errorf("got %d records, want 12, the late one too", kept)
		}
	})
}

// The log forgets source ids in the end; a source that was quiet, or off, for long
// reads nothing again that it might have forgotten, and misses nothing.
func TestPollAfterLong(t *testing.T) {
	const long = 40 * 24 * time.Hour
	each(t, 10, func(t *testing.T, w *world, v vendor, kind string) {
		w.sources[0].API.Every = time.Hour
		stop := w.start(t, v)
		pass(long) // quiet
		stop()
		stop = w.start(t, v) // what was in memory is not any more
		pass(every)
		if kept, again := w.count(); kept != 10 || again != 0 {
			t.Errorf("quiet: got %d records and %d twice, want 10 and none", kept, again)
		}
		v.Add(eventOf(kind, 100, time.Now()))
		pass(2 * time.Hour)
		stop()
		pass(long) // off
		v.Add(eventOf(kind, 101, time.Now().Add(-time.Minute)), eventOf(kind, 102, time.Now().Add(-long/2)))
		stop = w.start(t, v)
		pass(every)
		stop()
		if kept, again := w.count(); kept != 13 || again != 0 {
			t.Errorf("off: got %d records and %d twice, want 13 and none", kept, again)
		}
		v.Add(eventOf(kind, 103, time.Now().Add(-every-time.Minute-overlap/2)))
		stop = w.start(t, v) // off for a moment: the overlap is read again
		defer stop()
		pass(every)
		if kept, _ := w.count(); kept != 14 {
			t.Errorf("late: got %d records, want 14", kept)
		}
	})
}

// Wherever it is killed, nothing is lost, and what comes again is one page.
func TestPollRestart(t *testing.T) {
	const n = 430
	for point, twice := range map[string]int{source.CrashAfterAccept: 1, source.CrashAfterPlace: 0} {
		each(t, n, func(t *testing.T, w *world, v vendor, kind string) {
			limit := 50
			if kind == auth.KindFingerprint {
				limit = 100
			}
			lives := 0
			for kept := 0; kept < n; lives++ {
				reached, dead := 0, make(chan struct{})
				w.crash = func(at string) {
					if at != point {
						return
					}
					if reached++; reached == 2 { // in the second page
						close(dead)
						runtime.Goexit() // the poller does nothing more
					}
				}
				stop := w.start(t, v)
				select {
				case <-dead:
				case <-time.After(every / 2): // all pages were read
				}
				stop()
				had := kept
				kept, _ = w.count()
				if lives > 20 || kept-had > 2*limit {
					t.Fatalf("%s, life %d: got %d records after %d, want two pages at most", point, lives, kept, had)
				}
			}
			if _, again := w.count(); lives < 3 || again != (lives-1)*twice*limit {
				t.Errorf("%s: got %d records twice in %d lives, want %d", point, again, lives, (lives-1)*twice*limit)
			}
		})
	}
}

// Records that are in two pages, or change between polls, are kept once.
func TestPollDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(-time.Minute)
		one, two, three := sourcetest.FingerprintEvent(1, at, "").JSON, sourcetest.FingerprintEvent(2, at, "").JSON, sourcetest.FingerprintEvent(3, at, "").JSON
		marked := sourcetest.FingerprintEvent(3, at, `,"suspect":true`).JSON
		handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Query().Get("pagination_key") == "k":
				_, _ = fmt.Fprintf(rw, `{"events":[%s,%s]}`, two, three)
			case len(marked) > 0 && time.Since(at) > 3*time.Minute:
				_, _ = fmt.Fprintf(rw, `{"events":[%s,%s]}`, two, marked)
			default:
				_, _ = fmt.Fprintf(rw, `{"events":[%s,%s],"pagination_key":"k"}`, one, two)
			}
		})
		w := newWorld(polled(auth.KindFingerprint, at.Add(-time.Hour)))
		stop := w.start(t, handler)
		defer stop()
		pass(10 * every)
		if kept, again := w.count(); kept != 3 || again != 1 {
			t.Errorf("got %d records and %d twice, want 3, and the changed one offered once more", kept, again)
		}
	})
}

// A record with a time to come does not skip what is before it. (Fingerprint
// lists none: its end is now.)
func TestPollFutureRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := sourcetest.NewOneLogin("secret")
		v.Add(sourcetest.OneLoginEvent(100, 8, time.Now().Add(24*time.Hour)))
		w := newWorld(polled(auth.KindOneLogin, time.Now()))
		stop := w.start(t, v)
		defer stop()
		pass(2 * every)
		v.Add(sourcetest.OneLoginEvent(101, 8, time.Now()))
		pass(2 * every)
		if kept, _ := w.count(); kept != 2 {
			t.Errorf("got %d records, want 2", kept)
		}
	})
}

// Sources that are added and removed begin and end at once.
func TestPollChanges(t *testing.T) {
	each(t, 10, func(t *testing.T, w *world, v vendor, kind string) {
		one := w.sources[0]
		w.change()
		stop := w.start(t, v)
		defer stop()
		pass(2 * every)
		if kept, _ := w.count(); kept != 0 {
			t.Errorf("no source: got %d records, want none", kept)
		}
		lookup := polled(kind, one.API.Since)
		lookup.API.Every, lookup.Registration = 0, "r0" // only looked up
		w.change(lookup)
		synctest.Wait()
		if kept, _ := w.count(); kept != 0 {
			t.Errorf("not to be polled: got %d records, want none", kept)
		}
		w.change(lookup, one)
		synctest.Wait()
		if kept, _ := w.count(); kept != 10 {
			t.Errorf("added: got %d records at once, want 10", kept)
		}
		w.change()
		synctest.Wait()
		v.Add(eventOf(kind, 100, time.Now()))
		pass(2 * every)
		if kept, _ := w.count(); kept != 10 {
			t.Errorf("removed: got %d records, want 10", kept)
		}
		if w.logs.Len() != 0 {
			t.Errorf("got logs %q, want none", w.logs)
		}
	})
}

func TestPollersConfig(t *testing.T) {
	if _, err := source.NewPollers(source.Config{}); err == nil {
		t.Error("got no error, want one that names what is missing")
	}
}
