package receiver

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/ssf"
)

// checkRequired refuses an event of a known type without one of its required members
// or with one of a wrong type (EVT-02). Values and other members are not judged
// (U27), unknown types neither (EVT-01). With empty none need be there; of those that
// are, a wrong type is still refused.
func checkRequired(t *set.Token, empty bool) error {
	for _, event := range t.Events {
		for _, acceptable := range []func(string, []byte) (bool, error){caep.Acceptable, risc.Acceptable, ssf.Acceptable} {
			known, err := acceptable(event.Type, event.Payload)
			if empty && errors.Is(err, caep.ErrMissing) {
				err = nil
			}
			if err != nil {
				return &set.Error{
					Code: delivery.CodeInvalidRequest, Err: err,
					Description: "the event lacks a required member, or it has the wrong type",
				}
			}
			if known {
				break
			}
		}
	}
	return nil
}

// unmarshal reads other people's JSON: names given twice are refused.
func unmarshal(body []byte, to any) error { return json.Unmarshal(body, to) }
