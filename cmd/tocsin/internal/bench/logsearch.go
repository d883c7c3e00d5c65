package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// The searches, named as their workloads.
const (
	searchIdentifier = "search-identifier"
	searchSession    = "search-session"
	searchNetwork    = "search-network"
	searchTime       = "search-time"
)

// searchCall asks for a page of each of some searches among synthetic events.
// The answer is a Round: the p99 of the searches and of the look-ups, in ms.
type searchCall struct {
	Kind    string    `json:"kind"`
	Of      int       `json:"of"` // all events
	End     time.Time `json:"end"`
	First   int       `json:"first"` // number of the first search
	Queries int       `json:"queries"`
	Page    int       `json:"page"` // from 1
}

// asked is a search with the rows that it is to find.
type asked struct {
	query eventlog.Query
	rows  []any // sequence numbers, int64
}

// search measures searches as the API makes them, in turns with the look-ups
// of the rows that they find.
func (s *store) search(ctx context.Context, c searchCall) (Round, error) {
	all, err := s.prepare(ctx, c)
	if err != nil {
		return Round{}, err
	}
	if s.plain == nil {
		if s.plain, err = openPlain(ctx, s.path()); err != nil {
			return Round{}, err
		}
		s.closers = append(s.closers, s.plain.Close)
	}
	var searches, floors []float64
	search := func(a *asked) error {
		start := time.Now()
		found, err := s.page(ctx, &a.query)
		searches = append(searches, millis(time.Since(start)))
		if err == nil && found != len(a.rows) {
			err = fmt.Errorf("a search found %d events and then %d", len(a.rows), found)
		}
		return err
	}
	lookUp := func(a *asked) error {
		start := time.Now()
		found, err := rowsOf(ctx, s.plain, a.rows)
		floors = append(floors, millis(time.Since(start)))
		if err == nil && found != len(a.rows) {
			err = fmt.Errorf("the log has %d rows of %d", found, len(a.rows))
		}
		return err
	}
	for i := range all {
		turns := []func(*asked) error{search, lookUp}
		for n := range turns {
			if err := turns[(n+i)%len(turns)](&all[i]); err != nil {
				return Round{}, err
			}
		}
	}
	return Round{percentile(searches, 99), percentile(floors, 99)}, nil
}

// prepare makes the searches and finds what they will.
func (s *store) prepare(ctx context.Context, c searchCall) ([]asked, error) {
	from := newSynthetic(c.Of, c.End)
	head, err := s.log.Head(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]asked, c.Queries)
	for i := range all {
		q := from.query(c.Kind, c.First+i, c.Page > 1)
		q.Head = head
		if c.Page > 1 { // the pages before, at once
			q.Limit = (c.Page - 1) * searchPage
			page, err := s.index.Search(ctx, &q)
			if err != nil {
				return nil, err
			}
			if !page.More {
				return nil, fmt.Errorf("%s %d has no page %d", c.Kind, c.First+i, c.Page)
			}
			q.After = &page.Hits[len(page.Hits)-1]
		}
		q.Limit = searchPage + 1 // tells whether there is another page
		page, err := s.index.Search(ctx, &q)
		if err != nil {
			return nil, err
		}
		all[i].query = q
		for _, h := range page.Hits {
			all[i].rows = append(all[i].rows, int64(h.Seq))
		}
	}
	return all, nil
}

// page finds a page and reads its events.
func (s *store) page(ctx context.Context, q *eventlog.Query) (int, error) {
	page, err := s.index.Search(ctx, q)
	if err != nil {
		return 0, err
	}
	for _, h := range page.Hits {
		if _, err := s.log.Record(ctx, h.Seq); err != nil {
			return 0, err
		}
	}
	return len(page.Hits), nil
}

// query is search i of a kind; deep: it has a hundredth page.
func (s synthetic) query(kind string, i int, deep bool) eventlog.Query {
	h := int(uint64(i+1) * 0x9E3779B97F4A7C15 >> 33)
	account := busyAccount(h % s.busy())
	if i%2 == 1 && !deep {
		account = quietAccount(h % s.quiet())
	}
	q := eventlog.Query{Start: s.start.Add(-time.Second)}
	switch kind {
	case searchIdentifier:
		q.Identifiers = []string{account}
	case searchSession:
		q.Sessions = []string{session(account)}
	case searchNetwork:
		sizes := []int{12, 16, 18, 20, 24}
		if deep {
			sizes = []int{12, 16}
		}
		a := s.address(h % s.n) // one that there is
		p, _ := a.Prefix(sizes[i%len(sizes)])
		q.Addresses = []netip.Prefix{p}
		q.Types = eventTypes()[h/7%10:][:1]
	case searchTime:
		q.Start = s.at(h % max(s.n-int(time.Hour/eventGap), 1))
		q.End, q.Reverse = q.Start.Add(time.Hour), i%2 == 1
	}
	return q
}

// openPlain opens a database for look-ups, whatever its schema.
func openPlain(ctx context.Context, path string) (*sqlitedb.DB, error) {
	_, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: path})
	var newer *sqlitedb.SchemaError
	if !errors.As(err, &newer) {
		return nil, fmt.Errorf("looking at the schema of %s: %w", path, err)
	}
	return sqlitedb.Open(ctx, sqlitedb.Config{Path: path, Migrations: make([]string, newer.Have)})
}

// rowsOf reads rows of the log by primary key, in one statement, and returns
// how many there are.
func rowsOf(ctx context.Context, db *sqlitedb.DB, seqs []any) (n int, err error) {
	err = db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT seq, recorded, kind, salt, leaf, body FROM record WHERE seq IN (?"+
			strings.Repeat(", ?", max(len(seqs)-1, 0))+")", orNone(seqs)...)
		if err != nil {
			return err
		}
		for n = 0; rows.Next(); n++ {
			var seq, recorded, kind int64
			var salt, leaf, body []byte
			if err := rows.Scan(&seq, &recorded, &kind, &salt, &leaf, &body); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return n, err
}

// orNone is what is looked up where nothing was found.
func orNone(seqs []any) []any {
	if len(seqs) == 0 {
		return []any{int64(0)}
	}
	return seqs
}

func millis(d time.Duration) float64 { return micros(d) / 1e3 }
