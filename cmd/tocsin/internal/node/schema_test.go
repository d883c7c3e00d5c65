package node_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

const (
	sessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	first          = "testdata/v1"
)

// then is when the folder was made, as its files tell it: what waits has not expired.
func then() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func dated(dir string) node.Config {
	cfg := config(dir)
	cfg.Transmitter.Now = then
	return cfg
}

// contracts.md §7: every file has a schema version; a folder of each older version
// opens, and all goes on: the client's token is good, the key is the same, and what
// waited is polled under its jti.
func TestUpgrade(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), dated(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	token, stream, jti, kid, id := notes(t, dir)
	if got := n.Keys.Signer().KeyID(); got != kid {
		t.Errorf("got key %s, want %s", got, kid)
	}
	if got := ask(t, n, "/ssf/poll/"+stream, token, `{"returnImmediately":true}`); !strings.Contains(got, `"`+jti+`":"ey`) {
		t.Errorf("poll: got %s, want the SET %s that waited", got, jti)
	}
	ask(t, n, "/ssf/poll/"+stream, token, `{"ack":["`+jti+`"],"maxEvents":0}`)
	if again, other := ask(t, n, "/v1/events", token, event("1")), ask(t, n, "/v1/events", token, event("2")); !strings.Contains(again, id) || strings.Contains(other, id) {
		t.Errorf("the same event again: got %s, want the id %s; another: got %s, want an id of its own", again, id, other)
	}
	for _, file := range []string{"log.db", "state.db", "admin.db"} {
		if got := pragma(t, filepath.Join(dir, file), "user_version"); got < 1 {
			t.Errorf("%s: got schema version %d, want one", file, got)
		}
	}
}

// A file that a newer program has written is refused by name and version, and left
// as it is.
func TestNewerRefused(t *testing.T) {
	for _, file := range []string{"log.db", "state.db", "admin.db"} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, file)
		newer := pragma(t, path, "user_version") + 98
		pragma(t, path, fmt.Sprintf("user_version = %d", newer))
		_, err := node.Open(t.Context(), dated(dir))
		var schema *sqlitedb.SchemaError
		if !errors.As(err, &schema) || schema.Have != newer || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v, want a *SchemaError of version %d that names the file", file, err, newer)
		}
		if got := pragma(t, path, "user_version"); got != newer {
			t.Errorf("%s: got version %d afterwards, want %d", file, got, newer)
		}
	}
}

// pragma runs a pragma and returns its value, 0 if it has none.
func pragma(t *testing.T, file, text string) (value int) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("PRAGMA " + text).Scan(&value); err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	return value
}

// notes are what the folder's maker wrote beside it.
func notes(t *testing.T, dir string) (token, stream, jti, kid, id string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "notes.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(raw), &token, &stream, &jti, &kid, &id); err != nil {
		t.Fatal(err)
	}
	return token, stream, jti, kid, id
}

func event(id string) string {
	return `{"source_id":"` + id + `","type":"` + sessionRevoked + `","subject":{"format":"email","email":"jo@example.com"}}`
}

// ask makes a request, which must succeed, and returns the body of its answer.
func ask(t *testing.T, n *node.Node, path, token, body string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://ssf.example"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	n.Transmitter.Handler().ServeHTTP(w, r)
	if w.Code >= http.StatusMultipleChoices {
		t.Fatalf("%s: got %d %s, want 2xx", path, w.Code, w.Body)
	}
	return w.Body.String()
}
