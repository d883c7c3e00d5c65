package keeper_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// kept says that a stream is kept, pushed or polled.
func kept(token string, push bool) func(*keeper.Config, string) {
	return func(cfg *keeper.Config, url string) {
		how := streams.Delivery{Method: delivery.MethodPoll}
		if push {
			how = streams.Delivery{Method: delivery.MethodPush, EndpointURL: url, AuthorizationHeader: "Bearer s3cret"}
		}
		cfg.Stream = &keeper.Stream{Delivery: how, Description: "shop"}
		cfg.Credential, cfg.Events = fixed(token), []string{sessionRevoked, accountPurged}
	}
}

// both runs a test for a stream that is pushed and for one that is polled.
func both(t *testing.T, test func(t *testing.T, push bool)) {
	for name, push := range map[string]bool{"push": true, "poll": false} {
		t.Run(name, func(t *testing.T) { test(t, push) })
	}
}

// Against our own transmitter: from nothing but the issuer and a token to a stream
// that is verified and whose events arrive, and over a restart to the same stream.
func TestDiscovered(t *testing.T) {
	both(t, func(t *testing.T, push bool) {
		h := openHouse(t)
		token, source, dir := h.token("ssf.manage ssf.read"), h.token("events.write"), t.TempDir()
		p := start(t, h.issuer, dir, kept(token, push))
		health := p.stands(keeper.OK)
		s := health.Stream
		if health.Mode != keeper.Discovered || s.ID == "" || s.Status != streams.Enabled || s.Checked.IsZero() || len(s.NotDelivered) != 0 {
			t.Errorf("got stream %+v, want it known, enabled, checked and with all events", s)
		}
		if v := health.Verification; v.Asked.IsZero() || v.Answered.IsZero() || v.Error != "" {
			t.Errorf("got verification %+v, want it asked and answered", v)
		}
		if health.Keys.Count != 1 || health.Keys.Fetched.IsZero() {
			t.Errorf("got keys %+v, want one that was fetched", health.Keys)
		}
		h.emit(source, "alice")
		until(t, "the first event", p.has("alice"))
		p.stop()

		again := start(t, h.issuer, dir, kept(token, push))
		if got := again.stands(keeper.OK).Stream.ID; got != s.ID {
			t.Errorf("got stream %s after a restart, want %s", got, s.ID)
		}
		h.emit(source, "bob")
		until(t, "an event after the restart", again.has("bob"))
	})
}

// A static registration has keys and an audience, and calls no API.
func TestStatic(t *testing.T) {
	h := openHouse(t)
	token, source := h.token("ssf.manage ssf.read"), h.token("events.write")
	p := start(t, h.issuer, t.TempDir(), func(cfg *keeper.Config, _ string) {
		cfg.JWKSURL, cfg.Receiver.Authorization = h.issuer+"/jwks.json", "Bearer s3cret"
	})
	other := start(t, h.issuer, t.TempDir(), func(cfg *keeper.Config, _ string) {
		kept(token, true)(cfg, p.url) // who registers the stream by other means
	})
	until(t, "a stream of other means", func() bool { return !other.health().Stream.Checked.IsZero() })
	h.emit(source, "alice")
	until(t, "an event", p.has("alice"))
	got := p.health()
	if got.Mode != keeper.Static || got.Standing != keeper.OK || got.Stream != nil || got.Verification.Note != "static, not verifiable" {
		t.Errorf("got %+v, want a static registration that stands", got)
	}
	if got.Received.IsZero() || got.Kept == 0 || got.Keys.Count != 1 {
		t.Errorf("got %+v, want a SET and a key that were seen", got)
	}
}
