package eventapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

const (
	// DefaultSearchTime bounds a search.
	DefaultSearchTime = 2 * time.Second
	// searches and searchesEach bound those that run at once, in all and of one
	// application, however many clients it has.
	searches     = 32
	searchesEach = 8
	// retrySearch is what a client is asked to wait that searches too much.
	retrySearch = time.Second
	// lookAhead is how many hits are looked at together for those that a gate
	// lets through.
	lookAhead = 200
)

// codeSearchTime: the search took too long.
const codeSearchTime = "search_timeout"

// Search finds events for both APIs. Safe for concurrent use.
type Search struct {
	index   eventlog.Index
	time    time.Duration
	now     func() time.Time
	cursors *cursors

	mu      sync.Mutex
	running int
	of      map[string]int // by application
}

// NewSearch returns a search on an index. key seals cursors; zero: they are
// good until the process ends. A search takes at most time (0: 2 s).
func NewSearch(index eventlog.Index, key [CursorKeySize]byte, time time.Duration, now func() time.Time) (*Search, error) {
	if key == [CursorKeySize]byte{} {
		key = newKey()
	}
	if time == 0 {
		time = DefaultSearchTime
	}
	c, err := newCursors(key)
	if err != nil {
		return nil, err
	}
	return &Search{index: index, time: time, now: now, cursors: c, of: make(map[string]int)}, nil
}

// enter counts a search of an application until leave is called. Error: 429.
func (s *Search) enter(application string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running >= searches || s.of[application] >= searchesEach {
		return nil, &request.Error{
			Status: http.StatusTooManyRequests, Code: request.CodeTooManyRequests,
			Description: "too many searches at once", RetryAfter: retrySearch,
		}
	}
	s.running++
	s.of[application]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
		if s.of[application]--; s.of[application] == 0 {
			delete(s.of, application)
		}
	}, nil
}

// Events is a page of a search.
type Events struct {
	Events []any  `json:"events"`
	Cursor string `json:"cursor,omitempty"`
	// Total is set if it was asked for.
	Total *int `json:"total_hits,omitempty"`
}

// Find answers GET /v1/events: a page of the events that the caller may see and
// that all filters match, newest first, of the last 7 days unless start says
// otherwise.
//
// Refusals are *request.Error: 400 that names the parameter, 429, 501 without an
// index, 504 beyond the time. *eventlog.BehindError while the index is built.
func (h Handler) Find(c echo.Context) error {
	if h.Search == nil {
		return &request.Error{Status: http.StatusNotImplemented, Code: "not_offered", Description: "this transmitter has no search"}
	}
	values, err := parameters(c)
	if err != nil {
		return err
	}
	a, err := parseAsk(values)
	if err != nil {
		return err
	}
	p := request.Principal(c)
	leave, err := h.Search.enter(p.Application)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(c.Request().Context(), h.Search.time)
	defer cancel()
	page, err := h.page(ctx, a, p)
	if errors.Is(err, context.DeadlineExceeded) && c.Request().Context().Err() == nil {
		return &request.Error{
			Status: http.StatusGatewayTimeout, Code: codeSearchTime,
			Description: fmt.Sprintf("the search took longer than %v: narrow it by start and end, or by a filter that few events have, such as session, identifier, subject or ip_address", h.Search.time),
		}
	}
	if err != nil {
		return err
	}
	request.NoStore(c)
	return c.JSON(http.StatusOK, page)
}

// page carries out a search.
func (h Handler) page(ctx context.Context, a *ask, p *auth.Principal) (*Events, error) {
	page := &Events{Events: []any{}}
	if a.TotalHits > 0 {
		page.Total = new(int)
	}
	if !scope(&a.Query, p) {
		return page, nil
	}
	bound := fmt.Sprintf("%q %q %s", a.Owner, p.Environment, a.filters)
	if err := h.begin(ctx, a, bound); err != nil {
		return nil, err
	}
	gated, err := h.gated(ctx, p)
	if err != nil {
		return nil, err
	}
	counted := page.Total
	if gated {
		counted = nil
	}
	found, err := h.collect(ctx, a, p, counted)
	if err != nil {
		return nil, err
	}
	if len(found) > a.Limit {
		found = found[:a.Limit]
		page.Cursor = h.Search.cursors.seal(position{found[a.Limit-1].hit, a.Head, a.Start.UnixMilli()}, bound)
	}
	for i := range found {
		e := EventOf(found[i].rec)
		e.Attributes = found[i].attributes
		chosen, err := a.fields.of(&e)
		if err != nil {
			return nil, err
		}
		page.Events = append(page.Events, chosen)
	}
	if page.Total != nil && gated {
		*page.Total, err = h.total(ctx, a, p)
	}
	return page, err
}

