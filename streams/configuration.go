package streams

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Configuration is a stream as both sides see it on the wire (SSF §8.1.1): what
// the transmitter answers and the receiver reads.
type Configuration struct {
	StreamID        string   `json:"stream_id"`
	Issuer          string   `json:"iss"`
	Audience        Audience `json:"aud"`
	EventsSupported []string `json:"events_supported,omitempty"`
	// EventsRequested is nil if the receiver asked for nothing (U11).
	EventsRequested []string `json:"events_requested,omitzero"`
	// EventsDelivered is the one list a receiver can rely on; [] if empty.
	EventsDelivered []string              `json:"events_delivered"`
	Delivery        DeliveryConfiguration `json:"delivery"`
	// MinVerificationInterval is in seconds; zero if not stated.
	MinVerificationInterval int64 `json:"min_verification_interval,omitzero"`
	// InactivityTimeout is in seconds; zero if not stated.
	InactivityTimeout int64  `json:"inactivity_timeout,omitzero"`
	Description       string `json:"description,omitzero"`
}

// DeliveryConfiguration is the delivery member of a [Configuration]. The
// authorization header is write-only and no part of it (U12).
type DeliveryConfiguration struct {
	Method      string `json:"method"`
	EndpointURL string `json:"endpoint_url,omitzero"`
}

// Configuration returns the stream as it is sent to the receiver. It holds no
// secret (SEC-04).
func (s Stream) Configuration() Configuration {
	s = s.Clone()
	if s.EventsDelivered == nil {
		s.EventsDelivered = []string{}
	}
	return Configuration{
		StreamID:                s.ID,
		Issuer:                  s.Issuer,
		Audience:                s.Audience,
		EventsSupported:         s.EventsSupported,
		EventsRequested:         s.EventsRequested,
		EventsDelivered:         s.EventsDelivered,
		Delivery:                DeliveryConfiguration{Method: cmp.Or(s.Delivery.FormerMethod, s.Delivery.Method), EndpointURL: s.Delivery.EndpointURL},
		MinVerificationInterval: int64(s.MinVerificationInterval / time.Second),
		InactivityTimeout:       int64(s.InactivityTimeout / time.Second),
		Description:             s.Description,
	}
}

// UnmarshalJSON reads a configuration that a transmitter sent. Unknown members
// are ignored, and one that is null counts as absent; a member given twice, a wrong type and a body beyond
// [MaxBodyBytes] are refused. Whether the required members are there is for
// the caller to judge.
func (c *Configuration) UnmarshalJSON(body []byte) error {
	o, err := parseObject(body)
	if err != nil {
		return err
	}
	o.dropNull()
	var out Configuration
	err = firstOf(
		o.into("stream_id", &out.StreamID),
		o.into("iss", &out.Issuer),
		o.into("description", &out.Description),
		o.audience(&out.Audience),
		o.intoTypes("events_supported", &out.EventsSupported),
		o.intoTypes("events_requested", &out.EventsRequested),
		o.intoTypes("events_delivered", &out.EventsDelivered),
		o.seconds("min_verification_interval", &out.MinVerificationInterval),
		o.seconds("inactivity_timeout", &out.InactivityTimeout),
		o.delivery(&out.Delivery),
	)
	if err == nil {
		*c = out
	}
	return err
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// dropNull removes members that are null.
func (o object) dropNull() {
	maps.DeleteFunc(o, func(_ string, v jsontext.Value) bool { return v.Kind() == 'n' })
}

func (o object) into(name string, to *string) (err error) {
	*to, _, err = o.text(name, MaxBodyBytes)
	return err
}

func (o object) intoTypes(name string, to *[]string) (err error) {
	*to, err = o.eventTypes(name)
	return err
}

func (o object) audience(to *Audience) error {
	v, ok := o["aud"]
	if !ok {
		return nil
	}
	if *to, ok = audienceOf(v); !ok {
		return invalid("aud", "not a string or an array of strings")
	}
	return nil
}

func (o object) seconds(name string, to *int64) error {
	v, ok := o[name]
	if !ok {
		return nil
	}
	n, ok := numberOf(v)
	if !ok || n < 0 || n != math.Trunc(n) || n > math.MaxInt32 {
		return invalid(name, "not a number of whole seconds")
	}
	*to = int64(n)
	return nil
}

func (o object) delivery(to *DeliveryConfiguration) error {
	v, ok := o["delivery"]
	if !ok {
		return nil
	}
	member, err := parseObject(v)
	if err != nil {
		return invalid("delivery", "not an object")
	}
	member.dropNull()
	return within("delivery", firstOf(member.into("method", &to.Method), member.into("endpoint_url", &to.EndpointURL)))
}

// Audience is an aud: on the wire a string or an array of strings, which mean
// the same if there is one value (U10). It is written as a string then.
type Audience []string

// MarshalJSON writes a string for one value, an array otherwise.
func (a Audience) MarshalJSON() ([]byte, error) {
	switch len(a) {
	case 0:
		return []byte("[]"), nil
	case 1:
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON reads both forms.
func (a *Audience) UnmarshalJSON(body []byte) error {
	list, ok := audienceOf(body)
	if !ok {
		return invalid("aud", "not a string or an array of strings")
	}
	*a = list
	return nil
}

func audienceOf(v jsontext.Value) (Audience, bool) {
	if s, ok := stringOf(v); ok {
		return Audience{s}, true
	}
	return stringsOf(v)
}
