package sqlitedb

import (
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"modernc.org/sqlite"
)

// Errors that callers branch on.
var (
	// ErrNoRows: a [Row] was scanned and the query had no result.
	ErrNoRows = sql.ErrNoRows
	// ErrClosed: the database is closed or closing.
	ErrClosed = errors.New("sqlitedb: database is closed")
	// ErrForeign: the file is a database of another application.
	ErrForeign = errors.New("sqlitedb: file belongs to another application")
	// ErrLocked: another process uses the folder. The error is a *LockedError.
	ErrLocked = errors.New("sqlitedb: folder is in use")
)

// SchemaError: the file was written by a newer version of the program.
type SchemaError struct {
	Path string
	// Have is the file's schema version, Known the highest that the program knows.
	Have, Known int
}

// Error says what to do about it.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("sqlitedb: %s has schema version %d, this program knows versions up to %d: "+
		"use the newer program that wrote it, or restore a backup", e.Path, e.Have, e.Known)
}

// LockedError tells who holds a folder's lock; it is ErrLocked.
type LockedError struct {
	Dir string
	// PID is the holder's process id; 0 if it could not be read.
	PID int
}

// Error names the folder and the process.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("sqlitedb: folder %s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("sqlitedb: folder %s is in use by process %d", e.Dir, e.PID)
}

// Is makes errors.Is(err, ErrLocked) hold.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// PanicError: the function given to Write or Read panicked. Nothing of its
// work was kept. The panic's value is not kept either: somebody may have put it
// together of a secret or a subject, and errors are logged.
type PanicError struct {
	// Kind is the text of a runtime error, which has numbers and types alone; of all
	// else the type.
	Kind  string
	Stack []byte
}

func panicked(p any) *PanicError {
	kind := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		kind = err.Error()
	}
	return &PanicError{Kind: kind, Stack: debug.Stack()}
}

// Error tells what kind of panic it was; where it happened is in the field.
func (e *PanicError) Error() string { return "sqlitedb: panic in transaction: " + e.Kind }

// IsCorrupt reports whether the file behind err is damaged, or no database.
func IsCorrupt(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == codeCorrupt || code == codeNotADB
}
