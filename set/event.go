package set

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// EventAs decodes the event of T's type, as in EventAs[caep.SessionRevoked](t).
// T's EventType must not depend on its value.
//
// Errors, with a zero T: [ErrNoEvent] if t has no such event; an [*Error] with
// invalid_request if its payload does not fit T (EVT-02). Unknown members are
// ignored; values are not judged, see T's Validate.
func EventAs[T interface{ EventType() string }](t *Token) (T, error) {
	var payload, zero T
	event, ok := t.Event(zero.EventType())
	if !ok {
		return zero, fmt.Errorf("%w: %s", ErrNoEvent, zero.EventType())
	}
	if err := json.Unmarshal(event.Payload, &payload); err != nil {
		return zero, &Error{Code: delivery.CodeInvalidRequest, Description: "a member of the event has the wrong type", Err: err}
	}
	return payload, nil
}
