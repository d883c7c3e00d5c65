package receivers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// inactivity is the inactivity_timeout of a stream that is to be kept alive.
const inactivity = 4 * time.Second

// fresh are the checks that start a receiver of their own, which meets its transmitter
// for the first time.
func (s *suite) fresh() []conformance.Check {
	return []conformance.Check{
		s.alone("other-issuer", "has an issuer in its metadata that is not the one asked for", []string{"SSF-7.2.4-01", "SSF-7.2.4-02"}, s.otherIssuer, breaks("SSF-7.1-01")),
		s.alone("foreign-iss", "answers streams of another issuer", []string{"SSF-8.1.1.1-06"}, s.foreign("SSF-8.1.1.1-06", "iss"), breaks("foreign-iss")),
		s.alone("foreign-aud", "answers streams for another audience", []string{"SSF-8.1.1.1-07"}, s.foreign("SSF-8.1.1.1-07", "aud"), breaks("foreign-aud")),
		s.alone("one-stream", "has a stream of the receiver already, and allows one", []string{"SSF-8.1.1.1-08", "SSF-8.1.1.4-01"}, s.oneStream, oneStream),
		s.alone("few-endpoints", "has few endpoints", []string{"SSF-7.1-06"}, s.fewEndpoints, breaks("few-endpoints")),
		s.alone("decorated", "has metadata that nobody knows", []string{"SSF-7.1-11"}, func(ctx context.Context, t *conformance.T, at *site) error {
			err := at.ready(ctx, s.cfg.Wait)
			at.shown(t, at.last(peer.OpMetadata)).Expect("SSF-7.1-11", err == nil, "got %v with members and values in the metadata that nobody knows, want them ignored", reason(err))
			return ctx.Err()
		}, breaks("decorated-metadata")),
		s.alone("redirects", "redirects requests elsewhere", []string{"SEC-02"}, s.redirects, breaks("redirected-api")),
		s.alone("endless-metadata", "has metadata of 96 MiB", []string{"SEC-02"}, s.endless, breaks("endless-metadata")),
		s.alone("verified-first", "answers a verification only after its event", []string{"SSF-8.1.4.2-05"}, s.verifiedFirst, breaks("verified-first")),
		s.alone("inactive", "wants activity on a stream", []string{"SSF-8.1.1-07"}, s.inactive, func(c *peer.TransmitterConfig) {
			c.InactivityTimeout, c.LongPoll = inactivity, inactivity/4 // a poll counts when it comes
		}),
		s.alone("resource-scopes", "tells scopes of its own in the metadata of its resource", []string{"INTEROP-2.7.2-01"}, s.resourceScopes, ownScopes),
		s.alone("foreign-resource", "has metadata of another resource in the place of its own", []string{"PRM-3.3-01"}, s.foreignResource, func(c *peer.TransmitterConfig) {
			ownScopes(c)
			c.Break = []string{"foreign-resource"}
		}),
		s.untrusted(),
		s.alone("restart", "sees the receiver killed and started again", []string{"SSF-8.1.4.2-06", "PUSH-2-04", "POLL-2.4-03"}, s.restart, breaks("lost-verifications")),
	}
}

func breaks(ids ...string) func(*peer.TransmitterConfig) {
	return func(c *peer.TransmitterConfig) { c.Break = ids }
}

func oneStream(c *peer.TransmitterConfig) { c.OneStream = true }

// alone is a check with a transmitter and a receiver of its own.
func (s *suite) alone(name, title string, ids []string, run func(ctx context.Context, t *conformance.T, at *site) error, change func(*peer.TransmitterConfig)) conformance.Check {
	return conformance.Check{Name: name, Title: title, Decides: ids, Run: func(ctx context.Context, t *conformance.T) error {
		if s.cfg.Start == nil {
			return errors.New("it needs a receiver that the suite starts")
		}
		at, err := s.open(name, s.method(name), change)
		if err != nil {
			return err
		}
		if name == "one-stream" {
			at.stream, err = at.peer.AddStream(clientID, peer.Stream{Method: delivery.MethodPoll}, "")
			if err != nil {
				return errors.Join(err, at.close())
			}
		}
		if slices.Contains([]string{"resource-scopes", "foreign-resource"}, name) {
			at.invitation.Token = "" // it is to be got
		}
		if err := at.start(ctx); err != nil {
			return errors.Join(err, at.close())
		}
		return errors.Join(run(ctx, t, at), at.close())
	}}
}

