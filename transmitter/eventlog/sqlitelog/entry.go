package sqlitelog

import (
	"context"
	"fmt"
	"math"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Note implements eventlog.Journal. Errors beside those of the contract:
// eventlog.ErrEvent if one of the entries cannot be kept; ErrClosed.
func (l *Log) Note(ctx context.Context, entries ...eventlog.Entry) ([]eventlog.Appended, error) {
	if len(entries) == 0 {
		return nil, ctx.Err()
	}
	items := make([]item, len(entries))
	for i := range entries {
		d, err := eventlog.NewEntryDraft(&entries[i])
		if err != nil {
			return nil, err
		}
		items[i] = item{draft: d, refs: entries[i].Refs}
	}
	return l.appendItems(ctx, items)
}

// appendRefs writes the keys of an entry.
func (l *Log) appendRefs(tx *sqlitedb.Tx, rec *eventlog.Record, refs []string) error {
	for _, ref := range refs {
		hash := l.keys.secret.Ref(rec.Kind, ref)
		if _, err := tx.Exec("INSERT INTO entry_ref(kind, ref, seq) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
			int64(rec.Kind), hash[:], int64(rec.Seq)); err != nil {
			return err
		}
	}
	return nil
}

// The statements of Entries.
const (
	entriesOldest = "SELECT r.seq, r.recorded, r.kind, r.salt, r.leaf, r.body FROM entry_ref e JOIN record r ON r.seq = e.seq" +
		" WHERE e.kind = ? AND e.ref = ? AND e.seq > ? AND e.seq < ? ORDER BY e.seq LIMIT ?"
	entriesNewest = "SELECT r.seq, r.recorded, r.kind, r.salt, r.leaf, r.body FROM entry_ref e JOIN record r ON r.seq = e.seq" +
		" WHERE e.kind = ? AND e.ref = ? AND e.seq > ? AND e.seq < ? ORDER BY e.seq DESC LIMIT ?"
)

// Entries implements eventlog.Journal. At most MaxRead are returned.
func (l *Log) Entries(ctx context.Context, kind eventlog.Kind, ref string, span eventlog.Span) ([]*eventlog.Record, error) {
	sql, before := entriesOldest, int64(math.MaxInt64)
	if span.Newest {
		sql = entriesNewest
	}
	if span.Before > 0 {
		before = int64(span.Before)
	}
	hash := l.keys.secret.Ref(kind, ref)
	var records []*eventlog.Record
	err := l.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query(sql, int64(kind), hash[:], int64(span.After), before, min(span.Max, MaxRead))
		if err != nil {
			return err
		}
		records, err = l.scan(rows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitelog: entries: %w", err)
	}
	return records, nil
}
