package source

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxErrorBytes bounds the body of an answer that is an error.
	maxErrorBytes = 64 << 10
	// maxErrorText bounds what is kept of a text in it.
	maxErrorText = 256
	// maxRetryAfter bounds how long a vendor may ask us to wait.
	maxRetryAfter = time.Hour
)

// Error is an answer of a vendor that is not what was asked for. Its texts are
// the vendor's, cut to what a log can bear.
type Error struct {
	// Status is the HTTP status; zero: there was no answer.
	Status int
	// Code is the vendor's word or number for what is wrong: OneLogin's type,
	// Fingerprint's and ID.me's code; empty if the body has none.
	Code string
	// Message is the vendor's; empty if the body has none.
	Message string
	// Attribute is the parameter at fault, where OneLogin names one.
	Attribute string
	// Retry reports whether the same request may succeed later by itself.
	Retry bool
	// RetryAfter is how long the vendor asks to wait; zero if it does not.
	RetryAfter time.Duration
}

// Error returns status, code and message.
func (e *Error) Error() string {
	var b strings.Builder
	if b.WriteString("source: "); e.Status == 0 {
		b.WriteString("no answer")
	} else {
		fmt.Fprintf(&b, "answered %d", e.Status)
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Attribute != "" {
		b.WriteString(": " + e.Attribute)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// newError returns the error of an answer; parse reads its body.
func newError(status int, header http.Header, body []byte, now time.Time, parse func(body []byte, e *Error)) *Error {
	e := &Error{Status: status, Retry: retryable(status), RetryAfter: retryAfter(header, now)}
	parse(body, e)
	e.Code, e.Message, e.Attribute = clean(e.Code), clean(e.Message), clean(e.Attribute)
	return e
}

// retryable reports whether a status stands for a state that passes: too much
// at once, a failure of the vendor's, or Fingerprint's "try again" (409).
func retryable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= http.StatusInternalServerError
}

// retryAfter reads the field in both of its forms (RFC 9110 §10.2.3), up to
// maxRetryAfter; zero if it is absent or past.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// clean cuts a text and makes it one line.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "")
	}
	return strings.TrimSpace(text)
}

// lenient reads what is wrong in one record as JSON all the same: that record
// alone shall suffer for it.
func lenient() json.Options {
	return json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// oneLoginError reads OneLogin's envelope {"status":{"error","code","type",
// "message"}}, whose message is a text or {"attribute","description"}.
func oneLoginError(body []byte, e *Error) {
	var envelope struct {
		Status struct {
			Type    string         `json:"type"`
			Message jsontext.Value `json:"message"`
		} `json:"status"`
	}
	if json.Unmarshal(body, &envelope, lenient()) != nil {
		return
	}
	e.Code = envelope.Status.Type
	if json.Unmarshal(envelope.Status.Message, &e.Message, lenient()) == nil {
		return
	}
	var object struct {
		Attribute   string `json:"attribute"`
		Description string `json:"description"`
	}
	if json.Unmarshal(envelope.Status.Message, &object, lenient()) == nil {
		e.Attribute, e.Message = object.Attribute, object.Description
	}
}

// fingerprintError reads Fingerprint's envelope {"error":{"code","message"}}.
func fingerprintError(body []byte, e *Error) {
	var envelope struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &envelope, lenient()) == nil {
		e.Code, e.Message = envelope.Error.Code, envelope.Error.Message
	}
}

// idmeError reads ID.me's envelope {"code","message"}; its code is a number.
func idmeError(body []byte, e *Error) {
	var envelope struct {
		Code    jsontext.Value `json:"code"`
		Message string         `json:"message"`
	}
	if json.Unmarshal(body, &envelope, lenient()) != nil {
		return
	}
	e.Message = envelope.Message
	if json.Unmarshal(envelope.Code, &e.Code, lenient()) != nil {
		e.Code = string(envelope.Code)
	}
}
