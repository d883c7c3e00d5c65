package set

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

var errTwoPlaces = invalid("the subject is inside the event beside sub_id")

// subject reads sub_id, which alone names the subject (SUBJ-4.1-01), or where
// tolerated and absent the `subject` inside the events (L1).
func (c *claims) subject() (err error) {
	if c.subID != nil {
		if c.token.Subject, err = c.identifier(c.subID); err != nil {
			return err
		}
		if c.shown {
			return nil
		}
		return c.duplicates()
	}
	if !c.tolerances.SubjectInEvent {
		return nil
	}
	return c.inner()
}

// inner reads the subject inside the events of a token that has no sub_id. Several
// events name one happening (SSF-4.2.1-01): if they are about different people, nobody
// can tell which of them hooks shall act on. Events of other families may mean something
// else by the name, but no object.
func (c *claims) inner() error {
	for _, event := range c.token.Events {
		inner := memberOf(event.Payload, "subject")
		if inner == nil || inner[0] != '{' && !strings.HasPrefix(event.Type, schemas) {
			continue
		}
		id, err := c.identifier(inner)
		switch {
		case err != nil:
			return err
		case c.token.Subject.IsZero():
			c.token.Subject = id
		case !id.Equal(c.token.Subject) && !c.shown:
			return invalid("the subjects inside the events are not the same")
		}
	}
	return nil
}

// duplicates judges subjects inside the events of a token that has a sub_id. Two that
// differ are always refused: which of them counts is a question that readers answer
// differently. Two that are the same are for CAEP and RISC events to have
// (SSF-3.1.1-01), and for no other of the family (SSF-3.1.2-01) unless it is tolerated.
// Events of other families may mean something else by the name (EVT-01).
func (c *claims) duplicates() error {
	for _, event := range c.token.Events {
		if !strings.HasPrefix(event.Type, schemas) {
			continue
		}
		inner := memberOf(event.Payload, "subject")
		switch {
		case inner == nil || inner[0] != '{':
			continue // nobody takes it for a subject
		case !c.tolerances.SubjectDuplicated && !mayHaveSubject(event.Type):
			return errTwoPlaces
		}
		id, err := c.identifier(inner)
		if err != nil {
			return err
		}
		if !id.Equal(c.token.Subject) {
			return invalid("the subject inside the event is another than sub_id")
		}
	}
	return nil
}

// mayHaveSubject reports whether an event type is of CAEP or RISC.
func mayHaveSubject(eventType string) bool {
	return strings.HasPrefix(eventType, schemas+"caep/") || strings.HasPrefix(eventType, schemas+"risc/")
}

func (c *claims) identifier(raw []byte) (id subject.Identifier, err error) {
	if legacy := c.tolerances.identifier(); legacy == (subject.Legacy{}) {
		id, err = subject.Parse(raw)
	} else {
		id, err = subject.ParseLegacy(raw, legacy)
	}
	if err != nil {
		refusal := invalid("the subject identifier is invalid")
		refusal.Err = err
		return subject.Identifier{}, refusal
	}
	return id, nil
}

// memberOf returns the value of a member of an object that was read before; nil if
// it has none.
func memberOf(object []byte, member string) (value []byte) {
	// Most events have no such member: no need to walk through them. A name in
	// escapes is only found by walking.
	if !bytes.Contains(object, []byte(`"`+member+`"`)) && bytes.IndexByte(object, '\\') < 0 {
		return nil
	}
	walk(object, func(name string, v []byte) {
		if name == member {
			value = v
		}
	})
	return value
}

// withoutNulls returns object, which was read before, without its members that are
// null; the bytes as they came if there is none.
func withoutNulls(object []byte) []byte {
	if !bytes.Contains(object, []byte("null")) {
		return object
	}
	kept, dropped := []byte{'{'}, false
	walk(object, func(name string, value []byte) {
		if string(value) == "null" {
			dropped = true
			return
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		quoted, _ := jsontext.AppendQuote(nil, name) // it was read from JSON
		kept = append(append(append(kept, quoted...), ':'), value...)
	})
	if !dropped {
		return object
	}
	return append(kept, '}')
}

// walk calls member for each member of an object that was read before.
func walk(object []byte, member func(name string, value []byte)) {
	c := new(claims)
	c.reset(nil, object, Tolerances{})
	_ = c.members(func(name []byte) error { // it was valid when it was read
		v, err := c.value()
		if err == nil {
			member(string(name), v)
		}
		return err
	})
}
