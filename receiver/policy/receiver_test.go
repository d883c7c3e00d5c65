package policy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/sqlitejournal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// keys is a set.KeySource of one key.
type keys struct{ key *jose.PublicKey }

func (k keys) Key(context.Context, string, string, jose.Algorithm) (*jose.PublicKey, error) {
	return k.key, nil
}

// live is a receiver with a real inbox and a real journal, and the hooks redis and sql,
// under virtual time.
type live struct {
	*world
	*testing.T
	in     *sqliteinbox.Inbox
	r      *receiver.Receiver
	signer *jose.Signer
}

func runLive(t *testing.T, test func(l *live)) {
	dir := t.TempDir()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, set.HeaderType)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		in, err := sqliteinbox.Open(t.Context(), sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = in.Close() }()
		j, err := sqlitejournal.Open(t.Context(), sqlitejournal.Config{Path: filepath.Join(dir, "journal.db")})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = j.Close() }()
		w := newWorld(t, "", func(cfg *policy.Config) { cfg.Journal, cfg.Now = j, nil }, "redis", "sql")
		mux := receiver.NewMux()
		mux.Default(w.Feed("feed"))
		r, err := receiver.New(receiver.Config{
			Issuer: issuer, Audience: []string{"me"}, Keys: keys{key.Public()}, Algorithms: []jose.Algorithm{jose.ES256},
			Inbox: in, Feed: "feed", Mux: mux, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		test(&live{w, t, in, r, signer})
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: got error %v, want none", err)
		}
	})
}

// send has an event about a user accepted.
func (l *live) send(id, eventType, user string) {
	l.Helper()
	compact, err := set.Builder{
		Issuer: issuer, ID: id, Audience: []string{"me"}, IssuedAt: time.Now(),
		Subject: subject.Email(user), Event: set.Event{Type: eventType, Payload: []byte("{}")},
	}.Sign(l.signer)
	if err == nil {
		_, err = l.r.Accept(l.Context(), []byte(compact))
	}
	if err != nil {
		l.Fatal(err)
	}
}

// From SET to hooks: order per subject holds, a retry asks what is missing alone, and a
// dead letter that is sent again asks the hook that had given up, and no other.
func TestWithReceiver(t *testing.T) {
	runLive(t, func(l *live) {
		redis, sql := l.hooks["redis"], l.hooks["sql"]
		sql.answer = fails(3, errDown)
		l.send("deny", risc.AccountDisabledType, "jo@example.com")
		l.send("allow", risc.AccountEnabledType, "jo@example.com")
		<-time.After(5 * time.Minute)
		redis.wants(l.T, "redis", hooks.Deny, hooks.Allow)
		sql.wants(l.T, "sql", hooks.Deny, hooks.Deny, hooks.Deny, hooks.Deny, hooks.Allow)

		sql.answer = fails(6, receiver.Permanent(errors.New("no such table")))
		l.send("end", caep.SessionRevokedType, "jo@example.com")
		<-time.After(time.Minute)
		dead, err := l.in.DeadLetters(l.Context(), "feed", 0, 10)
		if err != nil || len(dead) != 1 || dead[0].Reason != `hook "sql" (end): no such table` {
			l.Errorf("got dead letters %+v %v, want one for sql", dead, err)
		}
		if err := l.in.Resend(l.Context(), issuer, "end"); err != nil {
			l.Fatal(err)
		}
		<-time.After(time.Minute)
		redis.wants(l.T, "redis", hooks.Deny, hooks.Allow, hooks.End)
		if got := sql.effects()[5:]; !slices.Equal(got, []hooks.Effect{hooks.End, hooks.End}) {
			l.Errorf("got sql asked for %v, want to end twice", got)
		}
		got, err := l.j.List(l.Context(), journal.Query{Feed: "feed", ID: "end", Max: 10})
		if err != nil || len(got) != 2 || got[0].Hook != "sql" || got[0].Verdict != journal.Done || got[1].Verdict != journal.Done {
			l.Errorf("got %+v %v, want both done", got, err)
		}
	})
}

// A hook that is down for an hour: the other hook does its part at once, for every
// user, and each event reaches the one that was down once it is back, and once only.
func TestDownForAnHour(t *testing.T) {
	const users = 20
	runLive(t, func(l *live) {
		back := time.Now().Add(time.Hour)
		did := map[string]int{}
		l.hooks["sql"].answer = func(_ int, a hooks.Action) (hooks.Outcome, error) {
			if time.Now().Before(back) {
				return hooks.Outcome{}, errDown
			}
			did[a.Delivery.ID]++
			return hooks.Outcome{Ended: 1}, nil
		}
		for n := range users {
			l.send(fmt.Sprint(n), caep.SessionRevokedType, fmt.Sprint(n, "@example.com"))
		}
		<-time.After(time.Second / 2)
		if n := len(l.hooks["redis"].effects()); n != users {
			l.Errorf("got redis asked %d times while sql is down, want %d", n, users)
		}
		<-time.After(3 * time.Hour)
		l.hooks["sql"].mu.Lock()
		defer l.hooks["sql"].mu.Unlock()
		for n := range users {
			if got := did[fmt.Sprint(n)]; got != 1 {
				l.Errorf("event %d: got it done %d times by sql, want once", n, got)
			}
		}
		if n := len(l.hooks["redis"].asked); n != users {
			l.Errorf("got redis asked %d times in all, want %d", n, users)
		}
		totals, err := l.j.Totals(l.Context())
		if err != nil || len(totals) != 2 || totals[1].Entries != users || totals[1].Ended != users || totals[1].Verdict != journal.Done {
			l.Errorf("got totals %+v %v, want %d done by each", totals, err, users)
		}
	})
}
