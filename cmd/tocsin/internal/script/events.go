package script

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Wanted says which events a step waits for.
type Wanted struct {
	// Type is the event type, by URI or name; empty: any.
	Type string
	// State is that of a verification; empty: any.
	State string
	// Txn and JTI are those of the SET; empty: any.
	Txn string
	JTI string `yaml:"jti"`
	// Count is how many; zero: one.
	Count int
}

func (e Wanted) check() error {
	if e.Count < 0 {
		return errors.New("count: it must not be negative")
	}
	if uri := typeURI(e.Type); uri != "" && !strings.ContainsAny(uri, ":$") {
		return fmt.Errorf("type: %s is no event type of CAEP or RISC; give another's URI", e.Type)
	}
	return nil
}

func (e Wanted) count() int { return max(e.Count, 1) }

// typeURI returns the URI of an event type's name; "verification" and "stream-updated"
// are names, too.
func typeURI(name string) string {
	switch name {
	case "verification":
		return streams.TypeVerification
	case "stream-updated":
		return streams.TypeStreamUpdated
	}
	if uri, ok := policy.Names()[name]; ok {
		return uri
	}
	return name
}

func (e Wanted) fits(d receiver.Delivery) bool {
	if e.Txn != "" && e.Txn != d.TransactionID || e.JTI != "" && e.JTI != d.ID {
		return false
	}
	if e.Type != "" {
		if _, ok := d.Token.Event(typeURI(e.Type)); !ok {
			return false
		}
	}
	if e.State == "" {
		return true
	}
	event, ok := d.Token.Event(streams.TypeVerification)
	var payload struct {
		State string `json:"state"`
	}
	return ok && json.Unmarshal(event.Payload, &payload) == nil && same(payload.State, e.State)
}

// sighting is an event in the report.
type sighting struct {
	JTI     string                     `json:"jti"`
	Txn     string                     `json:"txn,omitempty"`
	Type    string                     `json:"type"`
	Subject json.RawMessage            `json:"sub_id,omitempty"`
	Events  map[string]json.RawMessage `json:"events"`
	// Refused is how the SET was judged; nil: good.
	Refused *delivery.Failure `json:"refused,omitempty"`
}

func sightingOf(d receiver.Delivery) sighting {
	s := sighting{JTI: d.ID, Txn: d.TransactionID, Type: d.Type, Subject: d.Subject.Raw(), Events: map[string]json.RawMessage{}}
	for _, e := range d.Token.Events {
		s.Events[e.Type] = e.Payload
	}
	return s
}

// poll polls until the events have come that it waits for (RFC 8936). What it gets it
// acknowledges with the next poll, and the last with a poll of its own; unless
// acknowledge is false: then it is owed, for a step acknowledge.
type poll struct {
	Until     *Wanted // absent: one poll
	Endpoint  string  // empty: the stream's
	MaxEvents int     // zero: as the transmitter likes
	// Immediate asks for an answer at once (returnImmediately).
	Immediate   bool
	Acknowledge *bool
	// Refused lets SETs that are refused pass; else one fails the step.
	Refused bool
}

func (p poll) check() error {
	if p.MaxEvents < 0 {
		return errors.New("max_events: it must not be negative")
	}
	if p.Until != nil {
		return p.Until.check()
	}
	return nil
}

// pollPause is between two polls that were answered at once.
const pollPause = 200 * time.Millisecond

// polled is what a step poll has seen.
type polled struct {
	Polls int        `json:"polls"`
	Sets  []sighting `json:"sets"`
}

func (p poll) do(ctx context.Context, w *world) (any, error) {
	acknowledge := p.Acknowledge == nil || *p.Acknowledge
	seen := polled{Sets: []sighting{}}
	found := 0
	for {
		began := time.Now()
		answer, err := w.ask(ctx, p.Endpoint, p.request(w, acknowledge))
		if err != nil {
			return seen, err
		}
		seen.Polls++
		if acknowledge {
			w.owed = owed{}
		}
		for _, one := range answer.Sets {
			s, fits, err := p.judge(ctx, w, one)
			if err != nil {
				return seen, err
			}
			seen.Sets = append(seen.Sets, s)
			if s.Refused != nil && !p.Refused {
				return seen, fmt.Errorf("SET %s: %s: %s", s.JTI, s.Refused.Err, s.Refused.Description)
			}
			if fits {
				found++
				w.vars["jti"] = s.JTI
			}
		}
		if p.Until == nil || found >= p.Until.count() {
			return seen, p.leave(ctx, w, acknowledge)
		}
		if time.Since(began) < pollPause && len(answer.Sets) == 0 {
			timer := time.NewTimer(pollPause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return seen, fmt.Errorf("%d of %d came", found, p.Until.count())
			}
		}
	}
}

