package sql_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	hook "github.com/tocsin-ssf/tocsin/receiver/hooks/sql"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

var (
	_ hooks.Hook      = (*hook.Hook)(nil)
	_ hooks.Previewer = (*hook.Hook)(nil)

	now = time.Unix(1700000000, 0).UTC()
)

// engine is a database with the sessions of an application.
type engine struct {
	*testing.T
	*sql.DB
	driver, dsn string
	stop        func()
}

const schema = `
DROP TABLE IF EXISTS sessions; DROP TABLE IF EXISTS users; DROP TABLE IF EXISTS outbox;
CREATE TABLE sessions (id TEXT PRIMARY KEY, email TEXT NOT NULL, device TEXT, begun TIMESTAMP NOT NULL, begun_unix BIGINT NOT NULL);
CREATE TABLE users (email TEXT PRIMARY KEY, disabled INTEGER NOT NULL DEFAULT 0);
CREATE TABLE outbox (key TEXT PRIMARY KEY, type TEXT NOT NULL, device TEXT, number INTEGER)`

// TestDatabases runs every test that needs a database on each of them. A server takes
// long to start, so that there is one for all.
func TestDatabases(t *testing.T) {
	for _, d := range []struct {
		driver string
		start  func(*testing.T) (string, func())
	}{
		{"sqlite", func(t *testing.T) (string, func()) {
			return "file:" + filepath.Join(t.TempDir(), "app.db") + "?_pragma=busy_timeout(5000)", nil
		}},
		{"pgx", postgres},
	} {
		t.Run(d.driver, func(t *testing.T) {
			dsn, stop := d.start(t)
			db, err := sql.Open(d.driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			for _, test := range []struct {
				name string
				run  func(e engine)
			}{
				{"end", testEnd},
				{"time", testTime},
				{"effects", testEffects},
				{"failures", testFailures},
				{"locked", testLocked},
				{"server away", testServerAway}, // the last
			} {
				t.Run(test.name, func(t *testing.T) {
					for statement := range strings.SplitSeq(schema, ";") {
						if _, err := db.Exec(statement); err != nil {
							t.Fatal(err)
						}
					}
					test.run(engine{t, db, d.driver, dsn, stop})
				})
			}
		})
	}
}

func (e engine) login(id, email, device string, begun time.Time) {
	e.Helper()
	if _, err := e.Exec("INSERT INTO sessions VALUES ($1, $2, $3, $4, $5)", id, email, device, begun, begun.Unix()); err != nil {
		e.Fatal(err)
	}
}

// alive returns the ids of the sessions that are left.
func (e engine) alive() (ids []string) {
	e.Helper()
	rows, err := e.Query("SELECT id FROM sessions ORDER BY id")
	if err != nil {
		e.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			e.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		e.Fatal(err)
	}
	return ids
}

func (e engine) number(query string) (n int) {
	e.Helper()
	if err := e.QueryRow(query).Scan(&n); err != nil {
		e.Fatal(err)
	}
	return n
}

func (e engine) hook(statements ...hook.Statement) *hook.Hook {
	e.Helper()
	h, err := hook.New(hook.Config{Driver: e.driver, DSN: e.dsn, Statements: statements})
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() {
		if err := h.Close(); err != nil {
			e.Errorf("close: got %v, want none", err)
		}
	})
	return h
}

func action(id subject.Identifier, effect hooks.Effect) hooks.Action {
	return hooks.NewAction(receiver.Delivery{
		Issuer: "https://idp.example", ID: "j", Type: "urn:t", Subject: id, EventTime: now,
	}, "sql", effect)
}

func complexOf(t *testing.T, members map[string]subject.Identifier) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(members)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

var (
	byUser    = hook.Statement{SQL: "DELETE FROM sessions WHERE email = $1 AND begun_unix <= $2", Args: []string{"user.email", "until_unix"}}
	bySession = hook.Statement{SQL: "DELETE FROM sessions WHERE id = $1", Args: []string{"session.id"}}
)

