//go:build linux

package servers_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/transmitter/source/sourcetest"
)

// A server that is killed (kill -9) between and within the pages of a vendor's
// API loses no record and makes no second event of one.
func TestPollerKilled(t *testing.T) {
	const n = 330
	s := newStation(t)
	vendor := sourcetest.NewOneLogin("of-the-vendor")
	first := time.Now().Add(-time.Hour)
	for i := range int64(n) {
		vendor.Add(sourcetest.OneLoginEvent(i+1, 7, first.Add(time.Duration(i+1)*time.Second)))
	}
	api := httptest.NewServer(vendor)
	defer api.Close()
	if _, err := s.server.Command(t.Context(), "source", "add", "--data", s.server.Dir, "--name", "hr", "--kind", "onelogin", "--auth", "off",
		"--api-url", api.URL, "--api-secret", "of-the-vendor", "--poll-every", "1s", "--poll-since", first.Format(time.RFC3339)); err != nil {
		t.Fatal(err)
	}
	for _, point := range []string{
		"source.after-accept:1", "source.after-accept:2", "source.after-place:1", "ingest.before-append:2",
		"ingest.after-append:2", "source.after-place:2", "source.after-accept:1",
	} {
		s.server.Kill()
		if err := s.server.Start("TOCSIN_CRASH_POINT=" + point); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.server.Done():
		case <-time.After(proctest.Patience):
			t.Fatalf("%s: the server still lives", point)
		}
	}
	if err := s.server.Start(); err != nil {
		t.Fatal(err)
	}
	delivered := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.got)
	}
	deadline := time.After(proctest.Patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for delivered() < n {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("got SETs of %d events, want %d", delivered(), n)
		}
	}
	out, err := s.server.Command(t.Context(), "source", "list", "--data", s.server.Dir, "--json")
	var list []struct {
		Polled struct {
			Failures int  `json:"failures"`
			Within   bool `json:"within"`
		} `json:"polled"`
	}
	if err != nil || json.Unmarshal(out, &list) != nil || len(list) != 1 || list[0].Polled.Failures != 0 {
		t.Errorf("got %s %v, want a source without failures", out, err)
	}
	calls := len(vendor.Calls())
	for len(vendor.Calls()) < calls+3 { // the overlap is read again
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("got no further poll")
		}
	}
	if got := delivered(); got != n {
		t.Errorf("got SETs of %d events, want %d: each record is one event", got, n)
	}
}
