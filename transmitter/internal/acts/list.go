package acts

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Bounds of a page.
const (
	defaultPage = 50
	maxPage     = 500
	batch       = 256    // entries read at a time
	maxRead     = 10_000 // entries looked at for one page
	maxParam    = 512    // bytes of a parameter
)

// Listed is an act as it is shown.
type Listed struct {
	ID string `json:"id"` // of the entry
	// Time is when its outcome was noted, of one whose outcome is open when it was asked for.
	Time time.Time `json:"time"`
	eventlog.Act
	Outcome string `json:"outcome"` // "open": under way, or the process ended
}

// Page is a page of acts, newest first.
type Page struct {
	Acts []Listed `json:"acts"`
	// Next is what before= is for the page behind; empty: there is none.
	Next string `json:"next,omitempty"`
}

// query is what is asked for.
type query struct {
	act, by, object string
	since, until    time.Time
	limit           int
	before          uint64
}

// List answers GET …/acts?act=&by=&object=&since=&until=&limit=&before=: a page of acts,
// newest first. by is a client's id, or uid:1000; object the id of anything. Error: 400.
func (r Recorder) List(c echo.Context) error {
	q, err := parse(c)
	if err != nil {
		return err
	}
	page, err := r.page(c.Request().Context(), q)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, page)
}

func parse(c echo.Context) (q query, err error) {
	q.limit = defaultPage
	for name, values := range c.QueryParams() {
		if len(values) != 1 {
			return q, request.Invalid(name, "is given twice")
		}
		v := values[0]
		if v == "" || len(v) > maxParam {
			return q, request.Invalid(name, "is empty or too long")
		}
		var wrong error
		switch name {
		case "act":
			q.act = v
		case "by":
			q.by = v
		case "object":
			q.object = v
		case "since":
			q.since, wrong = time.Parse(time.RFC3339, v)
		case "until":
			q.until, wrong = time.Parse(time.RFC3339, v)
		case "limit":
			q.limit, wrong = strconv.Atoi(v)
			if wrong == nil && (q.limit < 1 || q.limit > maxPage) {
				return q, request.Invalid(name, "must be 1 to "+strconv.Itoa(maxPage))
			}
		case "before":
			q.before, wrong = strconv.ParseUint(v, 10, 63)
		default:
			return q, request.Invalid("", "has a parameter that is not known here")
		}
		if wrong != nil {
			return q, request.Invalid(name, "is not of its form: times are as RFC 3339 has them, limit is a number, before is a page's next")
		}
	}
	return q, nil
}

// ref is the key under which the fewest acts are likely to stand.
func (q *query) ref() string {
	switch {
	case q.object != "":
		return eventlog.RefActOn(q.object)
	case q.by != "":
		return eventlog.RefActBy(q.by)
	case q.act != "":
		return eventlog.RefAct(q.act)
	}
	return eventlog.RefAll
}

func (q *query) wants(l Listed) bool {
	if q.act != "" && l.Act.Act != q.act || q.by != "" && l.By.String() != q.by || !q.until.IsZero() && !l.Time.Before(q.until) {
		return false
	}
	if q.object == "" {
		return true
	}
	for _, id := range l.Objects {
		if id == q.object {
			return true
		}
	}
	return false
}

// page reads entries newest first. Of an act with an outcome the entry before it is left
// out: the outcome says all of it.
func (r Recorder) page(ctx context.Context, q query) (Page, error) {
	page := Page{Acts: []Listed{}}
	before, told := q.before, make(map[uint64]bool)
	for read := 0; ; {
		some, err := r.Log.Entries(ctx, eventlog.KindAct, q.ref(), eventlog.Span{Before: before, Newest: true, Max: batch})
		if err != nil || len(some) == 0 {
			return page, err
		}
		for _, rec := range some {
			if !q.since.IsZero() && rec.Recorded.Before(q.since) {
				return page, nil
			}
			if read++; len(page.Acts) == q.limit || read > maxRead {
				page.Next = strconv.FormatUint(before, 10)
				return page, nil
			}
			before = rec.Seq
			l, ok, err := r.listed(ctx, rec, told)
			if err != nil {
				return Page{}, err
			}
			if ok && q.wants(l) {
				page.Acts = append(page.Acts, l)
			}
		}
	}
}

// listed reads an entry; false if the outcome of its act is told by another.
func (r Recorder) listed(ctx context.Context, rec *eventlog.Record, told map[uint64]bool) (Listed, bool, error) {
	if rec.Erased || told[rec.Seq] {
		return Listed{}, false, nil
	}
	act, err := eventlog.ActOf(rec)
	if err != nil {
		return Listed{}, false, err
	}
	l := Listed{ID: rec.ID, Time: rec.Recorded, Act: act, Outcome: act.Outcome}
	if act.Outcome != "" {
		told[act.Asked] = true
		return l, true, nil
	}
	later, err := r.Log.Entries(ctx, eventlog.KindAct, eventlog.RefActAsked(rec.Seq), eventlog.Span{Max: 1})
	l.Outcome = "open"
	return l, len(later) == 0, err
}
