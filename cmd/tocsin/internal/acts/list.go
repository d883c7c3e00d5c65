package acts

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Bounds of one question.
const (
	defaultPage = 50
	batch       = 256    // acts read at a time
	maxRead     = 10_000 // acts looked at for one page
	maxParam    = 2048   // bytes of a parameter
)

// Listed is an act as it is shown.
type Listed struct {
	ID   string    `json:"id"` // its place
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

// Query says which acts are wanted; zero fields ask for nothing.
type Query struct {
	// Act is a name; By who did it, as [eventlog.Actor.String] tells it; Object an id.
	Act, By, Object string
	// Since and Until are bounds of the time when an act was noted, the latter left out.
	Since, Until time.Time
	// Before continues a page; 0: from the newest.
	Before uint64
	// Limit is 1 to MaxPage.
	Limit int
}

// QueryOf reads act=&by=&object=&since=&until=&limit=&before=. The error names the
// parameter that is wrong.
func QueryOf(params url.Values) (q Query, err error) {
	q.Limit = defaultPage
	for name, values := range params {
		if len(values) != 1 {
			return q, fmt.Errorf("%.64q is given twice", name)
		}
		if v := values[0]; v == "" || len(v) > maxParam {
			return q, fmt.Errorf("%.64q is empty or too long", name)
		}
		if err := q.set(name, values[0]); err != nil {
			return q, err
		}
	}
	return q, nil
}

func (q *Query) set(name, v string) error {
	var err error
	switch name {
	case "act":
		q.Act = v
	case "by":
		q.By = v
	case "object":
		q.Object = v
	case "since":
		q.Since, err = time.Parse(time.RFC3339, v)
	case "until":
		q.Until, err = time.Parse(time.RFC3339, v)
	case "limit":
		q.Limit, err = strconv.Atoi(v)
		if err == nil && (q.Limit < 1 || q.Limit > MaxPage) {
			return fmt.Errorf("limit must be 1 to %d", MaxPage)
		}
	case "before":
		q.Before, err = strconv.ParseUint(v, 10, 63)
	default:
		return fmt.Errorf("%.64q is not known here", name)
	}
	if err != nil {
		return fmt.Errorf("%s is not of its form: times are as RFC 3339 has them, limit is a number, before is a page's next", name)
	}
	return nil
}

// key is the one that the fewest acts are likely to have.
func (q *Query) key() string {
	switch {
	case q.Object != "":
		return eventlog.RefActOn(q.Object)
	case q.By != "":
		return eventlog.RefActBy(q.By)
	case q.Act != "":
		return eventlog.RefAct(q.Act)
	}
	return eventlog.RefAll
}

func (q *Query) wants(k *Kept) bool {
	return (q.Act == "" || k.Act.Act == q.Act) && (q.By == "" || k.Act.By.String() == q.By) && (q.Until.IsZero() || k.Time.Before(q.Until))
}

// List returns the page that q asks for.
func List(ctx context.Context, s Store, q Query) (Page, error) {
	page := Page{Acts: []Listed{}}
	before := q.Before
	for read := 0; ; {
		some, err := s.Page(ctx, q.key(), before, batch)
		if err != nil || len(some) == 0 {
			return page, err
		}
		for i := range some {
			k := &some[i]
			if !q.Since.IsZero() && k.Time.Before(q.Since) {
				return page, nil
			}
			if read++; len(page.Acts) == q.Limit || read > maxRead {
				page.Next = strconv.FormatUint(before, 10)
				return page, nil
			}
			before = k.Seq
			if q.wants(k) {
				page.Acts = append(page.Acts, listed(k))
			}
		}
	}
}

func listed(k *Kept) Listed {
	l := Listed{ID: strconv.FormatUint(k.Seq, 10), Time: k.Time.UTC(), Act: k.Act, Outcome: k.Act.Outcome}
	if l.Outcome == "" {
		l.Outcome = "open"
	}
	return l
}
