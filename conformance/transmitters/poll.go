package transmitters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

func (s *suite) pollChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "poll", Title: "polls, with what is there and what is not",
			Decides: []string{"POLL-2-01", "POLL-2.3-01", "POLL-2.2-02"},
			Run:     s.checkPoll,
		},
		{
			Name: "poll-most", Title: "polls for fewer SETs than there are",
			Decides: []string{"POLL-2.2-01", "POLL-2.3-02"},
			Run:     s.checkPollMost,
		},
		{
			Name: "poll-ack", Title: "acknowledges and refuses SETs",
			Decides: []string{"POLL-2.2-03", "POLL-2.2-04"},
			Run:     s.checkPollAck,
		},
		{
			Name: "poll-long", Title: "waits for a SET by polling",
			Decides: []string{"POLL-2.5-01"},
			Run:     s.checkPollLong,
		},
		{
			Name: "poll-wrong", Title: "polls in wrong ways",
			Decides: []string{"POLL-2.5.1-01"},
			Run:     s.checkPollWrong,
		},
	}
}

// usingPoll makes a stream for poll.
func (s *suite) usingPoll(ctx context.Context, t *conformance.T, fn func(*stream) error) error {
	if !s.cfg.Poll {
		return errors.New("poll is not tested")
	}
	return s.using(ctx, t, spec{method: delivery.MethodPoll}, fn)
}

// asked asks for a verification that is not received.
func (s *suite) asked(ctx context.Context, t *conformance.T, st *stream) error {
	answer, err := s.verify(ctx, t, st, nil)
	if err == nil && answer.Status/100 != 2 {
		err = fmt.Errorf("a verification request answers %d", answer.Status)
	}
	return err
}

// polled polls and judges what every answer must be.
func (s *suite) polled(ctx context.Context, t *conformance.T, st *stream, body map[string]any) (conformance.Answer, []*token, error) {
	answer, err := s.poll(ctx, t, st, body)
	if err != nil {
		return answer, nil, err
	}
	if answer.Status != http.StatusOK {
		return answer, nil, fmt.Errorf("a poll answers %d", answer.Status)
	}
	tokens, err := pollSets(answer)
	for _, one := range tokens {
		one.stream, one.exchange = st, answer.Exchange
		if len(s.seen) < maxSeen {
			s.seen = append(s.seen, one)
		}
	}
	return answer, tokens, err
}

// untilThere polls until a SET is there, without acknowledging it.
func (s *suite) untilThere(ctx context.Context, t *conformance.T, st *stream, body map[string]any) (conformance.Answer, []*token, error) {
	until := time.Now().Add(s.cfg.Wait)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		answer, tokens, err := s.polled(ctx, t, st, body)
		if err != nil || len(tokens) > 0 {
			return answer, tokens, err
		}
		if time.Now().After(until) {
			return answer, nil, fmt.Errorf("no verification event came within %v", s.cfg.Wait)
		}
		if err := sleep(ctx, pause); err != nil {
			return answer, nil, err
		}
	}
}

func (s *suite) checkPoll(ctx context.Context, t *conformance.T) error {
	return s.usingPoll(ctx, t, func(st *stream) error {
		empty, err := s.poll(ctx, t, st, map[string]any{"returnImmediately": true})
		if err != nil {
			return err
		}
		t.Expect("POLL-2-01", empty.Status == http.StatusOK && isJSON(empty.Header), "got %d and Content-Type %q for a poll, want 200 and application/json", empty.Status, empty.Header.Get("Content-Type"))
		body, _ := parseObject(empty.Body)
		t.Expect("POLL-2.3-01", body.object("sets") != nil, "got sets %s where there is nothing, want {}", body["sets"])
		t.Expect("POLL-2.2-02", empty.Took < s.cfg.Quiet+time.Second, "got an answer after %v with returnImmediately, want it at once", empty.Took.Round(time.Millisecond))
		if err := s.asked(ctx, t, st); err != nil {
			return err
		}
		answer, tokens, err := s.untilThere(ctx, t, st, map[string]any{})
		if answer.Status != 0 {
			t.Expect("POLL-2-01", answer.Status == http.StatusOK, "got %d for a poll with {}, want 200", answer.Status)
		}
		if err != nil {
			return err
		}
		t.Expect("POLL-2-01", isJSON(answer.Header), "got Content-Type %q for a poll, want application/json", answer.Header.Get("Content-Type"))
		for _, one := range tokens {
			t.Expect("POLL-2.3-01", one.err == nil && (one.jti() == "" || one.key == one.jti()), "got the SET of jti %q under %q, want it under its jti: %v", one.jti(), one.key, orFine(one.err))
		}
		return nil
	})
}

