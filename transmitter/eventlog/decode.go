package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// errCanonical: bytes that Canonical did not make.
var errCanonical = errors.New("eventlog: not the canonical bytes of an event")

// head is what stands before the documents.
type head struct {
	Version      int               `json:"v"`
	Lengths      []int             `json:"lengths"`
	Source       string            `json:"source"`
	SourceID     string            `json:"source_id"`
	Type         string            `json:"type"`
	Time         time.Time         `json:"time"`
	Applications []string          `json:"applications"`
	Subjects     []json.RawMessage `json:"subjects"`
	Format       string            `json:"format"`
	MappingError string            `json:"mapping_error"`
	Environment  string            `json:"environment"`
	Consent      Consent           `json:"consent"`
	Attributes   Attributes        `json:"attributes"`
	Mapped       []headMapped      `json:"mapped"`
}

type headMapped struct {
	Type     string            `json:"type"`
	Subjects []json.RawMessage `json:"subjects"`
}

// Decode returns the event that Canonical turned into b. Its documents are
// parts of b. An identifier that is no valid one stands as the zero value, so
// that no stored event is unreadable.
func Decode(b []byte) (Event, error) {
	lengths, err := readLengths(b)
	if err != nil {
		return Event{}, err
	}
	docs, err := locate(b, lengths)
	if err != nil {
		return Event{}, err
	}
	first := docs[0].start - len(memberData)
	text := append(bytes.Clone(b[:first]), '}')
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return Event{}, fmt.Errorf("%w: %w", errCanonical, err)
	}
	if len(h.Mapped) != len(docs)-fixedDocuments {
		return Event{}, errCanonical
	}
	e := Event{
		Source: h.Source, SourceID: h.SourceID, Type: h.Type, Time: h.Time,
		Applications: h.Applications, Subjects: identifiers(h.Subjects),
		Format: h.Format, MappingError: h.MappingError,
		Environment: h.Environment, Consent: h.Consent, Attributes: h.Attributes,
	}
	if h.Mapped != nil {
		e.Mapped = make([]Mapped, len(h.Mapped))
		for i, m := range h.Mapped {
			e.Mapped[i] = Mapped{Type: m.Type, Subjects: identifiers(m.Subjects)}
		}
	}
	e.attach(b, docs)
	return e, nil
}

// identifiers keeps nil apart from an empty list.
func identifiers(raw []json.RawMessage) []subject.Identifier {
	if raw == nil {
		return nil
	}
	ids := make([]subject.Identifier, len(raw))
	for i, r := range raw {
		if id, err := subject.Parse(r); err == nil {
			ids[i] = id
		}
	}
	return ids
}

// span is where a document stands; a negative length is nil.
type span struct{ start, length int }

// attach makes the event's documents parts of b.
func (e *Event) attach(b []byte, docs []span) {
	part := func(s span) json.RawMessage {
		if s.length < 0 {
			return nil
		}
		return b[s.start : s.start+s.length : s.start+s.length]
	}
	e.Data, e.Original = part(docs[0]), part(docs[1])
	for i := range e.Mapped {
		e.Mapped[i].Payload = part(docs[fixedDocuments+i])
	}
}

// readLengths reads the list that begins the canonical bytes.
func readLengths(b []byte) ([]int, error) {
	rest, ok := bytes.CutPrefix(b, []byte(canonicalPrefix))
	end := bytes.IndexByte(rest, ']')
	if !ok || end < 0 {
		return nil, errCanonical
	}
	list := rest[:end]
	lengths := make([]int, 0, 4)
	for len(lengths) < maxDocuments {
		text, more, found := bytes.Cut(list, []byte{','})
		n, err := strconv.Atoi(string(text))
		if err != nil || n < -1 || n > len(b) {
			return nil, errCanonical
		}
		lengths = append(lengths, n)
		if !found {
			break
		}
		list = more
	}
	if len(lengths) < fixedDocuments {
		return nil, errCanonical
	}
	return lengths, nil
}

// locate counts back from the end, where all that stands has a known length.
func locate(b []byte, lengths []int) ([]span, error) {
	docs := make([]span, len(lengths))
	at := len(b) - len(canonicalEnd)
	for i := len(lengths) - 1; i >= 0; i-- {
		if i == 1 {
			at -= len(memberPayloads)
		} else if i > 1 && i < len(lengths)-1 {
			at-- // the comma between payloads
		}
		at -= width(lengths[i])
		if at < len(canonicalPrefix)+len(memberData) {
			return nil, errCanonical
		}
		docs[i] = span{start: at, length: lengths[i]}
		if i == 1 {
			at -= len(memberOriginal)
		}
	}
	if !bytes.HasSuffix(b[:docs[0].start], []byte(memberData)) || !bytes.HasSuffix(b, []byte(canonicalEnd)) {
		return nil, errCanonical
	}
	return docs, nil
}

// width is how many bytes a document of a length takes.
func width(length int) int {
	if length <= 0 {
		return len(null)
	}
	return length
}
