// Package subject holds subject identifiers: the JSON objects that say whom or
// what a security event is about (RFC 9493, SSF §3).
//
// An [Identifier] is an immutable value. It is read with [Parse] (what a peer
// sent to a receiver) or [ParseStrict] (what a transmitter is asked to store or
// send), or built by a constructor such as [Email]. Every identifier carries its
// canonical form, computed once, which is the key for equality, indexes and order.
//
// Two identifiers are equal if their JSON is deeply equal: the order of members
// does not matter, the order of arrays does, and nothing is folded or normalised
// (SSF §8.1.3.1). [Matching] and [Excludes] hold the rules of streams above that.
//
// All functions and methods are safe for concurrent use.
package subject

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
)

// Limits on what is read. Beyond any of them an identifier is refused.
const (
	MaxBytes     = 8 << 10 // JSON text of one identifier, in bytes
	MaxDepth     = 8       // nesting of objects and arrays, the identifier itself included
	MaxMembers   = 8       // members of a complex subject
	MaxAliases   = 16      // identifiers of an "aliases" identifier
	MaxAddresses = 64      // addresses of an "ip-addresses" identifier
)

// digestBytes is how much of a digest stands for an identifier in logs.
const digestBytes = 8

// Identifier is one subject identifier, simple or complex. The zero value is
// "no identifier". Compare with [Identifier.Equal], not with ==.
type Identifier struct{ n *node }

// node is the shared, never changing content of an Identifier.
type node struct {
	format    string
	members   []member     // those that carry meaning, sorted by name, "format" left out
	list      []Identifier // of aliases, in order
	raw       []byte
	canonical string
}

// member is one member of an identifier: a text, a simple subject (in a complex
// one) or any other JSON value.
type member struct {
	name   string
	text   string
	isText bool
	sub    Identifier
	value  []byte // valid JSON; nil for text and sub
}

// Format returns the identifier's format, "" for the zero value. Formats that
// this package does not know are carried as they came.
func (i Identifier) Format() string {
	if i.n == nil {
		return ""
	}
	return i.n.format
}

// IsZero reports whether i is the zero value: no identifier at all.
func (i Identifier) IsZero() bool { return i.n == nil }

// IsComplex reports whether i is a complex subject (SSF §3.3).
func (i Identifier) IsComplex() bool { return i.n != nil && i.n.format == FormatComplex }

// Equal reports whether i and o are exactly identical (SSF §8.1.3.1): deep JSON
// equality of what carries meaning. Two zero values are equal.
func (i Identifier) Equal(o Identifier) bool {
	return i.n == o.n || i.n != nil && o.n != nil && i.n.canonical == o.n.canonical
}

// Member returns the simple subject that a complex subject holds under name,
// for example "user". It is false for simple subjects.
func (i Identifier) Member(name string) (Identifier, bool) {
	if m := i.find(name); m != nil && !m.sub.IsZero() {
		return m.sub, true
	}
	return Identifier{}, false
}

// MemberNames returns the names of a complex subject's members, sorted; nil for
// simple subjects. The caller owns the slice.
func (i Identifier) MemberNames() []string {
	if !i.IsComplex() {
		return nil
	}
	names := make([]string, len(i.n.members))
	for k := range i.n.members {
		names[k] = i.n.members[k].name
	}
	return names
}

// Value returns the string member called name, for example "email" of an email
// identifier. Members that carry no meaning in a known format are not seen.
func (i Identifier) Value(name string) (string, bool) {
	if m := i.find(name); m != nil && m.isText {
		return m.text, true
	}
	return "", false
}

// Identifiers returns the members of an "aliases" identifier in their order, nil
// for every other format. The caller owns the slice.
func (i Identifier) Identifiers() []Identifier {
	if i.n == nil || len(i.n.list) == 0 {
		return nil
	}
	return append([]Identifier(nil), i.n.list...)
}

// Raw returns the identifier's JSON text: the bytes it was read from, members
// without meaning included, or what the constructor made. An identifier read
// through an older name ([ParseLegacy], "phone") is written in the current names.
// It is nil for the zero value and must not be changed.
func (i Identifier) Raw() []byte {
	if i.n == nil {
		return nil
	}
	return i.n.raw[:len(i.n.raw):len(i.n.raw)]
}

// MarshalJSON returns [Identifier.Raw], or null for the zero value; the tag
// option omitzero leaves the zero value out.
func (i Identifier) MarshalJSON() ([]byte, error) {
	if i.n == nil {
		return []byte("null"), nil
	}
	return i.Raw(), nil
}

// UnmarshalJSON reads as [Parse] does; null is the zero value. After an error i
// is the zero value.
func (i *Identifier) UnmarshalJSON(data []byte) error {
	*i = Identifier{}
	if string(data) == "null" {
		return nil
	}
	id, err := Parse(data)
	*i = id
	return err
}

// Canonical returns a text that is the same for equal identifiers and different
// for all others. It is JSON: "format" first, then the members that carry meaning
// by name in byte order, without white space, strings in their shortest form,
// numbers in one exact notation. Stores keep it as a key, so it never changes.
// It is computed once; "" for the zero value.
func (i Identifier) Canonical() string {
	if i.n == nil {
		return ""
	}
	return i.n.canonical
}

// OrderKey returns the key within which SETs keep their order (SSF §8.1.2.1,
// docs/contracts.md §4): the canonical form of the "user" member of a complex
// subject, else of the identifier itself.
func (i Identifier) OrderKey() string {
	if user, ok := i.Member(MemberUser); ok {
		return user.n.canonical
	}
	return i.Canonical()
}

// String returns the format and a short digest, never the identifier: this is
// what may stand in logs and messages. The digest is the beginning of the SHA-256
// of the canonical form; equal identifiers have equal digests.
func (i Identifier) String() string {
	if i.n == nil {
		return "none"
	}
	sum := sha256.Sum256([]byte(i.n.canonical))
	digest := hex.EncodeToString(sum[:digestBytes])
	if !known(i.n.format) {
		return "other:" + digest
	}
	return i.n.format + ":" + digest
}

// GoString hides the identifier from %#v, as [Identifier.String] does from %v.
func (i Identifier) GoString() string { return "subject.Identifier(" + i.String() + ")" }

// LogValue is [Identifier.String]: subject identifiers never reach a log.
func (i Identifier) LogValue() slog.Value { return slog.StringValue(i.String()) }

// find returns the member called name, nil if there is none.
func (i Identifier) find(name string) *member {
	if i.n == nil {
		return nil
	}
	for k := range i.n.members {
		if i.n.members[k].name == name {
			return &i.n.members[k]
		}
	}
	return nil
}
