// Package inboxtest is the suite of the contract inbox.Inbox: each promise of it
// is a case that every backend passes.
package inboxtest

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

// Closer is an inbox that can be closed and opened again.
type Closer interface {
	inbox.Inbox
	Close() error
}

// Open opens the inbox kept in the folder dir, or makes it. It reads the time from time.Now.
type Open func(t *testing.T, dir string) Closer

// Feed and issuer of the messages of the suite.
const (
	Feed   = "https://transmitter.example"
	Issuer = "https://transmitter.example"
)

// Run runs every case against inboxes made by open, under virtual time.
func Run(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		test func(*suite)
	}{
		{"once, PUSH-2-03 POLL-2.4-02 SET-2.2-02", once},
		{"once across restarts, SEC-06", onceAcrossRestarts},
		{"once among concurrent appends", onceConcurrently},
		{"kept before acknowledged, PUSH-2-04 POLL-2.4-03 SCIM-5-01", keptBeforeAcknowledged},
		{"compact form kept, PUSH-5.5-01", compactForm},
		{"refused beyond bounds", bounds},
		{"killed between append and hook", killedBeforeHook},
		{"killed during a hook", killedDuringHook},
		{"order per issuer and key", orderPerKey},
		{"order survives a restart", orderAcrossRestart},
		{"no order without a key", noOrder},
		{"a failing hook holds back its key alone", failingHoldsKey},
		{"attempts and due time survive a restart", attemptsSurvive},
		{"released without an attempt", released},
		{"set aside frees the key", setAside},
		{"dead letters by page", pages},
		{"dead letter sent again", resend},
		{"dead letter dropped", drop},
		{"outcome of what is not out", settleUnknown},
		{"take waits", takeWaits},
		{"feeds are followed apart", feeds},
		{"states answered once, SSF-8.1.4.1-02", states},
		{"states survive a restart and expire, SSF-8.1.4.2-06", statesSurvive},
		{"states bounded", statesBounded},
		{"counts", counts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := &suite{T: t, open: open, dir: dir}
				s.in = open(t, dir)
				defer func() { s.check(s.in.Close()) }()
				tt.test(s)
			})
		})
	}
}

// suite is one case's inbox.
type suite struct {
	*testing.T
	open Open
	dir  string
	in   Closer
}

// restart closes the inbox and opens it again.
func (s *suite) restart() {
	s.Helper()
	s.check(s.in.Close())
	s.in = s.open(s.T, s.dir)
}

func (s *suite) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("got error %v, want none", err)
	}
}

func (s *suite) is(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("got error %v, want %v", err, want)
	}
}

// message returns a message of the suite's feed; no order for an empty key.
func message(id, key string) inbox.Message {
	return inbox.Message{
		Feed: Feed, Issuer: Issuer, ID: id, Type: "https://schemas.example/event", TransactionID: "txn-" + id,
		OrderKey: key, SET: []byte("header." + id + ".signature"), Received: time.Now(),
	}
}

// append appends messages that must all be new.
func (s *suite) append(messages ...inbox.Message) {
	s.Helper()
	got, err := s.in.Append(s.Context(), messages...)
	s.check(err)
	for i, a := range got {
		if a.Duplicate || a.Err != nil {
			s.Fatalf("got %+v for message %d, want it kept", a, i)
		}
	}
}

// one appends one message and returns what became of it.
func (s *suite) one(m inbox.Message) inbox.Appended {
	s.Helper()
	got, err := s.in.Append(s.Context(), m)
	s.check(err)
	if len(got) != 1 {
		s.Fatalf("got %d results, want 1", len(got))
	}
	return got[0]
}

// take takes what can be handed out now, up to max, and returns it by id.
func (s *suite) take(max int) (ids []string, messages map[string]inbox.Message) {
	s.Helper()
	ctx, cancel := contextFor(s, time.Millisecond)
	defer cancel()
	got, err := s.in.Take(ctx, Feed, max)
	if err != nil && ctx.Err() == nil {
		s.Fatalf("got error %v, want none", err)
	}
	messages = make(map[string]inbox.Message)
	for _, m := range got {
		ids = append(ids, m.ID)
		messages[m.ID] = m
	}
	return ids, messages
}

// wants takes everything that can be handed out now and compares its order.
func (s *suite) wants(want ...string) map[string]inbox.Message {
	s.Helper()
	got, messages := s.take(100)
	if !equal(got, want) {
		s.Fatalf("got %q from Take, want %q", got, want)
	}
	return messages
}

func (s *suite) settle(m inbox.Message, v inbox.Verdict, due time.Duration) {
	s.Helper()
	s.check(s.in.Settle(s.Context(), inbox.Outcome{Seq: m.Seq, Verdict: v, Due: time.Now().Add(due), Reason: "reason of " + m.ID}))
}

func (s *suite) counts() inbox.Counts {
	s.Helper()
	c, err := s.in.Counts(s.Context(), Feed)
	s.check(err)
	return c
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func number(prefix string, n int) string { return prefix + strconv.Itoa(n) }
