package policy

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// input is one event of a delivery as conditions see it.
type input struct {
	feed  string
	d     receiver.Delivery
	scope receiver.Scope
	now   time.Time
	event set.Event
	vars  map[string]any // of event; nil: not made yet
}

// inputOf returns the input of a delivery; the event is set by and by.
func inputOf(feed string, d receiver.Delivery, now time.Time) *input {
	return &input{feed: feed, d: d, scope: receiver.ScopeOf(d.Subject), now: now}
}

// with returns the same for one of the events of the token.
func (in *input) with(event set.Event) *input {
	other := *in
	other.event, other.vars = event, nil
	return &other
}

// variables are what conditions speak of (docs/policy.md).
func (in *input) variables() map[string]any {
	if in.vars == nil {
		in.vars = map[string]any{
			"event":      value(in.event.Payload),
			"event_type": in.event.Type,
			"event_name": nameOf(in.event.Type),
			"event_time": in.d.EventTime,
			"issued_at":  in.d.Token.IssuedAt,
			"received":   in.d.Received,
			"now":        in.now,
			"subject":    value(in.d.Subject.Raw()),
			"scope":      scopeValue(in.scope),
			"issuer":     in.d.Issuer,
			"feed":       in.feed,
			"jti":        in.d.ID,
			"txn":        in.d.TransactionID,
		}
	}
	return in.vars
}

// scopeValue is a scope as conditions see it: {kind, members, identifiers}, each
// identifier with the name of its member as "member".
func scopeValue(scope receiver.Scope) map[string]any {
	members, identifiers := []any{}, []any{}
	for _, m := range scope {
		members = append(members, m.Name)
		for _, id := range m.Identifiers {
			identifiers = append(identifiers, identifier(m.Name, id))
		}
	}
	return map[string]any{"kind": scope.Kind(), "members": members, "identifiers": identifiers}
}

func identifier(member string, id subject.Identifier) map[string]any {
	object, ok := value(id.Raw()).(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	object["member"] = member
	return object
}

// value is a JSON text as conditions see it: whole numbers as int, null as absent. What
// is no JSON is an empty object.
func value(raw []byte) any {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return map[string]any{}
	}
	return natural(v)
}

func natural(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, _ := v.Float64() // what is too large is infinite
		return n
	case []any:
		for i := range v {
			v[i] = natural(v[i])
		}
	case map[string]any:
		for name := range v {
			if v[name] == nil {
				delete(v, name)
				continue
			}
			v[name] = natural(v[name])
		}
	}
	return v
}
