package keeper_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// A verification event that does not come is a failure, and reason to tell the
// transmitter anew where and with which header SETs shall come; when it comes again the
// stream stands.
func TestVerificationUnanswered(t *testing.T) {
	p := newPeer(t)
	r := pushed(p, t.TempDir(), func(cfg *keeper.Config) {
		cfg.VerifyTimeout, cfg.VerifyInterval = 100*time.Millisecond, 200*time.Millisecond
	})
	id := r.stands(keeper.OK).Stream.ID
	p.with(func() { p.stream(id)["delivery"].(object)["authorization_header"] = "Bearer forgotten" }) // shown by no answer
	h := r.stands(keeper.Failing)
	if !strings.Contains(h.Verification.Error, "no verification event within 100ms") || h.Verification.Asked.IsZero() {
		t.Errorf("got %+v, want it said that the event did not come", h.Verification)
	}
	until(t, "the header told anew", func() (told bool) {
		p.with(func() { told = p.stream(id)["delivery"].(object)["authorization_header"] == secret })
		return told
	})
	r.stands(keeper.OK)
	if s := r.health().Stream; s.Repaired != 0 {
		t.Errorf("got %d repairs, want none: nothing was seen to differ", s.Repaired)
	}
	p.with(func() { p.mute = true })
	r.stands(keeper.Failing)
	p.with(func() { p.mute = false })
	r.stands(keeper.OK)
}

// A stream that is made in the stead of another while that one's verification is waited
// for is verified at once, and no stream before it has been told where SETs shall come.
func TestVerificationOfAnotherStream(t *testing.T) {
	p := newPeer(t)
	p.mute = true
	r := pushed(p, t.TempDir())
	until(t, "a verification that is lost", func() bool { return p.count("POST /verify") == 1 })
	p.with(func() { p.streams, p.mute = nil, false })
	if h := r.stands(keeper.OK); h.Stream.Replaced != 1 {
		t.Errorf("got %+v, want the stream replaced", h.Stream)
	}
	r.stop()

	p = newPeer(t)
	r = start(t, p.issuer, t.TempDir(), func(cfg *keeper.Config, url string) {
		kept("t0ken", true)(cfg, url)
		p.add(bare(delivery.MethodPush, url)) // without our header
	})
	r.stands(keeper.OK)
	p.with(func() {
		told := slices.IndexFunc(p.requests, func(r string) bool { return strings.HasPrefix(r, "PATCH") })
		asked := slices.IndexFunc(p.requests, func(r string) bool { return strings.HasPrefix(r, "POST /verify") })
		if told < 0 || asked < told {
			t.Errorf("got requests %q, want the stream told before it is verified", p.requests)
		}
	})
}

// Verification is asked for on the schedule, no sooner than the transmitter wants, and
// one that it refuses (429) as it says.
func TestVerificationSchedule(t *testing.T) {
	p := newPeer(t)
	r := pushed(p, t.TempDir(), func(cfg *keeper.Config) { cfg.VerifyInterval = 50 * time.Millisecond })
	r.stands(keeper.OK)
	until(t, "a third verification", func() bool { return p.count("POST /verify") >= 3 })
	r.stop()

	slow := newPeer(t)
	slow.wire = func(s object) any { s["min_verification_interval"] = 3600; return s }
	r = pushed(slow, t.TempDir(), func(cfg *keeper.Config) { cfg.VerifyInterval = 10 * time.Millisecond })
	r.stands(keeper.OK)
	slow.looks(5)
	if n := slow.count("POST /verify"); n != 1 {
		t.Errorf("got %d verifications within the least interval, want 1", n)
	}

	busy := newPeer(t)
	busy.before = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/verify" {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return r.URL.Path == "/verify"
	}
	r = pushed(busy, t.TempDir())
	h := r.stands(keeper.Failing)
	busy.looks(5)
	if n := busy.count("POST /verify"); n != 1 || !strings.Contains(h.Verification.Error, "429") {
		t.Errorf("got %d verifications and %q, want one and 429", n, h.Verification.Error)
	}
}

// The health in JSON: times are RFC 3339, what never was is absent.
func TestHealthJSON(t *testing.T) {
	p := newPeer(t)
	r := pushed(p, t.TempDir())
	r.stands(keeper.OK)
	var got struct {
		Issuer, Mode, Standing string
		Stream                 struct {
			ID      string    `json:"stream_id"`
			Checked time.Time `json:"checked"`
		}
		Verification map[string]string
		Received     time.Time `json:"last_received"`
		Refused      *string   `json:"last_refused"`
	}
	text := shown(t, r.health())
	must(t, json.Unmarshal([]byte(text), &got))
	if got.Issuer != p.issuer || got.Mode != "discovered" || got.Standing != "ok" || got.Stream.ID == "" || got.Refused != nil ||
		time.Since(got.Received) > time.Minute || time.Since(got.Stream.Checked) > time.Minute {
		t.Errorf("got %s", text)
	}
	if at, err := time.Parse(time.RFC3339, got.Verification["answered"]); err != nil || at.Location() != time.UTC {
		t.Errorf("got %q (%v), want a time in UTC", got.Verification["answered"], err)
	}
}

func shown(t testing.TB, h keeper.Health) string {
	t.Helper()
	raw, err := json.Marshal(h)
	must(t, err)
	return string(raw)
}
