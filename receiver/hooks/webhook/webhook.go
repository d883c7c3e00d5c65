// Package webhook tells an application's own endpoint what an event asks for: a signed
// POST as Standard Webhooks 1.0 has it, of the JSON of package message.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/message"
)

// MaxSecrets bounds the secrets that sign at the same time.
const MaxSecrets = 5

const what = "webhook hook"

// Config is an endpoint and what it is told.
type Config struct {
	// URL is the endpoint. Required.
	URL string
	// Secrets sign each request: whsec_ and base64 of 24 to 64 bytes, the newest first;
	// a second one while receivers change over. At least one.
	Secrets []string
	// Effects are those it is told of; none: all.
	Effects []hooks.Effect
	// HTTP says how it may be called.
	HTTP call.Config
}

// Hook posts messages. Safe for concurrent use.
type Hook struct {
	client  *call.Client
	url     *url.URL
	signers []*standardwebhooks.Webhook
	effects []hooks.Effect
}

// New checks cfg and returns its hook.
func New(cfg Config) (*Hook, error) {
	h := &Hook{effects: cfg.Effects}
	client, err := call.New(cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("%s: http: %w", what, err)
	}
	h.client = client
	var wrong []error
	if h.url, err = client.URL(cfg.URL); err != nil {
		wrong = append(wrong, fmt.Errorf("url: %w", err))
	}
	if n := len(cfg.Secrets); n == 0 || n > MaxSecrets {
		wrong = append(wrong, fmt.Errorf("secrets: there are %d, want 1 to %d", n, MaxSecrets))
	}
	for i, secret := range cfg.Secrets {
		signer, err := newSigner(secret)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("secrets[%d]: %w", i, err))
		}
		h.signers = append(h.signers, signer)
	}
	for _, e := range cfg.Effects {
		if !slices.Contains(hooks.Effects(), e) {
			wrong = append(wrong, fmt.Errorf("effects: there is no %q", e))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return h, nil
}

// newSigner reads a secret. The error does not repeat it.
func newSigner(secret string) (*standardwebhooks.Webhook, error) {
	const prefix, shortest, longest = "whsec_", 24, 64
	signer, err := standardwebhooks.NewWebhook(secret)
	if err == nil {
		encoded := strings.TrimRight(strings.TrimPrefix(secret, prefix), "=")
		if n := len(encoded) * 3 / 4; n >= shortest && n <= longest && strings.HasPrefix(secret, prefix) {
			return signer, nil
		}
	}
	return nil, errors.New("it is not whsec_ and the base64 of 24 to 64 bytes")
}

// Act posts the action. Any 2xx is done; its body may say {"ended": N}. The request's
// webhook-id is the action's key, the same at each attempt.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	if len(h.effects) > 0 && !slices.Contains(h.effects, a.Effect) {
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	body, err := json.Marshal(message.Of(a))
	if err != nil {
		return hooks.Outcome{}, receiver.Permanent(fmt.Errorf("%s: the event cannot be written as JSON", what))
	}
	req, err := call.Request(ctx, http.MethodPost, h.url, "application/json", bytes.NewReader(body))
	if err != nil {
		return hooks.Outcome{}, err
	}
	if err := h.sign(req, a.Key, time.Now(), body); err != nil {
		return hooks.Outcome{}, err
	}
	answer, err := h.client.Do(req, what)
	if err != nil {
		return hooks.Outcome{}, err
	}
	if answer.Status < 200 || answer.Status > 299 {
		return hooks.Outcome{}, answer.Verdict(what)
	}
	return hooks.Outcome{Ended: ended(answer)}, nil
}

func (h *Hook) sign(req *http.Request, id string, at time.Time, body []byte) error {
	signatures := make([]string, len(h.signers))
	for i, signer := range h.signers {
		signature, err := signer.Sign(id, at, body)
		if err != nil {
			return fmt.Errorf("%s: signing: %w", what, err)
		}
		signatures[i] = signature
	}
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// ended reads how many sessions ended, if the answer says so.
func ended(a call.Answer) int {
	var said struct {
		Ended *int `json:"ended"`
	}
	if a.JSON(what, &said) != nil || said.Ended == nil || *said.Ended < 0 {
		return hooks.Unknown
	}
	return *said.Ended
}