// begin sets where the page begins, and what the first page fixes.
func (h Handler) begin(ctx context.Context, a *ask, bound string) error {
	if a.cursor != "" {
		at, err := h.Search.cursors.open(a.cursor, bound)
		if err != nil {
			return request.Invalid(paramCursor, "is not a cursor of this search: it goes with the same filters")
		}
		a.After, a.Head = &at.after, at.head
		a.Start = time.UnixMilli(at.start)
		return nil
	}
	if !a.started {
		a.Start = h.Search.now().Add(-defaultPeriod)
	}
	var err error
	a.Head, err = h.Log.Head(ctx)
	return err
}

// found is an event as its reader sees it.
type found struct {
	hit        eventlog.Hit
	rec        *eventlog.Record
	attributes eventlog.Attributes
}

// collect returns the events of a page, and one more if there is one; total, if
// not nil, is what the index counts.
func (h Handler) collect(ctx context.Context, a *ask, p *auth.Principal, total *int) ([]found, error) {
	var all []found
	q := a.Query
	if total == nil {
		q.TotalHits = 0
	}
	for q.Limit = a.Limit + 1; ; {
		page, err := h.Search.index.Search(ctx, &q)
		if err != nil {
			return nil, err
		}
		if q.TotalHits > 0 {
			*total, q.TotalHits = page.Total, 0
		}
		for _, hit := range page.Hits {
			f, ok, err := h.load(ctx, hit, p)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			if all = append(all, f); len(all) > a.Limit {
				return all, nil
			}
		}
		if !page.More || len(page.Hits) == 0 {
			return all, nil
		}
		q.After, q.Limit = &page.Hits[len(page.Hits)-1], lookAhead
	}
}

// load reads an event that was found; false if the caller may not see it.
func (h Handler) load(ctx context.Context, hit eventlog.Hit, p *auth.Principal) (found, bool, error) {
	rec, err := h.Log.Record(ctx, hit.Seq)
	if errors.Is(err, eventlog.ErrNotFound) {
		return found{}, false, nil
	}
	if err != nil {
		return found{}, false, err
	}
	may, err := h.may(ctx, rec, p)
	if err != nil || !may {
		return found{}, false, err
	}
	f := found{hit, rec, rec.Attributes}
	if hit.Noted {
		said, _, err := eventlog.Annotations(ctx, h.Log, hit.Seq)
		if err != nil {
			return found{}, false, err
		}
		f.attributes = eventlog.Merge(rec.Attributes, said, owner(p))
	}
	return f, true, nil
}

// total counts what a gate lets through, one by one.
func (h Handler) total(ctx context.Context, a *ask, p *auth.Principal) (int, error) {
	q, n := a.Query, 0
	q.After, q.TotalHits, q.Limit = nil, 0, lookAhead
	for {
		page, err := h.Search.index.Search(ctx, &q)
		if err != nil {
			return 0, err
		}
		for _, hit := range page.Hits {
			rec, err := h.Log.Record(ctx, hit.Seq)
			if errors.Is(err, eventlog.ErrNotFound) {
				continue
			}
			if err != nil {
				return 0, err
			}
			may, err := h.may(ctx, rec, p)
			if err != nil {
				return 0, err
			}
			if may {
				n++
			}
			if n == a.TotalHits {
				return n, nil
			}
		}
		if !page.More || len(page.Hits) == 0 {
			return n, nil
		}
		q.After = &page.Hits[len(page.Hits)-1]
	}
}
