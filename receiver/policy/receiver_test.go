package policy_test

import (
	"context"
	"errors"
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

// From SET to hooks, with a real inbox and a real journal: order per subject holds, a
// retry asks what is missing alone, and a dead letter that is sent again asks the hook
// that had given up, and no other.
func TestWithReceiver(t *testing.T) {
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
		send := func(id, eventType string) {
			compact, err := set.Builder{
				Issuer: issuer, ID: id, Audience: []string{"me"}, IssuedAt: time.Now(),
				Subject: subject.Email("jo@example.com"), Event: set.Event{Type: eventType, Payload: []byte("{}")},
			}.Sign(signer)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Accept(ctx, []byte(compact)); err != nil {
				t.Fatal(err)
			}
		}

		w.hooks["sql"].answer = fails(3, errDown)
		send("deny", risc.AccountDisabledType)
		send("allow", risc.AccountEnabledType)
		<-time.After(5 * time.Minute)
		w.hooks["redis"].wants(t, "redis", hooks.Deny, hooks.Allow)
		w.hooks["sql"].wants(t, "sql", hooks.Deny, hooks.Deny, hooks.Deny, hooks.Deny, hooks.Allow)

		w.hooks["sql"].answer = fails(6, receiver.Permanent(errors.New("no such table")))
		send("end", caep.SessionRevokedType)
		<-time.After(time.Minute)
		dead, err := in.DeadLetters(ctx, "feed", 0, 10)
		if err != nil || len(dead) != 1 || dead[0].Reason != `hook "sql" (end): no such table` {
			t.Errorf("got dead letters %+v %v, want one for sql", dead, err)
		}
		if err := in.Resend(ctx, issuer, "end"); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		w.hooks["redis"].wants(t, "redis", hooks.Deny, hooks.Allow, hooks.End)
		if got := w.hooks["sql"].effects()[5:]; !slices.Equal(got, []hooks.Effect{hooks.End, hooks.End}) {
			t.Errorf("got sql asked for %v, want to end twice", got)
		}
		got, err := j.List(ctx, journal.Query{Feed: "feed", ID: "end", Max: 10})
		if err != nil || len(got) != 2 || got[0].Hook != "sql" || got[0].Verdict != journal.Done || got[1].Verdict != journal.Done {
			t.Errorf("got %+v %v, want both done", got, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: got error %v, want none", err)
		}
	})
}
