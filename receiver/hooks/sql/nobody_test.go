package sql_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	hook "github.com/tocsin-ssf/tocsin/receiver/hooks/sql"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// An event that names nobody by what a statement asks for, all of it optional, ends the
// sessions of nobody: without a value its conditions hold for all.
func TestNobody(t *testing.T) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("CREATE TABLE s (email TEXT, sid TEXT); INSERT INTO s VALUES ('jo@example.com', 's1'), ('max@example.com', 's2')"); err != nil {
		t.Fatal(err)
	}
	h, err := hook.New(hook.Config{DB: db, Statements: []hook.Statement{{
		SQL: "DELETE FROM s WHERE ($1 IS NULL OR email = $1) AND ($2 IS NULL OR sid = $2)", Args: []string{"user.email?", "session.id?"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]subject.Identifier{
		"no subject":              {},
		"a simple subject":        subject.Email("jo@example.com"),
		"a user by another":       complexOf(t, map[string]subject.Identifier{"user": subject.IssSub("https://idp.example", "jo")}),
		"a session by another":    complexOf(t, map[string]subject.Identifier{"session": subject.IssSub("https://idp.example", "jo")}),
		"every session of nobody": complexOf(t, map[string]subject.Identifier{"session": subject.Opaque("ALL")}),
	} {
		for _, effect := range []hooks.Effect{hooks.End, hooks.Deny} {
			a := hooks.NewAction(receiver.Delivery{Issuer: "https://idp.example", ID: "j", Subject: id, EventTime: time.Now()}, "h", effect)
			if got, err := h.Act(t.Context(), a); !errors.Is(err, hooks.ErrNotApplicable) {
				t.Errorf("%s, %s: got %+v, %v, want %v", name, effect, got, err, hooks.ErrNotApplicable)
			}
		}
	}
	var left int
	if err := db.QueryRow("SELECT count(*) FROM s").Scan(&left); err != nil || left != 2 {
		t.Errorf("got %d sessions left, %v, want 2", left, err)
	}
}
