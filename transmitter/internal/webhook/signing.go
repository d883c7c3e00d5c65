package webhook

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The forms of signing secrets (Standard Webhooks 1.0, "Signature scheme").
const (
	Symmetric  = "symmetric"  // HMAC-SHA-256, identifier v1
	Asymmetric = "asymmetric" // Ed25519, identifier v1a

	symmetricPrefix = "whsec_"
	privatePrefix   = "whsk_"
	publicPrefix    = "whpk_"

	minSecretBytes = 24
	maxSecretBytes = 64
	newSecretBytes = 32
)

// maxSecrets bounds the secrets that sign at the same time.
const maxSecrets = 5

// Secret signs the requests of a webhook.
type Secret struct {
	// Text is the secret as Standard Webhooks writes it: whsec_ or whsk_ and
	// base64. The latter is an Ed25519 private key with its public half.
	Text    string    `json:"text"`
	Created time.Time `json:"created"`
	// Expires is when it stops to sign; zero for the newest, which signs first.
	Expires time.Time `json:"expires,omitzero"`
}

// LogValue tells the form alone.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.form()) }

// newSecret makes a secret of a form.
func newSecret(form string, now time.Time) Secret {
	s := Secret{Created: now.UTC().Truncate(time.Second)}
	if form == Asymmetric {
		_, key, _ := ed25519.GenerateKey(nil) // never fails (crypto/rand)
		s.Text = privatePrefix + base64.StdEncoding.EncodeToString(key)
		return s
	}
	b := make([]byte, newSecretBytes)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	s.Text = symmetricPrefix + base64.StdEncoding.EncodeToString(b)
	return s
}

// form returns Symmetric or Asymmetric.
func (s Secret) form() string {
	if strings.HasPrefix(s.Text, privatePrefix) {
		return Asymmetric
	}
	return Symmetric
}

// public returns what a receiver verifies an asymmetric signature with; "" for
// a symmetric one.
func (s Secret) public() string {
	if s.form() != Asymmetric {
		return ""
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Text, privatePrefix))
	if err != nil || len(key) != ed25519.PrivateKeySize {
		return ""
	}
	return publicPrefix + base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:])
}

// signs reports whether the secret still signs.
func (s Secret) signs(now time.Time) bool { return s.Expires.IsZero() || s.Expires.After(now) }

// parseSecret reads a secret that somebody brought along. It returns a text
// that says what is wrong, "" for nothing.
func parseSecret(text string, now time.Time) (s Secret, wrong string) {
	s = Secret{Created: now.UTC().Truncate(time.Second)}
	switch {
	case strings.HasPrefix(text, symmetricPrefix):
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, symmetricPrefix))
		if err != nil || len(b) < minSecretBytes || len(b) > maxSecretBytes {
			return s, "is not whsec_ and the base64 of 24 to 64 bytes"
		}
		s.Text = text
	case strings.HasPrefix(text, privatePrefix):
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, privatePrefix))
		if err != nil || len(b) != ed25519.SeedSize && len(b) != ed25519.PrivateKeySize {
			return s, "is not whsk_ and the base64 of an Ed25519 private key"
		}
		key := ed25519.NewKeyFromSeed(b[:ed25519.SeedSize])
		if len(b) == ed25519.PrivateKeySize && !slices.Equal(b, key) {
			return s, "has a public half that is not of its private one"
		}
		s.Text = privatePrefix + base64.StdEncoding.EncodeToString(key)
	default:
		return s, "begins with neither whsec_ nor whsk_"
	}
	return s, ""
}

// signer makes one of the signatures of a request.
type signer struct {
	secret Secret
	sign   func(id string, at time.Time, body string) (string, error)
}

// newSigner prepares a secret. Error: it is malformed.
func newSigner(s Secret) (signer, error) {
	if s.form() == Symmetric {
		w, err := standardwebhooks.NewWebhook(s.Text)
		if err != nil {
			return signer{}, fmt.Errorf("webhook: signing secret: %w", err)
		}
		return signer{s, func(id string, at time.Time, body string) (string, error) { return w.Sign(id, at, []byte(body)) }}, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Text, privatePrefix))
	if err != nil || len(key) != ed25519.PrivateKeySize {
		return signer{}, fmt.Errorf("webhook: signing secret: malformed")
	}
	return signer{s, func(id string, at time.Time, body string) (string, error) {
		content := fmt.Sprintf("%s.%d.%s", id, at.Unix(), body)
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(content))), nil
	}}, nil
}

// signature returns the value of webhook-signature: one signature by each
// secret that still signs, the newest first.
func signature(signers []signer, id string, at time.Time, body string) (string, error) {
	var all []string
	for _, s := range signers {
		if !s.secret.signs(at) {
			continue
		}
		one, err := s.sign(id, at, body)
		if err != nil {
			return "", fmt.Errorf("webhook: signing: %w", err)
		}
		all = append(all, one)
	}
	return strings.Join(all, " "), nil
}
