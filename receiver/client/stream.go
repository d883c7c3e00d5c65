package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Request holds what a receiver says about a stream. Members that the transmitter
// supplies are never sent (SSF §8.1.1).
type Request struct {
	// EventsRequested are event type URIs; nil: not sent.
	EventsRequested []string
	// Delivery is how SETs shall come; nil: not sent, which means poll at creation.
	// EndpointURL and AuthorizationHeader are for push alone.
	Delivery *streams.Delivery
	// Description is for people; nil: not sent.
	Description *string
}

// wireRequest is the body of create, update and replace.
type wireRequest struct {
	StreamID        string        `json:"stream_id,omitempty"`
	EventsRequested []string      `json:"events_requested,omitempty"`
	Delivery        *wireDelivery `json:"delivery,omitempty"`
	Description     *string       `json:"description,omitempty"`
}

type wireDelivery struct {
	Method              string `json:"method"`
	EndpointURL         string `json:"endpoint_url,omitempty"`
	AuthorizationHeader string `json:"authorization_header,omitempty"`
}

func (c *Client) wire(ctx context.Context, streamID string, r Request) (wireRequest, error) {
	w := wireRequest{StreamID: streamID, EventsRequested: r.EventsRequested, Description: r.Description}
	if d := r.Delivery; d != nil {
		method, err := c.methodFor(ctx, d.Method)
		if err != nil {
			return wireRequest{}, fmt.Errorf("client: metadata of the transmitter: %w", err)
		}
		w.Delivery = &wireDelivery{method, d.EndpointURL, d.AuthorizationHeader}
	}
	return w, nil
}

// Create creates a stream (SSF §8.1.1.1). A stream that is not of our issuer or
// audience is deleted again and a [MismatchError] returned. Error: ErrConflict if
// the transmitter allows one stream and there is one.
func (c *Client) Create(ctx context.Context, r Request) (streams.Configuration, error) {
	endpoint, err := c.configurationEndpoint(ctx)
	if err != nil {
		return streams.Configuration{}, err
	}
	body, err := c.wire(ctx, "", r)
	if err != nil {
		return streams.Configuration{}, err
	}
	var created streams.Configuration
	err = c.do(ctx, call{
		operation: "create stream", method: http.MethodPost, endpoint: endpoint,
		body: body, into: &created, success: []int{http.StatusCreated, http.StatusOK},
	})
	if err != nil {
		return streams.Configuration{}, err
	}
	if err := c.check(&created); err != nil {
		if created.StreamID != "" {
			err = errors.Join(err, c.Delete(ctx, created.StreamID))
		}
		return streams.Configuration{}, err
	}
	return created, nil
}

// Ensure creates a stream, or adopts the one that is there if the transmitter allows
// no second (409): it is updated as r says (SSF §8.1.1.1). If there are several, it
// is the one with r's push endpoint; else an error that is ErrConflict.
func (c *Client) Ensure(ctx context.Context, r Request) (s streams.Configuration, adopted bool, err error) {
	s, err = c.Create(ctx, r)
	if !errors.Is(err, ErrConflict) {
		return s, false, err
	}
	list, listErr := c.Streams(ctx)
	if listErr != nil {
		return streams.Configuration{}, false, errors.Join(err, listErr)
	}
	own, ok := adoptable(list, r)
	if !ok {
		return streams.Configuration{}, false, fmt.Errorf("%w; cannot tell which of %d to adopt", err, len(list))
	}
	s, err = c.Apply(ctx, own.StreamID, r)
	return s, err == nil, err
}

// streamList is a list of streams; a transmitter that knows one alone may send it bare.
type streamList []streams.Configuration

func (l *streamList) UnmarshalJSON(body []byte) error {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		*l = make(streamList, 1)
		return jsonv2.Unmarshal(body, &(*l)[0])
	}
	return jsonv2.Unmarshal(body, (*[]streams.Configuration)(l))
}

func adoptable(list []streams.Configuration, r Request) (streams.Configuration, bool) {
	if len(list) == 1 {
		return list[0], true
	}
	for _, s := range list {
		if r.Delivery != nil && r.Delivery.EndpointURL != "" && s.Delivery.EndpointURL == r.Delivery.EndpointURL {
			return s, true
		}
	}
	return streams.Configuration{}, false
}

