package keeper_test

import (
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
	"github.com/tocsin-ssf/tocsin/set/delivery"
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
