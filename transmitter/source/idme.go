package source

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const idmeEvents = "/private/v0/events/"

// IDme is ID.me's Events API at https://events-api.idme.cc. It lists nothing.
type IDme struct {
	api
	token string
}

// NewIDme returns the API at of.URL with the token of.Secret.
func NewIDme(of *auth.VendorAPI, client *http.Client) *IDme {
	return &IDme{api: newAPI(of, client, idmeError), token: of.Secret}
}

// Event returns the record of GET /private/v0/events/{id}.
func (i *IDme) Event(ctx context.Context, id string) (json.RawMessage, error) {
	body, err := i.get(ctx, idmeEvents+url.PathEscape(id), nil, "Bearer "+i.token)
	return object(body, err)
}

// object returns a body that is one JSON object.
func object(body []byte, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	value := jsontext.Value(body)
	if value.Kind() != '{' || !value.IsValid(lenient()) {
		return nil, errAnswer
	}
	return json.RawMessage(body), nil
}
