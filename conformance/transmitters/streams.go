package transmitters

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// stream is one of the suite's streams.
type stream struct {
	id       string
	method   string
	config   object // as it was answered last
	created  conformance.Answer
	hook     *hook    // where it pushes to; nil for poll
	pollURL  string   // where it is polled
	header   string   // its authorization_header, "": none
	pending  []*token // SETs that came and were not looked at
	acks     []string // jtis that the next poll acknowledges
	verified time.Time
	states   []string // of its verification requests
}

// spec is what a check wants of a stream.
type spec struct {
	method string   // "": the first that is tested
	events []string // nil: session-revoked
	header string   // authorization_header
}

// methods returns the methods that are tested.
func (s *suite) methods() []string {
	var out []string
	if s.cfg.Poll {
		out = append(out, delivery.MethodPoll)
	}
	if s.cfg.Push {
		out = append(out, delivery.MethodPush)
	}
	return out
}

// body returns what is said on creation.
func (s *suite) body(p spec, h *hook) map[string]any {
	d := map[string]any{"method": p.method}
	if h != nil {
		d["endpoint_url"] = h.url
	}
	if p.header != "" {
		d["authorization_header"] = p.header
	}
	return map[string]any{"events_requested": p.events, "delivery": d, "description": s.mark}
}

// create makes a stream. It takes what it can use, also where an answer is not as it
// should be; the error says why there is no stream.
func (s *suite) create(ctx context.Context, t *conformance.T, p spec) (*stream, error) {
	if p.method == "" {
		p.method = s.methods()[0]
	}
	if p.events == nil {
		p.events = []string{caep.SessionRevokedType}
	}
	var h *hook
	if p.method == delivery.MethodPush {
		h = s.sink.hook()
		s.mask.Hide(p.header)
	}
	st, err := s.createWith(ctx, t, s.body(p, h))
	if err != nil {
		return nil, err
	}
	st.method, st.hook, st.header = p.method, h, p.header
	return st, nil
}

// createWith makes a stream of a body.
func (s *suite) createWith(ctx context.Context, t *conformance.T, body map[string]any) (*stream, error) {
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return nil, err
	}
	if err := s.makeRoom(ctx, at); err != nil {
		return nil, err
	}
	answer, err := s.do(ctx, t, call{method: http.MethodPost, url: at, body: body})
	if err != nil {
		return nil, err
	}
	return s.took(answer)
}

// took returns the stream that an answer to a creation tells of.
func (s *suite) took(answer conformance.Answer) (*stream, error) {
	if answer.Status == http.StatusConflict {
		return nil, errOneStream
	}
	config, err := parseObject(answer.Body)
	if answer.Status/100 != 2 || err != nil || config.text("stream_id") == "" {
		return nil, fmt.Errorf("no stream: its creation answers %d without a stream_id", answer.Status)
	}
	st := &stream{id: config.text("stream_id"), created: answer}
	s.made = append(s.made, st.id)
	st.learn(config)
	return st, nil
}

// learn takes what an answer says about the stream.
func (st *stream) learn(config object) {
	st.config = config
	d := config.object("delivery")
	st.method = d.text("method")
	if st.method == delivery.MethodPoll {
		st.pollURL = d.text("endpoint_url")
	}
}

// using makes a stream, runs fn, and deletes it.
func (s *suite) using(ctx context.Context, t *conformance.T, p spec, fn func(*stream) error) error {
	st, err := s.create(ctx, t, p)
	if err != nil {
		return err
	}
	defer s.remove(ctx, st.id)
	return fn(st)
}

// each runs fn on a stream of each method that is tested.
func (s *suite) each(ctx context.Context, t *conformance.T, p spec, fn func(*stream) error) error {
	var errs []error
	for _, method := range s.methods() {
		p.method = method
		if err := s.using(ctx, t, p, fn); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", methodName(method), err))
		}
	}
	return errors.Join(errs...)
}

// removeTime bounds the deletion of a stream.
const removeTime = 5 * time.Second

// remove deletes a stream that the suite made, also when ctx has ended.
func (s *suite) remove(ctx context.Context, id string) { s.removeAs(ctx, id, nil) }

// removeAs deletes a stream with the token by which it was made; nil: the receiver's.
func (s *suite) removeAs(ctx context.Context, id string, token *string) {
	if s.delete(context.WithoutCancel(ctx), id, token) == nil {
		s.made = slices.DeleteFunc(s.made, func(made string) bool { return made == id })
	}
}

func (s *suite) delete(ctx context.Context, id string, token *string) error {
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	if s.meta == nil {
		return errors.New("there is no metadata")
	}
	answer, err := s.quietly(ctx, call{
		method: http.MethodDelete, url: s.meta.text(configurationEndpoint), query: url.Values{"stream_id": {id}}, token: token,
	})
	if err != nil {
		return err
	}
	if answer.Status/100 != 2 && answer.Status != http.StatusNotFound {
		return fmt.Errorf("deleting the stream %s answers %d", id, answer.Status)
	}
	return nil
}

// clean deletes what is left of the streams that this run made: those that it knows,
// and those with its mark, whose creation it did not see answered.
func (s *suite) clean(ctx context.Context) error {
	if s.meta == nil || s.meta.text(configurationEndpoint) == "" {
		return nil
	}
	var errs []error
	left := slices.Clone(s.made)
	listed, err := s.list(ctx)
	if err == nil {
		for _, config := range listed {
			if id := config.text("stream_id"); strings.HasPrefix(config.text("description"), s.mark) && !slices.Contains(left, id) {
				left = append(left, id)
			}
		}
	}
	for _, id := range left {
		if err := s.delete(ctx, id, nil); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// maxListed bounds the streams of a listing that are looked at.
const maxListed = 1000

// list returns the receiver's streams.
func (s *suite) list(ctx context.Context) ([]object, error) {
	answer, err := s.quietly(ctx, call{url: s.meta.text(configurationEndpoint)})
	if err != nil {
		return nil, err
	}
	list, err := parseArray(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("listing streams answers %d: %w", answer.Status, err)
	}
	return configs(list[:min(len(list), maxListed)]), nil
}

func configs(list []json.RawMessage) []object {
	var out []object
	for _, raw := range list {
		if config, err := parseObject(raw); err == nil {
			out = append(out, config)
		}
	}
	return out
}

// makeRoom deletes the streams of before, once, where that was asked for.
func (s *suite) makeRoom(ctx context.Context, _ string) error {
	if s.stale || !s.cfg.DeleteStale {
		return nil
	}
	listed, err := s.list(ctx)
	if err != nil {
		return fmt.Errorf("deleting the streams of before: %w", err)
	}
	for _, config := range listed {
		if id := config.text("stream_id"); id != "" {
			if err := s.delete(ctx, id, nil); err != nil {
				return fmt.Errorf("deleting the streams of before: %w", err)
			}
		}
	}
	s.stale = true
	return nil
}

// unknownID is a stream_id that no transmitter has.
func unknownID() string { return "tocsin-none-" + rand.Text() }
