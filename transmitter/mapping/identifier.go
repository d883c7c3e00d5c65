package mapping

import (
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// template says how a subject identifier is made of a record.
type template struct {
	format  string
	members []*source // in the order of identifierMembers
	lenient bool      // a value that cannot be an identifier is left out
}

// identifierMembers are the members of the formats that a template may have
// (RFC 9493 §3.2). The last one is that without which there is no identifier.
func identifierMembers() map[string][]string {
	return map[string][]string{
		subject.FormatAccount:     {"uri"},
		subject.FormatDID:         {"url"},
		subject.FormatEmail:       {"email"},
		subject.FormatIssSub:      {"iss", "sub"},
		subject.FormatOpaque:      {"id"},
		subject.FormatPhoneNumber: {"phone_number"},
		subject.FormatURI:         {"uri"},
	}
}

// main is where the member comes from without which there is no identifier.
func (t *template) main() *source { return t.members[len(t.members)-1] }

// identifier makes the identifier, zero if the record has none.
func (t *template) identifier(e *evaluation) (subject.Identifier, error) {
	var zero subject.Identifier
	main, err := t.main().text(e)
	if err != nil || main == "" {
		return zero, err
	}
	var issuer string
	if len(t.members) > 1 {
		if issuer, err = t.members[0].text(e); err != nil {
			return zero, err
		}
		if issuer == "" {
			return zero, &Error{t.members[0].last().label(), "is missing"}
		}
	}
	id := identifierOf(t.format, issuer, main)
	if id.Validate() == nil {
		return id, nil
	}
	if t.lenient {
		return zero, nil
	}
	return zero, &Error{t.main().label(), "cannot be an identifier"}
}

// last is the source that is asked last: that whose absence counts.
func (s *source) last() *source {
	for s.next != nil {
		s = s.next
	}
	return s
}

func identifierOf(format, issuer, main string) subject.Identifier {
	switch format {
	case subject.FormatAccount:
		return subject.Account(main)
	case subject.FormatDID:
		return subject.DID(main)
	case subject.FormatEmail:
		return subject.Email(main)
	case subject.FormatIssSub:
		return subject.IssSub(issuer, main)
	case subject.FormatPhoneNumber:
		return subject.Phone(main)
	case subject.FormatURI:
		return subject.URI(main)
	}
	return subject.Opaque(main)
}

// form says which identifiers of a record an event is about.
type form struct {
	word    string // one of the words below
	simple  *template
	complex []part
}

// part is a member of a complex subject: a template, or one of the words user,
// session, device.
type part struct {
	name   string
	word   string
	simple *template
}

// The words. A record that lacks what its form needs cannot be mapped.
const (
	// formUser: all identifiers of the user.
	formUser = "user"
	// formSession: complex subjects of the user and the record's session, one
	// for each identifier of the user. Not the user alone: the end of one
	// session must not end the others.
	formSession = "session"
	// formEmail: the record's e-mail address alone.
	formEmail = "email"
	// formDevice: a complex subject of the device, and of the user if there is
	// one, for each identifier of the user.
	formDevice = "device"
)

// subjects returns the identifiers that an event is about; own is nil if they
// are the record's.
func (f form) subjects(e *evaluation) (all, own []subject.Identifier, err error) {
	switch {
	case f.simple != nil:
		id, err := f.simple.required(e)
		if err != nil {
			return nil, nil, err
		}
		own = []subject.Identifier{id}
	case f.complex != nil:
		own, err = e.complexSubjects(f.complex)
	case f.word == formUser:
		all, err = e.users()
		return all, nil, err
	case f.word == formSession:
		own, err = e.complexSubjects([]part{{name: subject.MemberUser, word: formUser}, {name: subject.MemberSession, word: formSession}})
	case f.word == formDevice:
		parts := []part{{name: subject.MemberDevice, word: formDevice}}
		if len(e.record.Subjects) > 0 && e.userErr == nil {
			parts = append(parts, part{name: subject.MemberUser, word: formUser})
		}
		own, err = e.complexSubjects(parts)
	case f.word == formEmail:
		own, err = e.emails()
	}
	return own, own, err
}

// required makes an identifier that must be there.
func (t *template) required(e *evaluation) (subject.Identifier, error) {
	id, err := t.identifier(e)
	if err == nil && id.IsZero() {
		err = &Error{t.main().last().label(), "is missing"}
	}
	return id, err
}

// users returns the identifiers of the user.
func (e *evaluation) users() ([]subject.Identifier, error) {
	if e.userErr != nil {
		return nil, e.userErr
	}
	if len(e.record.Subjects) == 0 {
		member := formUser
		if len(e.format.user) > 0 {
			member = e.format.user[0].main().label()
		}
		return nil, &Error{member, "is missing"}
	}
	return e.record.Subjects, nil
}

// emails returns the user's e-mail address.
func (e *evaluation) emails() ([]subject.Identifier, error) {
	users, err := e.users()
	if err != nil {
		return nil, err
	}
	for _, id := range users {
		if id.Format() == subject.FormatEmail {
			return []subject.Identifier{id}, nil
		}
	}
	member := formEmail
	for _, t := range e.format.user {
		if t.format == subject.FormatEmail {
			member = t.main().label()
		}
	}
	return nil, &Error{member, "is missing or not an e-mail address"}
}

// complexSubjects returns one complex subject for each identifier of the user,
// or one if the user is no part of it.
func (e *evaluation) complexSubjects(parts []part) ([]subject.Identifier, error) {
	members := make(map[string]subject.Identifier, len(parts))
	users := []subject.Identifier{{}}
	var userMember string
	for _, p := range parts {
		var err error
		switch {
		case p.simple != nil:
			members[p.name], err = p.simple.required(e)
		case p.word == formUser:
			userMember = p.name
			users, err = e.users()
		case p.word == formSession:
			members[p.name], err = e.opaque(e.format.session, formSession)
		case p.word == formDevice:
			members[p.name], err = e.opaque(e.format.attributes["fingerprint"], formDevice)
		}
		if err != nil {
			return nil, err
		}
	}
	subjects := make([]subject.Identifier, 0, len(users))
	for _, u := range users {
		if userMember != "" {
			members[userMember] = u
		}
		c, err := subject.Complex(members)
		if err != nil {
			return nil, &Error{parts[len(parts)-1].name, "cannot be part of a subject"}
		}
		subjects = append(subjects, c)
	}
	return subjects, nil
}

// opaque returns the identifier of a session or a device.
func (e *evaluation) opaque(from *source, what string) (subject.Identifier, error) {
	if from == nil {
		return subject.Identifier{}, &Error{what, "is missing"}
	}
	id, err := from.text(e)
	switch {
	case err != nil:
		return subject.Identifier{}, err
	case id == "":
		return subject.Identifier{}, &Error{from.last().label(), "is missing"}
	}
	s := subject.Opaque(id)
	if s.Validate() != nil {
		return subject.Identifier{}, &Error{from.last().label(), "cannot be the id of a " + what}
	}
	return s, nil
}
