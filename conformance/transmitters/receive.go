package transmitters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/conformance"
)

// errNoSET says that a SET did not come in time.
var errNoSET = errors.New("no such SET came")

var errNoPollURL = errors.New("the stream has no endpoint_url to poll")

// Pauses between two polls.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// next returns the next SET of a stream for which match is true, within wait. Others
// that come stay there to be looked at. What is polled is acknowledged by the poll that
// follows.
func (s *suite) next(ctx context.Context, t *conformance.T, st *stream, wait time.Duration, match func(*token) bool) (*token, error) {
	if found := st.pick(match); found != nil {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if err := s.collect(ctx, t, st, pause); err != nil {
			if ctx.Err() != nil {
				return nil, errNoSET
			}
			return nil, err
		}
		if found := st.pick(match); found != nil {
			return found, nil
		}
	}
}

// pick takes a SET that came.
func (st *stream) pick(match func(*token) bool) *token {
	i := slices.IndexFunc(st.pending, match)
	if i < 0 {
		return nil
	}
	found := st.pending[i]
	st.pending = slices.Delete(st.pending, i, i+1)
	return found
}

// collect takes what has come, and waits for pause or a push.
func (s *suite) collect(ctx context.Context, t *conformance.T, st *stream, pause time.Duration) error {
	if st.hook != nil {
		select {
		case p := <-st.hook.got:
			s.arrived(t, st, readPush(p), p.exchange, p)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	answer, err := s.poll(ctx, t, st, map[string]any{"maxEvents": 10, "returnImmediately": true, "ack": st.take()})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("a poll answers %d", answer.Status)
	}
	tokens, err := pollSets(answer)
	if err != nil {
		return err
	}
	for _, one := range tokens {
		s.arrived(t, st, one, answer.Exchange, nil)
		st.acks = append(st.acks, one.key)
	}
	if len(tokens) > 0 {
		return nil
	}
	return sleep(ctx, pause)
}

// take returns the jtis to acknowledge.
func (st *stream) take() []string {
	acks := append([]string{}, st.acks...)
	st.acks = nil
	return acks
}

// arrived keeps a SET that came.
func (s *suite) arrived(t *conformance.T, st *stream, one *token, e conformance.Exchange, p *push) {
	one.stream, one.exchange, one.push = st, e, p
	if p != nil {
		t.Record(e)
	}
	st.pending = append(st.pending, one)
	if len(s.seen) < maxSeen {
		s.seen = append(s.seen, one)
	}
}

func readPush(p *push) *token { return readToken(strings.TrimSpace(string(p.body))) }

// poll polls a stream.
func (s *suite) poll(ctx context.Context, t *conformance.T, st *stream, body map[string]any) (conformance.Answer, error) {
	if st.pollURL == "" {
		return conformance.Answer{}, errNoPollURL
	}
	return s.do(ctx, t, call{method: http.MethodPost, url: st.pollURL, body: body})
}

// maxPolled bounds the SETs of an answer that are looked at.
const maxPolled = 1000

// pollSets returns the SETs of a poll's answer in their order there.
func pollSets(answer conformance.Answer) ([]*token, error) {
	body, err := parseObject(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("the answer to a poll: %w", err)
	}
	if body.object("sets") == nil {
		return nil, errors.New("the answer to a poll has no object sets")
	}
	decoder := jsontext.NewDecoder(strings.NewReader(string(body["sets"])), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := decoder.ReadToken(); err != nil {
		return nil, err
	}
	var out []*token
	for decoder.PeekKind() == '"' && len(out) < maxPolled {
		key, err := decoder.ReadToken()
		if err != nil {
			return nil, err
		}
		id := key.String()
		value, err := decoder.ReadValue()
		if err != nil {
			return nil, err
		}
		var compact string
		if json.Unmarshal(value, &compact) != nil {
			out = append(out, &token{key: id, err: errors.New("it is not a string")})
			continue
		}
		one := readToken(compact)
		one.key = id
		out = append(out, one)
	}
	return out, nil
}

// silent reports whether nothing that matches comes for a time, and else what came.
func (s *suite) silent(ctx context.Context, t *conformance.T, st *stream, match func(*token) bool) (*token, error) {
	got, err := s.next(ctx, t, st, s.cfg.Quiet, match)
	if !errors.Is(err, errNoSET) || ctx.Err() != nil {
		return got, err
	}
	if st.hook == nil { // on a busy machine there was one poll at the beginning, and none since
		if err := s.collect(ctx, t, st, 0); err != nil {
			return nil, err
		}
	}
	return st.pick(match), nil
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
