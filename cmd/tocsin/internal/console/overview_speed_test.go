package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// The overview is fast however much there is: its first byte comes within ten times what
// its largest query takes. With TOCSIN_TEST_LONG it is seen with 10,000 streams and
// 1,000,000 events.
func TestOverviewIsFast(t *testing.T) {
	many, events := 1_000, 5_000
	if os.Getenv("TOCSIN_TEST_LONG") != "" {
		many, events = 10_000, 1_000_000
	}
	h := open(t, func(cfg *node.Config) {
		cfg.Transmitter.MaxStreams, cfg.Transmitter.DefaultSubjects = many, streams.SubjectsNone
	})
	token := h.token("shop", "ssf.manage ssf.read events.write")
	var all sync.WaitGroup
	work := make(chan int)
	for range 32 {
		all.Go(func() {
			for range work {
				h.public("POST", "/ssf/streams", token, `{"delivery":{"method":"`+delivery.MethodPoll+`"},"events_requested":["`+caep.SessionRevokedType+`"]}`)
			}
		})
	}
	for i := range many {
		work <- i
	}
	close(work)
	all.Wait()
	var look struct {
		Streams int
		Worst   []struct {
			ID string `json:"stream_id"`
		}
	}
	h.operate(http.MethodGet, "/admin/overview?worst=200", nil, &look)
	if look.Streams != many {
		t.Fatalf("got %d streams, want %d", look.Streams, many)
	}
	for _, s := range look.Worst { // these have something that waits
		h.public("POST", "/ssf/subjects/add", token, `{"stream_id":"`+s.ID+`","subject":{"format":"email","email":"u0@example.com"}}`)
	}
	for from := 0; from < events; from += 1_000 {
		var batch strings.Builder
		for i := from; i < from+1_000; i++ {
			fmt.Fprintf(&batch, `{"type":"%s","subject":{"format":"email","email":"u%d@example.com"}}`, caep.SessionRevokedType, i%50_000)
			batch.WriteByte(",\n"[min(1, (i+1)/(from+1_000))])
		}
		h.public("POST", "/v1/events", token, "["+strings.TrimSuffix(batch.String(), "\n")+"]")
	}
	sample := quickest(func() time.Duration {
		began := time.Now()
		h.figures.Sample()
		return time.Since(began)
	})
	if sample > 100*time.Millisecond {
		t.Errorf("got %v a sample, want at most a hundredth of the time between two", sample)
	}
	largest, query := time.Duration(0), ""
	for _, path := range []string{"/admin/overview", "/admin/figures?range=1h"} {
		if took := quickest(func() time.Duration {
			began := time.Now()
			h.operate(http.MethodGet, path, nil, nil)
			return time.Since(began)
		}); took > largest {
			largest, query = took, path
		}
	}
	v := h.signedIn()
	page := quickest(func() time.Duration { return v.firstByte("/console/") })
	t.Logf("%d streams, %d events: the first byte after %v, the largest query (%s) in %v, a sample of the figures in %v", many, events, page, query, largest, sample)
	if limit := 10 * max(largest, 2*time.Millisecond); page > limit {
		t.Errorf("got the first byte after %v, want it within %v: ten times %s, %v", page, limit, query, largest)
	}
}

// quickest is the least of several times: others use the machine, too.
func quickest(run func() time.Duration) time.Duration {
	least := run()
	for range 6 {
		least = min(least, run())
	}
	return least
}

// firstByte is how long a page takes to begin.
func (v *visitor) firstByte(path string) time.Duration {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.url+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	var at time.Time
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { at = time.Now() }}
	began := time.Now()
	resp, err := v.client.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		v.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		v.t.Fatalf("%s: got %d %v", path, resp.StatusCode, err)
	}
	return at.Sub(began)
}
