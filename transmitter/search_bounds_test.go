package transmitter_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// A cursor leads through all pages while events arrive, for the same filters of
// the same caller, and is there only if there is more.
func TestSearchCursor(t *testing.T) {
	h := open(t)
	source, reader := h.client("hr", everyScope), h.client("shop", readerScope)
	var want []string
	for range 7 {
		want = append(want, h.record(source, `"session":"s1"`))
	}
	for _, reverse := range []string{"false", "true"} {
		order := slices.Clone(want)
		if reverse == "false" {
			slices.Reverse(order)
		}
		query := "session=s1&session=s2&limit=3&reverse=" + reverse
		page := h.search(reader, query+"&total_hits=5")
		if page.Total == nil || *page.Total != 5 {
			t.Errorf("total_hits: got %v, want 5", page.Total)
		}
		got := page.ids()
		for pages := 1; page.Cursor != ""; pages++ {
			if pages > 3 {
				t.Fatal("got a cursor after the last page")
			}
			late := h.record(source, `"session":"s1"`)
			page = h.search(reader, "limit=3&session=s2&session=s1&reverse="+reverse+"&cursor="+page.Cursor)
			got = append(got, page.ids()...)
			want = append(want, late)
		}
		if !slices.Equal(got, order) {
			t.Errorf("reverse=%s: got %q, want %q", reverse, got, order)
		}
	}
	page := h.search(reader, "session=s1&limit=2")
	for name, query := range map[string]string{
		"another filter":  "session=s2&limit=2",
		"one filter more": "session=s1&type=a",
		"another order":   "session=s1&reverse=true",
		"another start":   "session=s1&start=5",
		"none":            "limit=2",
	} {
		a := h.must(http.StatusBadRequest, "GET", "/v1/events?"+query+"&cursor="+page.Cursor, reader, "")
		if a.member("member") != "cursor" {
			t.Errorf("%s: got %s, want a refusal of the cursor", name, a.body)
		}
	}
	flipped := []byte(page.Cursor)
	flipped[30] ^= 1
	for name, call := range map[string][2]string{
		"changed":             {reader, string(flipped)},
		"another application": {h.client("bank", readerScope), page.Cursor},
	} {
		if a := h.do("GET", "/v1/events?session=s1&cursor="+call[1], call[0], ""); a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 400", name, a.status)
		}
	}
	if page = h.search(reader, "session=s1&limit=100&cursor="+page.Cursor+"&fields=id"); page.Cursor != "" {
		t.Errorf("the last page: got cursor %q, want none", page.Cursor)
	}
}

// index is an index whose answers the test makes.
type index struct {
	eventlog.Index
	search func(ctx context.Context) (eventlog.Page, error)
	pace   func() error
}

func (x index) Search(ctx context.Context, _ *eventlog.Query) (eventlog.Page, error) {
	return x.search(ctx)
}

func (x index) Pace(context.Context) error { return x.pace() }

func (x index) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (x index) Place() uint64 { return 0 }

// A search ends in time, and too many at once are refused.
func TestSearchBounds(t *testing.T) {
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	x := index{pace: func() error { return nil }}
	x.search = func(ctx context.Context) (eventlog.Page, error) {
		entered <- struct{}{}
		select {
		case <-ctx.Done():
			return eventlog.Page{}, fmt.Errorf("index: %w", ctx.Err())
		case <-leave:
			return eventlog.Page{}, nil
		}
	}
	h := open(t, func(s *setup) {
		s.wrapIndex = func(eventlog.Index) eventlog.Index { return x }
		s.SearchTime = time.Minute
	})
	token, other := h.client("shop", readerScope), h.client("bank", readerScope)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() { h.search(token, "") })
	}
	for range 8 {
		<-entered
	}
	a := h.must(http.StatusTooManyRequests, "GET", "/v1/events", h.client("shop", readerScope), "") // another client of the same
	if a.header.Get("Retry-After") == "" || a.member("err") != "too_many_requests" {
		t.Errorf("one too many: got %s with Retry-After %q, want too_many_requests and a time", a.body, a.header.Get("Retry-After"))
	}
	running.Go(func() { h.search(other, "") }) // others are not held up
	<-entered
	close(leave)
	running.Wait()
	h.search(token, "")
}

func TestSearchTimeout(t *testing.T) {
	x := index{pace: func() error { return nil }}
	x.search = func(ctx context.Context) (eventlog.Page, error) { <-ctx.Done(); return eventlog.Page{}, ctx.Err() }
	h := open(t, func(s *setup) {
		s.wrapIndex = func(eventlog.Index) eventlog.Index { return x }
		s.SearchTime = time.Millisecond
	})
	a := h.must(http.StatusGatewayTimeout, "GET", "/v1/events", h.client("shop", readerScope), "")
	if a.member("err") != "search_timeout" || !strings.Contains(a.member("description"), "narrow") {
		t.Errorf("got %s, want search_timeout with advice", a.body)
	}
}

// While the index is built searches say so; where it trails too far events are
// refused, not lost.
func TestIndexBehind(t *testing.T) {
	paced := true
	x := index{pace: func() error {
		if paced {
			return eventlog.ErrPaced
		}
		return nil
	}}
	x.search = func(context.Context) (eventlog.Page, error) {
		return eventlog.Page{}, fmt.Errorf("index: %w", &eventlog.BehindError{Place: 1, Head: 1e6})
	}
	h := open(t, func(s *setup) { s.wrapIndex = func(eventlog.Index) eventlog.Index { return x } })
	token := h.client("hr", everyScope)
	a := h.must(http.StatusServiceUnavailable, "GET", "/v1/events", token, "")
	if a.member("err") != "index_rebuilding" || a.header.Get("Retry-After") == "" {
		t.Errorf("search: got %s with Retry-After %q, want index_rebuilding and a time", a.body, a.header.Get("Retry-After"))
	}
	body := `{"type":"session.revoked","subject":{"format":"email","email":"jo@example.com"}}`
	if a := h.must(http.StatusServiceUnavailable, "POST", "/v1/events", token, body); a.header.Get("Retry-After") == "" {
		t.Error("event: got no Retry-After, want one")
	}
	if head, err := h.log.Head(t.Context()); err != nil || head != 0 {
		t.Errorf("head: got %d (%v), want 0", head, err)
	}
	paced = false
	h.must(http.StatusAccepted, "POST", "/v1/events", token, body)
}

// Without an index all but search works.
func TestNoIndex(t *testing.T) {
	h := open(t, func(s *setup) { s.wrapIndex = func(eventlog.Index) eventlog.Index { return nil } })
	token := h.client("hr", everyScope)
	id := h.record(token, "")
	h.must(http.StatusOK, "GET", "/v1/events/"+id, token, "")
	if a := h.must(http.StatusNotImplemented, "GET", "/v1/events", token, ""); a.member("err") != "not_offered" {
		t.Errorf("got %s, want not_offered", a.body)
	}
}

// building is an index that is being built.
type building struct{ index }

func (building) Search(context.Context, *eventlog.Query) (eventlog.Page, error) {
	return eventlog.Page{}, &eventlog.BehindError{Place: 1, Head: 2}
}

func (building) Pace(context.Context) error { return nil }
