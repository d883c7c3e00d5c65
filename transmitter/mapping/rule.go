package mapping

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
)

// rule makes one security event of a record, if its conditions hold.
type rule struct {
	name    string // of its handle or its own
	file    string
	line    int
	event   string // a name of Names or an event type URI
	named   *named // nil: a type whose payload is free
	enabled *expression
	off     bool
	needs   [][]string // paths that the record must all have
	anyOf   [][]string // paths of which it must have one
	past    bool       // what was known before must be told
	lets    []binding
	when    *expression
	subject form
	data    []member
	said    bool // data says who acted, or that nobody is to be named
}

// binding is a name that a rule gives to the value of an expression.
type binding struct {
	name string
	expr *expression
}

// member is a member of a rule's data.
type member struct {
	name string
	src  *source
}

// typeURI is the event type that the rule makes.
func (r *rule) typeURI() string {
	if r.named != nil {
		return r.named.Type
	}
	return r.event
}

// apply runs the rules of the record's handle and those for every record. After
// an error nothing is made: half of what happened is not told.
func (e *evaluation) apply() error {
	if h := e.format.handles[e.record.Handle]; h != nil {
		for _, r := range h.rules {
			if err := e.run1(r); err != nil {
				return err
			}
		}
	}
	for _, r := range e.format.active {
		if err := e.run1(r); err != nil {
			return err
		}
	}
	return nil
}

// run1 runs one rule.
func (e *evaluation) run1(r *rule) error {
	before := len(e.record.Mapped)
	why, err := e.try(r)
	if e.tried != nil {
		t := RuleTried{Rule: r.name, File: r.file, Line: r.line, Type: r.typeURI(), Made: len(e.record.Mapped) > before, Why: why}
		if err != nil {
			t.Why = strings.TrimPrefix(err.Error(), "mapping: ")
		}
		*e.tried = append(*e.tried, t)
	}
	return err
}

// try returns why the rule makes nothing, empty if it made its event.
func (e *evaluation) try(r *rule) (string, error) {
	if r.off {
		return "is not enabled", nil
	}
	for _, path := range r.needs {
		if lookup(e.fields, path) == nil {
			return "needs " + strings.Join(path, ".") + ", which is absent", nil
		}
	}
	if r.anyOf != nil && !e.hasAny(r.anyOf) {
		return "needs one of several members, which are all absent", nil
	}
	if r.past && e.previous == nil {
		return "needs what was known before", nil
	}
	e.rule, e.lets, e.letErr = r, nil, nil
	if r.when != nil {
		if ok, err := r.when.holds(e); err != nil || !ok {
			return r.when.where + " is false", err
		}
	}
	mapped, err := e.make(r)
	if err != nil {
		return "", err
	}
	e.record.Mapped = append(e.record.Mapped, mapped)
	return "", nil
}

func (e *evaluation) hasAny(paths [][]string) bool {
	for _, path := range paths {
		if lookup(e.fields, path) != nil {
			return true
		}
	}
	return false
}

// make makes the rule's event.
func (e *evaluation) make(r *rule) (Mapped, error) {
	all, own, err := r.subject.subjects(e)
	if err != nil {
		return Mapped{}, err
	}
	data := make([]field, 0, len(r.data)+1)
	for _, m := range r.data {
		from, value, err := m.src.value(e)
		if err != nil {
			return Mapped{}, err
		}
		if value == nil || string(value) == "null" {
			continue
		}
		if value, err = from.shaped(value); err != nil {
			return Mapped{}, err
		}
		data = append(data, field{m.name, value})
		e.noted(r.name+": "+m.name, from)
	}
	if r.named == nil {
		return Mapped{Type: r.event, Payload: objectWith(data), Subjects: own}, nil
	}
	if !r.said && r.named.timed {
		if who := e.format.acted.who(e); who != "" {
			data = append(data, field{memberInitiator, quoted(who)})
			e.noted(r.name+": "+memberInitiator, &source{from: "acted", path: []string{"acted"}})
		}
	}
	payload, err := r.named.payload(data, e.record.Time)
	if err != nil {
		return Mapped{}, r.ofRecord(err)
	}
	if own == nil {
		if own, err = subjectsOf(r.named.Type, all); err != nil {
			return Mapped{}, err
		}
	}
	return Mapped{Type: r.named.Type, Payload: payload, Subjects: own}, nil
}

// shaped returns the value as the source's reading has it.
func (s *source) shaped(value json.RawMessage) (json.RawMessage, error) {
	switch {
	case s.as == asNumber, s.prefix != "":
		text, wrong := s.read(value)
		if wrong != "" {
			return nil, &Error{s.label(), wrong}
		}
		return quoted(text), nil
	case s.as == asTime, s.as == asMilliseconds:
		t, wrong := s.readTime(value)
		if wrong != "" {
			return nil, &Error{s.label(), wrong}
		}
		return strconv.AppendInt(nil, t.Unix(), 10), nil
	}
	return value, nil
}

// objectWith returns a JSON object with these members.
func objectWith(fields []field) json.RawMessage {
	b := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, quoted(f.name)...), ':'), f.value...)
	}
	return append(b, '}')
}

// ofRecord names the record's member instead of the one of data it was for.
func (r *rule) ofRecord(err error) error {
	var wrong *Error
	if errors.As(err, &wrong) {
		for _, m := range r.data {
			if wrong.Member == inData(m.name) {
				return &Error{m.src.last().label(), wrong.Description}
			}
		}
	}
	return err
}

// acted says how a format tells who acted.
type acted struct{ system, actor, user *source }

// who tells who acted: a system, the user, or another user (an administrator).
// Both a user and a system, or neither, is no answer: nobody is guessed.
func (a *acted) who(e *evaluation) string {
	if a == nil {
		return ""
	}
	system, _ := a.system.text(e)
	actor, _ := a.actor.text(e)
	user, _ := a.user.text(e)
	switch {
	case (system == "") == (actor == ""):
		return ""
	case system != "":
		return caep.InitiatedBySystem
	case actor == user:
		return caep.InitiatedByUser
	}
	return caep.InitiatedByAdmin
}

// check reports what of the rule cannot work, and for which member of its data.
func (r *rule) check() (name, wrong string) {
	if r.named == nil {
		return "", ""
	}
	partial := named{NamedEvent: r.named.NamedEvent}
	partial.Members = make([]Member, len(r.named.Members))
	copy(partial.Members, r.named.Members)
	var data []field
	for _, m := range r.data {
		i := r.named.index(m.name)
		if i < 0 {
			return m.name, "is not a member of " + r.named.Name
		}
		if m.src.set == nil || m.src.next != nil {
			partial.Members[i].Required = false // it may come from the record
			continue
		}
		if string(m.src.set) != "null" {
			data = append(data, field{m.name, m.src.set})
		}
	}
	_, err := partial.payload(data, time.Time{})
	var e *Error
	if errors.As(err, &e) {
		return strings.TrimPrefix(e.Member, memberData+"."), e.Description
	}
	return "", ""
}

func (e *NamedEvent) index(name string) int {
	for i := range e.Members {
		if e.Members[i].Name == name {
			return i
		}
	}
	return -1
}
