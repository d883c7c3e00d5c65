package redislog

import (
	"encoding/binary"
	"strconv"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Records are kept by segments of as many as a tile of the tree has leaves. A
// segment's rows are one string: of each record its time, kind and leaf, which
// stay for ever. Its bodies, salt and canonical bytes, are a hash of their own
// by their places, so that one can be removed for good.
const (
	segmentSize = eventlog.TileWidth
	rowSize     = 8 + 1 + eventlog.HashSize
)

// keys are the names of the log's keys. All have one hash tag.
type keys struct {
	prefix                               string
	head, ids, order, refs, turn, erased string
}

func keysOf(prefix string) keys {
	p := prefix + ":{log}:"
	return keys{
		prefix: p, head: p + "head", ids: p + "ids", order: p + "order", refs: p + "refs",
		turn: p + "turn", erased: p + "erased",
	}
}

func (k *keys) rows(segment uint64) string   { return k.prefix + "rows:" + decimal(segment) }
func (k *keys) bodies(segment uint64) string { return k.prefix + "bodies:" + decimal(segment) }
func (k *keys) answer(call string) string    { return k.prefix + "answer:" + call }

// nodes is the key of a tile of nodes above the leaves.
func (k *keys) nodes(level int, tile uint64) string {
	return k.prefix + "nodes:" + strconv.Itoa(level) + ":" + decimal(tile)
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// placeOf returns the segment of a record (seq is at least 1) and its place there.
func placeOf(seq uint64) (segment uint64, at int) {
	return (seq - 1) / segmentSize, int((seq - 1) % segmentSize)
}

// row is what stays of a record.
type row struct {
	millis int64
	kind   eventlog.Kind
	leaf   eventlog.Hash
}

func appendRow(b []byte, r *eventlog.Record) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.Recorded.UnixMilli()))
	b = append(b, byte(r.Kind))
	return append(b, r.Leaf[:]...)
}

// rowsOf reads rows, one behind the other.
func rowsOf(text string) ([]row, error) {
	if len(text)%rowSize != 0 {
		return nil, errAnswer
	}
	rows := make([]row, len(text)/rowSize)
	for i := range rows {
		b := text[i*rowSize : (i+1)*rowSize]
		rows[i] = row{
			millis: int64(binary.BigEndian.Uint64([]byte(b[:8]))), kind: eventlog.Kind(b[8]), leaf: eventlog.Hash([]byte(b[9:])),
		}
	}
	return rows, nil
}

// stored returns the record of a row; body is nil if it is gone.
func (l *Log) stored(seq uint64, r row, body any) (eventlog.Stored, error) {
	s := eventlog.Stored{Seq: seq, ID: l.ids.ID(seq), RecordedMillis: r.millis, Kind: r.kind, Leaf: r.leaf[:]}
	if body == nil {
		return s, nil
	}
	text, ok := body.(string)
	if !ok || len(text) < eventlog.SaltSize {
		return s, errAnswer
	}
	b := []byte(text)
	s.Salt, s.Canonical = b[:eventlog.SaltSize:eventlog.SaltSize], b[eventlog.SaltSize:]
	return s, nil
}

// What is kept of a source's id: digest, sequence number and time in
// milliseconds, the last two in 6 bytes each.
const valueSize = 16 + 6 + 6

// first is the event that a source's id was first used by.
type first struct {
	digest eventlog.Digest
	seq    uint64
}

func appendValue(b []byte, digest eventlog.Digest, seq uint64, millis int64) []byte {
	b = append(b, digest[:]...)
	b = appendShort(b, seq)
	return appendShort(b, uint64(millis))
}

// appendShort writes a number below 2^48.
func appendShort(b []byte, n uint64) []byte {
	var full [8]byte
	binary.BigEndian.PutUint64(full[:], n)
	return append(b, full[2:]...)
}

func firstOf(value string) (*first, error) {
	if len(value) != valueSize {
		return nil, errAnswer
	}
	var full [8]byte
	copy(full[2:], value[16:22])
	return &first{digest: eventlog.Digest([]byte(value[:16])), seq: binary.BigEndian.Uint64(full[:])}, nil
}

// refOf is a member of the sorted set of entries' keys: kind, key, sequence
// number, in the order of their bytes.
const refSize = 1 + 16 + 8

func appendRef(b []byte, kind eventlog.Kind, key eventlog.Key, seq uint64) []byte {
	b = append(b, byte(kind))
	b = append(b, key[:]...)
	return binary.BigEndian.AppendUint64(b, seq)
}
