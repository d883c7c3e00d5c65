package consent_test

import (
	"context"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// between is a log on which another process decides right before an entry is noted.
type between struct {
	consent.Log
	other func()
}

func (l *between) Note(ctx context.Context, entries ...eventlog.Entry) ([]eventlog.Appended, error) {
	if other := l.other; other != nil {
		l.other = nil
		other()
	}
	return l.Log.Note(ctx, entries...)
}

// Several nodes decide on one log, without a lock that they share: what is decided at one
// while another looks whether there is anything newer than what an event tells is the
// newer one all the same, wherever the two stand in the log.
func TestToldBesideAnotherNode(t *testing.T) {
	jo, tel := subject.Email("jo@example.com"), subject.Phone("+12025550100")
	both := []subject.Identifier{jo, tel}
	for _, tt := range []struct {
		name         string
		tells, other consent.Word
		about        []subject.Identifier // of the other
		next         map[string]consent.State
		before       consent.State // of what was held before both
	}{
		{"a grant and a denial", consent.Grant, consent.Deny, both, map[string]consent.State{"jo": consent.Held, "tel": consent.Held}, consent.Held},
		{"a grant and a denial of one", consent.Grant, consent.Deny, both[1:], map[string]consent.State{"jo": consent.Held, "tel": consent.Held}, consent.Held},
		{"a revocation and a grant", consent.Revoke, consent.Grant, both, map[string]consent.State{"jo": consent.Sent, "tel": consent.Sent}, consent.Sent},
		{"a revocation and a grant of one", consent.Revoke, consent.Grant, both[:1], map[string]consent.State{"jo": consent.Sent, "tel": consent.Held}, consent.Sent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			log := &between{Log: w.log}
			here := consent.New(log, func() time.Time { return w.now })
			w.set(consent.Settings{Enabled: true, Refused: consent.RefusalDrops, DropAfterSeconds: 3600})
			held := w.emit(jo)
			event := w.tells("idme", tt.tells, w.now, both...)
			log.other = func() { w.decide(tt.other, tt.about...) }
			f := here.Follow()
			if refused, err := f.Told(t.Context(), event); refused != nil || err != nil {
				t.Fatalf("got %v, %v, want it noted", refused, err)
			}
			w.want("what was held", held, tt.before)
			for name, id := range map[string]subject.Identifier{"jo": jo, "tel": tel} {
				rec := w.emit(id)
				w.want("what comes then of "+name, rec, tt.next[name])
				if sends, err := f.Sends(t.Context(), "shop", rec); err != nil || sends != (tt.next[name] == consent.Sent) {
					t.Errorf("of %s: got sent %t, %v by the follower, want what the gate says", name, sends, err)
				}
			}
			if head, err := w.log.Head(t.Context()); err != nil || tt.tells != consent.Grant {
				return
			} else if told, err := w.log.Record(t.Context(), head-2); err != nil {
				t.Fatal(err)
			} else if release, ok, err := f.Release(t.Context(), told); ok || err != nil {
				t.Errorf("got release %+v, %v of a grant that is void, want none", release, err)
			}
			w.decide(consent.Grant, jo)
			w.want("what comes after a further grant", w.emit(jo), consent.Sent)
			w.want("what was held, after a further grant", held, consent.Sent)
		})
	}
}
