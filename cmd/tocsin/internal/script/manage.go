package script

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// kinds are what steps can do.
func kinds() map[string]func() act {
	return map[string]func() act{
		"discover":       func() act { return new(discover) },
		"create":         func() act { return new(create) },
		"read":           func() act { return new(read) },
		"list":           func() act { return new(list) },
		"update":         func() act { return &change{} },
		"replace":        func() act { return &change{replace: true} },
		"status":         func() act { return new(status) },
		"add_subject":    func() act { return &about{} },
		"remove_subject": func() act { return &about{remove: true} },
		"verify":         func() act { return new(verify) },
		"poll":           func() act { return new(poll) },
		"acknowledge":    func() act { return new(acknowledge) },
		"expect_push":    func() act { return new(expectPush) },
		"delete":         func() act { return new(remove) },
		"run":            func() act { return new(run) },
		"wait":           func() act { return new(pause) },
	}
}

// discover reads the transmitter's metadata (SSF §7).
type discover struct{}

func (discover) do(ctx context.Context, w *world) (any, error) {
	return w.discovery.Configuration(ctx, w.script.Issuer.Issuer)
}

// Wish is what a receiver says about a stream.
type Wish struct {
	Events      []string // by URI or name; none: all of CAEP and RISC at creation
	Delivery    string   // push or poll
	Endpoint    string   // of a push; empty: the script's own
	Description *string
}

func (r Wish) check() error {
	if r.Delivery != "" && r.Delivery != "push" && r.Delivery != "poll" {
		return errors.New("delivery: want push or poll")
	}
	return nil
}

func (r Wish) request(w *world) (client.Request, error) {
	known := policy.Names()
	out := client.Request{Description: r.Description}
	for _, name := range r.Events {
		if uri, ok := known[name]; ok {
			name = uri
		}
		out.EventsRequested = append(out.EventsRequested, name)
	}
	switch r.Delivery {
	case "poll":
		out.Delivery = &streams.Delivery{Method: delivery.MethodPoll}
	case "push":
		endpoint := r.Endpoint
		if endpoint == "" {
			endpoint = w.vars["push_url"]
		}
		if endpoint == "" {
			return out, errors.New("a push needs an endpoint, or listen in the script")
		}
		out.Delivery = &streams.Delivery{
			Method: delivery.MethodPush, EndpointURL: endpoint, AuthorizationHeader: w.script.Issuer.Delivery.Authorization,
		}
	}
	return out, nil
}

// keep notes a stream for later steps.
func (w *world) keep(s streams.Configuration) {
	w.vars["stream_id"] = s.StreamID
	w.receiver.SetStreamID(s.StreamID)
	if s.Delivery.Method == delivery.MethodPoll {
		w.vars["poll_endpoint"] = s.Delivery.EndpointURL
	}
}

// create makes a stream (SSF §8.1.1.1), or adopts the one that is there on 409.
type create struct {
	Wish
	Adopt *bool // absent: adopt
}

func (c create) do(ctx context.Context, w *world) (any, error) {
	r, err := c.request(w)
	if err != nil {
		return nil, err
	}
	if len(r.EventsRequested) == 0 {
		r.EventsRequested = append(caep.Types(), risc.Types()...)
	}
	var made streams.Configuration
	if c.Adopt == nil || *c.Adopt {
		made, _, err = w.api.Ensure(ctx, r)
	} else {
		made, err = w.api.Create(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	w.keep(made)
	return made, nil
}

// read reads a stream (SSF §8.1.1.2).
type read struct{ StreamID string }

func (r read) do(ctx context.Context, w *world) (any, error) {
	id, err := w.stream(r.StreamID)
	if err != nil {
		return nil, err
	}
	s, err := w.api.Stream(ctx, id)
	if err != nil {
		return nil, err
	}
	w.keep(s)
	return s, nil
}

// list reads all streams.
type list struct{}

func (list) do(ctx context.Context, w *world) (any, error) { return w.api.Streams(ctx) }

// change updates (PATCH) or replaces (PUT) a stream (SSF §8.1.1.3, §8.1.1.4).
type change struct {
	Wish
	StreamID string

	replace bool
}

func (c *change) do(ctx context.Context, w *world) (any, error) {
	id, err := w.stream(c.StreamID)
	if err != nil {
		return nil, err
	}
	r, err := c.request(w)
	if err != nil {
		return nil, err
	}
	with := w.api.Update
	if c.replace {
		with = w.api.Replace
	}
	s, err := with(ctx, id, r)
	if err != nil {
		return nil, err
	}
	w.keep(s)
	return s, nil
}

// status reads a stream's status (SSF §8.1.2.1), or sets it.
type status struct {
	StreamID, Set, Reason string
}

func (s status) check() error {
	if s.Set != "" && !streams.Status(s.Set).Valid() {
		return errors.New("set: want enabled, paused or disabled")
	}
	return nil
}

func (s status) do(ctx context.Context, w *world) (any, error) {
	id, err := w.stream(s.StreamID)
	if err != nil {
		return nil, err
	}
	if s.Set == "" {
		return seenOr(w.api.Status(ctx, id))
	}
	return seenOr(w.api.SetStatus(ctx, id, streams.Status(s.Set), s.Reason))
}

// seenOr leaves out what is nothing because of an error.
func seenOr[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// about adds or removes a subject (SSF §8.1.3).
type about struct {
	StreamID   string
	Subject    map[string]any
	Unverified bool

	remove bool
}

func (a *about) check() error {
	if len(a.Subject) == 0 {
		return errors.New("subject is missing")
	}
	return nil
}

func (a *about) do(ctx context.Context, w *world) (any, error) {
	id, err := w.stream(a.StreamID)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(a.Subject)
	if err != nil {
		return nil, err
	}
	var who subject.Identifier
	if err := json.Unmarshal(raw, &who); err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	if a.remove {
		return nil, w.api.RemoveSubject(ctx, id, who)
	}
	return nil, w.api.AddSubject(ctx, id, who, a.Unverified)
}

// stateLife is how long a verification is expected.
const stateLife = time.Hour

// verify asks for a verification event (SSF §8.1.4.2) and keeps its state as the
// variable state.
type verify struct {
	StreamID string
	State    string // empty: a random one
}

func (v verify) do(ctx context.Context, w *world) (any, error) {
	id, err := w.stream(v.StreamID)
	if err != nil {
		return nil, err
	}
	if v.State == "" {
		v.State = rand.Text()
	}
	if err := w.inbox.Expect(ctx, feedName, v.State, time.Now().Add(stateLife)); err != nil {
		return nil, err
	}
	w.vars["state"] = v.State
	return map[string]string{"state": v.State}, w.api.Verify(ctx, id, &v.State)
}

// remove deletes a stream (SSF §8.1.1.5).
type remove struct{ StreamID string }

func (r remove) do(ctx context.Context, w *world) (any, error) {
	id, err := w.stream(r.StreamID)
	if err != nil {
		return nil, err
	}
	return nil, w.api.Delete(ctx, id)
}