// Stream returns a stream (SSF §8.1.1.2). Error: ErrNotFound.
func (c *Client) Stream(ctx context.Context, id string) (streams.Configuration, error) {
	if err := checkID(id); err != nil {
		return streams.Configuration{}, err
	}
	endpoint, err := c.configurationEndpoint(ctx)
	if err != nil {
		return streams.Configuration{}, err
	}
	var s streams.Configuration
	err = c.do(ctx, call{
		operation: "read stream", method: http.MethodGet, endpoint: endpoint, streamID: id,
		into: &s, success: []int{http.StatusOK},
	})
	return c.checked(s, err)
}

// Streams returns the receiver's streams (SSF §8.1.1.2), at most MaxStreams. One that is not of our
// issuer or audience fails the call.
func (c *Client) Streams(ctx context.Context) ([]streams.Configuration, error) {
	endpoint, err := c.configurationEndpoint(ctx)
	if err != nil {
		return nil, err
	}
	var list streamList
	err = c.do(ctx, call{
		operation: "list streams", method: http.MethodGet, endpoint: endpoint,
		into: &list, success: []int{http.StatusOK}, limit: MaxListBytes,
	})
	if err != nil {
		return nil, err
	}
	if len(list) > MaxStreams {
		return nil, fmt.Errorf("client: list streams: more than %d streams", MaxStreams)
	}
	for i := range list {
		if err := c.check(&list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Update changes the members that r has (PATCH, SSF §8.1.1.3). Errors: ErrNotFound,
// ErrPending.
func (c *Client) Update(ctx context.Context, id string, r Request) (streams.Configuration, error) {
	return c.change(ctx, "update stream", http.MethodPatch, id, r)
}

// Replace makes r all that the receiver says about the stream: what r leaves out is
// deleted (PUT, SSF §8.1.1.4). Errors: ErrNotFound, ErrPending.
func (c *Client) Replace(ctx context.Context, id string, r Request) (streams.Configuration, error) {
	return c.change(ctx, "replace stream", http.MethodPut, id, r)
}

// Apply makes a stream as r says: by Update, by Replace at a transmitter that knows no
// PATCH (405, 501).
func (c *Client) Apply(ctx context.Context, id string, r Request) (streams.Configuration, error) {
	s, err := c.Update(ctx, id, r)
	refused, ok := errors.AsType[*Error](err)
	if !ok || refused.Status != http.StatusMethodNotAllowed && refused.Status != http.StatusNotImplemented {
		return s, err
	}
	return c.Replace(ctx, id, r)
}

func (c *Client) change(ctx context.Context, operation, method, id string, r Request) (streams.Configuration, error) {
	if err := checkID(id); err != nil {
		return streams.Configuration{}, err
	}
	endpoint, err := c.configurationEndpoint(ctx)
	if err != nil {
		return streams.Configuration{}, err
	}
	body, err := c.wire(ctx, id, r)
	if err != nil {
		return streams.Configuration{}, err
	}
	var s streams.Configuration
	err = c.decide(ctx, call{
		operation: operation, method: method, endpoint: endpoint,
		body: body, into: &s, success: []int{http.StatusOK},
	})
	return c.checked(s, err)
}

// Delete deletes a stream (SSF §8.1.1.5). Error: ErrNotFound, also for one deleted
// before. An empty id is refused: some transmitters take it for all streams.
func (c *Client) Delete(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	endpoint, err := c.configurationEndpoint(ctx)
	if err != nil {
		return err
	}
	return c.do(ctx, call{
		operation: "delete stream", method: http.MethodDelete, endpoint: endpoint, streamID: id,
		success: []int{http.StatusNoContent, http.StatusOK},
	})
}

func (c *Client) checked(s streams.Configuration, err error) (streams.Configuration, error) {
	if err == nil {
		err = c.check(&s)
	}
	if err != nil {
		return streams.Configuration{}, err
	}
	return s, nil
}

func checkID(id string) error {
	if id == "" {
		return errors.New("client: stream id is empty")
	}
	return nil
}
