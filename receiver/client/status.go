package client

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Status is the state of a stream (SSF §8.1.2).
type Status struct {
	StreamID string         `json:"stream_id"`
	Status   streams.Status `json:"status"`
	Reason   string         `json:"reason,omitempty"`
}

// Status returns the state of a stream (SSF §8.1.2.1). Error: ErrNotFound.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	if err := checkID(id); err != nil {
		return Status{}, err
	}
	endpoint, err := c.statusEndpoint(ctx)
	if err != nil {
		return Status{}, err
	}
	var s Status
	err = c.do(ctx, call{
		operation: "read status", method: http.MethodGet, endpoint: endpoint, streamID: id,
		into: &s, success: []int{http.StatusOK},
	})
	return checkStatus(s, id, err)
}

// SetStatus asks for a state (SSF §8.1.2.2); an empty reason clears the one before.
// Errors: ErrNotFound, ErrPending.
func (c *Client) SetStatus(ctx context.Context, id string, status streams.Status, reason string) (Status, error) {
	if err := checkID(id); err != nil {
		return Status{}, err
	}
	if !status.Valid() {
		return Status{}, fmt.Errorf("client: %q is not a status", string(status))
	}
	endpoint, err := c.statusEndpoint(ctx)
	if err != nil {
		return Status{}, err
	}
	var s Status
	err = c.decide(ctx, call{
		operation: "update status", method: http.MethodPost, endpoint: endpoint,
		body: Status{StreamID: id, Status: status, Reason: reason}, into: &s, success: []int{http.StatusOK},
	})
	return checkStatus(s, id, err)
}

func checkStatus(s Status, id string, err error) (Status, error) {
	switch {
	case err != nil:
		return Status{}, err
	case s.StreamID != id:
		return Status{}, &MismatchError{StreamID: s.StreamID, Member: "stream_id"}
	case !s.Status.Valid():
		return Status{}, fmt.Errorf("client: the transmitter sent no known status")
	}
	return s, nil
}
