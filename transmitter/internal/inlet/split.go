package inlet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// split takes a body to pieces, at most ingest.MaxItems (an empty batch has none):
// ID.me sends a record or an array, OneLogin an array or a record a line,
// Fingerprint one record. Whether a piece can be kept is judged later, piece by
// piece. Errors are *request.Error.
func split(kind string, body []byte) ([]json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, request.Invalid("", "the body is empty")
	}
	switch {
	case kind == auth.KindFingerprint && body[0] != '{':
		return nil, request.Invalid("", "the body is not one event, a JSON object")
	case kind == auth.KindFingerprint:
		return []json.RawMessage{body}, nil
	case body[0] == '[':
		return elements(body)
	case kind == auth.KindOneLogin && !jsontext.Value(body).IsValid(lenient()...):
		return lines(body)
	}
	return []json.RawMessage{body}, nil
}

// lenient reads what is wrong in one record only as JSON all the same.
func lenient() []jsontext.Options {
	return []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
}

// elements returns the elements of an array. They share no memory with each
// other: a log keeps them for longer than the body.
func elements(body []byte) ([]json.RawMessage, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenient()...)
	if _, err := dec.ReadToken(); err != nil {
		return nil, notJSON()
	}
	var all []json.RawMessage
	for dec.PeekKind() != ']' {
		value, err := dec.ReadValue()
		if err != nil {
			return nil, notJSON()
		}
		if all = append(all, bytes.Clone(value)); len(all) > ingest.MaxItems {
			return nil, tooMany()
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, notJSON()
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, request.Invalid("", "something follows the array")
	}
	return all, nil
}

// lines returns the lines that are not empty.
func lines(body []byte) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if all = append(all, bytes.Clone(line)); len(all) > ingest.MaxItems {
			return nil, tooMany()
		}
	}
	return all, nil
}

func notJSON() error { return request.Invalid("", "the body is not JSON") }

func tooMany() error {
	return request.Invalid("", fmt.Sprintf("there are more than %d records in one request", ingest.MaxItems))
}
