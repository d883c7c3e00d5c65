package keeper_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

// bare is what a stream of other means is made of.
func bare(method, url string) object {
	return object{"events_requested": []any{accountPurged}, "delivery": object{"method": method, "endpoint_url": url}}
}

// polls starts a keeper of a polled stream at a peer.
func polls(p *peer, dir string, change ...func(*keeper.Config)) *party {
	p.t.Helper()
	return start(p.t, p.issuer, dir, func(cfg *keeper.Config, url string) {
		kept("t0ken", false)(cfg, url)
		cfg.Receiver.Poll = &receiver.Poll{Interval: 20 * time.Millisecond}
		for _, f := range change {
			f(cfg)
		}
	})
}

// full reports whether the peer's stream is as kept says.
func (p *peer) full(id string) func() bool {
	return func() (full bool) {
		p.with(func() {
			s := p.stream(id)
			types, _ := s["events_requested"].([]any)
			full = len(types) == 2 && s["description"] == "shop"
		})
		return full
	}
}

// refusing answers requests that begin so with a status.
func (p *peer) refusing(status int, begins ...string) {
	p.with(func() {
		p.before = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			for _, b := range begins {
				if strings.HasPrefix(r.Method+" "+r.URL.RequestURI()+" ", b) {
					answer(w, status, object{"err": "refused"})
					return true
				}
			}
			return false
		}
	})
}

// SSF-8.1.1.1-08, OIDF-08: a transmitter with one stream for each receiver answers 409
// to a second: the one that is there is adopted and made as configured.
func TestAdoptedOn409(t *testing.T) {
	for name, change := range map[string]func(p *peer){
		"a list of one":      func(*peer) {},
		"an object, no list": func(p *peer) { p.list = func(l []any) any { return l[0] } },
		"a transmitter of PUT": func(p *peer) {
			former := p.before
			p.before = func(w http.ResponseWriter, r *http.Request, body []byte) bool {
				if r.Method == http.MethodPatch {
					answer(w, http.StatusMethodNotAllowed, object{})
					return true
				}
				return former(w, r, body)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t)
			id := p.add(bare(delivery.MethodPoll, ""))
			p.refusing(http.StatusConflict, "POST /streams")
			p.with(func() { change(p) })
			r := polls(p, t.TempDir())
			if got := r.stands(keeper.OK).Stream.ID; got != id {
				t.Errorf("got stream %s, want %s adopted", got, id)
			}
			if !p.full(id)() {
				t.Errorf("got %v, want it as configured", p.streams)
			}
			if n := p.count("DELETE"); n != 0 {
				t.Errorf("got %d deletions, want none", n)
			}
		})
	}
}

// A stream that was made by other means is adopted by its id, and by the push endpoint;
// a transmitter without a list of streams gets a new one.
func TestAdopted(t *testing.T) {
	t.Run("by id", func(t *testing.T) {
		p := newPeer(t)
		p.add(bare(delivery.MethodPoll, ""))
		id := p.add(bare(delivery.MethodPoll, ""))
		r := polls(p, t.TempDir(), func(cfg *keeper.Config) { cfg.Stream.ID = id })
		if got := r.stands(keeper.OK).Stream.ID; got != id || !p.full(id)() || p.count("POST /streams") != 0 {
			t.Errorf("got stream %s and %v, want %s adopted", got, p.streams, id)
		}
	})
	t.Run("by push endpoint", func(t *testing.T) {
		p := newPeer(t)
		p.add(bare(delivery.MethodPush, "https://elsewhere.example/"))
		var id string
		r := start(t, p.issuer, t.TempDir(), func(cfg *keeper.Config, url string) {
			kept("t0ken", true)(cfg, url)
			id = p.add(bare(delivery.MethodPush, url))
		})
		if got := r.stands(keeper.OK).Stream.ID; got != id || !p.full(id)() || p.count("POST /streams") != 0 {
			t.Errorf("got stream %s and %v, want %s adopted", got, p.streams, id)
		}
	})
	t.Run("no list", func(t *testing.T) {
		p := newPeer(t)
		p.refusing(http.StatusMethodNotAllowed, "GET /streams ")
		if got := pushed(p, t.TempDir()).stands(keeper.OK).Stream.ID; got != "s1" {
			t.Errorf("got stream %s, want a new one", got)
		}
	})
	t.Run("a list that fails", func(t *testing.T) {
		p := newPeer(t)
		p.refusing(http.StatusInternalServerError, "GET /streams ")
		r := pushed(p, t.TempDir())
		r.stands(keeper.Failing)
		if n := p.count("POST /streams"); n != 0 {
			t.Errorf("got %d streams made, want none while it is not known whether there is one", n)
		}
		p.refusing(0)
		r.stands(keeper.OK)
	})
}

