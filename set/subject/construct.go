package subject

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Email returns an email identifier (RFC 9493 §3.2.2). The constructors of simple
// identifiers check nothing; [Identifier.Validate] does.
func Email(addr string) Identifier { return fromText(FormatEmail, "email", addr) }

// IssSub returns an iss_sub identifier (RFC 9493 §3.2.3). iss need not be the
// issuer of the SET that will bear it.
func IssSub(iss, sub string) Identifier { return fromText(FormatIssSub, "iss", iss, "sub", sub) }

// Opaque returns an opaque identifier (RFC 9493 §3.2.4).
func Opaque(id string) Identifier { return fromText(FormatOpaque, "id", id) }

// Phone returns a phone_number identifier (RFC 9493 §3.2.5). Spaces and the usual
// marks between the digits are dropped.
func Phone(e164 string) Identifier {
	return fromText(FormatPhoneNumber, "phone_number", stripSeparators(e164))
}

// Account returns an account identifier for an acct: URI (RFC 9493 §3.2.1).
func Account(uri string) Identifier { return fromText(FormatAccount, "uri", uri) }

// URI returns a uri identifier (RFC 9493 §3.2.7).
func URI(uri string) Identifier { return fromText(FormatURI, "uri", uri) }

// DID returns a did identifier for a DID or DID URL (RFC 9493 §3.2.6).
func DID(url string) Identifier { return fromText(FormatDID, "url", url) }

// JWTID returns a jwt_id identifier (SSF §3.5.1).
func JWTID(iss, jti string) Identifier { return fromText(FormatJWTID, "iss", iss, "jti", jti) }

// SAMLAssertionID returns a saml_assertion_id identifier (SSF §3.5.2).
func SAMLAssertionID(issuer, id string) Identifier {
	return fromText(FormatSAMLAssertionID, "issuer", issuer, "assertion_id", id)
}

// IPAddresses returns an ip-addresses identifier (SSF §3.5.3) with the addresses
// in the given order.
func IPAddresses(addrs ...netip.Addr) Identifier {
	list := []byte{'['}
	for k, addr := range addrs {
		if k > 0 {
			list = append(list, ',')
		}
		list = appendText(list, addr.String())
	}
	n := &node{format: FormatIPAddresses, members: []member{{name: nameAddresses, value: append(list, ']')}}}
	n.seal()
	return Identifier{n}
}

// Aliases returns an aliases identifier (RFC 9493 §3.2.8): several identifiers of
// one subject, in the given order. Repeated and zero ones are left out.
func Aliases(ids ...Identifier) Identifier {
	n := &node{format: FormatAliases, members: []member{{name: nameIdentifiers}}}
	for _, id := range ids {
		if !id.IsZero() && !contains(n.list, id) {
			n.list = append(n.list, id)
		}
	}
	n.raw = append(appendRawList([]byte(`{"format":"aliases","identifiers":`), n.list), '}')
	n.seal()
	return Identifier{n}
}

// Complex returns a complex subject (SSF §3.3) of one to [MaxMembers] valid simple
// subjects, all attributes of one principal. Zero members are left out. Errors
// are [*Error].
func Complex(members map[string]Identifier) (Identifier, error) {
	n := &node{format: FormatComplex, members: make([]member, 0, len(members))}
	for name, sub := range members {
		if !sub.IsZero() {
			n.members = append(n.members, member{name: name, sub: sub})
		}
	}
	n.seal()
	id := Identifier{n}
	if err := id.Validate(); err != nil {
		return Identifier{}, err
	}
	return id, nil
}

// Validate reports whether i may be sent: it holds what [ParseStrict] accepts. The
// error is an [*Error]; the zero value is invalid.
func (i Identifier) Validate() error {
	if i.n == nil {
		return &Error{Reason: "is missing"}
	}
	if !i.n.isUTF8() {
		return &Error{Reason: "not valid UTF-8"}
	}
	for k := range i.n.members {
		if i.n.members[k].name == nameFormat {
			return &Error{Reason: "a member must not be called format"}
		}
	}
	if i.n.isPlain(atTop) && len(i.n.canonical) <= MaxBytes {
		return nil
	}
	_, err := ParseStrict([]byte(i.n.canonical))
	return err
}

// isPlain reports whether n surely is what [ParseStrict] accepts, without parsing
// it: an identifier of texts, or a complex subject of such, which most are. False
// says nothing. Its texts are UTF-8.
func (n *node) isPlain(where place) bool {
	if names, ok := textMembers(n.format); ok {
		count := len(names)
		if names[1] == "" {
			count = 1
		}
		if len(n.members) != count {
			return false
		}
		for k := range n.members {
			m := &n.members[k]
			if !m.isText || m.name != names[0] && m.name != names[1] || checkText(n.format, m.text, true) != "" {
				return false
			}
		}
		return count == 1 || n.members[0].name != n.members[1].name
	}
	if n.format != FormatComplex || where != atTop || len(n.members) == 0 || len(n.members) > MaxMembers {
		return false
	}
	for k := range n.members {
		if sub := n.members[k].sub.n; sub == nil || !sub.isPlain(inComplex) {
			return false
		}
	}
	return true
}

// isUTF8 looks at the texts that a constructor was given; quoting them would have
// replaced what is not UTF-8.
func (n *node) isUTF8() bool {
	for _, m := range n.members {
		if !utf8.ValidString(m.name) || !utf8.ValidString(m.text) || m.sub.n != nil && !m.sub.n.isUTF8() {
			return false
		}
	}
	for _, id := range n.list {
		if !id.n.isUTF8() {
			return false
		}
	}
	return true
}

// fromText builds an identifier of strings; pairs are name, value, name, value.
func fromText(format string, pairs ...string) Identifier {
	n := &node{format: format, members: make([]member, 0, len(pairs)/2)}
	for k := 0; k+1 < len(pairs); k += 2 {
		n.members = append(n.members, member{name: pairs[k], text: strings.Clone(pairs[k+1]), isText: true})
	}
	n.seal()
	return Identifier{n}
}

func contains(list []Identifier, id Identifier) bool {
	for _, other := range list {
		if other.Equal(id) {
			return true
		}
	}
	return false
}
