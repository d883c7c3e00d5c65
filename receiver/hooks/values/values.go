// Package values reads out of an action what hooks build keys, parameters and
// addresses from: named values of the event and of whom it is about.
//
// A name is one of the event (`issuer`, `jti`, `txn`, `event_type`, `effect`, `key`,
// `until`, `until_unix`, `until_ms`) or a member of the scope with a field of its
// identifier: `user.email`, `user.iss`, `user.sub`, `user.phone_number`, `user.id`,
// `session.id`, `device.id`, `tenant.id`, … The field `canonical` is the identifier's
// canonical form, `format` its format.
package values

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Bounds of what is configured and of what one event gives.
const (
	MaxNameBytes = 64
	MaxRows      = 64 // ways to fill the names, if several identifiers of a member fit
)

// ErrTooMany says that an event names more identifiers than a hook will try.
var ErrTooMany = errors.New("the event names too many identifiers")

// Row is one way to fill names: by name a string, or for until a time.Time, for
// until_unix and until_ms an int64, for an optional name without a value nil.
type Row map[string]any

// Text returns the value of name as text: a time in RFC 3339 in UTC.
func (r Row) Text(name string) string {
	switch v := r[name].(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}

// Check reports what is wrong with a name. One that ends in "?" is optional.
func Check(name string) error {
	name = strings.TrimSuffix(name, "?")
	member, field, dotted := strings.Cut(name, ".")
	switch {
	case len(name) > MaxNameBytes:
		return fmt.Errorf("a name of a value has at most %d bytes", MaxNameBytes)
	case dotted && (member == "" || field == ""):
		return fmt.Errorf("%q is no name of a value, want one such as user.email", name)
	case !dotted && !slices.Contains(Names(), name):
		return fmt.Errorf("%q is no value of an event; there are %s, and members such as user.email", name, strings.Join(Names(), ", "))
	}
	return nil
}

// Names returns the names of the event's own values.
func Names() []string {
	return []string{"issuer", "jti", "txn", "event_type", "effect", "key", "until", "until_unix", "until_ms"}
}

// Rows returns the ways to fill names from the action, one for each combination of
// the identifiers that have all fields asked of their member.
//
// The error is hooks.ErrNotApplicable if a name cannot be filled, or if the scope is
// narrower than the names can tell: what is found by user alone would also be of the
// user's other tenants. There is no objection to members in ignore, to a session
// beside its user that is not asked for (it might be the one, receiver.Scope.Fits),
// and to none if the session is asked for. It is a permanent ErrTooMany beyond
// MaxRows.
//
// An optional name ("device.id?") is nil where the scope has no such member, and is
// read from members alone, never from a simple subject. Where an effect is had on
// sessions, it is ErrNotApplicable if all are nil, or those of a member that the scope has
// under another field: the event does not tell whom it means. Names with "key" or "jti"
// are told apart by these, since what is kept of the event itself is meant.
func Rows(a hooks.Action, names, ignore []string) ([]Row, error) {
	fields, event := split(names)
	if !covered(a.Scope, fields, ignore) {
		return nil, fmt.Errorf("the event means fewer sessions than could be told: %w", hooks.ErrNotApplicable)
	}
	rows := []Row{event.fill(a)}
	for _, member := range slices.Sorted(maps.Keys(fields)) {
		var next []Row
		for _, values := range fields[member].fill(a.Scope, member) {
			for _, row := range rows {
				joined := maps.Clone(row)
				maps.Copy(joined, values)
				next = append(next, joined)
			}
		}
		if rows = next; len(rows) > MaxRows {
			return nil, receiver.Permanent(ErrTooMany)
		}
	}
	ends := touches(a.Effect) && !slices.Contains(event, "key") && !slices.Contains(event, "jti")
	if len(rows) == 0 || ends && !told(a.Scope, fields, ignore, rows[0]) {
		return nil, fmt.Errorf("the event does not tell what is asked for: %w", hooks.ErrNotApplicable)
	}
	return rows, nil
}

// touches reports whether an effect is had on whom the values tell, and so on everybody
// where they tell nobody.
func touches(e hooks.Effect) bool { return e == hooks.End || e == hooks.Deny || e == hooks.Allow }

// told reports whether a row, of which names may be optional, tells the scope's sessions
// from all others: it has a value of some member, and of each member of the scope that is
// asked for, since a condition that holds where a value is absent would hold for others.
func told(s receiver.Scope, fields map[string]memberFields, ignore []string, row Row) bool {
	has := func(member string) bool {
		for name, value := range row {
			if of, _, dotted := strings.Cut(name, "."); dotted && of == member && value != nil {
				return true
			}
		}
		return false
	}
	if len(fields) == 0 || has(subject.MemberSession) {
		return true
	}
	some := false
	for member := range fields {
		might := member == subject.MemberSession && has(subject.MemberUser)
		switch {
		case has(member):
			some = true
		case s.Member(member) != nil && !might && !slices.Contains(ignore, member):
			return false
		}
	}
	return some
}

// eventNames are names of the event's own values.
type eventNames []string

func (names eventNames) fill(a hooks.Action) Row {
	row := Row{}
	for _, name := range names {
		row[name] = eventValue(a, strings.TrimSuffix(name, "?"))
	}
	return row
}

func eventValue(a hooks.Action, name string) any {
	switch name {
	case "issuer":
		return a.Delivery.Issuer
	case "jti":
		return a.Delivery.ID
	case "txn":
		return a.Delivery.TransactionID
	case "event_type":
		return a.Delivery.Type
	case "effect":
		return string(a.Effect)
	case "key":
		return a.Key
	case "until":
		return a.Until.UTC()
	case "until_unix":
		return a.Until.Unix()
	case "until_ms":
		return a.Until.UnixMilli()
	}
	return nil
}

// memberFields are the fields asked of one member.
type memberFields struct{ required, optional []string }

// fill returns the member's values: one row for each identifier that has the fields.
func (f memberFields) fill(s receiver.Scope, member string) []Row {
	if len(f.required) == 0 {
		return f.fillOptional(s.Member(member), member)
	}
	var rows []Row
	for _, id := range identifiers(s, member) {
		row := Row{}
		for _, field := range f.required {
			if value, ok := fieldOf(id, field); ok {
				row[member+"."+field] = value
			}
		}
		if len(row) < len(f.required) {
			continue
		}
		for _, field := range f.optional {
			row[member+"."+field+"?"] = optional(id, field)
		}
		rows = append(rows, row)
	}
	return rows
}

// fillOptional returns the one row of a member of which nothing is required: each
// field from the first identifier that has it.
func (f memberFields) fillOptional(ids []subject.Identifier, member string) []Row {
	row := Row{}
	for _, field := range f.optional {
		row[member+"."+field+"?"] = nil
		for _, id := range ids {
			if value := optional(id, field); value != nil {
				row[member+"."+field+"?"] = value
				break
			}
		}
	}
	return []Row{row}
}

func optional(id subject.Identifier, field string) any {
	if value, ok := fieldOf(id, field); ok {
		return value
	}
	return nil
}

func fieldOf(id subject.Identifier, field string) (string, bool) {
	switch field {
	case "canonical":
		return id.Canonical(), true
	case "format":
		return id.Format(), true
	}
	value, ok := id.Value(field)
	return value, ok && value != ""
}

func identifiers(s receiver.Scope, member string) []subject.Identifier {
	switch member {
	case subject.MemberUser:
		return s.Users()
	case subject.MemberSession:
		return s.Sessions()
	}
	return s.Member(member)
}

func split(names []string) (fields map[string]memberFields, event eventNames) {
	fields = map[string]memberFields{}
	for _, name := range names {
		member, field, dotted := strings.Cut(name, ".")
		if !dotted {
			if !slices.Contains(event, name) {
				event = append(event, name)
			}
			continue
		}
		f := fields[member]
		if field, ok := strings.CutSuffix(field, "?"); ok {
			f.optional = add(f.optional, field)
		} else {
			f.required = add(f.required, field)
		}
		fields[member] = f
	}
	return fields, event
}

func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// covered reports whether the members asked for tell the scope's sessions from others.
func covered(s receiver.Scope, fields map[string]memberFields, ignore []string) bool {
	if _, ok := fields[subject.MemberSession]; ok || len(fields) == 0 {
		return true
	}
	_, byUser := fields[subject.MemberUser]
	for _, m := range s {
		_, asked := fields[m.Name]
		might := m.Name == subject.MemberSession && byUser
		if !asked && !might && m.Name != "" && !slices.Contains(ignore, m.Name) {
			return false
		}
	}
	return true
}
