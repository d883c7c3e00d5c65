package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// queries runs queries on a connection and closes what a caller leaves open.
type queries struct {
	ctx  context.Context // ends a read; nil in a write
	conn *conn
	open []*Rows
}

// ctxEvery is how many rows may pass between two looks at the context.
const ctxEvery = 128

// Query runs a query with positional arguments (?). Arguments may be nil,
// integers, floats, bool, string and []byte. The rows are closed at the end
// of the transaction at the latest.
func (q *queries) Query(sql string, args ...any) (*Rows, error) {
	s, err := q.conn.take(sql)
	if err != nil {
		return nil, err
	}
	if err := q.conn.bind(args); err != nil {
		q.conn.free(sql, s)
		return nil, err
	}
	raw, err := s.raw.(driver.StmtQueryContext).QueryContext(context.Background(), q.conn.args)
	if err != nil {
		q.conn.free(sql, s)
		return nil, err
	}
	r := &Rows{q: q, sql: sql, stmt: s, raw: raw, values: make([]driver.Value, len(raw.Columns()))}
	q.open = append(q.open, r)
	return r, nil
}

// QueryRow runs a query of which one row is wanted.
func (q *queries) QueryRow(sql string, args ...any) Row {
	rows, err := q.Query(sql, args...)
	return Row{rows: rows, err: err}
}

// closeAll closes the rows that were left open.
func (q *queries) closeAll() error {
	var errs []error
	for len(q.open) > 0 {
		errs = append(errs, q.open[len(q.open)-1].Close())
	}
	return errors.Join(errs...)
}

// Rows is the result of a query, read from its first row on.
type Rows struct {
	q      *queries
	sql    string
	stmt   *stmt
	raw    driver.Rows
	values []driver.Value
	n      int
	err    error
}

// Next moves to the next row; false at the end and after an error (see Err).
func (r *Rows) Next() bool {
	if r.stmt == nil || r.err != nil {
		return false
	}
	if r.n++; r.n%ctxEvery == 0 && r.q.ctx != nil {
		if r.err = r.q.ctx.Err(); r.err != nil {
			return false
		}
	}
	err := r.raw.Next(r.values)
	if err == nil {
		return true
	}
	if !errors.Is(err, io.EOF) {
		r.err = err
	}
	if err := r.Close(); r.err == nil {
		r.err = err
	}
	return false
}

// Scan copies the row's columns to dest: pointers to int64, int, uint64,
// uint32, float64, bool, string, []byte, json.RawMessage or any, and
// sql.Scanner. A []byte is the caller's own. NULL fits any, []byte,
// json.RawMessage (all nil) and a Scanner.
func (r *Rows) Scan(dest ...any) error {
	if r.stmt == nil {
		return errors.New("sqlitedb: Scan without a row")
	}
	if len(dest) != len(r.values) {
		return fmt.Errorf("sqlitedb: Scan got %d destinations, want %d", len(dest), len(r.values))
	}
	for i, d := range dest {
		if err := assign(d, r.values[i]); err != nil {
			return fmt.Errorf("sqlitedb: column %d: %w", i+1, err)
		}
	}
	return nil
}

// Err returns the error that ended Next, if any.
func (r *Rows) Err() error { return r.err }

// Close ends the query. A second call does nothing.
func (r *Rows) Close() error {
	if r.stmt == nil {
		return nil
	}
	err := r.raw.Close()
	r.q.conn.free(r.sql, r.stmt)
	r.stmt = nil
	for i, o := range r.q.open {
		if o == r {
			r.q.open = append(r.q.open[:i], r.q.open[i+1:]...)
			break
		}
	}
	return err
}

// Row is the first row of a query.
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the row as [Rows.Scan] does. Error: ErrNoRows if there is none.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	err := r.rows.Scan(dest...)
	return errors.Join(err, r.rows.Close())
}

// assign stores the driver's value v in dest.
func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case *any:
		*d = v
		return nil
	case *[]byte:
		return assignBytes(d, v)
	case *json.RawMessage:
		return assignBytes((*[]byte)(d), v)
	case *string:
		switch v := v.(type) {
		case string:
			*d = v
			return nil
		case []byte:
			*d = string(v)
			return nil
		}
	case *float64:
		switch v := v.(type) {
		case float64:
			*d = v
			return nil
		case int64:
			*d = float64(v)
			return nil
		}
	case sql.Scanner:
		return d.Scan(v)
	default:
		if n, ok := v.(int64); ok {
			return assignInt(dest, n)
		}
	}
	return fmt.Errorf("cannot store %T in %T", v, dest)
}

func assignBytes(d *[]byte, v driver.Value) error {
	switch v := v.(type) {
	case []byte:
		if v == nil {
			v = []byte{} // an empty blob, not NULL
		}
		*d = v
	case string:
		*d = []byte(v)
	case nil:
		*d = nil
	default:
		return fmt.Errorf("cannot store %T in %T", v, d)
	}
	return nil
}

func assignInt(dest any, n int64) error {
	switch d := dest.(type) {
	case *int64:
		*d = n
	case *int:
		*d = int(n)
	case *uint64:
		if n < 0 {
			return fmt.Errorf("cannot store %d in *uint64", n)
		}
		*d = uint64(n)
	case *uint32:
		if n < 0 || n > 1<<32-1 {
			return fmt.Errorf("cannot store %d in *uint32", n)
		}
		*d = uint32(n)
	case *bool:
		*d = n != 0
	default:
		return fmt.Errorf("cannot store int64 in %T", dest)
	}
	return nil
}