// method returns how SETs of a scenario go: those about activity and what was kept are of
// pushes, if they are tested.
func (s *suite) method(scenario string) string {
	if s.cfg.Push && (!s.cfg.Poll || slices.Contains([]string{"inactive", "restart"}, scenario)) {
		return push
	}
	return poll
}

// first waits for the first exchange of an operation.
func (at *site) first(ctx context.Context, op peer.Op) (peer.Exchange, error) {
	limited, cancel := context.WithTimeout(ctx, at.cfg.Wait)
	defer cancel()
	e, _, err := at.peer.Await(limited, 0, func(e peer.Exchange) bool { return e.Op == op })
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("the receiver did not %s in %v", op, at.cfg.Wait)
	}
	return e, err
}

// used are the operations by which a receiver uses a stream, or an API.
func (at *site) used(ops ...peer.Op) (peer.Exchange, bool) {
	list, _, _ := at.peer.Exchanges(0)
	for _, e := range list {
		if slices.Contains(ops, e.Op) {
			return e, true
		}
	}
	return peer.Exchange{}, false
}

// otherIssuer wants nothing used of metadata that is another issuer's (SSF §7.2.4).
func (s *suite) otherIssuer(ctx context.Context, t *conformance.T, at *site) error {
	if _, err := at.first(ctx, peer.OpMetadata); err != nil {
		return err
	}
	if err := wait(ctx, s.cfg.Quiet); err != nil {
		return err
	}
	e, used := at.used(peer.OpCreate, peer.OpList, peer.OpRead, peer.OpStatus, peer.OpVerify, peer.OpPoll, peer.OpKeys)
	at.shown(t, at.last(peer.OpMetadata), e).Expect("SSF-7.2.4-01", !used, "got %q after metadata of another issuer, want nothing of it used", e.Op)
	at.shown(t, at.last(peer.OpMetadata), e).Expect("SSF-7.2.4-02", !used, "got %q after metadata of another issuer, want every operation given up", e.Op)
	return nil
}

// foreign wants a stream not used that is not the issuer's, or not the receiver's.
func (s *suite) foreign(id, member string) func(context.Context, *conformance.T, *site) error {
	return func(ctx context.Context, t *conformance.T, at *site) error {
		if _, err := at.first(ctx, peer.OpCreate); err != nil {
			return err
		}
		if err := wait(ctx, s.cfg.Quiet); err != nil {
			return err
		}
		e, used := at.used(peer.OpPoll, peer.OpVerify)
		at.shown(t, at.last(peer.OpCreate), e).Expect(id, !used, "got %q on a stream whose %s is foreign, want it not used", e.Op, member)
		return nil
	}
}

