package receivers

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// object is a JSON object.
type object = map[string]any

// email is a subject, the one that most events are about.
func email() object { return object{"format": "email", "email": "jo@example.com"} }

// event is one that every receiver of CAEP can take.
func event() peer.Event { return about(email()) }

// about is event about another subject.
func about(subject any) peer.Event {
	return peer.Event{Type: caep.SessionRevokedType, Subject: subject, Payload: object{
		"event_timestamp": time.Now().Unix(), "initiating_entity": "policy", "reason_admin": object{"en": "conformance"}, "reason_user": object{"en": "conformance"},
	}}
}

// of is an event of another type.
func of(typ string, payload object) peer.Event {
	return peer.Event{Type: typ, Subject: email(), Payload: payload}
}

// verification is a verification event of the site's stream.
func (at *site) verification(payload object) peer.Event {
	return peer.Event{Type: streams.TypeVerification, Subject: object{"format": "opaque", "id": at.stream}, Payload: payload}
}

// probe is a SET and what a receiver owes it.
type probe struct {
	what  string                        // in words
	ids   []string                      // what it decides
	event peer.Event                    // Type empty: event()
	with  []string                      // breaks of the SET
	take  bool                          // it is to be taken; else refused
	code  delivery.Code                 // of the refusal, if ids ask for one; "": any
	sent  func() (id string, err error) // nil: Send
}

// verdict is a probe with what was said about it.
type verdict struct {
	probe
	peer.Verdict
	id      string
	refused bool // nothing said that it was accepted, in time
}

// all sends probes, all at once, and returns what is said about them within
// Config.Wait.
func (at *site) all(ctx context.Context, probes []probe) ([]verdict, error) {
	_, from, _ := at.peer.Exchanges(0)
	list := make([]verdict, len(probes))
	for i, p := range probes {
		if p.event.Type == "" {
			p.event = event()
		}
		var err error
		if p.sent != nil {
			list[i].id, err = p.sent()
		} else {
			list[i].id, err = at.peer.Send(at.stream, p.event, p.with...)
		}
		if err != nil {
			return nil, err
		}
		list[i].probe = p
		if p.take {
			at.noteGood(list[i].id)
		}
	}
	deadline, cancel := context.WithTimeout(ctx, at.cfg.Wait)
	defer cancel()
	for i := range list {
		at.await(deadline, from, &list[i])
	}
	return list, ctx.Err()
}

// await waits for the last word about a SET: what is no verdict, such as a 503, is one
// only if nothing else comes.
func (at *site) await(ctx context.Context, n int, v *verdict) {
	v.refused = true
	for {
		said, next, err := at.peer.Verdict(ctx, n, v.id)
		if err != nil {
			break
		}
		v.Verdict, n = said, next
		if said.Accepted || said.Refused || said.Exchange.Status/100 == 4 && said.Exchange.Op == peer.OpPush {
			break
		}
	}
	v.refused = !v.Accepted
	if v.Verdict.Exchange.Op == "" && at.method == poll {
		v.Verdict.Exchange = at.last(peer.OpPoll)
	}
	at.peer.Drop(at.stream, v.id)
}

// noteGood remembers a SET without a fault.
func (at *site) noteGood(id string) {
	at.mu.Lock()
	defer at.mu.Unlock()
	at.good[id] = true
}

func (at *site) isGood(id string) bool {
	at.mu.Lock()
	defer at.mu.Unlock()
	return at.good[id]
}

// last returns the last exchange of an operation.
func (at *site) last(op peer.Op) peer.Exchange {
	list, _, _ := at.peer.Exchanges(0)
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Op == op {
			return list[i]
		}
	}
	return peer.Exchange{}
}

// send sends one SET and returns what is said about it.
func (at *site) send(ctx context.Context, e peer.Event, breaks ...string) (verdict, error) {
	list, err := at.all(ctx, []probe{{event: e, with: breaks, take: len(breaks) == 0}})
	if err != nil {
		return verdict{}, err
	}
	return list[0], nil
}

// run sends probes and decides what they are about. That a receiver refuses says
// something only if it takes a good SET behind what it refused: else it takes nothing.
func (at *site) run(ctx context.Context, t *conformance.T, probes []probe) error {
	list, err := at.all(ctx, probes)
	if err != nil {
		return err
	}
	dead := ""
	if slices.ContainsFunc(list, func(v verdict) bool { return !v.take && v.refused && len(v.ids) > 0 }) {
		if dead, err = at.takesNothing(ctx); err != nil {
			return err
		}
	}
	for _, v := range list {
		if dead != "" && !v.take && v.refused {
			for _, id := range v.ids {
				t.Skip(id, "got %s for %s, and %s", told(v), v.what, dead)
			}
			continue
		}
		at.decide(t, v)
	}
	return nil
}

// takesNothing says in words that the receiver does not take a good SET now; "": it does.
func (at *site) takesNothing(ctx context.Context) (string, error) {
	v, err := at.send(ctx, event())
	if err != nil || v.Accepted {
		return "", err
	}
	return fmt.Sprintf("%s for a good SET behind it, too: it takes nothing", told(v)), nil
}

// decide says what a verdict means for the requirements of its probe.
func (at *site) decide(t *conformance.T, v verdict) {
	shown := at.shown(t, v.Verdict.Exchange)
	for _, id := range v.ids {
		switch {
		case at.method == push && (v.Verdict.Exchange.Op != peer.OpPush || v.Verdict.Exchange.Status == 0 && !v.take):
			t.Skip(id, "the receiver gave no answer to %s in %v", v.what, at.cfg.Wait)
		case v.take:
			shown.Expect(id, v.Accepted, "got %s for %s, want it taken", told(v), v.what)
		case v.Accepted:
			shown.Expect(id, false, "got %s taken, want it refused", v.what)
		case v.code != "" && v.Refused:
			shown.Expect(id, v.Code == v.code, "got %s for %s, want %s", told(v), v.what, v.code)
		default:
			shown.Expect(id, true, "got %s for %s, want it refused", told(v), v.what)
		}
	}
}

// told says in words what a receiver said.
func told(v verdict) string {
	e := v.Verdict.Exchange
	switch {
	case v.Accepted && e.Op == peer.OpAck:
		return "an acknowledgement"
	case v.Refused && e.Op == peer.OpAck:
		return "setErrs " + string(v.Code)
	case v.Refused:
		return strings.TrimSpace("400 " + string(v.Code))
	case e.Op == peer.OpPush && e.Status != 0:
		return fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	case e.Op == peer.OpPush:
		return "no answer (" + e.Err + ")"
	}
	return "no acknowledgement"
}

// shown returns a T whose findings show these exchanges, those that there were.
func (s *suite) shown(t *conformance.T, list ...peer.Exchange) *conformance.T {
	var evidence []conformance.Exchange
	for _, e := range list {
		if e.Op != "" {
			evidence = append(evidence, s.evidence(e))
		}
	}
	return t.With(evidence...)
}

// evidence turns an exchange of the transmitter into one of a report.
func (s *suite) evidence(e peer.Exchange) conformance.Exchange {
	direction := conformance.Received
	if e.Op == peer.OpPush {
		direction = conformance.Sent
	}
	out := conformance.Exchange{
		Direction: direction, At: e.Began, Took: conformance.Seconds(e.Took), Error: e.Err,
		Request: s.mask.RequestMessage(e.Method, e.URL, e.RequestHeader, []byte(e.RequestBody)),
	}
	if e.Status != 0 {
		out.Response = s.mask.ResponseMessage(e.Status, e.ResponseHeader, []byte(e.ResponseBody), false)
	}
	return out
}
