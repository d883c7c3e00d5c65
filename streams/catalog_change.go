package streams

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// patch applies the members that req has (SSF-8.1.1.3-02).
func (c *Catalog) patch(s *Stream, req Request) error {
	if req.Delivery != nil {
		d, err := c.delivery(*s, req.Delivery)
		if err != nil {
			return err
		}
		s.Delivery = d
	}
	if req.Description != nil {
		s.Description = cut(*req.Description, MaxDescriptionBytes)
	}
	if req.EventsRequested != nil {
		s.EventsRequested = slices.Clone(req.EventsRequested)
	}
	s.EventsDelivered = c.delivered(*s)
	return nil
}

// replace deletes the receiver's members that req lacks; without delivery the
// stream is polled, as a new one is (SSF-8.1.1.4-02, U11, U12).
func (c *Catalog) replace(s *Stream, req Request) error {
	if req.Delivery == nil {
		req.Delivery = &DeliveryRequest{Method: delivery.MethodPoll}
	}
	s.Description, s.EventsRequested = "", nil
	return c.patch(s, req)
}

// delivered are the supported types that were requested, in the order of the
// supported; never nil.
func (c *Catalog) delivered(s Stream) []string {
	out := []string{}
	all := s.EventsRequested == nil && c.cfg.AllWhenNotRequested
	wanted := make(map[string]bool, len(s.EventsRequested))
	for _, t := range s.EventsRequested {
		wanted[t] = true
	}
	for _, t := range s.EventsSupported {
		if (all || wanted[t]) && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// delivery judges what is asked for and fills in what is not said.
func (c *Catalog) delivery(s Stream, d *DeliveryRequest) (Delivery, error) {
	if !c.cfg.offers(d.Method) {
		return Delivery{}, unsupportedMethod()
	}
	if d.Method == delivery.MethodPoll {
		endpoint := c.cfg.PollEndpoint(s.ID)
		if d.EndpointURL != nil && *d.EndpointURL != endpoint {
			return Delivery{}, invalid("delivery.endpoint_url", "is the transmitter's to choose")
		}
		return Delivery{Method: d.Method, EndpointURL: endpoint}, nil
	}
	if d.EndpointURL == nil || *d.EndpointURL == "" {
		return Delivery{}, invalid("delivery.endpoint_url", "missing")
	}
	if len(*d.EndpointURL) > MaxEndpointURLBytes {
		return Delivery{}, invalid("delivery.endpoint_url", "too long")
	}
	if err := c.cfg.CheckEndpoint(*d.EndpointURL); err != nil {
		return Delivery{}, invalid("delivery.endpoint_url", err.Error())
	}
	out := Delivery{Method: d.Method, EndpointURL: *d.EndpointURL}
	switch {
	case d.AuthorizationHeader != nil:
		if len(*d.AuthorizationHeader) > MaxAuthorizationBytes || !headerValue(*d.AuthorizationHeader) {
			if d.EndpointURLToken != nil { // which it was made of
				return Delivery{}, invalid("delivery.endpoint_url_token", "not a header field value")
			}
			return Delivery{}, invalid("delivery.authorization_header", "not a header field value")
		}
		out.AuthorizationHeader = *d.AuthorizationHeader
	case s.Delivery.Method == d.Method && s.Delivery.EndpointURL == out.EndpointURL:
		out.AuthorizationHeader = s.Delivery.AuthorizationHeader
	}
	return out, nil
}

func unsupportedMethod() *RuleError {
	return invalid("delivery.method", "this delivery method is not supported")
}

// compare checks what the request repeats of the transmitter's members
// against the stream (SSF-8.1.1.3-03, U10). Poll's endpoint_url is compared
// where delivery is read.
func (c *Catalog) compare(s Stream, req Request) error {
	for _, m := range []struct {
		name  string
		equal func(jsontext.Value) bool
	}{
		{"iss", sameText(s.Issuer)},
		{"aud", func(v jsontext.Value) bool { got, ok := audienceOf(v); return ok && sameSet(got, s.Audience) }},
		{"events_supported", sameTexts(s.EventsSupported)},
		{"events_delivered", sameTexts(s.EventsDelivered)},
		{"min_verification_interval", sameSeconds(s.MinVerificationInterval)},
		{"inactivity_timeout", sameSeconds(s.InactivityTimeout)},
	} {
		if v, ok := req.supplied[m.name]; ok && !m.equal(v) {
			return invalid(m.name, "differs from the stream's and cannot be changed")
		}
	}
	return nil
}

func sameText(want string) func(jsontext.Value) bool {
	return func(v jsontext.Value) bool { got, ok := stringOf(v); return ok && got == want }
}

func sameTexts(want []string) func(jsontext.Value) bool {
	return func(v jsontext.Value) bool { got, ok := stringsOf(v); return ok && sameSet(got, want) }
}

func sameSeconds(want time.Duration) func(jsontext.Value) bool {
	return func(v jsontext.Value) bool { got, ok := numberOf(v); return ok && got == want.Seconds() }
}

// sameSet compares as sets: order and repeats do not matter.
func sameSet(a, b []string) bool {
	sort := func(list []string) []string {
		list = slices.Clone(list)
		slices.Sort(list)
		return slices.Compact(list)
	}
	return slices.Equal(sort(a), sort(b))
}
