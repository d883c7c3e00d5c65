package sql

import (
	"errors"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
)

// maxErrorBytes bounds what of a database's error is passed on.
const maxErrorBytes = 300

// Result codes of SQLite for values that a column does not take.
const (
	sqliteConstraint = 19
	sqliteMismatch   = 20
	sqlitePrimary    = 0xff // the part of a code that is not extended
)

// failure is an error with a text that can be shown.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// hide cuts an error's text and takes the DSN and the values of the event out of it:
// databases quote what they do not understand.
func hide(text, dsn string, row values.Row) string {
	secrets := []string{dsn}
	for name := range row {
		secrets = append(secrets, row.Text(name))
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // longer first: one may hold another
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	if len(text) > maxErrorBytes {
		text = strings.ToValidUTF8(text[:maxErrorBytes], "") + "…"
	}
	return text
}

// refused reports whether a database refuses the values themselves, which no
// repetition mends: SQLSTATE class 22 (data exception) or 23 (constraint).
func refused(err error) bool {
	if state, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return strings.HasPrefix(state.SQLState(), "22") || strings.HasPrefix(state.SQLState(), "23")
	}
	if lite, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok {
		code := lite.Code() & sqlitePrimary
		return code == sqliteConstraint || code == sqliteMismatch
	}
	return false
}
