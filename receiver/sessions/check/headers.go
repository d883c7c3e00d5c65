package check

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Formats of users in Headers.
const (
	UserEmail  = "email"   // an e-mail address
	UserOpaque = "opaque"  // an id that the transmitter uses as it is
	UserIssSub = "iss_sub" // a sub of Headers.Issuer
)

// Headers are the names of headers in which the proxy says whose a request is. It must
// set or clear each of them: a client that may send them itself picks whom to be.
type Headers struct {
	// User is the name of the header with the user; UserFormat one of UserEmail,
	// UserOpaque and UserIssSub says what it holds; empty: UserEmail.
	User, UserFormat string
	// Issuer is the iss of users in the format iss_sub.
	Issuer string
	// Session is the name of the header with the sid of the session.
	Session string
	// Begun is the name of the header with the begin of the session in Unix seconds.
	// Without it, whatever was revoked while revocations are kept ends it, also after
	// another login.
	Begun string
}

func (h *Headers) check() error {
	switch {
	case h.User == "" && h.Session == "":
		return errors.New("check: Headers.User or Headers.Session is required")
	case h.UserFormat == "" || h.UserFormat == UserEmail || h.UserFormat == UserOpaque:
		if h.Issuer != "" {
			return errors.New("check: Headers.Issuer is of the format iss_sub alone")
		}
	case h.UserFormat != UserIssSub:
		return fmt.Errorf("check: Headers.UserFormat is %q, want %s, %s or %s", h.UserFormat, UserEmail, UserOpaque, UserIssSub)
	case h.Issuer == "":
		return errors.New("check: Headers.Issuer is required for the format iss_sub")
	}
	return nil
}

// bearer returns who the headers say bears the request; false if they say nothing.
func (h *Headers) bearer(header http.Header) (sessions.Bearer, bool) {
	s := sessions.Session{Members: make(map[string][]subject.Identifier)}
	if user := valueOf(header, h.User); user != "" {
		id := subject.Email(user)
		switch h.UserFormat {
		case UserOpaque:
			id = subject.Opaque(user)
		case UserIssSub:
			id = subject.IssSub(h.Issuer, user)
		}
		s.Members[subject.MemberUser] = []subject.Identifier{id}
	}
	if sid := valueOf(header, h.Session); sid != "" {
		s.Members[subject.MemberSession] = []subject.Identifier{subject.Opaque(sid)}
	}
	if begun, err := strconv.ParseInt(valueOf(header, h.Begun), 10, 40); err == nil && begun > 0 {
		s.Begun = time.Unix(begun, 0)
	}
	return s.Bearer(), len(s.Members) > 0
}

func valueOf(header http.Header, name string) string {
	if name == "" {
		return ""
	}
	return header.Get(name)
}