// A stream whose creation was never answered is found again and no second one is made,
// over a restart too.
func TestLostAnswer(t *testing.T) {
	both(t, func(t *testing.T, push bool) {
		p, dir := newPeer(t), t.TempDir()
		p.add(object{"events_requested": []any{sessionRevoked, accountPurged}, "description": "shop", "delivery": object{"method": delivery.MethodPoll}})
		var lost atomic.Bool
		p.before = func(w http.ResponseWriter, r *http.Request, body []byte) bool {
			switch {
			case r.Method == http.MethodPost && r.URL.Path == "/streams":
				p.mu.Lock()
				p.manage(httptest.NewRecorder(), r, body)
				p.mu.Unlock()
				lost.Store(true)
				panic(http.ErrAbortHandler)
			case lost.Load() && r.Method == http.MethodGet && r.URL.Path == "/streams": // and it fails until the restart
				answer(w, http.StatusInternalServerError, object{})
				return true
			}
			return false
		}
		of := func(cfg *keeper.Config, url string) {
			kept("t0ken", push)(cfg, "https://receiver.example/in")
			cfg.Receiver.Poll, cfg.VerifyInterval = nil, -1
		}
		r := start(t, p.issuer, dir, of)
		until(t, "the loss", lost.Load)
		until(t, "a failure after it", func() bool { return strings.Contains(r.health().Stream.Error, "500") })
		r.stop()
		p.refusing(0)
		r = start(t, p.issuer, dir, of)
		if got := r.stands(keeper.OK).Stream.ID; got != "s2" {
			t.Errorf("got stream %s, want s2, whose answer was lost", got)
		}
		if n := p.count("POST /streams"); n != 1 {
			t.Errorf("got %d streams made, want 1", n)
		}
	})
}

// What a transmitter answers otherwise than it was asked, again and again, is no drift:
// nothing is repaired for ever.
func TestNoDriftInWhatIsAnswered(t *testing.T) {
	p := newPeer(t)
	p.wire = func(s object) any {
		s["events_requested"], s["events_delivered"] = []string{sessionRevoked}, []string{sessionRevoked} // the rest is not supported
		s["description"] = "SHOP"
		s["delivery"] = object{"method": delivery.MethodPoll, "endpoint_url": p.issuer + "/poll?stream_id=s1"}
		return s
	}
	r := polls(p, t.TempDir())
	r.stands(keeper.OK)
	p.looks(5)
	s := r.health().Stream
	if n := p.count("PATCH"); n != 0 || s.Repaired != 0 {
		t.Errorf("got %d changes and %d repairs, want none", n, s.Repaired)
	}
	if len(s.NotDelivered) != 1 || s.NotDelivered[0] != accountPurged {
		t.Errorf("got %q not delivered, want account-purged", s.NotDelivered)
	}
}

// What real transmitters write differently makes nothing fail: null for what is
// absent, the former member format, a poll endpoint with a query, a DELETE is never
// sent bare, event types are always asked for.
func TestAnswersOfRealTransmitters(t *testing.T) {
	p := newPeer(t)
	p.wire = func(s object) any {
		s["description"], s["min_verification_interval"], s["format"] = nil, nil, "iss_sub"
		s["events_supported"] = nil
		return s
	}
	r := polls(p, t.TempDir(), func(cfg *keeper.Config) { cfg.Events = nil })
	r.stands(keeper.OK)
	p.looks(3)
	if s := r.health().Stream; s.Error != "" || s.Repaired != 0 {
		t.Errorf("got %+v, want nothing wrong", s)
	}
	if n, m := p.count("POST /poll?stream_id=s1"), p.count("POST /poll"); n == 0 || n != m {
		t.Errorf("got %d of %d polls with the query of the endpoint, want all", n, m)
	}
	for _, request := range []string{"POST /streams", "PATCH /streams"} {
		for _, body := range p.sent(request) {
			var said struct {
				Events []string `json:"events_requested"`
			}
			if err := json.Unmarshal([]byte(body), &said); err != nil || len(said.Events) != len(caep.Types())+len(risc.Types()) {
				t.Errorf("%s: got %s, want every event type of CAEP and RISC asked for", request, body)
			}
		}
	}
}

// Events as they really come are taken, from a push without an Accept header too:
// milliseconds, RISC bodies that are empty.
func TestEventsOfRealTransmitters(t *testing.T) {
	p := newPeer(t)
	r := pushed(p, t.TempDir())
	r.stands(keeper.OK)
	for jti, e := range map[string][2]string{
		"ms":       {caep.SessionRevokedType, `{"event_timestamp":1615304991643,"initiating_entity":"user"}`},
		"disabled": {risc.AccountDisabledType, `{}`},
		"purged":   {risc.AccountPurgedType, `{}`},
		"enabled":  {risc.AccountEnabledType, `{}`},
		"sessions": {risc.SessionsRevokedType, `{}`},
		"changed":  {risc.IdentifierChangedType, `{}`},
		"optout":   {risc.OptOutEffectiveType, `{}`},
	} {
		compact := p.sign(jti, email("alice"), e[0], e[1])
		if code, body := p.push(r.url, secret, compact); code != http.StatusAccepted || body != "" {
			t.Errorf("%s: got %d %s, want 202 without a body", jti, code, body)
		}
	}
}

