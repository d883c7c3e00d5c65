package streams

import (
	"encoding/json"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// Request is the body that creates, updates or replaces a stream (SSF
// §8.1.1.1, §8.1.1.3, §8.1.1.4). Only the members that a receiver supplies are
// exported; what it repeats of the transmitter's own is kept aside for
// comparison (U10). As JSON it has the members that are set, and none of the
// transmitter's but stream_id.
type Request struct {
	// StreamID is empty if it is absent or no string.
	StreamID string `json:"stream_id,omitzero"`
	// EventsRequested is nil if it is absent.
	EventsRequested []string `json:"events_requested,omitzero"`
	// Delivery is nil if it is absent.
	Delivery *DeliveryRequest `json:"delivery,omitzero"`
	// Description is nil if it is absent; empty (or null on the wire) clears it.
	Description *string `json:"description,omitzero"`

	supplied object // all members, for the comparison
}

// DeliveryRequest is the delivery that a receiver asks for: one unit (U12).
type DeliveryRequest struct {
	// Method is required.
	Method string `json:"method"`
	// EndpointURL is nil if it is absent: required for push, the
	// transmitter's choice for poll.
	EndpointURL *string `json:"endpoint_url,omitzero"`
	// AuthorizationHeader is nil if it is absent: then a stored value stays
	// as long as EndpointURL does. Empty (or null on the wire) removes it.
	AuthorizationHeader *string `json:"authorization_header,omitzero"`
	// EndpointURLToken is what some receivers send instead of it: a bearer
	// token, or a whole header if it has a space. It counts where FormerDelivery
	// of the owner says so, and AuthorizationHeader is absent.
	EndpointURLToken *string `json:"endpoint_url_token,omitzero"`
}

// MarshalJSON writes an empty description as null: an empty text and none are
// the same here, but a peer might tell them apart.
func (r Request) MarshalJSON() ([]byte, error) {
	type plain Request
	if r.Description == nil || *r.Description != "" {
		return json.Marshal(plain(r))
	}
	r.Description = nil
	return json.Marshal(struct {
		plain
		Description *string `json:"description"`
	}{plain: plain(r)})
}

// ParseRequest reads a [Request]. Unknown members are ignored. Errors are
// *RuleError of kind Invalid: broken JSON, a member given twice, null (except
// for description and authorization_header) or another wrong type in a member
// that receivers supply, a text beyond the bounds of this package.
func ParseRequest(body []byte) (Request, error) {
	o, err := parseObject(body)
	if err != nil {
		return Request{}, err
	}
	r := Request{supplied: o}
	r.StreamID, _ = stringOf(o["stream_id"]) // a wrong type is ignored on create, missing elsewhere
	if r.EventsRequested, err = o.eventTypes("events_requested"); err != nil {
		return Request{}, err
	}
	if r.Description, err = o.clearable("description", MaxBodyBytes); err != nil {
		return Request{}, err
	}
	if v, ok := o["delivery"]; ok {
		if r.Delivery, err = parseDelivery(v); err != nil {
			return Request{}, err
		}
	}
	return r, nil
}

func parseDelivery(v jsontext.Value) (*DeliveryRequest, error) {
	if v.Kind() != '{' {
		return nil, invalid("delivery", "not an object")
	}
	o, err := parseObject(v)
	if err != nil {
		return nil, err
	}
	d := &DeliveryRequest{}
	var present bool
	if d.Method, present, err = o.text("method", MaxEventTypeBytes); err != nil {
		return nil, within("delivery", err)
	}
	if !present || d.Method == "" {
		return nil, invalid("delivery.method", "missing")
	}
	endpoint, present, err := o.text("endpoint_url", MaxBodyBytes)
	if err != nil {
		return nil, within("delivery", err)
	}
	if present {
		d.EndpointURL = &endpoint
	}
	if d.AuthorizationHeader, err = o.clearable("authorization_header", MaxBodyBytes); err != nil {
		return nil, within("delivery", err)
	}
	if d.EndpointURLToken, err = o.clearable("endpoint_url_token", MaxBodyBytes); err != nil {
		d.EndpointURLToken = nil // a member that is not of the specification is ignored, whatever it is
	}
	return d, nil
}

// clearable returns the string member name; null is an empty string, nil absent.
func (o object) clearable(name string, limit int) (*string, error) {
	if v, ok := o[name]; ok && v.Kind() == 'n' {
		return new(string), nil
	}
	s, present, err := o.text(name, limit)
	if err != nil || !present {
		return nil, err
	}
	return &s, nil
}

// within puts the member's path in front of a RuleError's own.
func within(parent string, err error) error {
	var rule *RuleError
	if errors.As(err, &rule) {
		return invalid(parent+"."+rule.Member, rule.Description)
	}
	return err
}
