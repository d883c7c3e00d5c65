package transmitter_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// request is one of a route.
type request struct{ method, path, body string }

// walk returns a request for each route of the issuer that names something, the ones that
// read first and those that delete last, and the routes that name nothing.
func (h *tenants) walk() (naming []request, unowned map[request]bool, nothing []string) {
	h.t.Helper()
	lines := reaches()
	unowned = map[request]bool{}
	for _, route := range routesOf(h.t, h.public) {
		line, known := lines[route]
		method, path, _ := strings.Cut(route, " ")
		switch {
		case strings.HasPrefix(path, "/.well-known/"):
		case !known:
			h.t.Errorf("%s: got a route without a line in reaches, want one", route)
		case line.none != "":
			nothing = append(nothing, route)
		default:
			if line.path == "" {
				line.path = path
			}
			r := request{method, line.path, line.body}
			naming = append(naming, r)
			unowned[r] = line.unowned
		}
		delete(lines, route)
	}
	for route := range lines {
		h.t.Errorf("%s: got a line and no route", route)
	}
	slices.SortStableFunc(naming, func(a, b request) int {
		place := func(r request) int { return strings.Index("GET POST PATCH PUT DELETE", r.method) }
		if a.method == http.MethodDelete && b.method == a.method {
			return strings.Compare(b.path, a.path) // what is below another first
		}
		return place(a) - place(b)
	})
	return naming, unowned, nothing
}

// with puts ids in place.
func (r request) with(ids *strings.Replacer) request {
	return request{r.method, ids.Replace(r.path), ids.Replace(r.body)}
}

func (h *tenants) ask(to http.Handler, r request, token string) answer {
	return h.do(to, r.method, r.path, token, r.body)
}

// SSF-8-03, contracts.md §1: whatever another application has answers exactly as what does
// not exist, by every route, on each store, and asks as much of the stores. A new route
// needs a line in reaches.
func TestIsolation(t *testing.T) {
	for name, stores := range backends() {
		t.Run(name, func(t *testing.T) {
			h := newTenants(t, stores)
			naming, unowned, nothing := h.walk()
			naming = append([]request{{http.MethodGet, "/v1/erasures/{erased}", ""}}, naming...) // one that was carried out
			token := h.mallory.AccessToken
			for _, r := range naming {
				what := r.method + " " + r.path
				if r.with(h.absent) == r.with(h.yours) {
					t.Errorf("%s: got the same request for another's and for what is not there, want two", what)
				}
				want, got := h.ask(h.public, r.with(h.absent), token), h.ask(h.public, r.with(h.yours), token)
				if diff := cmp.Diff(h.blank(want), h.blank(got), cmp.AllowUnexported(answer{})); diff != "" {
					t.Errorf("SSF-8-03 %s: not there - another's +\n%s", what, diff)
				}
				if want, got := h.cost(r.with(h.absent), token), h.cost(r.with(h.yours), token); want != got {
					t.Errorf("SSF-8-03 %s: got %d calls of the stores for another's, want %d as for what is not there", what, got, want)
				}
			}
			for _, route := range nothing {
				method, path, _ := strings.Cut(route, " ")
				if a := h.do(h.public, method, path, token, ""); method == http.MethodGet {
					h.silent(route, a)
				}
			}
			h.adminIsShut()
			// The owner has it all, still.
			for _, r := range naming {
				if unowned[r] {
					continue
				}
				a := h.ask(h.public, r.with(h.yours), h.alice.AccessToken)
				if a.status >= 400 {
					t.Errorf("%s %s by its owner: got %d %s, want it there", r.method, r.path, a.status, a.body)
				}
			}
		})
	}
}

// blank hides the ids of either kind in an answer.
func (h *tenants) blank(a answer) answer {
	hide := make([]string, 0, 32)
	for _, id := range []string{"{stream}", "{hook}", "{event}", "{erasure}", "{erased}", "{jti}", "{dead}", "{letter}", "{source}", "{client}"} {
		hide = append(hide, h.yours.Replace(id), "ID", h.absent.Replace(id), "ID")
	}
	put := strings.NewReplacer(hide...)
	header := http.Header{}
	for name, values := range a.header {
		for _, value := range values {
			header.Add(name, put.Replace(value))
		}
	}
	return answer{a.status, header, put.Replace(a.body)}
}

// cost is how often a request asks the stores: the least of some, since some of what is
// asked is remembered for a moment.
func (h *tenants) cost(r request, token string) int64 {
	least := int64(1 << 62)
	for range 3 {
		before := h.calls.n.Load()
		h.ask(h.public, r, token)
		least = min(least, h.calls.n.Load()-before)
	}
	return least
}

// silent checks that nothing of alice's is in an answer.
func (h *tenants) silent(what string, a answer) {
	h.t.Helper()
	for _, id := range h.ids {
		if strings.Contains(a.body, id) || strings.Contains(fmt.Sprint(a.header), id) {
			h.t.Errorf("SSF-8-03 %s: got %d %s, want nothing of another's: %s", what, a.status, a.body, id)
		}
	}
}

// adminIsShut checks that the admin API tells who has no admin token nothing, by any route.
func (h *tenants) adminIsShut() {
	h.t.Helper()
	ids := strings.NewReplacer(":stream_id", "{stream}", ":jti", "{dead}", ":name", "{source}", ":kid", "{client}", ":id", "{event}", "*", "{event}")
	for _, route := range routesOf(h.t, h.admin) {
		method, path, _ := strings.Cut(route, " ")
		if path == "/healthz" || path == "/readyz" {
			continue
		}
		r := request{method, ids.Replace(path), `{}`}
		for token, status := range map[string]int{h.mallory.AccessToken: http.StatusForbidden, "": http.StatusUnauthorized} {
			want, got := h.ask(h.admin, r.with(h.absent), token), h.ask(h.admin, r.with(h.yours), token)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" || got.status != status {
				h.t.Errorf("%s: got %d, want %d; not there - another's +\n%s", route, got.status, status, diff)
			}
		}
	}
}

// What is not there and what is another's take the same time, roughly: the median of the
// one is within half of the other's (TOCSIN_TEST_LONG=1).
func TestIsolationTakesTheSameTime(t *testing.T) {
	if os.Getenv("TOCSIN_TEST_LONG") != "1" {
		t.Skip("long: TOCSIN_TEST_LONG=1 runs it")
	}
	for name, stores := range backends() {
		t.Run(name, func(t *testing.T) {
			h := newTenants(t, stores)
			naming, _, _ := h.walk()
			for _, r := range naming {
				const rounds = 300
				var absent, yours [rounds]time.Duration
				for i := range rounds { // in turn, so that both meet the same machine
					absent[i], yours[i] = h.took(r.with(h.absent)), h.took(r.with(h.yours))
				}
				slices.Sort(absent[:])
				slices.Sort(yours[:])
				there, other := absent[rounds/2], yours[rounds/2]
				if ratio := float64(other) / float64(there); ratio < 0.5 || ratio > 2 {
					t.Errorf("%s %s: got a median of %v for another's and of %v for what is not there, want them alike", r.method, r.path, other, there)
				}
			}
		})
	}
}

func (h *tenants) took(r request) time.Duration {
	start := time.Now()
	h.ask(h.public, r, h.mallory.AccessToken)
	return time.Since(start)
}
