package streams_test

import (
	"errors"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

const (
	formerPush = "https://schemas.openid.net/secevent/risc/delivery-method/push"
	formerPoll = "https://schemas.openid.net/secevent/risc/delivery-method/poll"
)

// The delivery methods of the RISC drafts, and endpoint_url_token, are for owners
// that may use them alone, and answered as they were sent.
func TestFormerDelivery(t *testing.T) {
	former := alice
	former.FormerDelivery = true
	for _, tt := range []struct {
		name, delivery string
		want           streams.Delivery
		told           string
	}{
		{
			"push", `{"method":"` + formerPush + `","endpoint_url":"https://r.example/a"}`,
			streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example/a"},
			formerPush,
		},
		{"poll", `{"method":"` + formerPoll + `"}`, streams.Delivery{Method: delivery.MethodPoll}, formerPoll},
		{
			"token", `{"method":"` + delivery.MethodPush + `","endpoint_url":"https://r.example/a","endpoint_url_token":"abc"}`,
			streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example/a", AuthorizationHeader: "Bearer abc"},
			delivery.MethodPush,
		},
		{
			"token that is a header", `{"method":"` + formerPush + `","endpoint_url":"https://r.example/a","endpoint_url_token":"Basic abc"}`,
			streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example/a", AuthorizationHeader: "Basic abc"},
			formerPush,
		},
		{
			"header and token", `{"method":"` + formerPush + `","endpoint_url":"https://r.example/a","endpoint_url_token":"abc","authorization_header":"Bearer x"}`,
			streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example/a", AuthorizationHeader: "Bearer x"},
			formerPush,
		},
		{
			"token of another type", `{"method":"` + formerPush + `","endpoint_url":"https://r.example/a","endpoint_url_token":7}`,
			streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example/a"},
			formerPush,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			s := b.create(t, former, `{"delivery":`+tt.delivery+`}`)
			got := s.Delivery
			if got.Method != tt.want.Method || got.AuthorizationHeader != tt.want.AuthorizationHeader ||
				tt.want.EndpointURL != "" && got.EndpointURL != tt.want.EndpointURL {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if told := s.Configuration().Delivery.Method; told != tt.told {
				t.Errorf("answered method: got %s, want %s", told, tt.told)
			}
			if changed, err := b.Update(t.Context(), former, parse(t, `{"stream_id":"`+s.ID+`","description":"d"}`)); err != nil ||
				changed.Configuration().Delivery.Method != tt.told {
				t.Errorf("after a change of something else: got %v, %v, want %s", changed.Configuration().Delivery, err, tt.told)
			}
			if changed, err := b.Update(t.Context(), former, parse(t, `{"stream_id":"`+s.ID+`","delivery":{"method":"`+delivery.MethodPoll+`"}}`)); err != nil ||
				changed.Configuration().Delivery.Method != delivery.MethodPoll {
				t.Errorf("after a change to the current name: got %v, %v", changed.Configuration().Delivery, err)
			}
		})
	}
	for _, body := range []string{
		`{"delivery":{"method":"` + formerPush + `","endpoint_url":"https://r.example/a"}}`,
		`{"delivery":{"method":"` + formerPoll + `"}}`,
	} {
		b := newBench(t)
		var rule *streams.RuleError
		if s, err := b.Create(t.Context(), alice, parse(t, body)); !errors.As(err, &rule) || rule.Member != "delivery.method" {
			t.Errorf("strict, %s: got %v, %v, want delivery.method refused", body, s.Delivery, err)
		}
	}
	for body, want := range map[string]string{
		`"endpoint_url_token":"a\nb"`:                              "delivery.endpoint_url_token",
		`"endpoint_url_token":"abc","authorization_header":"a\nb"`: "delivery.authorization_header",
	} {
		b := newBench(t)
		var rule *streams.RuleError
		_, err := b.Create(t.Context(), former, parse(t, `{"delivery":{"method":"`+formerPush+`","endpoint_url":"https://r.example/a",`+body+`}}`))
		if !errors.As(err, &rule) || rule.Member != want {
			t.Errorf("%s: got %v, want %s refused", body, err, want)
		}
	}
	b := newBench(t)
	s := b.create(t, alice, `{"delivery":{"method":"`+delivery.MethodPush+`","endpoint_url":"https://r.example/a","endpoint_url_token":"abc"}}`)
	if s.Delivery.AuthorizationHeader != "" {
		t.Errorf("strict: got header %q of endpoint_url_token, want none", s.Delivery.AuthorizationHeader)
	}
}

// A new stream has its owner's profile; it changes alone by SetProfile.
func TestProfile(t *testing.T) {
	b := newBench(t)
	owner := alice
	owner.Profile = "okta"
	s := b.create(t, owner, `{}`)
	if s.Profile != "okta" {
		t.Errorf("new stream: got profile %q, want okta", s.Profile)
	}
	if s, err := b.Replace(t.Context(), alice, parse(t, `{"stream_id":"`+s.ID+`","profile":"apple"}`)); err != nil || s.Profile != "okta" {
		t.Errorf("after a PUT: got %q, %v, want okta", s.Profile, err)
	}
	if s, err := b.SetProfile(t.Context(), s.ID, "apple"); err != nil || s.Profile != "apple" {
		t.Errorf("set: got %q, %v, want apple", s.Profile, err)
	}
	if _, err := b.SetProfile(t.Context(), "none", "apple"); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("no stream: got %v, want ErrNotFound", err)
	}
}
