// Package message is the JSON in which an action is told to programs that are not
// written in Go: the body of the webhook, the input of exec (docs/hooks.md, "The
// message").
package message

import (
	"encoding/json"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Message tells one action. It is the same at every attempt.
type Message struct {
	// Type is "tocsin." and the effect.
	Type string `json:"type"`
	// Timestamp is Data.Until.
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data is what is to be done, to whom, and because of what.
type Data struct {
	Effect hooks.Effect `json:"effect"`
	Key    string       `json:"key"`
	// Until: sessions begun at or before it are meant.
	Until time.Time `json:"until"`
	// Kind is the narrowest member of the scope: "session", "device", "user", …
	Kind string `json:"kind"`
	// Scope are the members that a session has to fit, each by one of its identifiers.
	// The name is "" for a simple subject, a user or a session.
	Scope []Member `json:"scope"`
	Event Event    `json:"event"`
}

// Member is a member of the scope.
type Member struct {
	Name        string               `json:"name"`
	Identifiers []subject.Identifier `json:"identifiers"`
}

// Event is the SET.
type Event struct {
	Issuer        string             `json:"issuer"`
	ID            string             `json:"jti"`
	TransactionID string             `json:"txn,omitempty"`
	Type          string             `json:"type"`
	Subject       subject.Identifier `json:"subject,omitzero"`
	// Payload is the event's own object, as it came.
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Of returns the message of an action.
func Of(a hooks.Action) Message {
	m := Message{Type: "tocsin." + string(a.Effect), Timestamp: a.Until.UTC(), Data: Data{
		Effect: a.Effect, Key: a.Key, Until: a.Until.UTC(), Kind: a.Scope.Kind(), Scope: []Member{},
		Event: Event{
			Issuer: a.Delivery.Issuer, ID: a.Delivery.ID, TransactionID: a.Delivery.TransactionID,
			Type: a.Delivery.Type, Subject: a.Delivery.Subject,
		},
	}}
	for _, member := range a.Scope {
		m.Data.Scope = append(m.Data.Scope, Member(member))
	}
	if a.Delivery.Token == nil {
		return m
	}
	if event, ok := a.Delivery.Token.Event(a.Delivery.Type); ok {
		m.Data.Event.Payload = event.Payload
	} else if len(a.Delivery.Token.Events) == 1 { // told under the name of another type (receiver.Mux)
		m.Data.Event.Payload = a.Delivery.Token.Events[0].Payload
	}
	return m
}
