package redisinbox

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// blobVersion begins what is kept of a message, after when it was received.
const blobVersion = 1

// blobOf returns what is kept of a message: "RECEIVED " in Unix milliseconds, the
// version, then each text behind its length. The feed stands in the key.
func blobOf(m *inbox.Message) []byte {
	blob := make([]byte, 0, 64+len(m.Issuer)+len(m.ID)+len(m.Type)+len(m.TransactionID)+len(m.SET))
	blob = strconv.AppendInt(blob, m.Received.UnixMilli(), 10)
	blob = append(blob, ' ', blobVersion)
	for _, text := range []string{m.Issuer, m.ID, m.Type, m.TransactionID, string(m.SET)} {
		blob = binary.AppendUvarint(blob, uint64(len(text)))
		blob = append(blob, text...)
	}
	return blob
}

// messageOf is the reverse of blobOf.
func messageOf(feed, blob string) (inbox.Message, error) {
	m := inbox.Message{Feed: feed}
	received, rest, _ := strings.Cut(blob, " ")
	ms, err := strconv.ParseInt(received, 10, 64)
	if err != nil || rest == "" || rest[0] != blobVersion {
		return m, redisdb.ErrAnswer
	}
	m.Received, rest = time.UnixMilli(ms), rest[1:]
	var token string
	for _, to := range []*string{&m.Issuer, &m.ID, &m.Type, &m.TransactionID, &token} {
		n, size := binary.Uvarint([]byte(rest[:min(len(rest), binary.MaxVarintLen64)]))
		if size <= 0 || n > uint64(len(rest)-size) {
			return m, redisdb.ErrAnswer
		}
		*to, rest = rest[size:size+int(n)], rest[size+int(n):]
	}
	m.SET = []byte(token)
	return m, nil
}

func identityOf(m *inbox.Message) string {
	d := m.Identity()
	return base64.RawURLEncoding.EncodeToString(d[:])
}

// laneOf returns the lane's name, empty for a message in no order.
func laneOf(m *inbox.Message) string {
	d, ordered := m.Lane()
	if !ordered {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(d[:])
}
