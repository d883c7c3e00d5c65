package streams

import (
	"encoding/json"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// StatusReport is the status of a stream on the wire: the answer to reading
// and setting it, and the body that sets it (SSF §8.1.2).
type StatusReport struct {
	StreamID string `json:"stream_id"`
	Status   Status `json:"status"`
	// Reason is empty if there is none.
	Reason string `json:"reason,omitzero"`
}

// ParseStatusReport reads a [StatusReport]. Errors are *RuleError of kind
// Invalid: as of [ParseRequest], a missing stream_id, a status that is not
// exactly one of the three (SSF-8.1.2.1-02).
func ParseStatusReport(body []byte) (StatusReport, error) {
	o, err := parseObject(body)
	if err != nil {
		return StatusReport{}, err
	}
	var r StatusReport
	if r.StreamID, err = o.streamID(); err != nil {
		return StatusReport{}, err
	}
	status, _, err := o.text("status", MaxReasonBytes)
	if err != nil {
		return StatusReport{}, err
	}
	if r.Status = Status(status); !r.Status.Valid() {
		return StatusReport{}, invalid("status", "must be enabled, paused or disabled")
	}
	if r.Reason, _, err = o.text("reason", MaxReasonBytes); err != nil {
		return StatusReport{}, err
	}
	return r, nil
}

// SubjectChange is the body that adds or removes a subject (SSF §8.1.3).
type SubjectChange struct {
	StreamID string             `json:"stream_id"`
	Subject  subject.Identifier `json:"subject"`
	// Verified is nil if it is absent, which means verified (SSF-8.1.3.2-02).
	// It has no meaning when removing.
	Verified *bool `json:"verified,omitzero"`
}

// ParseSubjectChange reads a [SubjectChange]. Errors are *RuleError of kind
// Invalid: as of [ParseRequest], a missing stream_id or subject, a subject
// that [subject.ParseStrict] refuses (U3), a verified that is no boolean.
func ParseSubjectChange(body []byte) (SubjectChange, error) {
	o, err := parseObject(body)
	if err != nil {
		return SubjectChange{}, err
	}
	var s SubjectChange
	if s.StreamID, err = o.streamID(); err != nil {
		return SubjectChange{}, err
	}
	raw, ok := o["subject"]
	if !ok {
		return SubjectChange{}, invalid("subject", "missing")
	}
	if s.Subject, err = subject.ParseStrict(raw); err != nil {
		return SubjectChange{}, invalid("subject", "not a valid subject identifier")
	}
	if v, ok := o["verified"]; ok {
		if v.Kind() != 't' && v.Kind() != 'f' {
			return SubjectChange{}, invalid("verified", "not true or false")
		}
		verified := v.Kind() == 't'
		s.Verified = &verified
	}
	return s, nil
}

// VerificationRequest is the body that asks for a verification event
// (SSF §8.1.4.2).
type VerificationRequest struct {
	StreamID string `json:"stream_id"`
	// State is nil if it is absent; an empty one is echoed like any other.
	State *string `json:"state,omitzero"`
}

// ParseVerificationRequest reads a [VerificationRequest]. Errors are
// *RuleError of kind Invalid: as of [ParseRequest], a missing stream_id, a
// state that is no string or beyond [MaxStateBytes].
func ParseVerificationRequest(body []byte) (VerificationRequest, error) {
	o, err := parseObject(body)
	if err != nil {
		return VerificationRequest{}, err
	}
	var r VerificationRequest
	if r.StreamID, err = o.streamID(); err != nil {
		return VerificationRequest{}, err
	}
	state, present, err := o.text("state", MaxStateBytes)
	if err != nil {
		return VerificationRequest{}, err
	}
	if present {
		r.State = &state
	}
	return r, nil
}

func (o object) streamID() (string, error) {
	id, _, err := o.text("stream_id", MaxEventTypeBytes)
	if err == nil && id == "" {
		err = invalid("stream_id", "missing")
	}
	return id, err
}

// The event types of the framework's own events (SSF §8.1.4, §8.1.5). They are
// sent though no receiver requests them.
const (
	TypeVerification  = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	TypeStreamUpdated = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
)

// verificationPayload is the payload of a verification event; without state
// the member is absent (SSF-8.1.4.2-02, SSF-8.1.4.2-03).
func verificationPayload(state *string) ([]byte, error) {
	return json.Marshal(struct {
		State *string `json:"state,omitzero"`
	}{state})
}

// streamUpdatedPayload is the payload of a stream-updated event (SSF-8.1.5-03).
func streamUpdatedPayload(status Status, reason string) ([]byte, error) {
	return json.Marshal(struct {
		Status Status `json:"status"`
		Reason string `json:"reason,omitzero"`
	}{status, reason})
}
