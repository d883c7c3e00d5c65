package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds on what of an exchange is evidence.
const (
	maxEvidenceBody   = 4 << 10
	maxEvidenceLine   = 1 << 10
	maxEvidenceHeader = 40 // fields
)

// Direction says who asked.
type Direction string

// The directions.
const (
	Sent     Direction = "sent"     // the suite asked the peer
	Received Direction = "received" // the peer asked the suite
)

// Exchange is a request and its answer, kept as evidence: bounded, and without
// secrets.
type Exchange struct {
	Direction Direction `json:"direction"`
	At        time.Time `json:"at"`
	Took      Seconds   `json:"took_seconds"`
	Request   Message   `json:"request"`
	Response  Message   `json:"response"`
	Error     string    `json:"error,omitempty"` // why there is no answer
}

// Message is one half of an exchange.
type Message struct {
	Line   string   `json:"line"` // method and URL, or the status
	Header []string `json:"header,omitempty"`
	Body   string   `json:"body,omitempty"`
	Cut    bool     `json:"cut,omitempty"` // there was more of it
}

// Seconds is a duration that is a number of seconds in JSON.
type Seconds time.Duration

// MarshalJSON writes milliseconds as the fraction.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(s).Seconds()), nil
}

// String is for people.
func (s Seconds) String() string {
	return time.Duration(s).Round(time.Millisecond).String()
}

// RequestMessage returns a request as evidence.
func (m *Mask) RequestMessage(method, url string, header http.Header, body []byte) Message {
	return m.message(method+" "+url, header, body)
}

// ResponseMessage returns an answer as evidence. more says that its body goes on beyond
// what was read.
func (m *Mask) ResponseMessage(status int, header http.Header, body []byte, more bool) Message {
	line := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	message := m.message(line, header, body)
	message.Cut = message.Cut || more
	return message
}

func (m *Mask) message(line string, header http.Header, body []byte) Message {
	message := Message{}
	message.Line, message.Cut = cut(m.Text(line), maxEvidenceLine)
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range header[name] {
			if len(message.Header) == maxEvidenceHeader {
				message.Cut = true
				break
			}
			field, over := cut(name+": "+m.header(name, value), maxEvidenceLine)
			message.Header = append(message.Header, field)
			message.Cut = message.Cut || over
		}
	}
	text, over := cut(m.Text(string(body)), maxEvidenceBody)
	message.Body, message.Cut = text, message.Cut || over
	return message
}

// cut returns s as valid UTF-8 without control characters, at most limit bytes of it,
// and whether there was more.
func cut(s string, limit int) (string, bool) {
	over := len(s) > limit
	if over {
		s = s[:limit]
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return utf8.RuneError
		}
		return r
	}, s), over
}
