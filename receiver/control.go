package receiver

import (
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Status is what the transmitter last told about the stream by stream-updated.
type Status struct {
	Status streams.Status
	Reason string
	At     time.Time // of the event
}

// Status returns the last status that the transmitter told, and false if it told
// none since New. A receiver does not fight it by enabling the stream again.
func (r *Receiver) Status() (Status, bool) {
	if s := r.status.Load(); s != nil {
		return *s, true
	}
	return Status{}, false
}

// checkControl checks verification and stream-updated events (SSF §8.1.4.1) and
// returns the state of a verification that has one.
func (r *Receiver) checkControl(t *set.Token) (*string, error) {
	event, verification := t.Event(streams.TypeVerification)
	_, updated := t.Event(streams.TypeStreamUpdated)
	if !verification && !updated {
		return nil, nil
	}
	if t.Subject.IsZero() && !updated {
		// legacy_verification_uri: there is no stream to name, and the state is one that
		// was given to the transmitter's own API, which this receiver does not call.
		_, err := verificationState(event)
		return nil, err
	}
	id, ok := t.Subject.Value("id")
	if !ok || t.Subject.Format() != "opaque" {
		return nil, &set.Error{Code: delivery.CodeInvalidRequest, Description: "sub_id must be the stream as an opaque identifier"}
	}
	if ours := r.StreamID(); ours != "" && id != ours {
		return nil, &set.Error{Code: delivery.CodeAccessDenied, Description: "sub_id is not the stream of this endpoint"}
	}
	if !verification {
		return nil, nil
	}
	return verificationState(event)
}

// verificationState returns the state of a verification event, nil if it has none.
func verificationState(event set.Event) (*string, error) {
	raw := members(event.Payload)["state"]
	if raw == nil {
		return nil, nil
	}
	var state string
	if raw.Kind() != '"' || json.Unmarshal(raw, &state) != nil {
		return nil, &set.Error{Code: delivery.CodeInvalidRequest, Description: "state must be a string"}
	}
	return &state, nil
}

// record keeps what a stream-updated event tells, if it is one of the three states
// (SSF-8.1.2.1-02).
func (r *Receiver) record(d Delivery) {
	event, ok := d.Token.Event(streams.TypeStreamUpdated)
	if !ok {
		return
	}
	var update struct {
		Status streams.Status `json:"status"`
		Reason string         `json:"reason"`
	}
	if json.Unmarshal(event.Payload, &update) != nil || !update.Status.Valid() {
		r.log.Warn("stream-updated with a status that does not exist", "stream_id", r.StreamID(), "jti", d.ID, "txn", d.TransactionID)
		return
	}
	told := &Status{Status: update.Status, Reason: update.Reason, At: d.Token.IssuedAt}
	for {
		last := r.status.Load()
		if last != nil && last.At.After(told.At) {
			return // a dead letter that was resent: older state never overrides newer
		}
		if r.status.CompareAndSwap(last, told) {
			break
		}
	}
	r.log.Warn("stream updated by the transmitter", "stream_id", r.StreamID(), "jti", d.ID, "txn", d.TransactionID, "status", string(update.Status))
}

// members returns the members of an object that was verified, none if it is none.
func members(object []byte) map[string]jsontext.Value {
	var m map[string]jsontext.Value
	if unmarshal(object, &m) != nil {
		return nil
	}
	return m
}
