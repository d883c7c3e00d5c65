package redisstore

import (
	"encoding/json"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// stored is a stream as its document has it. Members are only ever added.
type stored struct {
	ID                      string   `json:"id"`
	Owner                   string   `json:"owner"`
	Issuer                  string   `json:"iss,omitempty"`
	Audience                []string `json:"aud"`
	EventsSupported         []string `json:"events_supported"`
	EventsRequested         []string `json:"events_requested"` // null is not the same as an empty list
	EventsDelivered         []string `json:"events_delivered"`
	Profile                 string   `json:"profile,omitempty"`
	Method                  string   `json:"method,omitempty"`
	FormerMethod            string   `json:"former_method,omitempty"`
	EndpointURL             string   `json:"endpoint_url,omitempty"`
	AuthorizationHeader     string   `json:"authorization_header,omitempty"`
	MinVerificationInterval int64    `json:"min_verification_interval_ns,omitempty"`
	InactivityTimeout       int64    `json:"inactivity_timeout_ns,omitempty"`
	Description             string   `json:"description,omitempty"`
	DefaultSubjects         string   `json:"default_subjects,omitempty"`
	Status                  string   `json:"status"`
	Reason                  string   `json:"reason,omitempty"`
	StatusBy                string   `json:"status_by,omitempty"`
	Epoch                   uint64   `json:"epoch"`
	From                    uint64   `json:"from"`
	Created                 int64    `json:"created_ns,omitempty"`
	VerificationRequested   int64    `json:"verification_requested_ns,omitempty"`
}

// encodeStream writes all of s but Active, which is a field of its own.
func encodeStream(s *streams.Stream) ([]byte, error) {
	d := stored{
		ID: s.ID, Owner: s.Owner, Issuer: s.Issuer, Audience: s.Audience,
		EventsSupported: s.EventsSupported, EventsRequested: s.EventsRequested, EventsDelivered: s.EventsDelivered,
		Profile: s.Profile,
		Method:  s.Delivery.Method, FormerMethod: s.Delivery.FormerMethod, EndpointURL: s.Delivery.EndpointURL,
		AuthorizationHeader:     s.Delivery.AuthorizationHeader,
		MinVerificationInterval: int64(s.MinVerificationInterval),
		InactivityTimeout:       int64(s.InactivityTimeout),
		Description:             s.Description,
		DefaultSubjects:         string(s.DefaultSubjects),
		Status:                  string(s.Status), Reason: s.Reason, StatusBy: string(s.StatusBy),
		Epoch: s.Epoch, From: s.From,
		Created: nanos(s.Created), VerificationRequested: nanos(s.VerificationRequested),
	}
	return json.Marshal(d)
}

func decodeStream(config []byte) (streams.Stream, error) {
	var d stored
	if err := json.Unmarshal(config, &d); err != nil {
		return streams.Stream{}, err
	}
	return streams.Stream{
		ID: d.ID, Owner: d.Owner, Issuer: d.Issuer, Audience: d.Audience,
		EventsSupported: d.EventsSupported, EventsRequested: d.EventsRequested, EventsDelivered: d.EventsDelivered,
		Profile: d.Profile,
		Delivery: streams.Delivery{
			Method: d.Method, FormerMethod: d.FormerMethod, EndpointURL: d.EndpointURL, AuthorizationHeader: d.AuthorizationHeader,
		},
		MinVerificationInterval: time.Duration(d.MinVerificationInterval),
		InactivityTimeout:       time.Duration(d.InactivityTimeout),
		Description:             d.Description,
		DefaultSubjects:         streams.DefaultSubjects(d.DefaultSubjects),
		Status:                  streams.Status(d.Status), Reason: d.Reason, StatusBy: streams.Party(d.StatusBy),
		Epoch: d.Epoch, From: d.From,
		Created: instant(d.Created), VerificationRequested: instant(d.VerificationRequested),
	}, nil
}
