package credential

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// assertionLife is for how long an assertion is good: it is used at once.
const assertionLife = time.Minute

// assertionType is that of RFC 7523 §2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// asserted returns the parameters of a token request with an assertion for the endpoint,
// signed by the client's key. Errors show nothing of the key.
func (cfg Config) asserted(endpoint string, parameters url.Values) (url.Values, error) {
	text, err := readSecret(cfg.ClientKeyFile)
	if err != nil {
		return nil, err
	}
	key, err := jose.ParsePrivateKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: want a private JWK: %w", cfg.ClientKeyFile, err)
	}
	signer, err := jose.NewSigner(key, "JWT")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.ClientKeyFile, err)
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": cfg.ClientID, "sub": cfg.ClientID, "aud": endpoint, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return nil, err
	}
	assertion, err := signer.Sign(claims)
	if err != nil {
		return nil, err
	}
	form := maps.Clone(parameters)
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return form, nil
}
