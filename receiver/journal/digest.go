package journal

import (
	"crypto/sha256"
	"encoding/binary"
)

// DigestSize is the length of a [Digest] in bytes.
const DigestSize = 16

// Digest stands for whom an event is about: a truncated SHA-256, so that subjects are
// not kept in clear.
type Digest [DigestSize]byte

// Whom is one or several digests, one after the other: all that one user goes by.
type Whom string

// NewWhom returns the digests of keys, each canonical; at most [MaxWhom] of them.
func NewWhom(keys ...string) Whom {
	var w []byte
	for _, key := range keys[:min(len(keys), MaxWhom)] {
		d := Lane(anyIssuer, key)
		w = append(w, d[:]...)
	}
	return Whom(w)
}

// anyIssuer is the issuer of a digest that is of none: a URL it is not.
const anyIssuer = "*"

// Digests returns the digests of w.
func (w Whom) Digests() []Digest {
	var list []Digest
	for ; len(w) >= DigestSize; w = w[DigestSize:] {
		list = append(list, Digest([]byte(w[:DigestSize])))
	}
	return list
}

// Lane is the digest of (iss, order key), within which events keep their order; zero
// for an empty order key.
func Lane(issuer, orderKey string) Digest {
	if orderKey == "" {
		return Digest{}
	}
	buf := make([]byte, 0, 256)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(issuer)))
	buf = append(append(buf, issuer...), orderKey...)
	sum := sha256.Sum256(buf)
	return Digest(sum[:DigestSize])
}
