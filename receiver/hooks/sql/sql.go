// Package sql does what an event asks for with SQL statements of the operator's own:
// deletes sessions, disables accounts, fills an outbox.
//
//	hook, err := sql.New(sql.Config{
//		Driver: "pgx", DSN: "postgres://…",
//		Statements: []sql.Statement{{
//			SQL:  "DELETE FROM sessions WHERE user_email = $1 AND created_at <= $2",
//			Args: []string{"user.email", "until"},
//		}},
//	})
//
// Values of the event reach the database as parameters alone. The driver is the
// program's choice: it imports one.
package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Bounds of a configuration.
const (
	MaxStatements = 32
	MaxSQLBytes   = 16 << 10
	MaxArgs       = 32

	defaultConns = 4
)

// Config is a database and what is said to it.
type Config struct {
	// Driver is the name of a database/sql driver: of those in tocsin "pgx" and
	// "sqlite". Required, with DSN, unless DB is given.
	Driver string
	// DSN is the driver's name of the database. It may hold a password.
	DSN string
	// DB is used in place of Driver and DSN. It stays the caller's.
	DB *sql.DB
	// MaxConns bounds the connections that are opened; zero: 4. Not for DB.
	MaxConns int
	// Statements are run in their order, in one transaction for each action. At least one.
	Statements []Statement
	// Ignore are members of a scope that may be left out of account ("tenant",
	// "device"), though sessions of others than are meant may end.
	Ignore []string
}

// Statement is one SQL statement. It runs at least once for each action, so it must
// not mind the repetition: a DELETE or UPDATE does not, an INSERT has the value `key`
// and ON CONFLICT DO NOTHING.
type Statement struct {
	// Effects are those it is for; none: End and Deny, which ends sessions, too.
	Effects []hooks.Effect
	// SQL is the statement, with the driver's placeholders: $1, $2 (pgx, sqlite), ?
	// (sqlite, MySQL).
	SQL string
	// Args are the names of the values for the placeholders, in their order (package
	// values): until is a time.Time, until_unix and until_ms are int64, all others
	// text, and an optional one ("device.id?") is NULL if it is absent.
	Args []string
	// Uncounted says that the rows it changes are no sessions.
	Uncounted bool
}

// Hook runs statements. It does the effects that statements are for. Safe for
// concurrent use.
type Hook struct {
	cfg Config
	db  *sql.DB
	own bool
}

// New checks cfg and returns its hook; it does not connect.
func New(cfg Config) (*Hook, error) {
	h := &Hook{cfg: cfg, db: cfg.DB, own: cfg.DB == nil}
	var wrong []error
	if n := len(cfg.Statements); n == 0 || n > MaxStatements {
		wrong = append(wrong, fmt.Errorf("statements: there are %d, want 1 to %d", n, MaxStatements))
	}
	for i, s := range cfg.Statements {
		if err := s.check(); err != nil {
			wrong = append(wrong, fmt.Errorf("statements[%d]: %w", i, err))
		}
	}
	if cfg.MaxConns < 0 {
		wrong = append(wrong, errors.New("max_conns: it is not negative"))
	}
	if h.own {
		var err error
		h.db, err = open(cfg)
		wrong = append(wrong, err)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("sql hook: %w", err)
	}
	return h, nil
}

func (s Statement) check() error {
	var wrong []error
	if s.SQL == "" || len(s.SQL) > MaxSQLBytes {
		wrong = append(wrong, fmt.Errorf("sql: it has %d bytes, want 1 to %d", len(s.SQL), MaxSQLBytes))
	}
	if len(s.Args) > MaxArgs {
		wrong = append(wrong, fmt.Errorf("args: there are %d, want at most %d", len(s.Args), MaxArgs))
	}
	for _, name := range s.Args {
		if err := values.Check(name); err != nil {
			wrong = append(wrong, fmt.Errorf("args: %w", err))
		}
	}
	for _, e := range s.Effects {
		if !slices.Contains(hooks.Effects(), e) {
			wrong = append(wrong, fmt.Errorf("effects: there is no %q", e))
		}
	}
	return errors.Join(wrong...)
}

