// Package receivers_test runs `tocsin receive` beside the transmitters that send to it.
package receivers_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/caep"
)

// shop is an application whose sessions stand in a table, with a transmitter of real
// signals and a receiver of them, each a process of its own.
type shop struct {
	idp, receiver *proctest.Server
	source        string // token
	db            *sql.DB
	path          string
	client        *http.Client
}

// newShop starts the transmitter. What receives is configured by text, in which
// TOKEN-x is the file with the token of the application x.
func newShop(t *testing.T, text func(s *shop) string, applications ...string) *shop {
	t.Helper()
	s := &shop{
		idp:    proctest.New(t, "--push-schedule", "20ms,50ms,100ms", "--redeliver", "1s", "--log-level", "error"),
		client: &http.Client{Timeout: 10 * time.Second}, path: filepath.Join(t.TempDir(), "shop.db"),
	}
	if err := s.idp.Start(); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.source, err = s.idp.Token(t.Context(), "source", "https://source.example", "events.write"); err != nil {
		t.Fatal(err)
	}
	for _, name := range applications {
		token, err := s.idp.Token(t.Context(), name, "https://"+name+".example", "ssf.manage ssf.read")
		if err == nil {
			err = os.WriteFile(s.token(name), []byte(token+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.db, err = sql.Open("sqlite", s.dsn()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	s.exec(t, "CREATE TABLE sessions (id TEXT PRIMARY KEY, email TEXT, sid TEXT, begun TEXT)")
	s.exec(t, "CREATE TABLE ran (jti TEXT)")
	s.receiver = proctest.NewReceiver(t, text(s))
	return s
}

func (s *shop) dsn() string { return "file:" + s.path + "?_pragma=busy_timeout(5000)" }

func (s *shop) token(name string) string { return filepath.Join(s.idp.Dir, "token-"+name) }

func (s *shop) exec(t *testing.T, text string, args ...any) {
	t.Helper()
	if _, err := s.db.Exec(text, args...); err != nil {
		t.Fatal(err)
	}
}

// login begins sessions of a user.
func (s *shop) login(t *testing.T, email string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		s.exec(t, "INSERT INTO sessions VALUES (?, ?, ?, ?)", id, email, "sid-"+id, time.Now().UTC().Format(time.RFC3339))
	}
}

// left returns the ids of living sessions.
func (s *shop) left(t *testing.T) []string {
	t.Helper()
	return s.column(t, "SELECT id FROM sessions ORDER BY id")
}

func (s *shop) column(t *testing.T, query string) (out []string) {
	t.Helper()
	rows, err := s.db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		out = append(out, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// emit lets something happen to a user and returns the event's id.
func (s *shop) emit(t *testing.T, id, subject string) string {
	t.Helper()
	event := map[string]any{"source_id": id, "type": caep.SessionRevokedType, "subject": json.RawMessage(subject)}
	status, body, err := s.idp.Call(t.Context(), s.client, http.MethodPost, "/v1/events", s.source, event)
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("emit: got %d %s %v, want 202", status, body, err)
	}
	var answer struct{ ID string }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.ID
}

func email(address string) string { return `{"format":"email","email":"` + address + `"}` }

func (s *shop) health(ctx context.Context) (receive.Health, error) {
	var h receive.Health
	out, err := s.receiver.Command(ctx, "receive", "health", "--json", "--config", s.receiver.File)
	if err == nil {
		err = json.Unmarshal(out, &h)
	}
	return h, err
}

// verified waits until every issuer is verified.
func (s *shop) verified(t *testing.T, names ...string) {
	t.Helper()
	proctest.Eventually(t, "verified streams", func() bool {
		h, err := s.health(t.Context())
		if err != nil || len(h.Issuers) != len(names) {
			return false
		}
		for i, is := range h.Issuers {
			if is.Name != names[i] || is.Standing != "ok" || is.Verification.Answered.IsZero() {
				return false
			}
		}
		return true
	})
}

// issuer is an entry of the configuration.
func (s *shop) issuer(name, delivery string) string {
	return fmt.Sprintf("- name: %s\n  issuer: %s\n  audience: https://%s.example\n  credentials: {token_file: %s}\n  delivery: {method: %s}\n",
		name, s.idp.Issuer, name, s.token(name), delivery)
}

// hooks is the part of the configuration that ends sessions.
func (s *shop) hooks() string {
	return fmt.Sprintf(`retry: [100ms, 200ms, 500ms, 1s, 1s, 1s]
hooks:
  shop:
    type: sql
    driver: sqlite
    dsn: %q
    statements:
    - sql: DELETE FROM sessions WHERE sid = $1
      args: [session.id]
    - sql: DELETE FROM sessions WHERE email = $1
      args: [user.email]
    - sql: INSERT INTO ran VALUES ($1)
      args: [jti]
      uncounted: true
`, s.dsn())
}

// One daemon, one transmitter by push and by poll: streams are made and verified, a
// signal ends the sessions that it means and no other, a reload adds an issuer, and the
// end is clean.
func TestReceiveEndToEnd(t *testing.T) {
	s := newShop(t, func(s *shop) string {
		return s.hooks() + "issuers:\n" + s.issuer("pushed", "push") + s.issuer("polled", "poll")
	}, "pushed", "polled", "late")
	if err := s.receiver.Start(); err != nil {
		t.Fatal(err)
	}
	s.verified(t, "pushed", "polled")

	s.login(t, "jo@example.com", "jo-1", "jo-2")
	s.login(t, "al@example.com", "al-1", "al-2")
	s.emit(t, "1", email("jo@example.com"))
	proctest.Eventually(t, "the end of jo's sessions", func() bool { return slices.Equal(s.left(t), []string{"al-1", "al-2"}) })
	s.emit(t, "2", `{"format":"complex","user":{"format":"email","email":"al@example.com"},"session":{"format":"opaque","id":"sid-al-1"}}`)
	proctest.Eventually(t, "the end of one session", func() bool { return slices.Equal(s.left(t), []string{"al-2"}) })
	proctest.Eventually(t, "both streams", func() bool { return len(s.column(t, "SELECT jti FROM ran")) == 4 })

	out, err := s.receiver.Command(t.Context(), "receive", "journal", "--json", "--config", s.receiver.File, "--hook", "shop")
	if err != nil || strings.Count(string(out), `"verdict": "done"`) != 4 {
		t.Errorf("the journal: got %s (%v), want four entries", out, err)
	}

	// A reload adds an issuer; the others go on with what they are.
	s.receiver.Configure(t, s.hooks()+"issuers:\n"+s.issuer("pushed", "push")+s.issuer("polled", "poll")+s.issuer("late", "push"))
	if err := s.receiver.Process().Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.verified(t, "pushed", "polled", "late")
	s.login(t, "jo@example.com", "jo-3")
	s.emit(t, "3", email("jo@example.com"))
	proctest.Eventually(t, "three streams", func() bool { return len(s.column(t, "SELECT jti FROM ran")) == 7 })
	if left := s.left(t); !slices.Equal(left, []string{"al-2"}) {
		t.Errorf("got %q left, want al's other session alone", left)
	}
	resp, err := http.Get("http://" + s.receiver.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !strings.Contains(string(metrics), `tocsin_receive_sets_total{delivery="poll",issuer="polled",outcome="kept"} 4`) {
		t.Errorf("metrics: got %s (%v), want 4 SETs polled: a verification and three events", metrics, err)
	}

	if out, err := s.receiver.Command(t.Context(), "receive", "reload", "--config", s.receiver.File); err != nil {
		t.Errorf("a reload by command: got %s (%v)", out, err)
	}
	s.acts(t)
	if err := s.receiver.Process().Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.receiver.Done()
	if code := s.receiver.ExitCode(); code != 0 {
		t.Errorf("SIGTERM: got exit code %d, want 0", code)
	}
	s.acts(t) // in the folder alone
}

// acts checks that both reloads are told, and by whom.
func (s *shop) acts(t *testing.T) {
	t.Helper()
	out, err := s.receiver.Command(t.Context(), "receive", "audit", "--json", "--config", s.receiver.File)
	var acts []struct {
		Act, From, Outcome string
		By                 struct {
			Node     string
			UID, PID *int
		}
	}
	if err == nil {
		err = json.Unmarshal(out, &acts)
	}
	if err != nil || len(acts) != 2 || acts[0].Act != "configuration.reload" || acts[0].From != "socket" || acts[0].Outcome != "done" ||
		acts[0].By.UID == nil || *acts[0].By.UID != os.Getuid() || acts[0].By.PID == nil || acts[1].From != "signal" || acts[1].Outcome != "done" || acts[1].By.Node == "" {
		t.Errorf("the audit: got %s (%v), want both reloads and who asked for them", out, err)
	}
	out, err = s.receiver.Command(t.Context(), "receive", "audit", "--config", s.receiver.File, "--by", fmt.Sprint("uid:", os.Getuid()), "--limit", "1")
	if err != nil || strings.Count(string(out), "configuration.reload") != 1 || !strings.Contains(string(out), fmt.Sprint("uid:", os.Getuid(), "/pid:")) {
		t.Errorf("the audit of one user: got %s (%v), want one act", out, err)
	}
}

// Whatever the moment of a kill -9 between byte received and hook done: nothing that
// was acknowledged is lost, and hooks run at least once.
func TestReceiveOutlivesKills(t *testing.T) {
	s := newShop(t, func(s *shop) string {
		return s.hooks() + "issuers:\n" + s.issuer("pushed", "push") + s.issuer("polled", "poll")
	}, "pushed", "polled")
	points := []string{
		"receive.before-append", "receive.after-append", "hook.before-run", "policy.after-act", "policy.after-record",
		"hook.after-run", "hook.after-settle",
	}
	if err := s.receiver.Start(); err != nil {
		t.Fatal(err)
	}
	s.verified(t, "pushed", "polled")
	n := 0
	for _, point := range points {
		s.receiver.Kill()
		if err := s.receiver.Start("TOCSIN_CRASH_POINT=" + point + ":3"); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			n++
			user := fmt.Sprintf("u%d@example.com", n)
			s.login(t, user, fmt.Sprintf("s%03d", n))
			s.emit(t, fmt.Sprint(n), email(user))
		}
		select {
		case <-s.receiver.Done():
		case <-time.After(proctest.Patience):
			t.Fatalf("the receiver did not come to %s", point)
		}
	}
	if err := s.receiver.Start(); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, "the end of every session", func() bool { return len(s.left(t)) == 0 })
	proctest.Eventually(t, "every event on both streams", func() bool {
		return len(s.column(t, "SELECT DISTINCT jti FROM ran")) == 2*n
	})
	h, err := s.health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, is := range h.Issuers {
		if is.Inbox.Dead != 0 {
			t.Errorf("%s: got %d dead letters, want none", is.Name, is.Inbox.Dead)
		}
	}
}
