package sqlitestore

import (
	"errors"
	"fmt"
	"math"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// maxSeq is the highest sequence number that the file can hold.
const maxSeq = math.MaxInt64

// errRange: a number does not fit into the file.
var errRange = errors.New("sqlitestore: number out of range")

const (
	sqlInsertItem = `INSERT INTO items (queue, lane, seq, n, hash, jti, epoch, type, key, subject, payload, added, attempts, control, resent, ref_seq, ref_n)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	itemColumns   = `lane, seq, n, jti, epoch, type, key, subject, payload, added, attempts, control, resent, ref_seq, ref_n`
	sqlPage       = `SELECT ` + itemColumns + ` FROM items WHERE queue = ? AND lane = ? AND (seq, n) > (?, ?) ORDER BY seq, n LIMIT ?`
	sqlByID       = `SELECT ` + itemColumns + ` FROM items WHERE queue = ? AND hash = ? AND jti = ?`
	sqlDeleteItem = `DELETE FROM items WHERE queue = ? AND lane = ? AND seq = ? AND n = ?`
)

// hashOf is the key under which a jti is looked up: FNV-1a, 64 bits. The
// transmitter makes the jti, and every hit is compared with it.
func hashOf(jti string) int64 {
	h := uint64(14695981039346656037)
	for i := range len(jti) {
		h = (h ^ uint64(jti[i])) * 1099511628211
	}
	return int64(h)
}

// querier reads in either kind of transaction.
type querier interface {
	Query(sql string, args ...any) (*sqlitedb.Rows, error)
	QueryRow(sql string, args ...any) sqlitedb.Row
}

// scanItem reads itemColumns, and more columns into rest.
func scanItem(rows interface{ Scan(...any) error }, stream string, rest ...any) (*entry, error) {
	e := &entry{item: streams.Item{Stream: stream}}
	var n, refN, control, resent, added int64
	dest := append([]any{
		&e.lane, &e.at.Seq, &n, &e.item.ID, &e.item.Epoch, &e.item.Type, &e.item.OrderKey,
		&e.item.Subject, &e.item.Payload, &added, &e.item.Attempts, &control, &resent,
		&e.item.Ref.Seq, &refN,
	}, rest...)
	if err := rows.Scan(dest...); err != nil {
		return nil, err
	}
	if e.lane < 0 || e.lane >= lanes || n < 0 || n > math.MaxUint32 || refN < 0 || refN > math.MaxUint32 {
		return nil, fmt.Errorf("sqlitestore: damaged item in lane %d", e.lane)
	}
	e.at.N, e.item.Ref.N = uint32(n), uint32(refN)
	e.item.Added = form.Instant(added)
	e.item.Lane = streams.Lane(control)
	e.item.Resent = resent != 0
	if e.item.Lane == streams.LaneEvents {
		e.item.Pos = e.at
	}
	return e, nil
}

// readItems reads up to max items of a lane behind after.
func readItems(q querier, queue int64, lane int, after place, max int, stream string) ([]*entry, error) {
	rows, err := q.Query(sqlPage, queue, lane, int64(after.Seq), int64(after.N), max)
	if err != nil {
		return nil, err
	}
	var page []*entry
	for rows.Next() {
		e, err := scanItem(rows, stream)
		if err != nil {
			return nil, err
		}
		page = append(page, e)
	}
	return page, rows.Err()
}

// itemByID reads the item with the jti; nil if there is none.
func itemByID(q querier, queue int64, stream, jti string) (*entry, error) {
	e, err := scanItem(q.QueryRow(sqlByID, queue, hashOf(jti), jti), stream)
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return nil, nil
	}
	return e, err
}

// insertItem writes e into a queue.
func insertItem(t *tx, queue int64, e *entry) error {
	it := &e.item
	_, err := t.Exec(sqlInsertItem, queue, e.lane, int64(e.at.Seq), int64(e.at.N), hashOf(it.ID), it.ID, int64(it.Epoch),
		it.Type, it.OrderKey, it.Subject, blob(it.Payload), form.Nanos(it.Added), it.Attempts, int64(it.Lane), flag(it.Resent), int64(it.Ref.Seq), int64(it.Ref.N))
	return err
}

// blob is b for a column that may be NULL.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
