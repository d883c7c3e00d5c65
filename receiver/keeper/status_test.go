package keeper_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

const secret = "Bearer s3cret"

// pushed starts a keeper of a pushed stream at a peer.
func pushed(p *peer, dir string, change ...func(*keeper.Config)) *party {
	p.t.Helper()
	return start(p.t, p.issuer, dir, func(cfg *keeper.Config, url string) {
		kept("t0ken", true)(cfg, url)
		for _, f := range change {
			f(cfg)
		}
	})
}

// looks waits until the keeper has looked at the stream n times more.
func (p *peer) looks(n int) {
	p.t.Helper()
	until := p.count("GET /status") + n
	wait(p.t, "looks at the stream", func() bool { return p.count("GET /status") >= until })
}

// updated pushes stream-updated to a party.
func (p *peer) updated(to *party, jti, status, reason string) {
	p.t.Helper()
	compact := p.sign(jti, subject.Opaque(to.health().Stream.ID), streams.TypeStreamUpdated, `{"status":"`+status+`","reason":"`+reason+`"}`)
	if code, body := p.push(to.url, secret, compact); code != http.StatusAccepted {
		p.t.Fatalf("stream-updated: got %d %s, want 202", code, body)
	}
}

// What the transmitter tells by stream-updated is its own decision: it is shown and not
// fought, over a restart neither. When somebody lifts it, the stream is kept enabled again.
func TestVerdictIsNotFought(t *testing.T) {
	for _, status := range []string{"paused", "disabled"} {
		t.Run(status, func(t *testing.T) {
			p, dir, time := newPeer(t), t.TempDir(), &clock{}
			onTime := func(cfg *keeper.Config) { cfg.Receiver.Now = time.now }
			r := pushed(p, dir, onTime)
			id := r.stands(keeper.OK).Stream.ID
			p.set(id, status)
			p.updated(r, "u1", status, "too many refusals")
			decided := func(r *party) func() bool {
				return func() bool { s := r.health().Stream; return s.DecidedByTransmitter && string(s.Status) == status }
			}
			wait(t, "the decision", decided(r))
			time.leap(100 * hour)
			p.looks(5)
			r.stop()
			r = pushed(p, dir, onTime)
			wait(t, "the decision after a restart", decided(r))
			time.leap(100 * hour)
			p.looks(5)
			if n := p.count("POST /status"); n != 0 {
				t.Errorf("got %d attempts to change the status, want none", n)
			}
			h := r.health()
			if h.Standing != keeper.Failing || !strings.Contains(strings.Join(h.Problems, "; "), status) || h.Stream.Reason != "too many refusals" {
				t.Errorf("got %+v %+v, want the status as a problem, with its reason", h, h.Stream)
			}
			p.set(id, "enabled")
			r.stands(keeper.OK)
			p.set(id, status) // by somebody else: nothing is told
			wait(t, "the repair", func() bool { time.leap(hour); return p.is(id, "enabled")() })
		})
	}
}

// A pause that was told is lifted once if that is wanted, a disabling never.
func TestResume(t *testing.T) {
	p, time := newPeer(t), &clock{}
	r := pushed(p, t.TempDir(), func(cfg *keeper.Config) { cfg.Receiver.Now, cfg.Stream.Resume = time.now, true })
	id := r.stands(keeper.OK).Stream.ID
	p.set(id, "paused")
	p.updated(r, "u1", "paused", "no success for five days")
	wait(t, "the pause lifted", p.is(id, "enabled"))
	p.set(id, "paused")
	p.updated(r, "u2", "paused", "again")
	p.looks(5)
	time.leap(2 * hour)
	p.looks(5)
	if n := p.count("POST /status"); n != 1 {
		t.Errorf("got %d attempts, want one a day", n)
	}
	time.leap(24 * hour)
	wait(t, "the second pause lifted", p.is(id, "enabled"))
	p.refusing(http.StatusForbidden, "POST /status")
	p.set(id, "paused")
	p.updated(r, "u2b", "paused", "again")
	time.leap(25 * hour)
	wait(t, "an attempt that is refused", func() bool { return p.count("POST /status") == 3 })
	time.leap(25 * hour)
	p.looks(5)
	p.refusing(0)
	p.set(id, "disabled")
	p.updated(r, "u3", "disabled", "enough")
	time.leap(100 * hour)
	p.looks(5)
	if n := p.count("POST /status"); n != 3 {
		t.Errorf("got %d attempts, want one for each pause and none for the stream that is disabled", n)
	}
}

