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
