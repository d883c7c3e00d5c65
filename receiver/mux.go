package receiver

import (
	"context"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

// Event is a type of set/caep, set/risc or set/ssf, or one of the application's own.
// EventType must not depend on the value.
type Event interface{ EventType() string }

// Route is a hook for one event type, made by [On] or [OnType].
type Route struct {
	eventType string
	hook      func(context.Context, Delivery) error
}

// On returns the route of E's event type to hook, as in
//
//	receiver.On(func(ctx context.Context, d receiver.Delivery, e caep.SessionRevoked) error { … })
//
// The hook returns nil when the event is handled, an error to be run again later, or
// [Permanent] of an error to set the event aside at once. It runs at least once per
// event, and not at the same time as another about the same subject. An event that
// does not fit E is set aside.
func On[E Event](hook func(ctx context.Context, d Delivery, e E) error) Route {
	var zero E
	return Route{zero.EventType(), func(ctx context.Context, d Delivery) error {
		e, err := set.EventAs[E](d.Token)
		if err != nil {
			return Permanent(err)
		}
		return hook(ctx, d, e)
	}}
}

// OnType returns the route of an event type, named by its URI, to hook. The payload
// is in d.Token.
func OnType(eventType string, hook func(ctx context.Context, d Delivery) error) Route {
	return Route{eventType, hook}
}

// Mux finds the hooks of an event by its type. The zero value has none. It must not
// be changed once it serves; serving it is safe for concurrent use.
type Mux struct {
	routes   map[string][]Route
	fallback func(context.Context, Delivery) error
}

// NewMux returns a Mux without hooks.
func NewMux() *Mux { return &Mux{} }

// Handle adds routes. Several of one type run one after the other; an error ends the
// run, and the next attempt begins with the first again.
func (m *Mux) Handle(routes ...Route) {
	if m.routes == nil {
		m.routes = make(map[string][]Route)
	}
	for _, route := range routes {
		m.routes[route.eventType] = append(m.routes[route.eventType], route)
	}
}

// Default sets the hook for events of types without a route; nil: they are done with
// when they are acknowledged. Events of every profile come through whole in d.Token.
func (m *Mux) Default(hook func(ctx context.Context, d Delivery) error) { m.fallback = hook }

// Dispatch runs the hooks of d and returns their error. Of a token with several
// events, which name one happening (SSF §4.2.1), the first with a route is taken.
// RISC's sessions-revoked, unless it has a route, goes where CAEP's session-revoked
// does (RISC §2.11).
func (m *Mux) Dispatch(ctx context.Context, d Delivery) error {
	for _, event := range d.Token.Events {
		if routes := m.routes[event.Type]; routes != nil {
			d.Type = event.Type
			return run(ctx, routes, d)
		}
	}
	routes := m.routes[caep.SessionRevokedType]
	if event, ok := d.Token.Event(risc.SessionsRevokedType); ok && routes != nil {
		alias := *d.Token
		alias.Events = []set.Event{{Type: caep.SessionRevokedType, Payload: event.Payload}}
		d.Token, d.Type = &alias, risc.SessionsRevokedType
		return run(ctx, routes, d)
	}
	if m.fallback != nil {
		return m.fallback(ctx, d)
	}
	return nil
}

func run(ctx context.Context, routes []Route, d Delivery) error {
	for _, route := range routes {
		if err := route.hook(ctx, d); err != nil {
			return err
		}
	}
	return nil
}
