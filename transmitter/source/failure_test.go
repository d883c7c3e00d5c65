package source_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/source/sourcetest"
)

// Failures are seen, waited out and forgotten; Retry-After is kept to.
func TestPollFailures(t *testing.T) {
	const tooMany = `{"error":{"code":"too_many_requests","message":"too many requests"}}`
	each(t, 120, func(t *testing.T, w *world, v vendor, kind string) {
		v.Fail(
			sourcetest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "600", Body: tooMany},
			sourcetest.Fault{Status: http.StatusInternalServerError},
			sourcetest.Fault{},
			sourcetest.Fault{Status: http.StatusBadGateway},
		)
		began := time.Now()
		stop := w.start(t, v)
		defer stop()
		pass(590 * time.Second)
		if kept, _ := w.count(); kept != 0 {
			t.Errorf("got %d records within Retry-After, want none", kept)
		}
		if place := w.place(); place.Failures != 1 || !strings.Contains(place.Error, "429") || !place.Failed.Equal(began) {
			t.Errorf("got place %+v, want the failure in it", place)
		}
		pass(60 * time.Second)
		if kept, again := w.count(); kept != 120 || again != 0 {
			t.Errorf("got %d records and %d twice, want 120 and none", kept, again)
		}
		if place := w.place(); place.Failures != 0 || place.Error != "" {
			t.Errorf("got place %+v, want the failures forgotten", place)
		}
		if !strings.Contains(w.logs.String(), "polling a source failed") || strings.Contains(w.logs.String(), "secret") {
			t.Errorf("got logs %q, want the failure without the secret", w.logs)
		}
		// What somebody has to do something about is not tried over and over.
		calls := len(w.outcome)
		v.Fail(sourcetest.Fault{Status: 403}, sourcetest.Fault{Status: 403}, sourcetest.Fault{Status: 403}, sourcetest.Fault{Status: 403})
		pass(31 * time.Minute)
		if got := len(w.outcome) - calls; got > 5 {
			t.Errorf("got %d calls in half an hour of 403, want a few", got)
		}
	})
}

// The log cannot take more: the page is offered again, and the place stays.
func TestPollLogFails(t *testing.T) {
	each(t, 60, func(t *testing.T, w *world, v vendor, kind string) {
		w.log.err = errDown
		stop := w.start(t, v)
		defer stop()
		pass(10 * every)
		if place := w.place(); place.Cursor != "" || place.Failures < 2 || place.Error != "down" || !place.Since.Equal(w.sources[0].API.Since) {
			t.Errorf("got place %+v, want it at the beginning, with the failures", place)
		}
		w.log.mu.Lock()
		w.log.err = nil
		w.log.mu.Unlock()
		pass(20 * every)
		if kept, again := w.count(); kept != 60 || again != 0 {
			t.Errorf("got %d records and %d twice, want 60 and none", kept, again)
		}
	})
}

// A cursor that the vendor does not know any more costs a page or more again,
// never a record; a restart in between goes on where it was.
func TestPollCursorRefused(t *testing.T) {
	each(t, 230, func(t *testing.T, w *world, v vendor, kind string) {
		w.sources[0].Place.Cursor = "long gone"
		stop := w.start(t, v)
		defer stop()
		pass(every)
		if kept, _ := w.count(); kept != 230 {
			t.Errorf("got %d records, want 230", kept)
		}
		if place := w.place(); place.Restarts != 0 || place.Failures != 0 {
			t.Errorf("got place %+v, want it all right at the window's end", place)
		}
	})
}

// A vendor whose cursor never gets further is not asked without end.
func TestPollCursorThatStays(t *testing.T) {
	for name, pages := range map[string]func(n int) string{
		"the same": func(int) string { return `{"events":[],"pagination_key":"k"}` },
		"empty":    func(n int) string { return fmt.Sprintf(`{"events":[],"pagination_key":"k%d"}`, n) },
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			handler := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				calls++
				_, _ = rw.Write([]byte(pages(calls)))
			})
			w := newWorld(polled(auth.KindFingerprint, time.Now()))
			stop := w.start(t, handler)
			defer stop()
			pass(time.Hour)
			if calls == 0 || calls > 5000 {
				t.Errorf("%s: got %d calls in an hour, want at most 5000", name, calls)
			}
		})
	}
}

// An answer that is too large is asked for in smaller pages.
func TestPollTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 60
		first := time.Now().Add(-time.Hour)
		large := `,"raw_device_attributes":"` + strings.Repeat("x", 150<<10) + `"`
		var limits []int
		handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
			from, _ := strconv.Atoi(r.URL.Query().Get("pagination_key"))
			limits = append(limits, limit)
			_, _ = rw.Write([]byte(`{"events":[`))
			for i := from; i < min(from+limit, n); i++ {
				if i > from {
					_, _ = rw.Write([]byte(","))
				}
				_, _ = rw.Write([]byte(sourcetest.FingerprintEvent(int64(i), first.Add(time.Duration(i+1)*time.Second), large).JSON))
			}
			if from+limit < n {
				_, _ = fmt.Fprintf(rw, `],"pagination_key":"%d"}`, from+limit)
				return
			}
			_, _ = rw.Write([]byte("]}"))
		})
		w := newWorld(polled(auth.KindFingerprint, first))
		stop := w.start(t, handler)
		defer stop()
		pass(every / 2)
		if kept, _ := w.count(); kept != n || !slices.Equal(limits, []int{100, 50, 100}) {
			t.Errorf("got %d records by pages of %v, want %d by half of 100", kept, limits, n)
		}
	})
}
