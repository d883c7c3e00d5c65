//go:build linux

package soak_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // what the hook of each receiver writes into

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest/storm"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// world is a transmitter, a receiver of its pushes and one that polls it, each a process,
// with a wire in each direction, and the load.
type world struct {
	*testing.T
	idp       *proctest.Server
	receivers []*listener
	toIDP     *wire
	load      *storm.Storm
	redis     bool
	operator  string // token
}

// listener is a receiver, with the table that its hook fills.
type listener struct {
	*proctest.Server
	name string
	db   *sql.DB
	wire *wire // by which it is pushed to
}

func newWorld(t *testing.T, onRedis bool) *world {
	t.Helper()
	w := &world{T: t, redis: onRedis}
	w.idp = proctest.New(t, "--push-schedule", "20ms,50ms,100ms,200ms", "--redeliver", "1s", "--log-level", "info")
	w.toIDP = newWire(t, w.idp.Listen)
	w.idp.Args = append(w.idp.Args, "--issuer", "http://"+w.toIDP.Addr)
	more := func(string) string { return "" }
	if onRedis {
		url := "redis://" + redistest.StartDurable(t).Addr
		w.idp.Args = append(w.idp.Args, "--redis", url, "--algorithm", "ES256")
		more = func(name string) string {
			return fmt.Sprintf("redis: %s\nredis_prefix: rp-%s\n", url, name)
		}
	}
	said := newWatch("@example.com")
	w.idp.Said = said
	t.Cleanup(func() { said.judge(t) })
	if err := w.idp.Start(); err != nil {
		t.Fatal(err)
	}
	w.load = storm.Sends(t, w.idp, 2*time.Millisecond)
	said.add(w.load.Source)
	var err error
	if w.operator, err = w.idp.Token(t.Context(), "operator", "https://operator.example", "admin"); err != nil {
		t.Fatal(err)
	}
	said.add(w.operator)
	for _, method := range []string{"push", "poll"} {
		w.receivers = append(w.receivers, w.listen(method, more(method), said))
	}
	return w
}

// listen starts a receiver whose hook writes down what it was told.
func (w *world) listen(method, more string, said *watch) *listener {
	w.Helper()
	l := &listener{name: method, Server: proctest.NewReceiver(w.T, "")}
	l.wire = newWire(w.T, l.Listen)
	token, err := w.idp.Token(w.Context(), method, "https://"+method+".example", "ssf.manage ssf.read")
	if err != nil {
		w.Fatal(err)
	}
	for name, secret := range map[string]string{"token": token, "push": "Bearer pushed-with-" + token[len(token)-16:]} {
		said.add(secret)
		if err := os.WriteFile(filepath.Join(l.Dir, name), []byte(secret+"\n"), 0o600); err != nil {
			w.Fatal(err)
		}
	}
	dsn := "file:" + filepath.Join(l.Dir, "app.db") + "?_pragma=busy_timeout(5000)"
	if l.db, err = sql.Open("sqlite", dsn); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = l.db.Close() })
	if _, err := l.db.Exec("CREATE TABLE ran (n INTEGER PRIMARY KEY AUTOINCREMENT, jti TEXT, txn TEXT, who TEXT)"); err != nil {
		w.Fatal(err)
	}
	algorithm := "RS256"
	delivery := "method: poll"
	if w.redis {
		algorithm = "ES256"
	}
	if method == "push" {
		delivery = fmt.Sprintf("method: push, public_url: http://%s/push/idp, authorization_file: push", l.wire.Addr)
	}
	l.Configure(w.T, fmt.Sprintf(`%slog_level: info
retry: [100ms, 200ms, 500ms, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]
hooks:
  app:
    type: sql
    driver: sqlite
    dsn: %q
    statements:
    - {sql: "INSERT INTO ran (jti, txn, who) VALUES ($1, $2, $3)", args: [jti, txn, user.email], uncounted: true}
issuers:
- {name: idp, issuer: "http://%s", audience: "https://%s.example", algorithms: [%s], credentials: {token_file: token}, delivery: {%s}}
`, more, dsn, w.toIDP.Addr, method, algorithm, delivery))
	l.Said = said
	if err := l.Start(); err != nil {
		w.Fatal(err)
	}
	w.verified(l)
	return l
}

