package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

const (
	// PingType is the type of the event that a test sends.
	PingType = "webhook.ping"
	// pingTime bounds a test.
	pingTime = 15 * time.Second
	// maxAnswerBytes bounds what is read of its answer.
	maxAnswerBytes = 16 << 10
)

// Outcome is what came of a test.
type Outcome struct {
	Delivered bool `json:"delivered"`
	// Status is the receiver's answer; 0 if there was none.
	Status int `json:"status,omitempty"`
	// Code and Description say why it was not delivered.
	Code        string `json:"err,omitempty"`
	Description string `json:"description,omitempty"`
	// Milliseconds is how long the request took.
	Milliseconds int64 `json:"took_ms"`
	// MessageID is its webhook-id.
	MessageID string `json:"message_id"`
}

// ping is the event of a test: what a receiver sees of any event.
type ping struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Recorded time.Time       `json:"recorded_at"`
	Data     json.RawMessage `json:"data"`
}

// Test sends a signed ping to the receiver, past the queue and whatever the
// webhook's status, and tells what came of it. It changes nothing about the
// webhook: neither its health nor its queue.
func (s *Service) Test(ctx context.Context, who Caller, id string) (Outcome, error) {
	row, _, err := s.find(ctx, who, id)
	if err != nil {
		return Outcome{}, err
	}
	w, err := s.newWay(row)
	if err != nil {
		return Outcome{}, err
	}
	now := s.cfg.Now()
	p := ping{ID: "ping_" + newID(), Type: PingType, Recorded: now.UTC().Truncate(time.Millisecond)}
	if p.Data, err = json.Marshal(map[string]string{"webhook": row.ID}); err != nil {
		return Outcome{}, err
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return Outcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	out := s.send(ctx, w, p.ID, doc)
	out.MessageID = p.ID
	out.Milliseconds = s.cfg.Now().Sub(now).Milliseconds()
	return out, nil
}

func (s *Service) send(ctx context.Context, w *way, id string, doc []byte) Outcome {
	header, body, err := w.seal(ctx, id, [][]byte{doc})
	var cannot *push.PackError
	if errors.As(err, &cannot) {
		return Outcome{Code: cannot.Code, Description: cannot.Text}
	}
	if err != nil {
		return Outcome{Code: "network", Description: cut(guard.Cause(err).Error(), maxDescription)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.settings.URL, strings.NewReader(body))
	if err != nil {
		return Outcome{Code: "endpoint", Description: "the url cannot be used"}
	}
	req.Header = header
	resp, err := s.cfg.Client.Do(req)
	switch {
	case err != nil && s.cfg.Blocked(err):
		return Outcome{Code: "blocked", Description: "the url leads to an address that is not allowed"}
	case err != nil:
		return Outcome{Code: "network", Description: cut(guard.Cause(err).Error(), maxDescription)}
	}
	defer resp.Body.Close() // the status is all that counts
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswerBytes)
	if resp.StatusCode/100 == 2 {
		return Outcome{Delivered: true, Status: resp.StatusCode}
	}
	return Outcome{
		Status: resp.StatusCode, Code: fmt.Sprintf("http_%d", resp.StatusCode),
		Description: cut("the receiver answered "+resp.Status, maxDescription),
	}
}
