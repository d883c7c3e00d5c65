package console

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// errSubject: the text names nobody in a form that is known.
var errSubject = errors.New("a subject is an e-mail address, a phone number with its +, an id, or a subject identifier as JSON (RFC 9493)")

// subjectOf reads whom a person means: JSON is a subject identifier, or several of one
// subject, as it is; what looks like an e-mail address or a phone number is one; all else
// is an opaque id. Error: errSubject.
func subjectOf(text string) (json.RawMessage, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, errSubject
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		if !json.Valid([]byte(text)) {
			return nil, errSubject
		}
		return json.RawMessage(text), nil
	case strings.Contains(text, "@"):
		return subject.Email(text).Raw(), nil
	case strings.HasPrefix(text, "+"):
		return subject.Phone(text).Raw(), nil
	}
	return subject.Opaque(text).Raw(), nil
}

// people is a subject identifier as people read it: what it holds, and its format.
func people(raw json.RawMessage) string {
	id, err := subject.Parse(raw)
	var members map[string]any
	if err != nil || json.Unmarshal(raw, &members) != nil {
		return string(raw)
	}
	for _, member := range []string{"email", "phone_number", "id", "url", "uri"} {
		if text, ok := members[member].(string); ok && len(members) == 2 {
			return text + " (" + id.Format() + ")"
		}
	}
	if sub, ok := members["sub"].(string); ok && id.Format() == subject.FormatIssSub {
		issuer, _ := members["iss"].(string) // else the format were another
		return sub + " at " + issuer
	}
	return string(raw)
}
