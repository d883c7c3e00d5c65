package client_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

const formerPush = "https://schemas.openid.net/secevent/risc/delivery-method/push"

// The former URIs are sent only to who supports no others.
func TestLegacyDeliveryURIWhereNeeded(t *testing.T) {
	for name, supported := range map[string][]string{"both": {formerPush, delivery.MethodPush}, "not said": nil} {
		f := &transmitter{answer: func(int, seen) *http.Response { return answer(http.StatusCreated, stream("1")) }}
		api := newClient(t, f, func(cfg *client.Config) {
			cfg.LegacyDeliveryURI, cfg.Metadata.DeliveryMethodsSupported = true, supported
		})
		_, err := api.Create(t.Context(), client.Request{Delivery: &streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example"}})
		if body := f.requests[0].body; err != nil || !strings.Contains(body, delivery.MethodPush) {
			t.Errorf("%s: got %s sent (%v), want today's URI", name, body, err)
		}
	}
}

// A token that is refused is replaced and the request made once more, no oftener.
func TestRefusedToken(t *testing.T) {
	for _, c := range []struct {
		name     string
		another  bool // there is another token
		good     bool // which is taken
		requests int
	}{{"replaced", true, true, 2}, {"replaced in vain", true, false, 2}, {"no other", false, false, 1}} {
		f := &transmitter{answer: func(n int, r seen) *http.Response {
			if c.good && r.authorization == "Bearer new" {
				return answer(http.StatusOK, `[]`)
			}
			return answer(http.StatusUnauthorized, "", "WWW-Authenticate", "Bearer")
		}}
		token, refused := "old", []string(nil)
		api := newClient(t, f, func(cfg *client.Config) {
			cfg.Token = func(context.Context) (string, error) { return token, nil }
			cfg.Refused = func(t string) {
				if refused = append(refused, t); c.another {
					token = "new"
				}
			}
		})
		_, err := api.Streams(t.Context())
		if (err == nil) != c.good || len(f.requests) != c.requests {
			t.Errorf("%s: got %v after %d requests, want success %v after %d", c.name, err, len(f.requests), c.good, c.requests)
		}
		if len(refused) != 1 || refused[0] != "old" {
			t.Errorf("%s: got %q told as refused, want the first token", c.name, refused)
		}
	}
}

// Apply is a PATCH, and a PUT where that is not known; a stream that a transmitter sends
// bare is a list of one.
func TestApplyAndBareList(t *testing.T) {
	for _, status := range []int{http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusForbidden} {
		f := &transmitter{answer: func(_ int, r seen) *http.Response {
			if r.method == http.MethodPatch {
				return answer(status, "")
			}
			return answer(http.StatusOK, stream("1"))
		}}
		_, err := newClient(t, f).Apply(t.Context(), "1", client.Request{})
		if want := status != http.StatusForbidden; (err == nil) != want || (len(f.requests) == 2) != want {
			t.Errorf("%d: got %v after %d requests, want a PUT %v", status, err, len(f.requests), want)
		}
	}
	f := &transmitter{answer: func(int, seen) *http.Response { return answer(http.StatusOK, stream("1")) }}
	list, err := newClient(t, f).Streams(t.Context())
	if err != nil || len(list) != 1 || list[0].StreamID != "1" {
		t.Errorf("got %v (%v), want the one stream", list, err)
	}
}
