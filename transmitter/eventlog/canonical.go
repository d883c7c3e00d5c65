package eventlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Limits of one event.
const (
	MaxEventBytes = 8 << 20 // canonical bytes
	MaxMapped     = 1024    // outcomes of its mapping
)

// ErrEvent: the event cannot be kept as it is: beyond a limit, or with a time
// outside of the years 0 to 9999.
var ErrEvent = errors.New("eventlog: event cannot be kept")

// The canonical bytes of version 1 are one JSON object,
//
//	{"v":1,"lengths":[data,original,payload…],"source":…,"source_id":…,"type":…,
//	 "time":…,"applications":[…],"subjects":[…],"format":…,"mapping_error":…,
//	 "environment":…,"consent":{"decision":…,"application":…},"attributes":{…},"mapped":[{"type":…,"subjects":[…]}…],
//	 "data":…,"original":…,"payloads":[…]}
//
// Members are in this order; an empty text, a zero time and a nil list are
// left out, an empty list is not. The documents that came from outside stand
// at the end, byte for byte, and "lengths" has their sizes, so that reading
// never depends on what is inside them. -1 is nil and 0 an empty document;
// both are written as null.
const (
	canonicalPrefix = `{"v":1,"lengths":[`
	memberData      = `,"data":`
	memberOriginal  = `,"original":`
	memberPayloads  = `,"payloads":[`
	canonicalEnd    = `]}`
	null            = `null`
	fixedDocuments  = 2 // data and original stand before the payloads
	maxDocuments    = fixedDocuments + MaxMapped
)

// Canonical returns the bytes that stand for e for ever: what is stored, and
// what the leaf of the log commits to. The same event has the same bytes. The
// outcome of the mapping is part of them. Error: ErrEvent.
func Canonical(e *Event) ([]byte, error) {
	if y := e.Time.UTC().Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("%w: its time is in the year %d", ErrEvent, y)
	}
	if len(e.Mapped) > MaxMapped {
		return nil, fmt.Errorf("%w: %d mapped events, at most %d are kept", ErrEvent, len(e.Mapped), MaxMapped)
	}
	size := sizeHint(e)
	if size > MaxEventBytes {
		return nil, fmt.Errorf("%w: about %d bytes, at most %d are kept", ErrEvent, size, MaxEventBytes)
	}
	b := append(make([]byte, 0, size), canonicalPrefix...)
	b = appendLength(b, e.Data)
	b = appendLength(append(b, ','), e.Original)
	for i := range e.Mapped {
		b = appendLength(append(b, ','), e.Mapped[i].Payload)
	}
	b = append(b, ']')
	b, err := appendHead(b, e)
	if err != nil {
		return nil, err
	}
	b = appendDocument(append(b, memberData...), e.Data)
	b = appendDocument(append(b, memberOriginal...), e.Original)
	b = append(b, memberPayloads...)
	for i := range e.Mapped {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendDocument(b, e.Mapped[i].Payload)
	}
	return append(b, canonicalEnd...), nil
}

// appendHead writes the members between the lengths and the documents.
func appendHead(b []byte, e *Event) ([]byte, error) {
	b = appendText(b, `,"source":`, e.Source)
	b = appendText(b, `,"source_id":`, e.SourceID)
	b = appendText(b, `,"type":`, e.Type)
	if !e.Time.IsZero() {
		b = append(b, `,"time":"`...)
		b = append(e.Time.UTC().AppendFormat(b, time.RFC3339Nano), '"')
	}
	if e.Applications != nil {
		b = append(b, `,"applications":[`...)
		for i, a := range e.Applications {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendQuoted(b, a)
		}
		b = append(b, ']')
	}
	b = appendSubjects(b, e.Subjects)
	b = appendText(b, `,"format":`, e.Format)
	b = appendText(b, `,"mapping_error":`, e.MappingError)
	b = appendText(b, `,"environment":`, e.Environment)
	if c := e.Consent; c != (Consent{}) {
		b = appendQuoted(append(b, `,"consent":{"decision":`...), c.Decision)
		b = append(appendQuoted(append(b, `,"application":`...), c.Application), '}')
	}
	b, err := e.Attributes.append(b)
	if err != nil || e.Mapped == nil {
		return b, err
	}
	b = append(b, `,"mapped":[`...)
	for i := range e.Mapped {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(append(b, `{"type":`...), e.Mapped[i].Type)
		b = append(appendSubjects(b, e.Mapped[i].Subjects), '}')
	}
	return append(b, ']'), nil
}

func appendSubjects(b []byte, ids []subject.Identifier) []byte {
	if ids == nil {
		return b
	}
	b = append(b, `,"subjects":[`...)
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendDocument(b, id.Raw())
	}
	return append(b, ']')
}

// appendText writes a member unless its value is empty.
func appendText(b []byte, member, s string) []byte {
	if s == "" {
		return b
	}
	return appendQuoted(append(b, member...), s)
}

func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			q, err := json.Marshal(s)
			if err != nil {
				q = []byte(`""`) // impossible for a string
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendLength(b, doc []byte) []byte {
	if doc == nil {
		return append(b, "-1"...)
	}
	return strconv.AppendInt(b, int64(len(doc)), 10)
}

func appendDocument(b, doc []byte) []byte {
	if len(doc) == 0 {
		return append(b, null...)
	}
	return append(b, doc...)
}

// sizeHint is a little more than the canonical size, unless texts need escapes.
func sizeHint(e *Event) int {
	n := 320 + len(e.Source) + len(e.SourceID) + len(e.Type) + len(e.Format) + len(e.MappingError) +
		len(e.Consent.Decision) + len(e.Consent.Application) +
		len(e.Data) + len(e.Original) + subjectsSize(e.Subjects)
	for _, a := range e.Applications {
		n += len(a) + 3
	}
	for i := range e.Mapped {
		m := &e.Mapped[i]
		n += 48 + len(m.Type) + len(m.Payload) + subjectsSize(m.Subjects)
	}
	return n
}

func subjectsSize(ids []subject.Identifier) int {
	n := 16
	for _, id := range ids {
		n += len(id.Raw()) + 5
	}
	return n
}
