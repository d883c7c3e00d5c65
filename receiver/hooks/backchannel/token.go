package backchannel

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
)

const (
	// eventType is the one member of a logout token's events (§2.4).
	eventType = "http://schemas.openid.net/event/backchannel-logout"
	// lifetime is that of a logout token: two minutes at most are recommended (§2.4).
	lifetime = 2 * time.Minute

	jtiBytes = 16
)

// claims are those of a logout token (§2.4): no nonce, and never without both sub and sid.
type claims struct {
	Issuer   string              `json:"iss"`
	Audience string              `json:"aud"`
	IssuedAt int64               `json:"iat"`
	Expires  int64               `json:"exp"`
	ID       string              `json:"jti"`
	Subject  string              `json:"sub,omitempty"`
	Session  string              `json:"sid,omitempty"`
	Events   map[string]struct{} `json:"events"`
}

// token signs a logout token. Its jti is new each time: a party that keeps them would
// refuse the repetition of one that it has already done (§2.6).
func (h *Hook) token(clientID string, t Target, now time.Time) (string, error) {
	id := make([]byte, jtiBytes)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	payload, err := json.Marshal(claims{
		Issuer: h.cfg.Issuer, Audience: clientID, IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(),
		ID: base64.RawURLEncoding.EncodeToString(id), Subject: t.Sub, Session: t.Sid,
		Events: map[string]struct{}{eventType: {}},
	})
	if err != nil {
		return "", err
	}
	return h.signer.Sign(payload)
}

// tell posts a logout token to a party (§2.5).
func (h *Hook) tell(ctx context.Context, p party, t Target) error {
	what := "party " + p.ClientID
	token, err := h.token(p.ClientID, t, time.Now())
	if err != nil {
		return receiver.Permanent(fmt.Errorf("%s: the logout token cannot be signed", what))
	}
	form := url.Values{"logout_token": {token}}.Encode()
	req, err := call.Request(ctx, http.MethodPost, p.url, "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		return err
	}
	answer, err := h.client.Do(req, what)
	if err != nil {
		return err
	}
	return answer.Verdict(what, http.StatusOK, http.StatusNoContent)
}
