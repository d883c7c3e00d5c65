package keeper_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

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