// oneStream wants the stream that is there adopted (SSF §8.1.1.1).
func (s *suite) oneStream(ctx context.Context, t *conformance.T, at *site) error {
	limited, cancel := context.WithTimeout(ctx, s.cfg.Wait)
	defer cancel()
	changed, _, err := at.peer.Await(limited, 0, func(e peer.Exchange) bool {
		return (e.Op == peer.OpUpdate || e.Op == peer.OpReplace) && e.StreamID == at.stream && e.Status == 200
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	shown := at.shown(t, at.last(peer.OpCreate), changed)
	shown.Expect("SSF-8.1.1.1-08", err == nil, "got the stream that is there updated or not within %v, want it adopted", s.cfg.Wait)
	if changed.Op != peer.OpReplace {
		t.Skip("SSF-8.1.1.4-01", "the receiver sent no PUT")
		return nil
	}
	body := fields(changed.RequestBody)
	_, asked := body["events_requested"]
	_, how := body["delivery"]
	shown.Expect("SSF-8.1.1.4-01", asked && how, "got a PUT with events_requested %v and delivery %v, want all that the receiver supplies", asked, how)
	return nil
}

// fewEndpoints wants nothing guessed that the metadata does not have (SSF §7.1).
func (s *suite) fewEndpoints(ctx context.Context, t *conformance.T, at *site) error {
	err := at.ready(ctx, s.cfg.Wait)
	if err == nil {
		err = wait(ctx, s.cfg.Quiet)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e, guessed := at.used(peer.OpStatus, peer.OpSetStatus, peer.OpVerify, peer.OpAddSubject, peer.OpRemoveSubject, peer.OpNone)
	at.shown(t, at.last(peer.OpMetadata), e).Expect("SSF-7.1-06", !guessed, "got %q where the metadata has no such endpoint, want no request", e.Op)
	if err != nil {
		at.shown(t, at.last(peer.OpMetadata)).Expect("SSF-7.1-06", false, "got %v with few endpoints, want what is offered to be used", err)
	}
	return nil
}

// redirects wants no token sent elsewhere.
func (s *suite) redirects(ctx context.Context, t *conformance.T, at *site) error {
	limited, cancel := context.WithTimeout(ctx, s.cfg.Wait)
	defer cancel()
	from, _, err := at.peer.Await(limited, 0, func(e peer.Exchange) bool { return e.Status/100 == 3 })
	if err != nil {
		return errors.New("the receiver made no request that could be redirected")
	}
	if err := wait(ctx, s.cfg.Quiet); err != nil {
		return err
	}
	list, _, _ := at.peer.Exchanges(0)
	for _, e := range list {
		if e.Op == peer.OpNone && e.RequestHeader.Get("Authorization") != "" {
			at.shown(t, from, e).Expect("SEC-02", false, "got a redirect followed with the access token, want it not followed")
			return nil
		}
	}
	at.shown(t, from).Expect("SEC-02", true, "got no token sent where a redirect led")
	return nil
}

// endless wants the reading of metadata bounded.
func (s *suite) endless(ctx context.Context, t *conformance.T, at *site) error {
	e, err := at.first(ctx, peer.OpMetadata)
	if err != nil {
		return err
	}
	at.shown(t, e).Expect("SEC-02", e.Err != "", "got metadata of 96 MiB read whole (%s), want the receiver to hang up before", e.ResponseBody)
	return nil
}

// verifiedFirst wants a verification taken that comes before its request is answered.
func (s *suite) verifiedFirst(ctx context.Context, t *conformance.T, at *site) error {
	if _, err := at.first(ctx, peer.OpVerify); err != nil {
		t.Skip("SSF-8.1.4.2-05", "the receiver asked for no verification")
		return ctx.Err()
	}
	v := verdict{id: at.peer.Verifications()[0].ID}
	limited, cancel := context.WithTimeout(ctx, s.cfg.Wait)
	defer cancel()
	at.await(limited, 0, &v)
	at.shown(t, at.last(peer.OpVerify), v.Verdict.Exchange).Expect("SSF-8.1.4.2-05", v.Accepted, "got %s for a verification event before the answer to its request, want it taken", told(v))
	return nil
}

// inactive wants a call at least every half of the inactivity_timeout (SSF §8.1.1).
func (s *suite) inactive(ctx context.Context, t *conformance.T, at *site) error {
	if err := at.ready(ctx, s.cfg.Wait); err != nil {
		return err
	}
	const tolerated = inactivity * 3 / 4
	began := time.Now()
	if err := wait(ctx, inactivity*3/2); err != nil {
		return err
	}
	list, _, _ := at.peer.Exchanges(0)
	last, longest := began, time.Duration(0)
	for _, e := range list {
		if e.StreamID == at.stream && e.Op != peer.OpPush && e.Began.After(began) {
			longest, last = max(longest, e.Began.Sub(last)), e.Began
		}
	}
	longest = max(longest, time.Since(last))
	at.shown(t, at.last(peer.OpCreate), at.last(peer.OpStatus)).Expect("SSF-8.1.1-07", longest <= tolerated,
		"got %v without a call of a stream whose inactivity_timeout is %v, want a call in every half of it", longest.Round(time.Millisecond), inactivity)
	return nil
}

// untrusted is the check of a transmitter whose certificate nobody signed that the receiver
// trusts: it must not say a word to it.
func (s *suite) untrusted() conformance.Check {
	const name = "untrusted"
	ids := []string{"INTEROP-2.1-02", "POLL-4.3-01"}
	return conformance.Check{Name: name, Title: "has a certificate that nobody trusts", Decides: ids, Run: func(ctx context.Context, t *conformance.T) error {
		switch {
		case s.cfg.Untrusted == nil:
			return errors.New("it needs https")
		case s.cfg.Start == nil:
			return errors.New("it needs a receiver that the suite starts")
		}
		at, err := s.open(name, s.method(name))
		if err != nil {
			return err
		}
		at.invitation.Issuer = s.cfg.UntrustedBase + "/" + name
		before := s.tried.Load()
		if err := at.start(ctx); err != nil {
			return errors.Join(err, at.close())
		}
		err = wait(ctx, s.cfg.Quiet)
		for began := time.Now(); err == nil && s.tried.Load() == before && time.Since(began) < s.cfg.Wait; {
			err = wait(ctx, retry)
		}
		list, _, _ := at.peer.Exchanges(0)
		tried := s.tried.Load() > before
		if err = errors.Join(err, at.close()); err != nil {
			return err
		}
		if !tried {
			return errors.New("the receiver did not call the transmitter")
		}
		var shown []conformance.Exchange
		for _, e := range list {
			shown = append(shown, s.evidence(e))
		}
		for _, id := range ids {
			t.With(shown...).Expect(id, len(list) == 0, "got %d requests to a server whose certificate nobody signed that the receiver knows, want none", len(list))
		}
		return nil
	}}
}

// restart kills the receiver while it waits for a verification, and right after it took a
// SET.
func (s *suite) restart(ctx context.Context, t *conformance.T, at *site) error {
	durable := map[string]string{push: "PUSH-2-04", poll: "POLL-2.4-03"}[at.method]
	for _, id := range []string{"PUSH-2-04", "POLL-2.4-03"} {
		if id != durable {
			t.Skip(id, "it is seen by the other method of delivery")
		}
	}
	if err := at.ready(ctx, s.cfg.Wait); err != nil {
		return err
	}
	if _, err := at.first(ctx, peer.OpVerify); ctx.Err() != nil {
		return err
	}
	asked, state := at.peer.Verifications(), ""
	if len(asked) > 0 {
		state = asked[len(asked)-1].State
	}
	last, err := at.send(ctx, event())
	if err != nil {
		return err
	}
	if err := at.process.Stop(true); err != nil {
		return err
	}
	if err := at.start(ctx); err != nil {
		return err
	}
	if err := at.ready(ctx, s.cfg.Wait); err != nil {
		return fmt.Errorf("after the restart: %w", err)
	}
	if state == "" {
		t.Skip("SSF-8.1.4.2-06", "the receiver asked for no verification with a state")
	} else {
		v, err := at.send(ctx, at.verification(object{"state": state}))
		if err != nil {
			return err
		}
		at.shown(t, v.Verdict.Exchange).Expect("SSF-8.1.4.2-06", v.Accepted, "got %s after a restart for a state that was asked for before, want it taken", told(v))
	}
	if s.cfg.Observe == nil {
		t.Skip(durable, "nobody can tell what the receiver did (no observer)")
		return nil
	}
	if err := wait(ctx, s.cfg.Quiet); err != nil {
		return err
	}
	times, err := at.observe(ctx, last.id)
	if err == nil {
		at.shown(t, last.Verdict.Exchange).Expect(durable, times > 0, "got a SET that was taken before a crash acted upon %d times after it, want it kept", times)
	}
	return err
}

// both is the check that both methods of delivery are supported.
func (s *suite) both() conformance.Check {
	return conformance.Check{Name: "both-methods", Title: "sees both methods of delivery", Decides: []string{"INTEROP-2.4.1-01"}, Run: func(ctx context.Context, t *conformance.T) error {
		for _, method := range s.cfg.methods() {
			at, err := s.main(ctx, method)
			if ctx.Err() != nil || at == nil {
				return err
			}
			at.shown(t, at.last(carrier(method))).Expect("INTEROP-2.4.1-01", err == nil, "got %v by %s, want SETs taken by both methods", reason(err), method)
		}
		return nil
	}}
}
