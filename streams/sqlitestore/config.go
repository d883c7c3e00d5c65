package sqlitestore

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// maxConfigs bounds the streams whose whole configuration is in memory.
const maxConfigs = 8192

// stored is a stream on the disk. Members are only ever added.
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

// encodeStream writes all of s but Active, which has its own column.
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

// configCache bounds how many streams keep their configuration in memory.
type configCache struct {
	mu   sync.Mutex
	ring []*stream
	next int
}

// keep caches the configuration of st, in the place of another's. Needs st.mu.
func (c *configCache) keep(st *stream, s *streams.Stream) {
	fresh := st.config.Swap(s) == nil
	if !fresh {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ring) < maxConfigs {
		c.ring = append(c.ring, st)
		return
	}
	if old := c.ring[c.next]; old != st {
		old.config.Store(nil)
	}
	c.ring[c.next] = st
	c.next = (c.next + 1) % maxConfigs
}