func (s *suite) checkPollMost(ctx context.Context, t *conformance.T) error {
	return s.usingPoll(ctx, t, func(st *stream) error {
		for range 2 {
			if err := s.asked(ctx, t, st); err != nil {
				return err
			}
		}
		none, tokens, err := s.polled(ctx, t, st, map[string]any{"maxEvents": 0, "returnImmediately": true})
		if err != nil {
			return err
		}
		t.With(none.Exchange).Expect("POLL-2.2-01", len(tokens) == 0, "got %d SETs for maxEvents 0, want none", len(tokens))
		answer, tokens, err := s.untilThere(ctx, t, st, map[string]any{"maxEvents": 1, "returnImmediately": true})
		if err != nil {
			return err
		}
		t.Expect("POLL-2.2-01", len(tokens) <= 1, "got %d SETs for maxEvents 1, want no more", len(tokens))
		body, _ := parseObject(answer.Body)
		if body.has("moreAvailable") {
			more := string(body["moreAvailable"])
			t.Expect("POLL-2.3-02", more == "true" || more == "false", "got moreAvailable %s, want a truth value", more)
		} else {
			t.Skip("POLL-2.3-02", "no answer has moreAvailable")
		}
		return nil
	})
}

func (s *suite) checkPollAck(ctx context.Context, t *conformance.T) error {
	for id, how := range map[string]func(jti string) map[string]any{
		"POLL-2.2-03": func(jti string) map[string]any {
			return map[string]any{"maxEvents": 0, "returnImmediately": true, "ack": []string{jti, "unknown-to-everybody"}}
		},
		"POLL-2.2-04": func(jti string) map[string]any {
			return map[string]any{"maxEvents": 0, "returnImmediately": true, "setErrs": map[string]any{jti: map[string]any{"err": "invalid_request", "description": "refused by the conformance suite"}}}
		},
	} {
		err := s.usingPoll(ctx, t, func(st *stream) error {
			if err := s.asked(ctx, t, st); err != nil {
				return err
			}
			first, tokens, err := s.untilThere(ctx, t, st, map[string]any{"maxEvents": 1, "returnImmediately": true})
			if err != nil {
				return err
			}
			jti := tokens[0].key
			told, err := s.poll(ctx, t, st, how(jti))
			if err != nil {
				return err
			}
			if !t.Last(2).Expect(id, told.Status == http.StatusOK, "got %d for a poll that says what became of a SET, want 200", told.Status) {
				return nil
			}
			late, err := s.silent(ctx, t, st, func(one *token) bool { return one.key == jti })
			if err != nil {
				return err
			}
			e := append([]conformance.Exchange{first.Exchange, told.Exchange}, exchanges(late)...)
			t.With(e...).Expect(id, late == nil, "got a SET again whose fate was told, want it never again")
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// atOnce is an answer to a long poll that did not wait.
const atOnce = 150 * time.Millisecond

// late is when the event of a long poll is asked for.
const lateAsk = 250 * time.Millisecond

func (s *suite) checkPollLong(ctx context.Context, t *conformance.T) error {
	return s.usingPoll(ctx, t, func(st *stream) error {
		type outcome struct {
			answer conformance.Answer
			err    error
		}
		done := make(chan outcome, 1)
		if st.pollURL == "" {
			return errNoPollURL
		}
		ask, err := s.ask(ctx, call{method: http.MethodPost, url: st.pollURL, body: map[string]any{"returnImmediately": false}})
		if err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, s.cfg.Wait+lateAsk)
		defer cancel()
		go func() { // it ends with limited at the latest
			answer, err := ask.Send(limited, s.cfg.HTTP, &s.mask)
			done <- outcome{answer, err}
		}()
		if err := sleep(ctx, lateAsk); err != nil {
			return err
		}
		askErr := s.asked(ctx, t, st)
		got := <-done
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.Record(got.answer.Exchange)
		if askErr != nil {
			return askErr
		}
		tokens, _ := pollSets(got.answer)
		t.Expect("POLL-2.5-01", len(tokens) > 0 || got.err == nil && got.answer.Took > atOnce,
			"got %d SETs after %v by a poll that waits (%s), want it to wait until one is there", len(tokens), got.answer.Took.Round(time.Millisecond), orFine(got.err))
		return nil
	})
}

func (s *suite) checkPollWrong(ctx context.Context, t *conformance.T) error {
	return s.usingPoll(ctx, t, func(st *stream) error {
		for _, c := range []struct{ what, body string }{
			{"a body that is cut off", `{"maxEvents":`},
			{"a negative maxEvents", `{"maxEvents":-1,"returnImmediately":true}`},
			{"maxEvents that is a text", `{"maxEvents":"1","returnImmediately":true}`},
			{"an ack that is a text", `{"ack":"x","returnImmediately":true}`},
			{"setErrs that is a list", `{"setErrs":["x"],"returnImmediately":true}`},
		} {
			answer, err := s.do(ctx, t, call{method: http.MethodPost, url: st.pollURL, raw: []byte(c.body)})
			if err != nil {
				return err
			}
			t.Expect("POLL-2.5.1-01", answer.Status/100 == 4, "got %d for a poll with %s, want 400", answer.Status, c.what)
		}
		return nil
	})
}

// contains reports whether a text is in a body.
func contains(body []byte, text string) bool { return bytes.Contains(body, []byte(text)) }
