package transmitters

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/ssf"
)

func (s *suite) verificationChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "verify", Title: "asks for verification with a state",
			Decides: []string{"SSF-8.1.4.2-01", "SSF-8.1.4.2-02", "SSF-8.1.4.1-01", "INTEROP-2.3.6-01", "INTEROP-2.3.8.2-01"},
			Run:     s.checkVerify,
		},
		{
			Name: "verify-stateless", Title: "asks for verification without a state",
			Decides: []string{"SSF-8.1.4.2-01", "SSF-8.1.4.2-02", "SSF-8.1.4.1-01"},
			Run:     s.checkVerifyStateless,
		},
		{
			Name: "verify-wrong", Title: "asks for verification in wrong ways",
			Decides: []string{"SSF-8.1.4.2-01"},
			Run:     s.checkVerifyWrong,
		},
	}
}

// maxInterval bounds how long a check waits for the next verification to be allowed.
const maxInterval = 20 * time.Second

// verify asks for a verification; a nil state sends none. It waits as the transmitter
// asked.
func (s *suite) verify(ctx context.Context, t *conformance.T, st *stream, state *string) (conformance.Answer, error) {
	at, err := s.endpoint(ctx, t, verificationEndpoint)
	if err != nil {
		return conformance.Answer{}, err
	}
	if interval, ok := st.config.number("min_verification_interval"); ok && !st.verified.IsZero() {
		due := time.Until(st.verified.Add(time.Duration(interval * float64(time.Second))))
		if due > maxInterval {
			return conformance.Answer{}, fmt.Errorf("the next verification is allowed in %v only", due.Round(time.Second))
		}
		if err := sleep(ctx, due); err != nil {
			return conformance.Answer{}, err
		}
	}
	body := map[string]any{"stream_id": st.id}
	if state != nil {
		body["state"] = *state
		st.states = append(st.states, *state)
	}
	for {
		answer, err := s.do(ctx, t, call{method: http.MethodPost, url: at, body: body})
		if err != nil || answer.Status != http.StatusTooManyRequests {
			st.verified = time.Now()
			return answer, err
		}
		after, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		wait := time.Duration(max(after, 1)) * time.Second
		if err != nil || wait > maxInterval {
			return answer, nil
		}
		if err := sleep(ctx, wait); err != nil {
			return answer, err
		}
	}
}

// verification asks for a verification and returns its SET, for checks that need one.
func (s *suite) verification(ctx context.Context, t *conformance.T, st *stream) (*token, error) {
	state := rand.Text()
	answer, err := s.verify(ctx, t, st, &state)
	if err != nil {
		return nil, err
	}
	if answer.Status/100 != 2 {
		return nil, fmt.Errorf("a verification request answers %d", answer.Status)
	}
	got, err := s.next(ctx, t, st, s.cfg.Wait, verifies(state))
	if errors.Is(err, errNoSET) { // its state may be lost, which another check tells
		if got = st.pick(isVerification); got != nil {
			return got, nil
		}
		err = fmt.Errorf("%w within %v", errNoVerification, s.cfg.Wait)
	}
	return got, err
}

// isVerification reports whether a SET is about verification; one whose events cannot be
// read is, if its subject is the stream.
func isVerification(t *token) bool {
	return t.is(ssf.VerificationType) || t.claims.object("events") == nil && t.stream != nil && t.claims.object("sub_id").text("id") == t.stream.id
}

// errNoVerification says that it was asked for, and did not come.
var errNoVerification = errors.New("no verification event came")

func verifies(state string) func(*token) bool {
	return func(t *token) bool {
		event, ok := t.event(ssf.VerificationType)
		return ok && event.text("state") == state
	}
}

