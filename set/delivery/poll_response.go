package delivery

import (
	"encoding/json"
	"fmt"
)

// PollSet is one member of sets.
type PollSet struct {
	ID  string // the jti of the SET, unique in one response
	SET string // compact serialization
}

// PollResponse is the answer to a poll (RFC 8936 §2.3).
//
// Sets is a list although the wire form is an object: its order is the order
// of the stream's queue, written and read as such (contracts, queue). Peers
// may order members differently, so the order is a help and no promise.
type PollResponse struct {
	Sets          []PollSet
	MoreAvailable bool // further SETs could be returned now
}

// MarshalJSON writes the members of sets in the order of Sets; sets is always
// present. It fails if an ID occurs twice, which no JSON object can express.
func (p PollResponse) MarshalJSON() ([]byte, error) {
	size := len(`{"sets":{},"moreAvailable":true}`)
	for _, set := range p.Sets {
		size += len(set.ID) + len(set.SET) + len(`"":"",`)
	}
	b := append(make([]byte, 0, size), `{"sets":{`...)
	seen := make(map[string]struct{}, len(p.Sets))
	for i, set := range p.Sets {
		if _, dup := seen[set.ID]; dup {
			return nil, fmt.Errorf("delivery: jti twice in one poll response")
		}
		seen[set.ID] = struct{}{}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, set.ID)
		b = append(b, ':')
		b = appendText(b, set.SET)
	}
	b = append(b, '}')
	if p.MoreAvailable {
		b = append(b, `,"moreAvailable":true`...)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads as [ParsePollResponse] does.
func (p *PollResponse) UnmarshalJSON(body []byte) error {
	parsed, err := ParsePollResponse(body)
	if err == nil {
		*p = parsed
	}
	return err
}

// appendText appends s as a JSON string. A compact SET and our own jti need no
// escapes and are copied.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always encodes
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// ParsePollResponse reads the answer to a poll (RFC 8936 §2.3), keeping the
// order of the members of sets. Unknown members are ignored. A SET is not
// judged here, neither its size nor its content: one bad SET must not hide
// the others.
//
// Errors, with a zero PollResponse: [ErrTooLarge] beyond the bounds of this
// package; [ErrMalformed] for broken JSON, a member or jti given twice, a
// wrong type, no sets.
func ParsePollResponse(body []byte) (PollResponse, error) {
	if len(body) > MaxPollResponseBytes {
		return PollResponse{}, fmt.Errorf("%w: poll response exceeds %d bytes", ErrTooLarge, MaxPollResponseBytes)
	}
	r := newReader(body)
	var p PollResponse
	present := false
	err := r.object(func(name string) (err error) {
		switch name {
		case "sets":
			present = true
			p.Sets, err = r.sets()
		case "moreAvailable":
			p.MoreAvailable, err = r.boolean(name)
		default:
			err = r.dec.SkipValue()
		}
		return err
	})
	if err == nil {
		err = r.end()
	}
	if err == nil && !present {
		err = fmt.Errorf("%w: no sets", ErrMalformed)
	}
	if err != nil {
		return PollResponse{}, err
	}
	return p, nil
}

func (r reader) sets() ([]PollSet, error) {
	var sets []PollSet
	err := r.object(func(jti string) error {
		switch {
		case len(sets) == MaxSets:
			return fmt.Errorf("%w: sets has more than %d members", ErrTooLarge, MaxSets)
		case len(jti) > MaxIDBytes:
			return fmt.Errorf("%w: a jti in sets exceeds %d bytes", ErrTooLarge, MaxIDBytes)
		}
		compact, err := r.text("a SET", MaxPollResponseBytes)
		sets = append(sets, PollSet{ID: jti, SET: compact})
		return err
	})
	return sets, err
}
