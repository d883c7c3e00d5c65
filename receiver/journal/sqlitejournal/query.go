package sqlitejournal

import (
	"context"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

const columns = "seq, feed, issuer, jti, hook, effect, type, txn, scope, time, rule, verdict, attempt, ended, detail, err, at, took"

// ofEvent finds the entries of an event. The index is named since SQLite would rather
// read all of the issuer's, which come sorted.
const ofEvent = "SELECT " + columns + " FROM entry INDEXED BY entry_identity WHERE jti = ? AND issuer = ? AND feed = ? ORDER BY seq"

// Of returns the entries of an event.
func (j *Journal) Of(ctx context.Context, event journal.Event) ([]journal.Entry, error) {
	return j.read(ctx, ofEvent, event.ID, event.Issuer, event.Feed)
}

// List returns entries, the newest first.
func (j *Journal) List(ctx context.Context, q journal.Query) ([]journal.Entry, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	text, args := list(q)
	return j.read(ctx, text, args...)
}

// list is the query of a page, by the index that leaves least to look at.
func list(q journal.Query) (text string, args []any) {
	var where []string
	is := func(condition, value string) {
		if value != "" {
			where, args = append(where, condition), append(args, value)
		}
	}
	is("jti = ?", q.ID)
	is("txn = ? AND txn != ''", q.TransactionID) // as the index says it
	is("issuer = ?", q.Issuer)
	is("feed = ?", q.Feed)
	is("hook = ?", q.Hook)
	is("verdict = ?", string(q.Verdict))
	if q.Before != 0 {
		where, args = append(where, "seq < ?"), append(args, int64(min(q.Before, 1<<62)))
	}
	text = "SELECT " + columns + " FROM entry"
	switch {
	case q.ID != "":
		text += " INDEXED BY entry_identity"
	case q.TransactionID != "":
		text += " INDEXED BY entry_txn"
	case q.Hook != "" && q.Verdict != "":
		text += " INDEXED BY entry_hook_verdict"
	}
	if where != nil {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	return text + " ORDER BY seq DESC LIMIT ?", append(args, q.Max)
}

func (j *Journal) read(ctx context.Context, query string, args ...any) ([]journal.Entry, error) {
	var list []journal.Entry
	err := j.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query(query, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var e journal.Entry
			var verdict string
			var at, told, took int64
			err := rows.Scan(&e.Seq, &e.Feed, &e.Issuer, &e.ID, &e.Hook, &e.Effect, &e.Type, &e.TransactionID, &e.Scope, &told, &e.Rule,
				&verdict, &e.Attempt, &e.Ended, &e.Detail, &e.Err, &at, &took)
			if err != nil {
				return err
			}
			e.Verdict, e.Time, e.At = journal.Verdict(verdict), time.UnixMilli(told), time.UnixMilli(at)
			e.Took = time.Duration(took) * time.Millisecond
			list = append(list, e)
		}
		return rows.Err()
	})
	return list, closed(err)
}

// States returns the state of each hook about a lane.
func (j *Journal) States(ctx context.Context, lane journal.Digest) (map[string]journal.State, error) {
	states := map[string]journal.State{}
	err := j.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT hook, effect, time FROM state WHERE lane = ?", lane[:])
		if err != nil {
			return err
		}
		for rows.Next() {
			var hook string
			var s journal.State
			var at int64
			if err := rows.Scan(&hook, &s.Effect, &at); err != nil {
				return err
			}
			s.Time = time.UnixMilli(at)
			states[hook] = s
		}
		return rows.Err()
	})
	return states, closed(err)
}

// Denials returns which hooks others have deny one of whom.
func (j *Journal) Denials(ctx context.Context, issuer string, whom journal.Whom) (map[string]time.Time, error) {
	list := map[string]time.Time{}
	err := j.db.Read(ctx, func(v *sqlitedb.View) error {
		for _, of := range whom.Digests() {
			if err := denials(v, of, issuer, list); err != nil {
				return err
			}
		}
		return nil
	})
	return list, closed(err)
}

// denials adds to list what others than issuer denied of one.
func denials(v *sqlitedb.View, of journal.Digest, issuer string, list map[string]time.Time) error {
	rows, err := v.Query("SELECT hook, time FROM denial WHERE whom = ? AND issuer != ?", of[:], issuer)
	if err != nil {
		return err
	}
	for rows.Next() {
		var hook string
		var at int64
		if err := rows.Scan(&hook, &at); err != nil {
			return err
		}
		journal.Later(list, hook, time.UnixMilli(at))
	}
	return rows.Err()
}

// Totals returns the sums.
func (j *Journal) Totals(ctx context.Context) ([]journal.Total, error) {
	var list []journal.Total
	err := j.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT rule, hook, effect, verdict, entries, ended, unknown FROM total ORDER BY rule, hook, effect, verdict")
		if err != nil {
			return err
		}
		for rows.Next() {
			var t journal.Total
			var verdict string
			if err := rows.Scan(&t.Rule, &t.Hook, &t.Effect, &verdict, &t.Entries, &t.Ended, &t.Unknown); err != nil {
				return err
			}
			t.Verdict = journal.Verdict(verdict)
			list = append(list, t)
		}
		return rows.Err()
	})
	return list, closed(err)
}
