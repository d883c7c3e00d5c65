package delivery

import (
	"encoding/json"
	"fmt"
)

// PollRequest is the body of a poll (RFC 8936 §2.2). The zero value asks for
// SETs with the defaults: no limit, long poll, nothing acknowledged.
type PollRequest struct {
	MaxEvents         *int               // nil: no limit of the client's; 0: return none; never negative
	ReturnImmediately bool               // false: wait until a SET is there (long poll)
	Ack               []string           // jti values that the receiver keeps and need not be sent again
	SetErrs           map[string]Failure // jti values that the receiver refuses for good, with the reason
}

// pollRequestJSON is the wire form of PollRequest.
type pollRequestJSON struct {
	MaxEvents         *int               `json:"maxEvents,omitempty"`
	ReturnImmediately bool               `json:"returnImmediately,omitempty"`
	Ack               []string           `json:"ack,omitempty"`
	SetErrs           map[string]Failure `json:"setErrs,omitempty"`
}

// MarshalJSON writes the members that differ from their defaults.
func (p PollRequest) MarshalJSON() ([]byte, error) { return json.Marshal(pollRequestJSON(p)) }

// UnmarshalJSON reads as [ParsePollRequest] does.
func (p *PollRequest) UnmarshalJSON(body []byte) error {
	parsed, err := ParsePollRequest(body)
	if err == nil {
		*p = parsed
	}
	return err
}

// ParsePollRequest reads the body of a poll (RFC 8936 §2.2, §2.5.1).
//
// Unknown members are ignored; an empty ack or setErrs is the same as none.
// Errors, with a zero PollRequest: [ErrTooLarge] beyond the bounds of this
// package; [ErrMalformed] for broken JSON, a member or jti given twice in an
// object, null or another wrong type, a negative maxEvents, a setErrs entry
// without err.
func ParsePollRequest(body []byte) (PollRequest, error) {
	if len(body) > MaxPollRequestBytes {
		return PollRequest{}, fmt.Errorf("%w: poll request exceeds %d bytes", ErrTooLarge, MaxPollRequestBytes)
	}
	r := newReader(body)
	var p PollRequest
	err := r.object(func(name string) (err error) {
		switch name {
		case "maxEvents":
			n, err := r.count(name)
			p.MaxEvents = &n
			return err
		case "returnImmediately":
			p.ReturnImmediately, err = r.boolean(name)
		case "ack":
			p.Ack, err = r.acks()
		case "setErrs":
			p.SetErrs, err = r.setErrs()
		default:
			err = r.dec.SkipValue()
		}
		return err
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return PollRequest{}, err
	}
	return p, nil
}

func (r reader) acks() ([]string, error) {
	var acks []string
	err := r.array(func() error {
		if len(acks) == MaxAcks {
			return fmt.Errorf("%w: ack has more than %d entries", ErrTooLarge, MaxAcks)
		}
		jti, err := r.text("ack", MaxIDBytes)
		acks = append(acks, jti)
		return err
	})
	return acks, err
}

func (r reader) setErrs() (map[string]Failure, error) {
	var failures map[string]Failure
	err := r.object(func(jti string) error {
		switch {
		case len(failures) == MaxSetErrs:
			return fmt.Errorf("%w: setErrs has more than %d members", ErrTooLarge, MaxSetErrs)
		case len(jti) > MaxIDBytes:
			return fmt.Errorf("%w: a jti in setErrs exceeds %d bytes", ErrTooLarge, MaxIDBytes)
		case failures == nil:
			failures = make(map[string]Failure)
		}
		failure, err := r.failure()
		failures[jti] = failure
		return err
	})
	return failures, err
}

// failure reads one value of setErrs; a long description is cut, since it
// is only a text for people.
func (r reader) failure() (Failure, error) {
	var f Failure
	err := r.object(func(name string) error {
		switch name {
		case "err":
			code, err := r.text(name, MaxCodeBytes)
			f.Err = Code(code)
			return err
		case "description":
			text, err := r.text(name, MaxPollRequestBytes)
			f.Description = cut(text, MaxDescriptionBytes)
			return err
		}
		return r.dec.SkipValue()
	})
	if err == nil && f.Err == "" {
		err = fmt.Errorf("%w: setErrs entry without err", ErrMalformed)
	}
	return f, err
}