func (s Statement) does(e hooks.Effect) bool {
	if len(s.Effects) == 0 {
		return e == hooks.End || e == hooks.Deny
	}
	return slices.Contains(s.Effects, e)
}

// tooWide reports whether a statement that was made to deny or allow would do so to a
// user for one session's sake. One that has a value of the session, if only an optional
// one, sees to that by itself.
func (s Statement) tooWide(a hooks.Action) bool {
	return values.OneSession(a) && len(s.Effects) > 0 && (a.Effect == hooks.Deny || a.Effect == hooks.Allow) &&
		values.ByMember(s.Args) && !values.ByMember(s.Args, subject.MemberSession)
}

// open opens a database. Errors do not repeat the DSN.
func open(cfg Config) (*sql.DB, error) {
	switch {
	case !slices.Contains(sql.Drivers(), cfg.Driver):
		return nil, fmt.Errorf("driver: there is no %q in this program, only %q", cfg.Driver, sql.Drivers())
	case cfg.DSN == "":
		return nil, errors.New("dsn: it is missing")
	}
	db, err := sql.Open(cfg.Driver, cfg.DSN)
	if err != nil {
		return nil, errors.New("dsn: the driver does not understand it")
	}
	conns := cfg.MaxConns
	if conns <= 0 {
		conns = defaultConns
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// Close closes the database, unless it was given.
func (h *Hook) Close() error {
	if !h.own {
		return nil
	}
	return h.db.Close()
}

// Act runs the statements for the effect by which the event's sessions can be told, in
// one transaction. A refusal of the values themselves (SQLSTATE classes 22 and 23) is
// permanent.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	return h.do(ctx, a, (*sql.Tx).Commit)
}

// Preview runs the same and rolls it back.
func (h *Hook) Preview(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	return h.do(ctx, a, (*sql.Tx).Rollback)
}

func (h *Hook) do(ctx context.Context, a hooks.Action, finish func(*sql.Tx) error) (hooks.Outcome, error) {
	var statements []Statement
	var names [][]string
	for _, s := range h.cfg.Statements {
		if s.does(a.Effect) && !s.tooWide(a) {
			statements, names = append(statements, s), append(names, s.Args)
		}
	}
	matches, err := values.Pick(a, names, h.cfg.Ignore)
	if err != nil {
		return hooks.Outcome{}, err
	}
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return hooks.Outcome{}, h.wrap("begin", err, nil)
	}
	defer func() { _ = tx.Rollback() }() // after finish: nothing
	var out hooks.Outcome
	for _, m := range matches {
		s := statements[m.Way]
		for _, row := range m.Rows {
			n, err := exec(ctx, tx, s, row)
			if err != nil {
				return hooks.Outcome{}, h.wrap("statement", err, row)
			}
			out.Ended = count(out.Ended, n, s.Uncounted)
		}
	}
	if err := finish(tx); err != nil {
		return hooks.Outcome{}, h.wrap("commit", err, nil)
	}
	return out, nil
}

func exec(ctx context.Context, tx *sql.Tx, s Statement, row values.Row) (int64, error) {
	args := make([]any, len(s.Args))
	for i, name := range s.Args {
		args[i] = row[name]
	}
	result, err := tx.ExecContext(ctx, s.SQL, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return hooks.Unknown, nil // the driver cannot tell; it is done all the same
	}
	return n, nil
}

func count(sum int, n int64, uncounted bool) int {
	switch {
	case uncounted:
		return sum
	case sum == hooks.Unknown || n == hooks.Unknown:
		return hooks.Unknown
	}
	return sum + int(n)
}

// wrap says what failed, without values and DSN, and whether it is worth a repetition.
func (h *Hook) wrap(what string, err error, row values.Row) error {
	hidden := &failure{text: "sql hook: " + what + ": " + hide(err.Error(), h.cfg.DSN, row), err: err}
	if refused(err) {
		return receiver.Permanent(hidden)
	}
	return hidden
}
