package inbox

import (
	"crypto/sha256"
	"encoding/binary"
)

// DigestSize is the length of a [Digest] in bytes.
const DigestSize = 16

// Digest stands for an identity or an order key in what a backend keeps: a
// truncated SHA-256, so that subjects are not kept in clear for ordering.
type Digest [DigestSize]byte

// Identity is the digest of (feed, iss, jti): a jti is unique within one event
// feed (RFC 8417 §2.2), and another stream of the issuer may use it too.
func (m *Message) Identity() Digest {
	shared := m.SharedIdentity()
	return digest(m.Feed, string(shared[:]))
}

// SharedIdentity is the digest of (iss, jti), under which earlier versions
// remembered a message whatever its feed.
func (m *Message) SharedIdentity() Digest { return digest(m.Issuer, m.ID) }

// Lane is the digest of (iss, order key), and false for a message in no order.
func (m *Message) Lane() (Digest, bool) {
	if m.OrderKey == "" {
		return Digest{}, false
	}
	return digest(m.Issuer, m.OrderKey), true
}

// digest hashes two texts; the first one's length keeps pairs apart.
func digest(a, b string) Digest {
	buf := make([]byte, 0, 256)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(a)))
	buf = append(buf, a...)
	buf = append(buf, b...)
	sum := sha256.Sum256(buf)
	return Digest(sum[:DigestSize])
}
