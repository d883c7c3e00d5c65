package sessions

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// DigestSize is the length of a [Digest] in bytes.
const DigestSize = 16

// Digest stands for an identifier under the name of a member, in all that is kept: a
// truncated SHA-256, so that no store holds subjects in clear. Equal identifiers
// (SSF §8.1.3.1) under one name have one digest. It is on disk: it never changes.
type Digest [DigestSize]byte

// role is in the last bits of a digest: users and sessions are told apart by it alone.
type role byte

const (
	asUser    role = iota // of a user
	asAlone               // of a user, of whose session at the transmitter nothing is known
	asSession             // of a session at the transmitter
	asOther               // of any other member, whose name is in the hash
	roleMask  role = 3
)

// stackText is how much text is hashed without an allocation: enough for an issuer
// and a subject of 255 bytes (OpenID Connect Core §2).
const stackText = 512

// newDigest returns the digest of an identifier under name.
func newDigest(name string, id subject.Identifier) Digest {
	switch id.Format() {
	case subject.FormatIssSub:
		iss, _ := id.Value("iss")
		sub, _ := id.Value("sub")
		return hash(name, id.Format(), iss, sub)
	case subject.FormatJWTID:
		iss, _ := id.Value("iss")
		jti, _ := id.Value("jti")
		return hash(name, id.Format(), iss, jti)
	case subject.FormatOpaque:
		value, _ := id.Value("id")
		return hash(name, id.Format(), value, "")
	case subject.FormatEmail:
		value, _ := id.Value("email")
		return hash(name, id.Format(), value, "")
	}
	return hash(name, "", id.Canonical(), "")
}

// hash is the digest of an identifier by its texts, each with its length before it:
// no JSON is built.
func hash(name, format, first, second string) Digest {
	var stack [stackText]byte
	r := roleOf(name)
	if r != asOther {
		name = ""
	}
	text := appendText(appendText(stack[:0], name), format)
	text = appendText(appendText(text, first), second)
	sum := sha256.Sum256(text)
	return Digest(sum[:DigestSize]).as(r)
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func roleOf(name string) role {
	switch name {
	case subject.MemberUser:
		return asUser
	case subject.MemberSession:
		return asSession
	}
	return asOther
}

func compare(a, b Digest) int { return bytes.Compare(a[:], b[:]) }

func (d Digest) role() role { return role(d[DigestSize-1]) & roleMask }

// as returns the digest of the same identifier in another role.
func (d Digest) as(r role) Digest {
	d[DigestSize-1] = d[DigestSize-1]&^byte(roleMask) | byte(r)
	return d
}

// maxKeys bounds the digests of one session: users have two.
const maxKeys = 2 * MaxIdentifiers

// appendKeys appends the digests that a session is known by.
func appendKeys(dst []Digest, members map[string][]subject.Identifier) []Digest {
	alone := len(members[subject.MemberSession]) == 0
	for name, ids := range members {
		if name == "" {
			continue // a session's own identifiers all have a name
		}
		for _, id := range ids {
			key := newDigest(name, id)
			dst = append(dst, key)
			if alone && name == subject.MemberUser {
				dst = append(dst, key.as(asAlone))
			}
		}
	}
	return dst
}
