package receivers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// arrival is the check that waits for the receiver: whoever does not come, or takes
// nothing, does not conform.
func (s *suite) arrival(method string) conformance.Check {
	takes := map[string]string{push: "PUSH-2.2-01", poll: "POLL-2.4-03"}[method]
	ids := []string{"SSF-7.2.1-01", takes}
	return conformance.Check{
		Name: method + "-arrival", Title: "waits for the receiver (" + method + ")", Decides: ids,
		Run: func(ctx context.Context, t *conformance.T) error {
			at, err := s.main(ctx, method)
			if ctx.Err() != nil || at == nil {
				return err
			}
			found := at.last(peer.OpMetadata)
			shown := at.shown(t, found)
			switch {
			case found.Op != "":
				shown.Expect("SSF-7.2.1-01", !at.seen(peer.OpNone), "got metadata asked for by %s, want it by GET at its own place, without credentials", found.Method)
			case s.cfg.Endpoint != "":
				t.Skip("SSF-7.2.1-01", "the receiver was given its keys by other means")
			default:
				t.With().Expect("SSF-7.2.1-01", false, "got no request for the metadata of %s, want one", at.invitation.Issuer)
			}
			at.shown(t, at.last(carrier(method))).Expect(takes, err == nil, "got %v, want a SET taken", reason(err))
			return nil
		},
	}
}

// carrier is the operation by which SETs of a method go.
func carrier(method string) peer.Op {
	if method == push {
		return peer.OpPush
	}
	return peer.OpPoll
}

func reason(err error) string {
	if err == nil {
		return "a SET taken"
	}
	return err.Error()
}

// seen reports whether there was an exchange of an operation.
func (at *site) seen(op peer.Op) bool { return at.last(op).Op == op }

// aboutStream are the checks of verification and stream-updated.
func (s *suite) aboutStream(method string) []conformance.Check {
	return []conformance.Check{
		s.probing(method, "verification", "sends verification events", func(at *site) []probe {
			list := []probe{
				taken("a verification that nobody asked for, without state", at.verification(object{}), nil, "SSF-8.1.4-01"),
				{what: "a verification of another stream", event: at.verification(object{}), with: []string{"other-stream"}, ids: []string{"SSF-8.1.4.1-02"}},
				{what: "a verification with a state that nobody gave", event: at.verification(object{}), with: []string{"wrong-state"}, ids: []string{"SSF-8.1.4.1-02"}},
				{what: "a verification with a state that nobody gave", event: at.verification(object{}), with: []string{"wrong-state"}, ids: []string{"SSF-8.1.4.1-03"}, code: delivery.CodeInvalidState},
				{what: "a verification whose state is a number", event: at.verification(object{}), with: []string{"number-state"}, ids: []string{"SSF-8.1.4.1-02"}},
			}
			return list
		}),
		s.at(method, "own-verification", "answers a verification that the receiver asked for", []string{"SSF-8.1.4.1-02"}, func(ctx context.Context, t *conformance.T, at *site) error {
			for _, v := range at.peer.Verifications() {
				if v.StreamID != at.stream || v.ID == "" {
					continue
				}
				limited, cancel := context.WithTimeout(ctx, s.cfg.Wait)
				defer cancel()
				got := verdict{id: v.ID, probe: probe{what: "the verification that it asked for", take: true, ids: []string{"SSF-8.1.4.1-02"}}}
				at.await(limited, 0, &got)
				at.decide(t, got)
				return nil
			}
			t.Skip("SSF-8.1.4.1-02", "the receiver asked for no verification")
			return nil
		}),
		s.at(method, "stopped", "stops the stream, and lets it go on", []string{"SSF-8.1.2-02"}, func(ctx context.Context, t *conformance.T, at *site) error {
			_, from, _ := at.peer.Exchanges(0)
			if err := at.peer.SetStatus(at.stream, streams.Paused, "conformance"); err != nil {
				return err
			}
			if err := wait(ctx, s.cfg.Quiet); err != nil {
				return err
			}
			fights := at.count(from, peer.OpSetStatus)
			at.shown(t, at.last(peer.OpSetStatus)).Expect("SSF-8.1.2-02", fights <= 1,
				"got the stream enabled %d times in %v after the transmitter paused it, want it left, or enabled once", fights, s.cfg.Quiet)
			if err := at.peer.SetStatus(at.stream, streams.Enabled, ""); err != nil {
				return err
			}
			v, err := at.send(ctx, event())
			if err == nil {
				at.shown(t, v.Verdict.Exchange).Expect("SSF-8.1.2-02", v.Accepted, "got %s for the first event after it goes on, want it taken", told(v))
			}
			if err != nil {
				return err
			}
			v, err = at.send(ctx, at.streamUpdated("Enabled"))
			if err == nil && !v.Accepted && !v.Refused {
				at.shown(t, v.Verdict.Exchange).Expect("SSF-8.1.2-02", false, "got %s for a status that does not exist, want an answer", told(v))
			}
			return err
		}),
	}
}

