package request_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

type entry struct {
	id      string
	created time.Time
}

// entries are some, of which several were made at the same time.
func entries(n int) (list []entry) {
	for i := range n {
		list = append(list, entry{fmt.Sprintf("e%03d", i), time.UnixMilli(int64(i / 3))})
	}
	return list
}

// ask reads a page's parameters.
func askPage(t testing.TB, query url.Values) (request.PageQuery, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?"+query.Encode(), http.NoBody)
	return request.ParsePage(echo.New().NewContext(r, httptest.NewRecorder()))
}

func page(q request.PageQuery, list []entry) ([]entry, string) {
	return request.PageOf(q, list, func(e *entry) request.Place { return request.PlaceOf("", e.created, e.id) }, func(e *entry) []string { return []string{e.id} })
}

// Pages have each entry once, also where the one that a page ended with is gone.
func TestPages(t *testing.T) {
	list := entries(20)
	var seen []string
	after := ""
	for range 10 {
		q, err := askPage(t, url.Values{"limit": {"7"}, "after": {after}})
		if err != nil {
			t.Fatal(err)
		}
		some, next := page(q, list)
		for _, e := range some {
			seen = append(seen, e.id)
		}
		if after = next; next == "" {
			break
		}
		last := len(seen) - 1 // the last of the page goes away
		for i := range list {
			if list[i].id == seen[last] {
				list = append(list[:i:i], list[i+1:]...)
				break
			}
		}
	}
	if len(seen) != 20 {
		t.Errorf("got %d entries on all pages, want 20: %v", len(seen), seen)
	}
	q, err := askPage(t, url.Values{"q": {" E01 "}})
	if err != nil {
		t.Fatal(err)
	}
	if some, next := page(q, list); next != "" || len(some) == 0 || some[0].id < "e010" {
		t.Errorf("a search: got %v, next %q", some, next)
	}
	for name, value := range map[string]string{"limit": "201", "after": "!", "q": string(make([]byte, 300))} {
		if _, err := askPage(t, url.Values{name: {value}}); err == nil {
			t.Errorf("%s %.10q: got no error", name, value)
		}
	}
}

// FuzzPage: whatever after and limit are, a page has at most limit entries, in order, or
// the request is refused; and the places of pages are taken as they were given.
func FuzzPage(f *testing.F) {
	f.Add("", "", "")
	f.Add("CjAKZTAwMQ", "3", "e")
	f.Add("!", "0", "x")
	f.Fuzz(func(t *testing.T, after, limit, q string) {
		asked, err := askPage(t, url.Values{"after": {after}, "limit": {limit}, "q": {q}})
		if err != nil {
			return
		}
		list := entries(300)
		some, next := page(asked, list)
		if len(some) > 200 {
			t.Fatalf("got %d entries, want at most 200", len(some))
		}
		for i := 1; i < len(some); i++ {
			if some[i].id <= some[i-1].id {
				t.Fatalf("got %s behind %s", some[i].id, some[i-1].id)
			}
		}
		if next == "" {
			return
		}
		if asked, err = askPage(t, url.Values{"after": {next}}); err != nil {
			t.Fatalf("next %q: got %v", next, err)
		}
		if rest, _ := page(asked, list); len(rest) > 0 && rest[0].id <= some[len(some)-1].id {
			t.Fatalf("got %s on the page behind %s", rest[0].id, some[len(some)-1].id)
		}
	})
}