func (p poll) request(w *world, acknowledge bool) delivery.PollRequest {
	r := delivery.PollRequest{ReturnImmediately: p.Immediate}
	if p.MaxEvents > 0 {
		r.MaxEvents = &p.MaxEvents
	}
	if acknowledge {
		r.Ack, r.SetErrs = w.owed.acks, w.owed.refusals
	}
	return r
}

// judge verifies a polled SET and notes what is owed for it.
func (p poll) judge(ctx context.Context, w *world, one delivery.PollSet) (s sighting, fits bool, err error) {
	d, err := w.receiver.Examine(ctx, []byte(one.SET))
	if err == nil && d.ID != one.ID {
		err = &set.Error{Code: delivery.CodeInvalidRequest, Description: "the member's name is not the jti of its SET"}
	}
	refusal, refused := errors.AsType[*set.Error](err)
	switch {
	case refused:
		failure := refusal.Failure()
		if w.owed.refusals == nil {
			w.owed.refusals = map[string]delivery.Failure{}
		}
		w.owed.refusals[one.ID] = failure
		return sighting{JTI: one.ID, Events: map[string]json.RawMessage{}, Refused: &failure}, false, nil
	case err != nil:
		return sighting{}, false, fmt.Errorf("SET %s cannot be verified: %w", one.ID, err)
	}
	w.owed.acks = append(w.owed.acks, one.ID)
	return sightingOf(d), p.Until == nil || p.Until.fits(d), nil
}

// leave acknowledges the last SETs (RFC 8936 §2.4.2).
func (p poll) leave(ctx context.Context, w *world, acknowledge bool) error {
	if !acknowledge {
		return nil
	}
	return w.settle(ctx, p.Endpoint)
}

// settle sends what is owed and asks for nothing.
func (w *world) settle(ctx context.Context, endpoint string) error {
	if len(w.owed.acks)+len(w.owed.refusals) == 0 {
		return nil
	}
	none := 0
	_, err := w.ask(ctx, endpoint, delivery.PollRequest{MaxEvents: &none, ReturnImmediately: true, Ack: w.owed.acks, SetErrs: w.owed.refusals})
	if err == nil {
		w.owed = owed{}
	}
	return err
}

// ask makes one poll. An answer that is not 200 is a *client.Error.
func (w *world) ask(ctx context.Context, endpoint string, poll delivery.PollRequest) (delivery.PollResponse, error) {
	if endpoint == "" {
		endpoint = w.vars["poll_endpoint"]
	}
	if endpoint == "" {
		return delivery.PollResponse{}, errors.New("there is no endpoint to poll: no step before this one has seen a stream that is polled")
	}
	body, err := json.Marshal(poll)
	if err != nil {
		return delivery.PollResponse{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return delivery.PollResponse{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if len(poll.SetErrs) > 0 {
		req.Header.Set("Content-Language", "en") // RFC 8936 §2.6
	}
	if w.token != nil {
		token, err := w.token(ctx)
		if err != nil {
			return delivery.PollResponse{}, fmt.Errorf("access token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return delivery.PollResponse{}, guard.Cause(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := guard.ReadBody(resp.Body, delivery.MaxPollResponseBytes)
	if err != nil {
		return delivery.PollResponse{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return delivery.PollResponse{}, &client.Error{Operation: "poll", Status: resp.StatusCode, Body: excerpt(raw)}
	}
	return delivery.ParsePollResponse(raw)
}

func excerpt(raw []byte) string {
	return strings.ToValidUTF8(string(raw[:min(len(raw), client.MaxExcerpt)]), "")
}

// acknowledge sends what polls before it did not, or the jtis that are named.
type acknowledge struct {
	JTIs     []string `yaml:"jtis"`
	Endpoint string
}

func (a acknowledge) do(ctx context.Context, w *world) (any, error) {
	if len(a.JTIs) > 0 {
		w.owed.acks = a.JTIs
	}
	seen := map[string]any{"acknowledged": append([]string{}, w.owed.acks...), "refused": len(w.owed.refusals)}
	if len(w.owed.acks)+len(w.owed.refusals) == 0 {
		return seen, errors.New("there is nothing to acknowledge")
	}
	return seen, w.settle(ctx, a.Endpoint)
}

// expectPush waits for events that are pushed (RFC 8935); each serves one step.
type expectPush struct{ Wanted }

func (e expectPush) do(ctx context.Context, w *world) (any, error) {
	got, err := w.pushed.take(ctx, e.count(), e.fits)
	sets := []sighting{}
	for _, d := range got {
		sets = append(sets, sightingOf(d))
		w.vars["jti"] = d.ID
	}
	return map[string]any{"sets": sets}, err
}