// A stream-updated may be on its way when the status is seen: it is given its time.
func TestVerdictOnItsWay(t *testing.T) {
	p, time := newPeer(t), &clock{}
	r := pushed(p, t.TempDir(), func(cfg *keeper.Config) { cfg.Receiver.Now = time.now })
	id := r.stands(keeper.OK).Stream.ID
	p.set(id, "paused")
	wait(t, "the status", func() bool { return r.health().Stream.Status == streams.Paused })
	p.looks(3)
	p.updated(r, "late", "paused", "")
	wait(t, "the decision", func() bool { return r.health().Stream.DecidedByTransmitter })
	time.leap(hour)
	p.looks(3)
	if n := p.count("POST /status"); n != 0 {
		t.Errorf("got %d attempts to change the status, want none", n)
	}
}

// SSF §8.1.5: stream-updated comes before the stream stops. That the status is still the
// former one then does not make it undone.
func TestVerdictBeforeTheStatus(t *testing.T) {
	p, time := newPeer(t), &clock{}
	r := pushed(p, t.TempDir(), func(cfg *keeper.Config) { cfg.Receiver.Now = time.now })
	id := r.stands(keeper.OK).Stream.ID
	p.updated(r, "early", "disabled", "policy")
	p.looks(5)
	p.set(id, "disabled")
	wait(t, "the decision", func() bool { return r.health().Stream.DecidedByTransmitter })
	time.leap(100 * hour)
	p.looks(5)
	if n := p.count("POST /status"); n != 0 {
		t.Errorf("got %d attempts to change the status, want none", n)
	}
}

// A transmitter that refuses to enable (403), or changes the status back without a
// word, is asked once an hour.
func TestStatusContested(t *testing.T) {
	for _, refuse := range []bool{true, false} {
		p, time := newPeer(t), &clock{}
		r := pushed(p, t.TempDir(), func(cfg *keeper.Config) { cfg.Receiver.Now = time.now })
		id := r.stands(keeper.OK).Stream.ID
		p.with(func() {
			p.before = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if r.Method != http.MethodPost || r.URL.Path != "/status" {
					return false
				}
				if refuse {
					answer(w, http.StatusForbidden, object{})
				} else {
					answer(w, http.StatusOK, object{"stream_id": id, "status": "enabled"})
				}
				return true
			}
		})
		p.set(id, "disabled")
		p.looks(2)
		time.leap(hour)
		wait(t, "an attempt", func() bool { return p.count("POST /status") == 1 })
		time.leap(hour / 2)
		p.looks(4)
		if n := p.count("POST /status"); n != 1 {
			t.Errorf("refused %v: got %d attempts within the hour, want one", refuse, n)
		}
		if h := r.health(); h.Stream.Status != streams.Disabled || h.Standing != keeper.Failing || h.Stream.Error != "" {
			t.Errorf("refused %v: got %+v, want the status found as the only problem", refuse, h.Stream)
		}
		time.leap(hour)
		wait(t, "another attempt", func() bool { return p.count("POST /status") == 2 })
		r.stop()
	}
}

// The state is left alone where that is wanted.
func TestLeaveStatus(t *testing.T) {
	p, time := newPeer(t), &clock{}
	r := pushed(p, t.TempDir(), func(cfg *keeper.Config) { cfg.Receiver.Now, cfg.Stream.LeaveStatus = time.now, true })
	id := r.stands(keeper.OK).Stream.ID
	p.set(id, "paused")
	wait(t, "the status", func() bool { return r.health().Stream.Status == streams.Paused })
	time.leap(100 * hour)
	p.looks(3)
	if h := r.health(); p.count("POST /status") != 0 || h.Standing != keeper.OK {
		t.Errorf("got %d attempts and %+v, want none and no problem", p.count("POST /status"), h)
	}
}

func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	until(t, what, done)
}
