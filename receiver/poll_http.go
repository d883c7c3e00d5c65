package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// pollError is an answer to a poll that is not 200. Its body is undefined and
// ignored (RFC 8936 §2.5.1).
type pollError struct {
	status     int
	retryAfter time.Duration
}

func (e *pollError) Error() string {
	return fmt.Sprintf("answered %d %s", e.status, http.StatusText(e.status))
}

// ask sends one poll (RFC 8936 §2.2) and reads its answer.
func (p *poller) ask(ctx context.Context, poll delivery.PollRequest) (delivery.PollResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, p.poll.Timeout)
	defer cancel()
	token, err := p.token(ctx)
	if err != nil {
		return delivery.PollResponse{}, err
	}
	req, err := p.request(ctx, poll, token)
	if err != nil {
		return delivery.PollResponse{}, err
	}
	resp, err := p.poll.HTTP.Do(req)
	if err != nil {
		return delivery.PollResponse{}, guard.Cause(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusUnauthorized && p.poll.Refused != nil {
		p.poll.Refused(token)
	}
	if resp.StatusCode != http.StatusOK {
		return delivery.PollResponse{}, &pollError{resp.StatusCode, retryAfter(resp.Header, p.cfg.Now())}
	}
	body, err := guard.ReadBody(resp.Body, delivery.MaxPollResponseBytes)
	if err != nil {
		return delivery.PollResponse{}, err
	}
	return delivery.ParsePollResponse(body)
}

// token returns the access token, "" if none is sent.
func (p *poller) token(ctx context.Context) (string, error) {
	if p.poll.Token == nil {
		return "", nil
	}
	token, err := p.poll.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("access token: %w", err)
	}
	return token, nil
}

func (p *poller) request(ctx context.Context, poll delivery.PollRequest, token string) (*http.Request, error) {
	body, err := json.Marshal(poll)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if len(poll.SetErrs) > 0 {
		req.Header.Set("Content-Language", language) // RFC 8936 §2.6
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// retryAfter reads the field in both of its forms (RFC 9110 §10.2.3), up to
// maxRetryAfter; zero if it is absent or past.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