// Which sessions end, and that hostile values are values.
func testEnd(e engine) {
	jo := subject.Email("jo@example.com")
	for _, tt := range []struct {
		name       string
		statements []hook.Statement
		event      subject.Identifier
		want       []string // alive
	}{
		{"user, up to the event", []hook.Statement{byUser}, jo, []string{"a3", "b1", "i1"}},
		{"each alias", []hook.Statement{byUser}, subject.Aliases(jo, subject.Email("bob@example.com")), []string{"a3", "i1"}},
		{"session", []hook.Statement{byUser, bySession}, complexOf(e.T, map[string]subject.Identifier{"user": jo, "session": subject.Opaque("a2")}), []string{"a1", "a3", "b1", "i1"}},
		{
			"device, if there is one",
			[]hook.Statement{{SQL: "DELETE FROM sessions WHERE email = $1 AND begun_unix <= $2 AND (device = $3 OR $4 IS NULL)", Args: []string{"user.email", "until_unix", "device.id?", "device.id?"}}},
			complexOf(e.T, map[string]subject.Identifier{"user": jo, "device": subject.Opaque("phone")}),
			[]string{"a1", "a3", "b1", "i1"},
		},
		{"a value is no SQL", []hook.Statement{byUser}, subject.Email("' OR 1=1; --"), []string{"a1", "a2", "a3", "b1"}},
	} {
		e.Run(tt.name, func(t *testing.T) {
			e := engine{t, e.DB, e.driver, e.dsn, e.stop}
			if e.driver == "pgx" { // which asks for the type of a parameter by itself
				for i, s := range tt.statements {
					tt.statements[i].SQL = strings.Replace(s.SQL, "$4 IS", "$4::text IS", 1)
				}
			}
			if _, err := e.Exec("DELETE FROM sessions"); err != nil {
				t.Fatal(err)
			}
			e.login("a1", "jo@example.com", "desk", now.Add(-time.Minute))
			e.login("a2", "jo@example.com", "phone", now)
			e.login("a3", "jo@example.com", "phone", now.Add(time.Second))
			e.login("b1", "bob@example.com", "desk", now.Add(-time.Minute))
			e.login("i1", "' OR 1=1; --", "desk", now.Add(-time.Minute))
			h, all := e.hook(tt.statements...), e.alive()
			ended := len(all) - len(tt.want)
			if got, err := h.Preview(t.Context(), action(tt.event, hooks.End)); err != nil || got.Ended != ended {
				t.Errorf("preview: got %+v, %v, want %d", got, err, ended)
			}
			if got := e.alive(); !slices.Equal(got, all) {
				t.Errorf("after the preview: got %q alive, want %q", got, all)
			}
			if got, err := h.Act(t.Context(), action(tt.event, hooks.End)); err != nil || got.Ended != ended {
				t.Errorf("got %+v, %v, want %d ended", got, err, ended)
			}
			if got := e.alive(); !slices.Equal(got, tt.want) {
				t.Errorf("got %q alive, want %q", got, tt.want)
			}
			if got, err := h.Act(t.Context(), action(tt.event, hooks.End)); err != nil || got.Ended != 0 {
				t.Errorf("again: got %+v, %v, want nothing ended", got, err)
			}
		})
	}
}

// A time reaches a column of times as one.
func testTime(e engine) {
	e.login("old", "jo@example.com", "", now)
	e.login("young", "jo@example.com", "", now.Add(time.Second))
	h := e.hook(hook.Statement{SQL: "DELETE FROM sessions WHERE email = $1 AND begun <= $2", Args: []string{"user.email", "until"}})
	if got, err := h.Act(e.Context(), action(subject.Email("jo@example.com"), hooks.End)); err != nil || got.Ended != 1 {
		e.Errorf("got %+v, %v, want 1 ended", got, err)
	}
	if got := e.alive(); !slices.Equal(got, []string{"young"}) {
		e.Errorf("got %q alive, want the young one", got)
	}
}

// Statements for other effects, several at once, and what does not count as sessions.
func testEffects(e engine) {
	if _, err := e.Exec("INSERT INTO users (email) VALUES ('jo@example.com')"); err != nil {
		e.Fatal(err)
	}
	e.login("a", "jo@example.com", "", now)
	h := e.hook(
		byUser,
		hook.Statement{Effects: []hooks.Effect{hooks.Deny}, Uncounted: true, SQL: "UPDATE users SET disabled = 1 WHERE email = $1", Args: []string{"user.email"}},
		hook.Statement{Effects: []hooks.Effect{hooks.Allow}, Uncounted: true, SQL: "UPDATE users SET disabled = 0 WHERE email = $1", Args: []string{"user.email"}},
		hook.Statement{Effects: []hooks.Effect{hooks.Deny}, Uncounted: true, SQL: "INSERT INTO outbox (key, type, device) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", Args: []string{"key", "event_type", "device.id?"}},
	)
	for range 2 {
		if _, err := h.Act(e.Context(), action(subject.Email("jo@example.com"), hooks.Deny)); err != nil {
			e.Fatal(err)
		}
	}
	if got := e.alive(); got != nil {
		e.Errorf("deny: got %q alive, want none", got)
	}
	if n := e.number("SELECT COUNT(*) FROM outbox WHERE type = 'urn:t' AND device IS NULL"); n != 1 {
		e.Errorf("outbox: got %d rows, want 1 of two attempts", n)
	}
	if n := e.number("SELECT disabled FROM users"); n != 1 {
		e.Errorf("deny: got disabled %d, want 1", n)
	}
	one := complexOf(e.T, map[string]subject.Identifier{"user": subject.Email("max@example.com"), "session": subject.Opaque("m")})
	e.login("m", "max@example.com", "", now)
	if _, err := e.Exec("INSERT INTO users (email) VALUES ('max@example.com')"); err != nil {
		e.Fatal(err)
	}
	if got, err := h.Act(e.Context(), action(one, hooks.Deny)); err != nil || got.Ended != 1 {
		e.Errorf("deny of one session: got %+v, %v, want 1 ended", got, err)
	}
	if n := e.number("SELECT disabled FROM users WHERE email = 'max@example.com'"); n != 0 {
		e.Errorf("deny of one session: got the user disabled, want not")
	}
	if got, err := h.Act(e.Context(), action(subject.Email("jo@example.com"), hooks.Allow)); err != nil || got.Ended != 0 {
		e.Errorf("allow: got %+v, %v, want nothing ended", got, err)
	}
	if n := e.number("SELECT disabled FROM users WHERE email = 'jo@example.com'"); n != 0 {
		e.Errorf("allow: got disabled %d, want 0", n)
	}
	if _, err := h.Act(e.Context(), action(subject.Email("jo@example.com"), hooks.Reload)); !errors.Is(err, hooks.ErrNotApplicable) {
		e.Errorf("reload: got %v, want %v", err, hooks.ErrNotApplicable)
	}
}

