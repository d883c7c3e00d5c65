package keeper_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/credential"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
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

const hour = time.Hour

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

// Somebody else with our credential changes the stream, or deletes it: it is made as it
// shall be, and events flow again.
func TestRepaired(t *testing.T) {
	both(t, func(t *testing.T, push bool) {
		h := openHouse(t)
		token, source, time := h.token("ssf.manage ssf.read"), h.token("events.write"), &clock{}
		p := start(t, h.issuer, t.TempDir(), func(cfg *keeper.Config, url string) {
			kept(token, push)(cfg, url)
			cfg.Receiver.Now = time.now
		})
		id := p.stands(keeper.OK).Stream.ID
		api, err := client.New(client.Config{Issuer: h.issuer, HTTP: h.http, Token: fixed(token).Token})
		must(t, err)
		repaired := func(what string, change func() error, good func(s streams.Configuration) bool) {
			t.Helper()
			before := p.health().Stream.Repaired
			must(t, change())
			until(t, what+" repaired", func() bool {
				s, err := api.Stream(t.Context(), id)
				return err == nil && good(s) && p.health().Stream.Repaired > before
			}, func() any { return p.health().Stream })
		}
		update := func(r client.Request) func() error {
			return func() error { _, err := api.Update(t.Context(), id, r); return err }
		}
		repaired("events_requested", update(client.Request{EventsRequested: []string{accountPurged}}), func(s streams.Configuration) bool {
			return len(s.EventsDelivered) == 2
		})
		text := "mine now"
		repaired("description", update(client.Request{Description: &text}), func(s streams.Configuration) bool { return s.Description == "shop" })
		elsewhere := streams.Delivery{Method: delivery.MethodPush, EndpointURL: "http://127.0.0.1:9/elsewhere"}
		repaired("delivery", update(client.Request{Delivery: &elsewhere}), func(s streams.Configuration) bool {
			return s.Delivery.EndpointURL != elsewhere.EndpointURL && (s.Delivery.Method == delivery.MethodPush) == push
		})
		h.emit(source, "alice")
		until(t, "an event after the repairs", p.has("alice"))

		for _, status := range []streams.Status{streams.Paused, streams.Disabled} {
			before := p.health().Stream.Repaired
			_, err := api.SetStatus(t.Context(), id, status, "")
			must(t, err)
			until(t, string(status)+" repaired", func() bool {
				time.leap(hour) // the time that a stream-updated may take, and since the last repair
				s, err := api.Status(t.Context(), id)
				return err == nil && s.Status == streams.Enabled && p.health().Stream.Repaired > before
			})
		}
		must(t, api.Delete(t.Context(), id))
		until(t, "a stream in its stead", func() bool { s := p.health().Stream; return s.Replaced == 1 && s.ID != id })
		if got := p.Receiver().StreamID(); got == id || got != p.health().Stream.ID {
			t.Errorf("got stream %s told to the receiver, want that of the health", got)
		}
		p.stands(keeper.OK)
		h.emit(source, "bob")
		until(t, "an event of the new stream", p.has("bob"))
	})
}

// A keeper whose state is lost finds its pushed stream by the endpoint and makes no
// second one.
func TestFoundByEndpoint(t *testing.T) {
	h := openHouse(t)
	token := h.token("ssf.manage ssf.read")
	p := start(t, h.issuer, t.TempDir(), kept(token, true))
	id := p.stands(keeper.OK).Stream.ID
	again := start(t, h.issuer, t.TempDir(), func(cfg *keeper.Config, _ string) { kept(token, true)(cfg, p.url) })
	until(t, "the stream", func() bool { return !again.health().Stream.Checked.IsZero() })
	if got := again.health().Stream.ID; got != id {
		t.Errorf("got stream %s, want %s, which has the endpoint", got, id)
	}
}

// SSF-8.1.1-07: a stream that may not go without activity for long is looked at in time.
func TestInactivity(t *testing.T) {
	h := openHouse(t, func(cfg *transmitter.Config) { cfg.InactivityTimeout = 2 * time.Second })
	p := start(t, h.issuer, t.TempDir(), func(cfg *keeper.Config, url string) {
		kept(h.token("ssf.manage ssf.read"), true)(cfg, url)
		cfg.Interval = time.Hour
	})
	first := p.stands(keeper.OK).Stream.Checked
	until(t, "a second look", func() bool { return p.health().Stream.Checked.After(first) })
	if got := p.health().Stream.Checked.Sub(first); got > 2*time.Second {
		t.Errorf("got the next look after %v, want it within the inactivity timeout", got)
	}
}

// The token of the transmitter's own token endpoint, found by its metadata, and got
// anew when it is refused.
func TestClientCredentials(t *testing.T) {
	h := openHouse(t)
	scopes, err := auth.ParseScopes("ssf.manage ssf.read")
	must(t, err)
	made, err := h.apps.AddClient(t.Context(), auth.Client{Application: "shop", Scopes: scopes})
	must(t, err)
	source, err := credential.New(credential.Config{
		ClientID: made.ClientID, ClientSecret: made.Secret, AuthorizationServer: h.issuer, Scopes: []string{"ssf.manage", "ssf.read"}, HTTP: h.http,
	})
	must(t, err)
	once := &spoilt{Source: source}
	p := start(t, h.issuer, t.TempDir(), func(cfg *keeper.Config, url string) {
		kept("", false)(cfg, url)
		cfg.Credential = once
	})
	p.stands(keeper.OK)
	if !once.refused.Load() {
		t.Error("got no word of a token that was answered 401, want one")
	}
}

// spoilt gives a token first that no transmitter takes.
type spoilt struct {
	*credential.Source
	refused atomic.Bool
}

func (s *spoilt) Token(ctx context.Context) (string, error) {
	if !s.refused.Load() {
		return "spoilt", nil
	}
	return s.Source.Token(ctx)
}

func (s *spoilt) Refused(token string) {
	s.refused.CompareAndSwap(false, token == "spoilt")
	s.Source.Refused(token)
}
