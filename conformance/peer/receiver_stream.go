package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/streams"
)

// wish is the body that creates or updates the stream.
func (r *Receiver) wish(id string) object {
	how := object{"method": delivery.MethodPoll}
	if !r.polls() {
		how = object{"method": delivery.MethodPush, "endpoint_url": r.cfg.PushURL}
		if r.cfg.Authorization != "" {
			how["authorization_header"] = r.cfg.Authorization
		}
	}
	body := object{"events_requested": slices.Concat(caep.Types(), risc.Types()), "delivery": how, "description": "peer"}
	if r.breaks("SSF-8.1.1.3-06") {
		body["events_requested"] = []string{}
	}
	if id != "" {
		body["stream_id"] = id
	} else if r.breaks("SSF-8.1.1.1-05") {
		body["aud"] = r.cfg.Audience
	}
	return body
}

func (r *Receiver) makeStream(ctx context.Context, meta receiverMetadata) error {
	var s streamAnswer
	r.mu.Lock()
	if r.breaks("SSF-8.1.4.2-06") {
		r.states = nil
	}
	former := r.Memory.stream.ID
	r.mu.Unlock()
	method := http.MethodPost
	if former != "" {
		method = http.MethodPatch
	}
	status, err := r.call(ctx, method, meta.Configuration, r.wish(former), &s, true)
	if status == http.StatusConflict && !r.breaks("SSF-8.1.1.1-08") {
		var list []streamAnswer
		if _, err = r.call(ctx, http.MethodGet, meta.Configuration, nil, &list, true); err == nil && len(list) > 0 {
			body := r.wish(list[0].ID)
			if r.breaks("SSF-8.1.1.4-01") {
				body = object{"stream_id": list[0].ID, "delivery": body["delivery"]}
			}
			status, err = r.call(ctx, http.MethodPut, meta.Configuration, body, &s, true)
		}
	}
	switch {
	case err != nil:
		return err
	case status/100 != 2 || s.ID == "":
		return fmt.Errorf("no stream: %d", status)
	case s.Issuer != r.cfg.Issuer && !r.breaks("SSF-8.1.1.1-06"), s.Audience != r.cfg.Audience && !r.breaks("SSF-8.1.1.1-07"):
		_, _ = r.call(ctx, http.MethodDelete, withID(meta.Configuration, s.ID), nil, nil, true)
		return errors.New("not our stream")
	}
	r.mu.Lock()
	r.stream = s
	r.mu.Unlock()
	return nil
}

func (r *Receiver) verification(ctx context.Context, meta receiverMetadata, s streamAnswer) error {
	state := rand.Text()
	expect := func() {
		r.mu.Lock()
		r.states = append(r.states, state)
		r.mu.Unlock()
	}
	if !r.breaks("SSF-8.1.4.2-05") {
		expect() // before it is asked for: the event may come before the answer
	}
	status, err := r.call(ctx, http.MethodPost, meta.Verification, object{"stream_id": s.ID, "state": state}, nil, true)
	if r.breaks("SSF-8.1.4.2-05") {
		expect()
	}
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("no verification: %d", status)
	}
	return err
}

// stayAlive reads the status of a pushed stream twice in its inactivity_timeout.
func (r *Receiver) stayAlive(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		meta, s := r.meta, r.stream
		r.mu.Unlock()
		if s.Inactivity == 0 || meta.Status == "" || r.breaks("SSF-8.1.1-07") {
			<-ctx.Done()
			return
		}
		pause(ctx, time.Duration(s.Inactivity)*time.Second/2)
		_, _ = r.call(ctx, http.MethodGet, withID(meta.Status, s.ID), nil, nil, true)
	}
}

// resume enables a stream that the transmitter has stopped, again and again: a break.
func (r *Receiver) resume(ctx context.Context) {
	r.mu.Lock()
	meta, s := r.meta, r.stream
	r.mu.Unlock()
	for range 20 {
		_, _ = r.call(ctx, http.MethodPost, meta.Status, object{"stream_id": s.ID, "status": streams.Enabled}, nil, true)
		pause(ctx, receiverPause/5)
	}
}