// What fails leaves nothing behind, and says nothing of whom it was about.
func testFailures(e engine) {
	const secret = "secret-jo@example.com"
	for _, tt := range []struct {
		name      string
		second    hook.Statement
		ctx       func() context.Context
		permanent bool
	}{
		{"a statement that is wrong", hook.Statement{SQL: "DELETE FROM nothing WHERE email = $1", Args: []string{"user.email"}}, e.Context, false},
		{"a value that is refused", hook.Statement{SQL: "INSERT INTO outbox (key, type) VALUES ($1, NULL)", Args: []string{"user.email"}}, e.Context, true},
		{"no time left", byUser, func() context.Context {
			ctx, cancel := context.WithCancel(e.Context())
			cancel()
			return ctx
		}, false},
	} {
		e.login(tt.name, secret, "", now)
		_, err := e.hook(byUser, tt.second).Act(tt.ctx(), action(subject.Email(secret), hooks.End))
		if err == nil || receiver.IsPermanent(err) != tt.permanent || strings.Contains(err.Error(), secret) {
			e.Errorf("%s: got %v, want an error, permanent %v, without the user", tt.name, err, tt.permanent)
		}
		if got := e.alive(); !slices.Contains(got, tt.name) {
			e.Errorf("%s: got the session ended, want the whole taken back", tt.name)
		}
	}
	if e.driver == "pgx" {
		numbers := hook.Statement{SQL: "INSERT INTO outbox (key, type, number) VALUES ('n', 't', $1::text::integer)", Args: []string{"user.email"}}
		_, err := e.hook(numbers).Act(e.Context(), action(subject.Email(secret), hooks.End))
		if err == nil || !receiver.IsPermanent(err) || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "22P02") {
			e.Errorf("text for a number: got %v, want a permanent error of class 22 without the user", err)
		}
	}
}

// A lock that somebody holds holds the hook no longer than its deadline.
func testLocked(e engine) {
	if e.stop == nil {
		return // SQLite waits for locks by itself, as long as its DSN says
	}
	e.login("a", "jo@example.com", "", now)
	tx, err := e.Begin()
	if err != nil {
		e.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"); err != nil {
		e.Fatal(err)
	}
	h := e.hook(byUser)
	ctx, cancel := context.WithTimeout(e.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Act(ctx, action(subject.Email("jo@example.com"), hooks.End)); err == nil || receiver.IsPermanent(err) {
		e.Errorf("locked: got %v, want an error to try again", err)
	}
	if err := tx.Rollback(); err != nil {
		e.Fatal(err)
	}
	if got, err := h.Act(e.Context(), action(subject.Email("jo@example.com"), hooks.End)); err != nil || got.Ended != 1 {
		e.Errorf("free again: got %+v, %v, want 1 ended", got, err)
	}
}

// A server that goes away is asked again later.
func testServerAway(e engine) {
	if e.stop == nil {
		return // an embedded one is always there
	}
	e.stop()
	_, err := e.hook(byUser).Act(e.Context(), action(subject.Email("jo@example.com"), hooks.End))
	if err == nil || receiver.IsPermanent(err) || errors.Is(err, hooks.ErrNotApplicable) || strings.Contains(err.Error(), "hunter2") {
		e.Errorf("got %v, want an error to try again, without the password", err)
	}
}

// All that is wrong with a configuration is said at once.
func TestConfig(t *testing.T) {
	_, err := hook.New(hook.Config{Driver: "oracle", DSN: "u:hunter2@x", MaxConns: -1, Statements: []hook.Statement{{Args: []string{"who"}, Effects: []hooks.Effect{"kill"}}}})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"driver:", "max_conns:", "statements[0]: sql:", "args:", "effects:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
	for name, cfg := range map[string]hook.Config{
		"no statement": {Driver: "sqlite", DSN: ":memory:"},
		"no dsn":       {Driver: "sqlite", Statements: []hook.Statement{byUser}},
	} {
		if _, err := hook.New(cfg); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
