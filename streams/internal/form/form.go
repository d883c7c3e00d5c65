// Package form is the form in which stores keep streams and times, and the sets of names
// by which they find complex subjects. It is the same in every store, so that a stream
// that moves from one to another is the same there.
package form

import (
	"encoding/json"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// stored is a stream as it is kept. Members are only ever added.
type stored struct {
	ID                      string   `json:"id"`
	Owner                   string   `json:"owner"`
	Issuer                  string   `json:"iss,omitempty"`
	Audience                []string `json:"aud"`
	EventsSupported         []string `json:"events_supported"`
	EventsRequested         []string `json:"events_requested"` // null is not the same as an empty list
	EventsDelivered         []string `json:"events_delivered"`
	Profile                 string   `json:"profile,omitempty"`
	Encryption              string   `json:"encryption,omitempty"`
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

// EncodeStream writes all of s but Active, which stores keep beside it.
func EncodeStream(s *streams.Stream) ([]byte, error) {
	d := stored{
		ID: s.ID, Owner: s.Owner, Issuer: s.Issuer, Audience: s.Audience,
		EventsSupported: s.EventsSupported, EventsRequested: s.EventsRequested, EventsDelivered: s.EventsDelivered,
		Profile: s.Profile, Encryption: s.Encryption,
		Method: s.Delivery.Method, FormerMethod: s.Delivery.FormerMethod, EndpointURL: s.Delivery.EndpointURL,
		AuthorizationHeader:     s.Delivery.AuthorizationHeader,
		MinVerificationInterval: int64(s.MinVerificationInterval),
		InactivityTimeout:       int64(s.InactivityTimeout),
		Description:             s.Description,
		DefaultSubjects:         string(s.DefaultSubjects),
		Status:                  string(s.Status), Reason: s.Reason, StatusBy: string(s.StatusBy),
		Epoch: s.Epoch, From: s.From,
		Created: Nanos(s.Created), VerificationRequested: Nanos(s.VerificationRequested),
	}
	return json.Marshal(d)
}

// DecodeStream is the reverse of EncodeStream.
func DecodeStream(document []byte) (streams.Stream, error) {
	var d stored
	if err := json.Unmarshal(document, &d); err != nil {
		return streams.Stream{}, err
	}
	return streams.Stream{
		ID: d.ID, Owner: d.Owner, Issuer: d.Issuer, Audience: d.Audience,
		EventsSupported: d.EventsSupported, EventsRequested: d.EventsRequested, EventsDelivered: d.EventsDelivered,
		Profile: d.Profile, Encryption: d.Encryption,
		Delivery: streams.Delivery{
			Method: d.Method, FormerMethod: d.FormerMethod, EndpointURL: d.EndpointURL, AuthorizationHeader: d.AuthorizationHeader,
		},
		MinVerificationInterval: time.Duration(d.MinVerificationInterval),
		InactivityTimeout:       time.Duration(d.InactivityTimeout),
		Description:             d.Description,
		DefaultSubjects:         streams.DefaultSubjects(d.DefaultSubjects),
		Status:                  streams.Status(d.Status), Reason: d.Reason, StatusBy: streams.Party(d.StatusBy),
		Epoch: d.Epoch, From: d.From,
		Created: Instant(d.Created), VerificationRequested: Instant(d.VerificationRequested),
	}, nil
}

// Nanos returns nanoseconds since 1970, 0 for the zero time.
func Nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Instant is the reverse of Nanos.
func Instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// EachSubset calls fn with every subset of names that is not empty, of the first
// subject.MaxMembers. The slice is reused.
func EachSubset(names []string, fn func([]string)) {
	names = names[:min(len(names), subject.MaxMembers)]
	some := make([]string, 0, len(names))
	for mask := 1; mask < 1<<len(names); mask++ {
		some = some[:0]
		for i, n := range names {
			if mask&(1<<i) != 0 {
				some = append(some, n)
			}
		}
		fn(some)
	}
}
