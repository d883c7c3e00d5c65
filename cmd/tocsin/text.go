package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// readText reads a value that is a text, a file's name behind @, or - for
// standard input; at most limit bytes.
func readText(std streamsIO, value string, limit int64) ([]byte, error) {
	switch {
	case value == "-":
		return guard.ReadBody(std.in, limit)
	case strings.HasPrefix(value, "@"):
		return readFile(value[1:], limit)
	}
	if int64(len(value)) > limit {
		return nil, errors.New("the text is too long")
	}
	return []byte(value), nil
}

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() // it is only read
	raw, err := guard.ReadBody(file, limit)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return raw, nil
}

// object reports whether raw is a JSON object.
func object(raw []byte) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal(raw, &m) == nil && m != nil
}

// subjectExample shows people who have written something else what a subject is.
const subjectExample = `{"format":"email","email":"jo@example.com"}`
