package receivers

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// polls are the checks of how the receiver polls.
func (s *suite) polls() []conformance.Check {
	return []conformance.Check{
		s.at(poll, "repeats", "gives SETs again", repeated(poll), s.repeats),
		s.critical(poll),
		s.at(poll, "failures", "fails to answer polls, in several ways", []string{"POLL-2.4-03", "SEC-02"}, s.pollFailures),
		s.at(poll, "looks", "looks at the polls of the receiver", []string{"POLL-2-01", "POLL-2.4-04", "POLL-2.4.2-01", "POLL-2.6-01", "PUSH-2.4-01"}, s.pollLooks),
	}
}

// pollFailures fails for a while: what was given before is acknowledged all the same, and
// the receiver comes again.
func (s *suite) pollFailures(ctx context.Context, t *conformance.T, at *site) error {
	for _, name := range []string{"failing-polls", "garbled-polls", "endless-poll", "more-for-ever"} {
		_, from, _ := at.peer.Exchanges(0)
		began := time.Now()
		if err := at.peer.Misbehave(name); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, s.cfg.Wait)
		failed, _, err := at.peer.Await(limited, from, func(e peer.Exchange) bool { return e.Op == peer.OpPoll && e.Began.After(began) })
		cancel()
		if behave := at.peer.Misbehave(); behave != nil {
			return behave
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			at.shown(t, at.last(peer.OpPoll)).Expect("POLL-2.4-03", false, "got no poll in %v, want polls to go on", s.cfg.Wait)
			continue
		}
		if name == "endless-poll" && strings.HasSuffix(failed.ResponseBody, " bytes)") {
			at.shown(t, failed).Expect("SEC-02", failed.Err != "", "got an answer of 96 MiB read whole, want the receiver to hang up before")
		}
		v, err := at.send(ctx, event())
		if err != nil {
			return err
		}
		at.shown(t, failed, v.Verdict.Exchange).Expect("POLL-2.4-03", v.Accepted, "got %s for a SET after %s, want it acknowledged within %v", told(v), strings.ReplaceAll(name, "-", " "), s.cfg.Wait)
	}
	return nil
}

// pollLooks looks at all polls until now.
func (s *suite) pollLooks(ctx context.Context, t *conformance.T, at *site) error {
	if _, err := at.all(ctx, []probe{
		{what: "aud of another", with: []string{"wrong-aud"}},
		{what: "iss of another", with: []string{"wrong-iss"}},
		{what: "an opaque subject", event: about(object{"format": "opaque", "id": "1111"}), take: true},
	}); err != nil {
		return err
	}
	list, _, _ := at.peer.Exchanges(0)
	wronged := false
	for _, e := range list {
		if e.Op != peer.OpPoll && e.Op != peer.OpAck {
			continue
		}
		shown := at.shown(t, e)
		media := e.RequestHeader.Get("Content-Type")
		request, err := delivery.ParsePollRequest([]byte(e.RequestBody))
		shown.Expect("POLL-2-01", e.Method == http.MethodPost && strings.HasPrefix(media, "application/json") && err == nil, "got %s of %q (%v), want a POST of application/json as RFC 8936 §2.2 has it", e.Method, media, err)
		if request.MaxEvents != nil && *request.MaxEvents == 0 {
			shown.Expect("POLL-2.4.2-01", request.ReturnImmediately, "got maxEvents 0 with returnImmediately %v, want true", request.ReturnImmediately)
		}
		if len(request.SetErrs) > 0 {
			shown.Expect("POLL-2.6-01", e.RequestHeader.Get("Content-Language") != "", "got Content-Language %q with setErrs, want a language", e.RequestHeader.Get("Content-Language"))
		}
		for id, f := range request.SetErrs {
			shown.Expect("PUSH-2.4-01", f.Err.Known(), "got the code %q in setErrs, want one of RFC 8935 §2.4", f.Err)
			if at.isGood(id) {
				wronged = true
				shown.Expect("POLL-2.4-04", false, "got setErrs %s for a SET without a fault, want them for faults of the SET alone", f.Err)
			}
		}
	}
	if !wronged {
		t.Expect("POLL-2.4-04", true, "got setErrs for faults of SETs alone")
	}
	if !t.Decided("POLL-2.4.2-01") {
		t.Skip("POLL-2.4.2-01", "the receiver sent no poll that only acknowledges")
	}
	return nil
}
