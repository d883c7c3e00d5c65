package streams

import (
	"strings"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// former puts today's words into a request's delivery where the owner may use older
// ones, and returns the older name of the method, "" if it was none. An
// EndpointURLToken is there afterwards only if it counts.
func (o Owner) former(req *Request) (method string) {
	if req.Delivery == nil {
		return ""
	}
	d := *req.Delivery // the request is the caller's
	req.Delivery = &d
	if !o.FormerDelivery || d.AuthorizationHeader != nil {
		d.EndpointURLToken = nil
	}
	if !o.FormerDelivery {
		return ""
	}
	if current := delivery.CurrentMethod(d.Method); current != d.Method {
		method, d.Method = d.Method, current
	}
	if d.EndpointURLToken != nil {
		header := *d.EndpointURLToken
		if header != "" && !strings.Contains(header, " ") {
			header = "Bearer " + header
		}
		d.AuthorizationHeader = &header
	}
	return method
}
