package admin

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// signerRetry is what is asked to be waited for a signer that is away.
const signerRetry = 5 * time.Second

func (h Handler) keys(c echo.Context) error {
	_ = h.Keys.Look(c.Request().Context()) // what another node did; Keys.Run logs that it cannot
	return c.JSON(http.StatusOK, h.Keys.List())
}

// rotate makes a new key that signs from now on, or takes one that a signer announces; the
// old ones stay in the JWKS. {"here":true}: one that is kept here in any case.
func (h Handler) rotate(c echo.Context) error {
	var ask struct {
		Here bool `json:"here"`
	}
	if c.Request().ContentLength != 0 {
		if err := read(c, &ask); err != nil {
			return err
		}
	}
	rotate := h.Keys.Rotate
	if ask.Here {
		rotate = h.Keys.RotateHere
	}
	kid, err := rotate(c.Request().Context())
	if err != nil {
		return keyRefusal(err)
	}
	return c.JSON(http.StatusCreated, map[string]string{"kid": kid})
}

func (h Handler) retire(c echo.Context) error {
	var ask struct {
		Force bool `json:"force"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	if err := h.Keys.Retire(c.Request().Context(), c.Param("kid"), ask.Force); err != nil {
		return keyRefusal(err)
	}
	return c.NoContent(http.StatusNoContent)
}

// secret is a passphrase or a key, as a request has it. It shows nothing of itself.
type secret struct {
	Passphrase []byte `json:"passphrase,omitempty"`
	Key        []byte `json:"key,omitempty"`
}

func (s secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "secret") }

func (s secret) read(member string) (vault.Secret, error) {
	make, text := vault.Passphrase, s.Passphrase
	if s.Key != nil {
		make, text = vault.Key, s.Key
	}
	if (s.Passphrase == nil) == (s.Key == nil) {
		return vault.Secret{}, request.Invalid(member, "has to have a passphrase or a key")
	}
	made, err := make(text)
	if err != nil {
		return made, request.Invalid(member, err.Error())
	}
	return made, nil
}

// rewrap answers POST /admin/keys/rewrap {"from","to"}: 204 once what private keys are
// encrypted with is encrypted under the secret to.
func (h Handler) rewrap(c echo.Context) error {
	var ask struct {
		From secret `json:"from"`
		To   secret `json:"to"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	from, err := ask.From.read("from")
	if err != nil {
		return err
	}
	to, err := ask.To.read("to")
	if err != nil {
		return err
	}
	if h.Rewrap == nil {
		return &request.Error{Status: http.StatusNotImplemented, Code: "not_offered", Description: "this transmitter does not encrypt its keys"}
	}
	switch err := h.Rewrap(c.Request().Context(), from, to); {
	case errors.Is(err, vault.ErrWrong), errors.Is(err, vault.ErrNone), errors.Is(err, vault.ErrChanged):
		return &request.Error{Status: http.StatusConflict, Code: "conflict", Description: err.Error()}
	case err != nil:
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func keyRefusal(err error) error {
	switch {
	case errors.Is(err, keys.ErrNotFound):
		return &request.Error{Status: http.StatusNotFound, Code: "not_found", Description: "there is no key with this id"}
	case errors.Is(err, keys.ErrAway):
		return &request.Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: "the signer does not answer; nothing was changed", RetryAfter: signerRetry}
	case errors.Is(err, keys.ErrNoneLeft), errors.Is(err, keys.ErrAnnounced), errors.Is(err, keys.ErrHeld),
		errors.Is(err, keys.ErrCurrent), errors.Is(err, keys.ErrTooSoon), errors.Is(err, keys.ErrFull), errors.Is(err, vault.ErrLocked), errors.Is(err, vault.ErrSealed):
		return &request.Error{Status: http.StatusConflict, Code: "conflict", Description: err.Error()}
	}
	return err
}