// A transmitter that answers each poll at once, whatever was asked, is not asked
// without end.
func TestPollsArePaused(t *testing.T) {
	p := newPeer(t)
	r := polls(p, t.TempDir(), func(cfg *keeper.Config) { cfg.VerifyInterval, cfg.Receiver.Poll = -1, nil })
	until(t, "a poll", func() bool { return p.count("POST /poll") > 0 })
	p.looks(10) // some hundreds of milliseconds, in which a loop would poll hundreds of times
	if n := p.count("POST /poll"); n > 2 {
		t.Errorf("got %d polls, want one and a pause", n)
	}
	r.stands(keeper.OK)
}

// The delivery methods of the RISC age are understood, and sent where no others are.
func TestLegacyDeliveryURI(t *testing.T) {
	const former = "https://schemas.openid.net/secevent/risc/delivery-method/push"
	p := newPeer(t)
	p.metadata = func(doc object) { doc["delivery_methods_supported"] = []string{former} }
	legacy := func(cfg *keeper.Config) { cfg.Receiver.Tolerances.LegacyDeliveryURI = true }
	r := pushed(p, t.TempDir(), legacy)
	r.stands(keeper.OK)
	p.looks(3)
	if body := p.sent("POST /streams")[0]; !strings.Contains(body, former) {
		t.Errorf("got %s, want the former URI", body)
	}
	if s := r.health().Stream; s.Repaired != 0 {
		t.Errorf("got %d repairs, want none: the URI means the same", s.Repaired)
	}
	strict := newPeer(t)
	pushed(strict, t.TempDir()).stands(keeper.OK)
	if body := strict.sent("POST /streams")[0]; strings.Contains(body, former) {
		t.Errorf("got %s, want today's URI", body)
	}
}

// The metadata may be where nobody would compute it, and where drafts had it.
func TestMetadataPlaces(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		change func(p *peer, cfg *keeper.Config)
	}{
		"stated": {"/.well-known/v1/ssf-configuration", func(p *peer, cfg *keeper.Config) {
			cfg.MetadataURL = p.issuer + "/.well-known/v1/ssf-configuration"
		}},
		"RISC": {"/.well-known/risc-configuration", func(_ *peer, cfg *keeper.Config) { cfg.FormerMetadata = true }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t)
			p.before = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if !strings.HasPrefix(r.URL.Path, "/.well-known") {
					return false
				}
				if r.URL.Path == c.path {
					p.mu.Lock()
					defer p.mu.Unlock()
					answer(w, http.StatusOK, p.page())
				} else {
					http.NotFound(w, r)
				}
				return true
			}
			pushed(p, t.TempDir(), func(cfg *keeper.Config) { c.change(p, cfg) }).stands(keeper.OK)
		})
	}
}

// A transmitter that offers neither status nor verification is kept without.
func TestLittleOffered(t *testing.T) {
	p := newPeer(t)
	p.metadata = func(doc object) { delete(doc, "status_endpoint"); delete(doc, "verification_endpoint") }
	h := pushed(p, t.TempDir()).stands(keeper.OK)
	if h.Verification.Note != "not offered by the transmitter" || h.Stream.Status != "" {
		t.Errorf("got %+v %+v, want it said", h.Verification, h.Stream)
	}
}

// A transmitter that fails ends nothing: it is tried again, and the health tells.
func TestFailingTransmitter(t *testing.T) {
	p := newPeer(t)
	p.refusing(http.StatusInternalServerError, "GET /.well-known", "GET /streams", "POST /streams", "GET /status")
	r := pushed(p, t.TempDir())
	h := r.stands(keeper.Failing)
	if !strings.Contains(h.Stream.Error, "500") {
		t.Errorf("got %q, want the status that was answered", h.Stream.Error)
	}
	p.refusing(http.StatusUnauthorized, "POST /streams", "GET /streams")
	until(t, "the next failure", func() bool { return strings.Contains(r.health().Stream.Error, "401") })
	p.refusing(0)
	r.stands(keeper.OK)
}

// What the state file holds is no secret, and one of another issuer or in ruins is
// refused with its name.
func TestStateFile(t *testing.T) {
	p, dir := newPeer(t), t.TempDir()
	r := pushed(p, dir)
	id := r.stands(keeper.OK).Stream.ID
	r.stop()
	path := filepath.Join(dir, "stream.json")
	raw, err := os.ReadFile(path)
	must(t, err)
	if text := string(raw); !strings.Contains(text, id) || strings.Contains(text, "s3cret") || strings.Contains(text, "t0ken") {
		t.Errorf("got %s, want the stream and no secret", text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v (%v), want 0600", info.Mode(), err)
	}
	for name, content := range map[string]string{"ruins": `{"iss`, "another issuer": `{"issuer":"https://other.example"}`} {
		must(t, os.WriteFile(path, []byte(content), 0o600))
		q := &party{t: t}
		cfg := q.config(p.issuer, t.TempDir())
		kept("t0ken", false)(&cfg, "")
		cfg.State = path
		if _, err := keeper.New(cfg); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
		}
	}
}
