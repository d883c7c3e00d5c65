package client

import (
	"context"
	"errors"
	"net/http"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// subjectRequest is the body of add and remove (SSF §8.1.3.2, §8.1.3.3).
type subjectRequest struct {
	StreamID string             `json:"stream_id"`
	Subject  subject.Identifier `json:"subject"`
	Verified *bool              `json:"verified,omitempty"`
}

// anySuccess returns the statuses that transmitters use for success, whatever the
// specification's two places say (U19).
func anySuccess() []int {
	return []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}
}

// AddSubject asks for events about a subject (SSF §8.1.3.2). unverified says that the
// receiver has not verified that it is the subject's. Success is no promise of events
// and does not tell whether the subject exists. Error: ErrNotFound.
func (c *Client) AddSubject(ctx context.Context, id string, s subject.Identifier, unverified bool) error {
	r := subjectRequest{StreamID: id, Subject: s}
	if unverified {
		verified := false
		r.Verified = &verified
	}
	endpoint, err := c.endpoint(ctx, "add_subject_endpoint", func(m wellknown.Configuration) string { return m.AddSubjectEndpoint })
	return c.subject(ctx, "add subject", endpoint, err, r)
}

// RemoveSubject asks for no further events about a subject (SSF §8.1.3.3). Some may
// still come. Error: ErrNotFound.
func (c *Client) RemoveSubject(ctx context.Context, id string, s subject.Identifier) error {
	endpoint, err := c.endpoint(ctx, "remove_subject_endpoint", func(m wellknown.Configuration) string { return m.RemoveSubjectEndpoint })
	return c.subject(ctx, "remove subject", endpoint, err, subjectRequest{StreamID: id, Subject: s})
}

func (c *Client) subject(ctx context.Context, operation, endpoint string, err error, r subjectRequest) error {
	if err != nil {
		return err
	}
	if err := checkID(r.StreamID); err != nil {
		return err
	}
	if r.Subject.IsZero() {
		return errors.New("client: subject is missing")
	}
	return c.do(ctx, call{
		operation: operation, method: http.MethodPost, endpoint: endpoint, body: r, success: anySuccess(),
	})
}

// Verify asks for a verification event (SSF §8.1.4.2). A state, if not nil, comes back
// in it, perhaps before Verify returns: keep it first. Errors: ErrNotFound; an *Error
// with status 429 and RetryAfter if asked too soon.
func (c *Client) Verify(ctx context.Context, id string, state *string) error {
	if err := checkID(id); err != nil {
		return err
	}
	endpoint, err := c.endpoint(ctx, "verification_endpoint", func(m wellknown.Configuration) string { return m.VerificationEndpoint })
	if err != nil {
		return err
	}
	return c.do(ctx, call{
		operation: "verify stream", method: http.MethodPost, endpoint: endpoint, success: anySuccess(),
		body: struct {
			StreamID string  `json:"stream_id"`
			State    *string `json:"state,omitempty"`
		}{id, state},
	})
}
