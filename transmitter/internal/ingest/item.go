package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Limits of a request.
const (
	MaxBodyBytes = 4 << 20
	MaxItems     = 1000
	// maxItemBytes bounds one event: what becomes of it must fit into a SET of
	// 64 KiB, base64 and the claims around it included.
	maxItemBytes = 44 << 10
	maxDepth     = 32
	maxSourceID  = 256
	maxType      = 256
	maxSubjects  = 16
	maxPath      = 128 // bytes of a member's path in an answer
)

// Item is one event as it is sent: an event type URI or the name of an account
// event with subject and data, or a vendor's record with its format.
type Item struct {
	SourceID string
	Type     string
	Subjects []subject.Identifier
	Time     time.Time
	Data     json.RawMessage
	// Attributes are what is known besides; of a vendor's record the mapping
	// reads them.
	Attributes eventlog.Attributes
	Format     string
	Record     json.RawMessage
	// Digest says that a record without an id of its own is known again by its
	// bytes.
	Digest bool
	// Err says why the item cannot be taken.
	Err *ItemError
}

// wireItem is an Item's JSON object. Unknown members are an error: a typo must
// not silently change an event.
type wireItem struct {
	SourceID string         `json:"source_id"`
	Type     string         `json:"type"`
	Subject  jsontext.Value `json:"subject"`
	Time     *time.Time     `json:"time"`
	Data     jsontext.Value `json:"data"`
	Format   string         `json:"format"`
	Record   jsontext.Value `json:"record"`
	wireAttributes
}

// Shape is how the items of a request were sent, and are answered.
type Shape uint8

// The shapes of a body.
const (
	One   Shape = iota // one object
	Array              // an array of objects
	Lines              // NDJSON: one object a line
)

// Parse reads a body: an object, an array, or (lines) NDJSON. An item that
// cannot be read carries its Err. The error, a *request.Error, concerns the
// body as a whole.
func Parse(body []byte, lines bool) ([]Item, Shape, error) {
	body = bytes.TrimSpace(body)
	switch {
	case lines:
		items, err := parseLines(body)
		return items, Lines, err
	case len(body) > 0 && body[0] == '[':
		items, err := parseArray(body)
		return items, Array, err
	case len(body) > 0 && body[0] == '{':
		if !shallow(body) {
			return nil, One, request.Invalid("", "the JSON is nested too deeply")
		}
		return []Item{parseItem(body)}, One, nil
	}
	return nil, One, request.Invalid("", "the body is neither an object nor an array of objects")
}

func parseArray(body []byte) ([]Item, error) {
	if !shallow(body) {
		return nil, request.Invalid("", "the JSON is nested too deeply")
	}
	// Duplicate names and invalid UTF-8 are an item's fault, found below.
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, request.Invalid("", "the body is not JSON")
	}
	var items []Item
	for dec.PeekKind() != ']' {
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, request.Invalid("", "the body is not JSON")
		}
		if items = append(items, parseItem(raw)); len(items) > MaxItems {
			return nil, tooMany()
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, request.Invalid("", "the body is not JSON")
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, request.Invalid("", "something follows the array")
	}
	return items, nil
}

func parseLines(body []byte) ([]Item, error) {
	var items []Item
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if items = append(items, parseItem(line)); len(items) > MaxItems {
			return nil, tooMany()
		}
	}
	return items, nil
}

func tooMany() error { return request.Invalid("", "there are more than 1000 events in one request") }

// parseItem reads one event; the Item shares no memory with raw.
func parseItem(raw []byte) Item {
	refuse := func(member, description string) Item {
		return Item{Err: &ItemError{Code: CodeInvalid, Member: member, Description: description}}
	}
	switch {
	case len(raw) > maxItemBytes:
		return refuse("", "the event exceeds 44 KiB")
	case raw[0] != '{':
		return refuse("", "an event is a JSON object")
	case !shallow(raw):
		return refuse("", "the JSON is nested too deeply")
	}
	var w wireItem
	if err := jsonv2.Unmarshal(raw, &w, jsonv2.RejectUnknownMembers(true)); err != nil {
		member, why := explain(err)
		return refuse(member, why)
	}
	w.dropNulls()
	item := Item{SourceID: w.SourceID, Type: w.Type, Format: w.Format}
	if len(w.SourceID) > maxSourceID {
		return refuse("source_id", "is longer than 256 bytes")
	}
	if w.Time != nil {
		item.Time = *w.Time
		if time.Until(item.Time) > maxFuture {
			return refuse("time", "lies in the future")
		}
		if item.Time.UTC().Year() < 1970 {
			return refuse("time", "lies before 1970")
		}
	}
	if w.Format != "" {
		return item.vendor(w, refuse)
	}
	return item.explicit(w, refuse)
}