// count returns how many exchanges of an operation there were from the nth on.
func (at *site) count(n int, op peer.Op) int {
	list, _, _ := at.peer.Exchanges(n)
	times := 0
	for _, e := range list {
		if e.Op == op {
			times++
		}
	}
	return times
}

// keys is the check of how keys are fetched: not for every kid, and again when they
// change. With the new key a weak one is published: whoever takes SETs by the one has
// fetched the other, too, and if it refuses it does so for its weakness.
func (s *suite) keys(method string) conformance.Check {
	const unknown, most, weak = 6, 3, "INTEROP-2.6-01"
	return s.at(method, "keys", "sends SETs of unknown keys, and of a new one", []string{"SEC-03", weak}, func(ctx context.Context, t *conformance.T, at *site) error {
		_, from, _ := at.peer.Exchanges(0)
		var probes []probe
		for i := range unknown {
			probes = append(probes, probe{what: "a SET of an unknown key", ids: []string{"SEC-03"}, sent: func() (string, error) {
				return at.peer.SendDraft(at.stream, event(), func(d *peer.Draft) string { return d.As(fmt.Sprintf("unknown-%d", i)) })
			}})
		}
		if err := at.run(ctx, t, probes); err != nil {
			return err
		}
		fetched := at.count(from, peer.OpKeys)
		at.shown(t, at.last(peer.OpKeys)).Expect("SEC-03", fetched <= most, "got the keys fetched %d times for %d SETs of unknown keys, want them fetched at most %d times", fetched, unknown, most)
		if err := at.peer.PublishWeakKey(); err != nil {
			return err
		}
		if err := at.peer.RotateKey(); err != nil {
			return err
		}
		rotated, cancel := context.WithTimeout(ctx, rotation)
		defer cancel()
		for {
			v, err := at.send(ctx, event())
			if err != nil {
				return err
			}
			if v.Accepted || rotated.Err() != nil {
				at.shown(t, v.Verdict.Exchange).Expect("SEC-03", v.Accepted, "got %s for SETs of a new key until %v after it was published, want them taken", told(v), rotation)
			}
			switch {
			case v.Accepted:
				return at.run(ctx, t, []probe{refused("a SET of a published key of 1,024 bits", "weak-key", weak)})
			case rotated.Err() != nil:
				t.Skip(weak, "the receiver did not fetch the keys that were published meanwhile, a weak one among them")
				return nil
			}
			if err := wait(ctx, redeliver); err != nil {
				return err
			}
		}
	})
}

// requests is the check of all that the receiver asked for until now.
func (s *suite) requests(method string) conformance.Check {
	ids := []string{"SSF-8.1.1.1-05", "SSF-8.1.1.3-06", "SSF-8.1.1-09", "INTEROP-2.4.2-01", "SSF-8.1.2.1-02"}
	return s.at(method, "requests", "looks at the requests of the receiver", ids, func(_ context.Context, t *conformance.T, at *site) error {
		list, _, _ := at.peer.Exchanges(0)
		changes, bodies := false, []peer.Op{peer.OpCreate, peer.OpUpdate, peer.OpReplace, peer.OpSetStatus, peer.OpAddSubject, peer.OpRemoveSubject, peer.OpVerify}
		for _, e := range list {
			shown := at.shown(t, e)
			switch e.Op {
			case peer.OpCreate, peer.OpUpdate, peer.OpReplace:
				changes = true
				body := fields(e.RequestBody)
				asked, isList := body["events_requested"].([]any)
				shown.Expect("SSF-8.1.1.3-06", !isList || len(asked) > 0, "got events_requested empty, want it with event types, or absent")
				if e.Op == peer.OpCreate {
					alien := foreignMembers(body)
					shown.Expect("SSF-8.1.1.1-05", len(alien) == 0, "got %s in a create, want members that receivers supply alone", strings.Join(alien, ", "))
				}
			case peer.OpSetStatus:
				status, _ := fields(e.RequestBody)["status"].(string)
				shown.Expect("SSF-8.1.2.1-02", streams.Status(status).Valid(), "got the status %q set, want enabled, paused or disabled", status)
			}
			if e.RequestBody != "" && slices.Contains(bodies, e.Op) {
				got := e.RequestHeader.Get("Content-Type")
				shown.Expect("SSF-8.1.1-09", strings.HasPrefix(got, "application/json"), "got Content-Type %q for %s, want application/json", got, e.Op)
			}
		}
		if !t.Decided("SSF-8.1.2.1-02") {
			t.Skip("SSF-8.1.2.1-02", "the receiver set no status")
		}
		if !changes {
			for _, id := range ids {
				t.Skip(id, "the receiver does not use the API")
			}
			return nil
		}
		at.shown(t, at.last(peer.OpAddSubject)).Expect("INTEROP-2.4.2-01", !at.seen(peer.OpAddSubject), "got subjects added or none, want none: all are in the stream")
		return nil
	})
}

// foreignMembers are those of a create that transmitters supply.
func foreignMembers(body object) (names []string) {
	for _, name := range []string{"stream_id", "iss", "aud", "events_supported", "events_delivered", "min_verification_interval", "inactivity_timeout"} {
		if _, ok := body[name]; ok {
			names = append(names, name)
		}
	}
	return names
}
