package transmitters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/ssf"
)

// maxInactivity bounds the inactivity_timeout that a check waits for.
const maxInactivity = 15 * time.Second

func (s *suite) inactivityChecks() []conformance.Check {
	return []conformance.Check{{
		Name: "inactive", Title: "leaves a stream alone until its inactivity_timeout is over",
		Decides: []string{"SSF-8.1.1-04", "SSF-8.1.1-06", "SSF-8.1.2-01", "SSF-8.1.5-01"},
		Run:     s.checkInactive,
	}}
}

// checkInactive keeps a stream alive by a call, longer than it would live without, and then
// does nothing. That the call kept it alive is seen only if it ends without one.
func (s *suite) checkInactive(ctx context.Context, t *conformance.T) error {
	method := delivery.MethodPoll
	if s.cfg.Push {
		method = delivery.MethodPush
	}
	return s.using(ctx, t, spec{method: method}, func(st *stream) error {
		seconds, ok := st.config.number("inactivity_timeout")
		timeout := time.Duration(seconds * float64(time.Second))
		switch {
		case !ok || timeout <= 0:
			return errors.New("streams have no inactivity_timeout")
		case timeout > maxInactivity:
			return fmt.Errorf("the inactivity_timeout of streams is %v, and the suite waits for %v at most", timeout, maxInactivity)
		}
		kept, err := s.keepAlive(ctx, t, st, timeout)
		if err != nil {
			return err
		}
		told, err := s.leaveAlone(ctx, t, st, timeout)
		if err != nil {
			return err
		}
		status, last, err := s.ended(ctx, t, st)
		if err != nil {
			return err
		}
		t.With(kept.Exchange).Expect("SSF-8.1.1-04", true, "got a stream that a call kept alive, and that ended without one")
		if status == "" {
			return errors.New("the transmitter deletes streams without activity, which no event tells")
		}
		var event object
		if told != nil {
			event, _ = told.event(ssf.StreamUpdatedType)
		}
		shown := t.With(append(exchanges(told), last)...)
		for _, id := range []string{"SSF-8.1.1-06", "SSF-8.1.2-01", "SSF-8.1.5-01"} {
			shown.Expect(id, told != nil && event.text("status") == status,
				"got a stream that the transmitter put to %s, and a stream-updated with status %s, want one that tells it", status, event["status"])
		}
		return nil
	})
}

// keepAlive reads the status three times, each time before the timeout is over, and in all
// for more than two of them. It returns the last answer.
func (s *suite) keepAlive(ctx context.Context, t *conformance.T, st *stream, timeout time.Duration) (answer conformance.Answer, err error) {
	called := st.created.Exchange.At
	for range 3 {
		if err := sleep(ctx, timeout*7/10); err != nil {
			return answer, err
		}
		began := time.Now()
		if answer, err = s.statusAnswer(ctx, t, st.id); err != nil {
			return answer, err
		}
		now, err := usable(answer, "reading the status")
		if err == nil && now.text("status") == "enabled" {
			called = began
			continue
		}
		since := time.Since(called)
		if since >= timeout {
			return answer, fmt.Errorf("a call of the stream came %v after the one before, too late for its inactivity_timeout", since.Round(time.Millisecond))
		}
		t.Last(2).Expect("SSF-8.1.1-04", false, "got status %s %v after a call of a stream whose inactivity_timeout is %v, want it kept alive by the call",
			now["status"], since.Round(time.Millisecond), timeout)
		return answer, errors.New("calls do not keep the stream alive")
	}
	return answer, nil
}

// leaveAlone makes no call for longer than the timeout, and returns the stream-updated that
// came; nil: none did.
func (s *suite) leaveAlone(ctx context.Context, t *conformance.T, st *stream, timeout time.Duration) (*token, error) {
	isUpdate := func(one *token) bool { return one.is(ssf.StreamUpdatedType) }
	told, err := (*token)(nil), error(nil)
	if st.hook != nil {
		told, err = s.next(ctx, t, st, timeout+s.cfg.Wait, isUpdate)
	} else if err = sleep(ctx, timeout+s.cfg.Wait); err == nil { // a poll would be a call
		told, err = s.next(ctx, t, st, s.cfg.Quiet, isUpdate)
	}
	if errors.Is(err, errNoSET) && ctx.Err() == nil {
		err = nil
	}
	return told, err
}

// ended reads the status that a stream without activity came to; "": it is gone. One that
// tells it first may do it a moment later.
func (s *suite) ended(ctx context.Context, t *conformance.T, st *stream) (status string, seen conformance.Exchange, err error) {
	for pause := firstPause; pause < lastPause; pause *= 2 {
		answer, err := s.statusAnswer(ctx, t, st.id)
		if err != nil || answer.Status == http.StatusNotFound {
			return "", answer.Exchange, err
		}
		now, err := usable(answer, "reading the status")
		if err != nil || now.text("status") != "enabled" {
			return now.text("status"), answer.Exchange, err
		}
		if err := sleep(ctx, pause); err != nil {
			return "", seen, err
		}
	}
	return "", seen, errors.New("the transmitter did nothing about inactivity, as it may")
}