// dropNulls makes null what it means: absent.
func (w *wireItem) dropNulls() {
	for _, v := range []*jsontext.Value{&w.Subject, &w.Data, &w.Record} {
		if string(*v) == "null" {
			*v = nil
		}
	}
}

// vendor reads the rest of a vendor's record.
func (item Item) vendor(w wireItem, refuse func(member, description string) Item) Item {
	switch {
	case w.Type != "" || w.Subject != nil || w.Data != nil || w.Time != nil || w.given():
		return refuse("format", "a vendor's record stands alone: its type, subject, time, data and attributes are read from it")
	case len(w.Record) == 0 || w.Record[0] != '{':
		return refuse("record", "is not a JSON object")
	}
	item.Record = json.RawMessage(w.Record)
	return item
}

// explicit reads the rest of an event with type and subject.
func (item Item) explicit(w wireItem, refuse func(member, description string) Item) Item {
	switch {
	case w.Record != nil:
		return refuse("format", "is missing for the record")
	case w.Type == "":
		return refuse("type", "is missing")
	case len(w.Type) > maxType:
		return refuse("type", "is longer than 256 bytes")
	case w.Data != nil && w.Data[0] != '{':
		return refuse("data", "is not a JSON object")
	}
	item.Data = json.RawMessage(w.Data)
	var refused *ItemError
	if item.Subjects, refused = Subjects(w.Subject); refused != nil {
		return Item{Err: refused}
	}
	if item.Attributes, refused = w.attributes(); refused != nil {
		return Item{Err: refused}
	}
	return item
}

// Subjects reads one identifier, or an array of up to 16, of one subject.
func Subjects(raw jsontext.Value) ([]subject.Identifier, *ItemError) {
	refuse := func(member, description string) *ItemError {
		return &ItemError{Code: CodeInvalid, Member: member, Description: description}
	}
	if len(raw) == 0 {
		return nil, refuse("subject", "is missing")
	}
	parts := []jsontext.Value{raw}
	if raw[0] == '[' {
		if err := jsonv2.Unmarshal(raw, &parts); err != nil {
			return nil, refuse("subject", "is not an array of subject identifiers")
		}
	}
	if len(parts) == 0 || len(parts) > maxSubjects {
		return nil, refuse("subject", "has no identifier or more than 16")
	}
	ids := make([]subject.Identifier, len(parts))
	for i, part := range parts {
		id, err := subject.ParseStrict(part)
		if err != nil {
			return nil, refuse("subject"+below(err), reason(err))
		}
		ids[i] = id
	}
	return ids, nil
}

// below returns the rest of the path to the member at fault, with its dot.
func below(err error) string {
	var wrong *subject.Error
	if !errors.As(err, &wrong) || wrong.Member == "" {
		return ""
	}
	return "." + clip(wrong.Member)
}

func reason(err error) string {
	var wrong *subject.Error
	if errors.As(err, &wrong) {
		return wrong.Reason
	}
	return "is not a subject identifier"
}

// explain says what is wrong with an item in words of the sender's JSON.
func explain(err error) (member, why string) {
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return path(syntactic.JSONPointer), "stands twice"
		}
		return "", "is not JSON in UTF-8"
	}
	var semantic *jsonv2.SemanticError
	if !errors.As(err, &semantic) {
		return "", "is not JSON in UTF-8"
	}
	if errors.Is(err, jsonv2.ErrUnknownName) {
		return path(semantic.JSONPointer), "is not a member of an event"
	}
	return path(semantic.JSONPointer), "has the wrong type"
}

// path returns a pointer as a dotted path.
func path(p jsontext.Pointer) string { return clip(strings.Join(slices.Collect(p.Tokens()), ".")) }

// clip cuts what a sender made up to what an answer should repeat.
func clip(path string) string {
	if len(path) <= maxPath {
		return path
	}
	return strings.ToValidUTF8(path[:maxPath], "")
}

// shallow reports whether raw is nested no deeper than maxDepth, without
// parsing more of it than brackets and strings.
func shallow(raw []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}
