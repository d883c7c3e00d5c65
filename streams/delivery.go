package streams

import "log/slog"

// Delivery is how the SETs of a stream leave (SSF §6.1).
type Delivery struct {
	// Method is delivery.MethodPush or delivery.MethodPoll, or MethodWebhook.
	Method string
	// FormerMethod is the older URI by which the receiver asked for Method, and
	// which it is told again; empty: there was none (see Owner.FormerDelivery).
	FormerMethod string
	// EndpointURL is the receiver's address for push, ours for poll.
	EndpointURL string
	// AuthorizationHeader is the whole value of the Authorization header of
	// every push, unchanged; empty sends none (SSF-6.1.1-02). A secret.
	// A webhook's is the revision of its settings instead, so that any change
	// of them is one of the delivery.
	AuthorizationHeader string
}

// LogValue hides the authorization header.
func (d Delivery) LogValue() slog.Value {
	return slog.GroupValue(slog.String("method", d.Method), slog.String("endpoint_url", d.EndpointURL),
		slog.Bool("authorization_header", d.AuthorizationHeader != ""))
}
