package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Encryption is to whom SETs are encrypted, as an operator sees it: a public key.
type Encryption struct {
	KeyID     string                 `json:"kid"`
	Algorithm jose.KeyManagement     `json:"alg"`
	Content   jose.ContentEncryption `json:"enc"`
	Key       *jose.EncryptionKey    `json:"key"`
}

// encryptionOf shows what is kept; nil: nothing.
func encryptionOf(kept string) (*Encryption, error) {
	if kept == "" {
		return nil, nil
	}
	e, err := jose.ParseEncrypter([]byte(kept))
	if err != nil { // it was checked before it was kept: another version's
		return nil, err
	}
	return &Encryption{KeyID: e.Key().ID(), Algorithm: e.Key().Algorithm(), Content: e.Content(), Key: e.Key()}, nil
}

// encryptionAsk is what an operator says of it: keys to choose from and how, or that it
// is to end.
type encryptionAsk struct {
	Off bool `json:"off"`
	// Keys is a JWK or JWKS; PEM a public key or certificate in its place.
	Keys json.RawMessage `json:"keys"`
	PEM  string          `json:"pem"`
	// KeyID and Algorithm choose of several, Content is A256GCM unless it is named.
	KeyID     string `json:"kid"`
	Algorithm string `json:"alg"`
	Content   string `json:"enc"`
}

// kept returns what is to be kept; the error names the member that is wrong.
func (a *encryptionAsk) kept() (string, error) {
	text, member := []byte(a.Keys), "keys"
	if a.PEM != "" {
		text, member = []byte(a.PEM), "pem"
	}
	given := len(text) > 0
	switch {
	case a.Off && (given || a.KeyID+a.Algorithm+a.Content != ""):
		return "", request.Invalid("off", "goes without keys")
	case a.Off:
		return "", nil
	case !given:
		return "", request.Invalid("keys", "is missing: a public JWK or JWKS; to end encryption: off")
	case a.PEM != "" && len(a.Keys) > 0:
		return "", request.Invalid("pem", "goes without keys")
	case len(a.KeyID) > jose.MaxKeyIDBytes:
		return "", request.Invalid("kid", "is too long")
	}
	alg, err := optional("alg", a.Algorithm, jose.ParseKeyManagement)
	if err != nil {
		return "", err
	}
	content, err := optional("enc", a.Content, jose.ParseContentEncryption)
	if err != nil {
		return "", err
	}
	key, err := jose.ParseEncryptionKey(text, a.KeyID, alg)
	if err != nil {
		return "", request.Invalid(member, "has no key to encrypt to: "+plain(err))
	}
	e, err := jose.NewEncrypter(key, content)
	if err != nil {
		return "", request.Invalid("enc", plain(err))
	}
	kept, err := json.Marshal(e)
	return string(kept), err
}

func optional[T ~string](member, name string, parse func(string) (T, error)) (T, error) {
	if name == "" {
		return "", nil
	}
	value, err := parse(name)
	if err != nil {
		return "", request.Invalid(member, plain(err))
	}
	return value, nil
}

// plain is the text of an error without the name of who says it.
func plain(err error) string { return strings.ReplaceAll(err.Error(), "jose: ", "") }

// setEncryption changes to whom the stream's SETs are encrypted.
func (h Handler) setEncryption(c echo.Context) error {
	var ask encryptionAsk
	if err := read(c, &ask); err != nil {
		return err
	}
	kept, err := ask.kept()
	if err != nil {
		return err
	}
	ctx, id := c.Request().Context(), c.Param("stream_id")
	s, err := h.Streams.Stream(ctx, id)
	switch {
	case err == nil && s.Delivery.Method == streams.MethodWebhook:
		return request.Invalid("stream_id", "is a webhook's: no SETs leave there, so that none are encrypted")
	case err != nil && !errors.Is(err, streams.ErrNotFound):
		return err
	}
	if s, err = h.Catalog.SetEncryption(ctx, id, kept); err != nil {
		return err
	}
	d, err := h.describe(c, s)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, d)
}
