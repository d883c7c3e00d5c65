package peer

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// Verdict is what a receiver said about a SET.
type Verdict struct {
	// Accepted: a 2xx to a push, or an ack. Refused: a 400 to a push, or setErrs. With
	// neither the answer says nothing about the SET.
	Accepted, Refused bool
	// Code and Description came with a refusal.
	Code        delivery.Code
	Description string
	// Exchange is where it was said.
	Exchange Exchange
}

// Verdict waits for the first that a receiver says about the SET id in the nth exchange
// or a later one, whatever it is, and returns it with the number of the exchange behind.
// Its error is ctx's.
func (t *Transmitter) Verdict(ctx context.Context, n int, id string) (Verdict, int, error) {
	var v Verdict
	_, next, err := t.Await(ctx, n, func(e Exchange) (said bool) {
		v, said = VerdictIn(e, id)
		return said
	})
	return v, next, err
}

// VerdictIn returns what an exchange says about the SET id, and whether it does.
func VerdictIn(e Exchange, id string) (Verdict, bool) {
	v := Verdict{Exchange: e}
	switch {
	case e.Op == OpPush && e.ID == id && e.Status != 0:
		v.Accepted, v.Refused = e.Status/100 == 2, e.Status == http.StatusBadRequest
		if f, ok := delivery.ParseFailure([]byte(e.ResponseBody)); ok {
			v.Code, v.Description = f.Err, f.Description
		}
		return v, true
	case e.Op == OpAck:
		var p struct {
			Ack     []string
			SetErrs map[string]delivery.Failure
		}
		if json.Unmarshal([]byte(e.RequestBody), &p) != nil {
			return v, false
		}
		for _, one := range p.Ack {
			v.Accepted = v.Accepted || one == id
		}
		if f, ok := p.SetErrs[id]; ok {
			v.Refused, v.Code, v.Description = true, f.Err, f.Description
		}
		return v, v.Accepted || v.Refused
	}
	return v, false
}