// verified waits until the stream of a receiver has been verified.
func (w *world) verified(l *listener) {
	w.Helper()
	proctest.Eventually(w.T, l.name+": a verified stream", func() bool {
		out, err := l.Command(w.Context(), "receive", "health", "--json", "--config", l.File)
		var h receive.Health
		return err == nil && json.Unmarshal(out, &h) == nil && len(h.Issuers) == 1 && h.Issuers[0].Standing == "ok" && !h.Issuers[0].Verification.Answered.IsZero()
	})
}

// processes are those that may die.
func (w *world) processes() []*proctest.Server {
	all := []*proctest.Server{w.idp}
	for _, l := range w.receivers {
		all = append(all, l.Server)
	}
	return all
}

// wires are those between them.
func (w *world) wires() []*wire {
	all := []*wire{w.toIDP}
	for _, l := range w.receivers {
		all = append(all, l.wire)
	}
	return all
}

// told reads what a receiver's hook has written down.
func (l *listener) told(t *testing.T) *storm.Receiver {
	t.Helper()
	r := storm.Told(l.name)
	rows, err := l.db.QueryContext(t.Context(), "SELECT jti, txn, who FROM ran ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var jti, txn, who string
		if err := rows.Scan(&jti, &txn, &who); err != nil {
			t.Fatal(err)
		}
		r.Did(jti, txn, who)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return r
}

// events counts those that a receiver was told of.
func (l *listener) events(ctx context.Context) (n int) {
	_ = l.db.QueryRowContext(ctx, "SELECT count(DISTINCT txn) FROM ran").Scan(&n) // less than all: it is asked again
	return n
}

// arrived waits until everything that was sent has reached every hook, for as long as
// there is progress.
func (w *world) arrived() {
	w.Helper()
	last, since := -1, time.Now()
	for {
		missing := 0
		for _, l := range w.receivers {
			missing += w.load.Sent() - l.events(w.Context())
		}
		switch {
		case missing <= 0:
			return
		case missing != last:
			last, since = missing, time.Now()
		case time.Since(since) > 2*proctest.Patience:
			w.Errorf("nothing arrives for %v, and %d are missing", 2*proctest.Patience, missing)
			return
		}
		proctest.Pause(50 * time.Millisecond)
	}
}

// watch looks for what must not be said in all that processes say.
type watch struct {
	mu      sync.Mutex
	secrets []string
	end     []byte // of what was said before
	found   []string
}

func newWatch(secrets ...string) *watch { return &watch{secrets: secrets} }

func (w *watch) add(secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = append(w.secrets, secret)
}

// Write looks at p, and at what p begins in the middle of.
func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.end, p...)
	for _, secret := range w.secrets {
		if at := bytes.Index(text, []byte(secret)); at >= 0 && len(w.found) < 5 {
			from := bytes.LastIndexByte(text[:at], '\n') + 1
			w.found = append(w.found, string(text[from:min(len(text), at+len(secret)+40)]))
		}
	}
	w.end = append([]byte(nil), text[max(0, len(text)-512):]...)
	return len(p), nil
}

func (w *watch) judge(t *testing.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.found) > 0 {
		t.Errorf("SEC-04: a secret or a subject was said:\n%s", strings.Join(w.found, "\n"))
	}
}

// The watch sees what was said, also where it is said in pieces.
func TestWatch(t *testing.T) {
	for _, said := range [][]string{{"a secret-word b"}, {"a sec", "ret-w", "ord"}, {strings.Repeat("x", 2000) + "secret", "-word\n"}} {
		w := newWatch("none", "secret-word")
		for _, piece := range said {
			_, _ = w.Write([]byte(piece))
		}
		if len(w.found) == 0 {
			t.Errorf("%q: got nothing seen", said)
		}
	}
	w := newWatch("secret-word")
	if _, _ = w.Write([]byte("secret")); len(w.found) > 0 {
		t.Errorf("got %q seen", w.found)
	}
}
