package streams

import (
	"strings"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// Delivery methods as the RISC drafts named them.
const (
	formerPush = "https://schemas.openid.net/secevent/risc/delivery-method/push"
	formerPoll = "https://schemas.openid.net/secevent/risc/delivery-method/poll"
)

// former puts today's words into a request's delivery where the owner may use older
// ones, and returns the older name of the method, "" if it was none.
func (o Owner) former(req *Request) (method string) {
	if req.Delivery == nil || !o.FormerDelivery {
		return ""
	}
	d := *req.Delivery // the request is the caller's
	switch d.Method {
	case formerPush:
		method, d.Method = d.Method, delivery.MethodPush
	case formerPoll:
		method, d.Method = d.Method, delivery.MethodPoll
	}
	if d.AuthorizationHeader == nil && d.EndpointURLToken != nil {
		header := *d.EndpointURLToken
		if header != "" && !strings.Contains(header, " ") {
			header = "Bearer " + header
		}
		d.AuthorizationHeader = &header
	}
	req.Delivery = &d
	return method
}
