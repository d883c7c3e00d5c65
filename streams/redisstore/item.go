package redisstore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// An item is kept as one string. Scripts read its head, at fixed places (lua/queue.lua):
//
//	0   1   'k' if it has an order key, '-' if it has none, 'r' if it was resent and has none
//	1   12  what stands for the order key
//	13  8   when it was added, in nanoseconds
//	21  12  the sequence number and n of its Ref, zero if it has none
//	33  8   its epoch
//	41  2   the length of its jti
//	43      its jti
//
// Then follow the version of the rest, and type, order key, subject and payload, texts
// with their lengths before them. Numbers of the head are big-endian.
const (
	headKey     = 1
	headAdded   = 13
	headRef     = 21
	headEpoch   = 33
	headID      = 41
	headBytes   = 43
	bodyVersion = 1

	// maxIDBytes bounds a jti, which the queue's index has as it is.
	maxIDBytes = 1<<16 - 1
	flagKey    = 'k'
	flagNone   = '-'
	flagResent = 'r'
)

// Places as scripts have them: a digit for the lane, and of a position these.
const (
	seqDigits   = 16
	nDigits     = 10
	placeDigits = 1 + seqDigits + nDigits
	laneControl = '0'
)

// typePrefixes begin most event types; one byte stands for each. Their order never changes.
var typePrefixes = [...]string{"", "https://schemas.openid.net/secevent/caep/event-type/", "https://schemas.openid.net/secevent/risc/event-type/", "https://schemas.openid.net/secevent/ssf/event-type/"}

// encodeItem returns the item as it is kept.
func encodeItem(it *streams.Item) ([]byte, error) {
	if len(it.ID) > maxIDBytes {
		return nil, fmt.Errorf("redisstore: a jti of %d bytes, want at most %d", len(it.ID), maxIDBytes)
	}
	b := make([]byte, headBytes, headBytes+len(it.ID)+len(it.Type)+len(it.OrderKey)+len(it.Payload)+24)
	b[0] = flagNone
	if it.OrderKey != "" {
		b[0] = flagKey
		sum := sha256.Sum256([]byte(it.OrderKey))
		copy(b[headKey:headAdded], sum[:])
	}
	binary.BigEndian.PutUint64(b[headAdded:], uint64(form.Nanos(it.Added)))
	if !it.Ref.IsZero() {
		binary.BigEndian.PutUint64(b[headRef:], it.Ref.Seq)
		binary.BigEndian.PutUint32(b[headRef+8:], it.Ref.N)
	}
	binary.BigEndian.PutUint64(b[headEpoch:], it.Epoch)
	binary.BigEndian.PutUint16(b[headID:], uint16(len(it.ID)))
	b = append(b, it.ID...)
	b = append(b, bodyVersion)
	b = appendType(b, it.Type)
	b = appendText(b, it.OrderKey)
	b = binary.AppendVarint(b, int64(it.Subject))
	return appendText(b, string(it.Payload)), nil
}

func appendType(b []byte, typ string) []byte {
	prefix := 0
	for i := 1; i < len(typePrefixes); i++ {
		if strings.HasPrefix(typ, typePrefixes[i]) {
			prefix = i
		}
	}
	return appendText(append(b, byte(prefix)), typ[len(typePrefixes[prefix]):])
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// body reads what follows the head of an item.
type body struct {
	rest []byte
	bad  bool
}

func (r *body) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *body) text() string {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > uint64(len(r.rest)-size) {
		r.bad, r.rest = true, nil
		return ""
	}
	text := string(r.rest[size : size+int(n)])
	r.rest = r.rest[size+int(n):]
	return text
}

func (r *body) number() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *body) typ() string {
	prefix := int(r.byte())
	if prefix >= len(typePrefixes) {
		r.bad = true
		return ""
	}
	return typePrefixes[prefix] + r.text()
}

// decodeItem reads what scripts answer of an item: its place, itself and its attempts.
func decodeItem(stream, place, kept string, attempts int64) (streams.Item, error) {
	b := []byte(kept)
	if len(b) < headBytes || len(place) != placeDigits {
		return streams.Item{}, redisdb.ErrAnswer
	}
	end := headBytes + int(binary.BigEndian.Uint16(b[headID:]))
	if len(b) < end {
		return streams.Item{}, redisdb.ErrAnswer
	}
	r := body{rest: b[end:]}
	if r.byte() != bodyVersion {
		return streams.Item{}, fmt.Errorf("redisstore: an item of a newer version on the queue of %s", stream)
	}
	it := streams.Item{
		Stream: stream, Epoch: binary.BigEndian.Uint64(b[headEpoch:]), ID: string(b[headBytes:end]),
		Ref: streams.Position{
			Seq: binary.BigEndian.Uint64(b[headRef:]), N: binary.BigEndian.Uint32(b[headRef+8:]),
		},
		Type: r.typ(), OrderKey: r.text(), Subject: int(r.number()),
		Added: form.Instant(int64(binary.BigEndian.Uint64(b[headAdded:]))), Attempts: int(attempts), Resent: b[0] == flagResent,
	}
	payload := r.text()
	if it.Resent {
		it.OrderKey = ""
	}
	if place[0] == laneControl {
		it.Lane = streams.LaneControl
		if payload != "" {
			it.Payload = []byte(payload)
		}
	} else {
		var err error
		if it.Pos, err = positionOf(place[1:]); err != nil {
			return it, err
		}
	}
	if r.bad {
		return it, redisdb.ErrAnswer
	}
	return it, nil
}

// itemOf reads the answer about one item.
func itemOf(stream string, v []any) (streams.Item, error) {
	if len(v) != 3 {
		return streams.Item{}, redisdb.ErrAnswer
	}
	return decodeItem(stream, redisdb.Text(v[0]), redisdb.Text(v[1]), redisdb.Number(v[2]))
}

// itemsOf reads a list of items.
func itemsOf(stream string, v any) ([]streams.Item, error) {
	list, err := redisdb.List(v)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	items := make([]streams.Item, len(list))
	for i := range list {
		one, err := redisdb.List(list[i])
		if err != nil {
			return nil, err
		}
		if items[i], err = itemOf(stream, one); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// placeText returns a position as a place without its lane.
func placeText(p streams.Position) string {
	return fmt.Sprintf("%0*d%0*d", seqDigits, p.Seq, nDigits, p.N)
}

// positionOf is the reverse of placeText.
func positionOf(text string) (streams.Position, error) {
	seq, err := strconv.ParseUint(text[:seqDigits], 10, 64)
	if err != nil {
		return streams.Position{}, redisdb.ErrAnswer
	}
	n, err := strconv.ParseUint(text[seqDigits:], 10, 32)
	if err != nil {
		return streams.Position{}, redisdb.ErrAnswer
	}
	return streams.Position{Seq: seq, N: uint32(n)}, nil
}

// laneOf is the item's lane as scripts are told it: 0 events, 1 control, u control and
// stream-updated.
func laneOf(it *streams.Item) string {
	switch {
	case it.Lane == streams.LaneEvents:
		return "0"
	case it.Type == streams.TypeStreamUpdated:
		return "u"
	}
	return "1"
}