func (s *suite) checkVerify(ctx context.Context, t *conformance.T) error {
	return s.each(ctx, t, spec{}, func(st *stream) error {
		state := "state-" + rand.Text() + " \u00fc\"\\"
		answer, err := s.verify(ctx, t, st, &state)
		if err != nil {
			t.Expect("INTEROP-2.3.6-01", false, "got %v, want verification", err)
			return err
		}
		t.Expect("INTEROP-2.3.6-01", answer.Status/100 == 2, "got %d for a verification request, want 204", answer.Status)
		t.Expect("SSF-8.1.4.2-01", answer.Status == http.StatusNoContent && len(answer.Body) == 0,
			"got %d with %d bytes for a verification request, want 204 without a body", answer.Status, len(answer.Body))
		if answer.Status/100 != 2 {
			return fmt.Errorf("a verification request answers %d", answer.Status)
		}
		got, err := s.next(ctx, t, st, s.cfg.Wait, verifies(state))
		if errors.Is(err, errNoSET) {
			got, err = st.pick(isVerification), nil
		}
		if err != nil {
			return err
		}
		t.Expect("INTEROP-2.3.8.2-01", got != nil, "got no verification event within %v, want one", s.cfg.Wait)
		if !t.Expect("SSF-8.1.4.1-01", got != nil, "got no verification event within %v, want one", s.cfg.Wait) {
			return nil
		}
		t := t.With(answer.Exchange, got.exchange)
		if event, ok := got.event(ssf.VerificationType); ok {
			t.Expect("SSF-8.1.4.2-02", event.text("state") == state, "got state %s in the event, want %q as it was asked for", event["state"], state)
		}
		s.checkControl(t, "SSF-8.1.4.1-01", got, st)
		return nil
	})
}

// checkControl judges what the control events of a stream have in common.
func (s *suite) checkControl(t *conformance.T, id string, got *token, st *stream) {
	sub := got.claims.object("sub_id")
	if sub == nil {
		return // judged with all SETs
	}
	t.Expect(id, sub.text("format") == "opaque" && sub.text("id") == st.id,
		"got sub_id %s, want the opaque one whose id is the stream's", got.claims["sub_id"])
}

func (s *suite) checkVerifyStateless(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(st *stream) error {
		answer, err := s.verify(ctx, t, st, nil)
		if err != nil {
			return err
		}
		if !t.Expect("SSF-8.1.4.2-01", answer.Status == http.StatusNoContent, "got %d for a verification request without state, want 204", answer.Status) {
			return nil
		}
		got, err := s.next(ctx, t, st, s.cfg.Wait, isVerification)
		if errors.Is(err, errNoSET) {
			t.Expect("SSF-8.1.4.1-01", false, "got no verification event within %v, want one", s.cfg.Wait)
			return nil
		}
		if err != nil {
			return err
		}
		event, _ := got.event(ssf.VerificationType)
		t.With(answer.Exchange, got.exchange).Expect("SSF-8.1.4.2-02", !event.has("state"), "got state %s, want none, since none was asked for", event["state"])
		return nil
	})
}

func (s *suite) checkVerifyWrong(ctx context.Context, t *conformance.T) error {
	at, err := s.endpoint(ctx, t, verificationEndpoint)
	if err != nil {
		return err
	}
	return s.using(ctx, t, spec{}, func(st *stream) error {
		for _, wrong := range []struct {
			what string
			body any
			want []int
		}{
			{"a stream that is not there", map[string]any{"stream_id": unknownID(), "state": "x"}, []int{http.StatusNotFound}},
			{"no stream_id", map[string]any{"state": "x"}, []int{http.StatusBadRequest}},
			{"a state that is a number", map[string]any{"stream_id": st.id, "state": 1}, []int{http.StatusBadRequest}},
		} {
			answer, err := s.do(ctx, t, call{method: http.MethodPost, url: at, body: wrong.body})
			if err != nil {
				return err
			}
			t.Expect("SSF-8.1.4.2-01", slices.Contains(wrong.want, answer.Status), "got %d for a verification request with %s, want %d", answer.Status, wrong.what, wrong.want[0])
		}
		return nil
	})
}
