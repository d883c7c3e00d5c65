package auth

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds on what is registered and sent.
const (
	MaxIDBytes         = 128      // an application's, client's or source's id
	MaxNameBytes       = 256      // an application's name
	MaxProfileBytes    = 256      // text of a profile
	MaxEncryptionBytes = 8 << 10  // of what a stream's SETs are encrypted to
	MaxAudience        = 16       // audience values of an application
	MaxAudienceBytes   = 2 << 10  // one of them
	MaxScopes          = 64       // scopes of a client or of a request
	MaxScopeBytes      = 128      // one of them
	MaxSourceValues    = 1000     // entries in one list of a source
	MaxSourceBytes     = 2 << 10  // one of them
	MaxTokenBytes      = 8 << 10  // an access token
	MaxFormBytes       = 32 << 10 // the body of a token or revocation request
	MaxJWKSBytes       = 32 << 10 // the keys of a client
	MaxURIBytes        = 2 << 10  // where they are published
)

// checkID accepts 1 to MaxIDBytes characters that stand in a path, a form and
// Basic credentials as they are (RFC 3986 §2.3).
func checkID(member, id string) error {
	if id == "" || len(id) > MaxIDBytes {
		return &InvalidError{member, fmt.Sprintf("must have 1 to %d characters", MaxIDBytes)}
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
		default:
			return &InvalidError{member, "may have letters, digits and -._~ only"}
		}
	}
	if id == "." || id == ".." {
		return &InvalidError{member, "must not be . or .., which no path can name"}
	}
	return nil
}

// checkText accepts printable UTF-8 of at most limit bytes.
func checkText(member, text string, limit int) error {
	switch {
	case len(text) > limit:
		return &InvalidError{member, fmt.Sprintf("must not exceed %d bytes", limit)}
	case !utf8.ValidString(text), strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return &InvalidError{member, "must be UTF-8 without control characters"}
	}
	return nil
}

func checkValues(member string, values []string, most, limit int) error {
	if len(values) > most {
		return &InvalidError{member, fmt.Sprintf("must not have more than %d values", most)}
	}
	for i, v := range values {
		if v == "" {
			return &InvalidError{member, "must not have an empty value"}
		}
		if err := checkText(member, v, limit); err != nil {
			return err
		}
		if slices.Contains(values[:i], v) {
			return &InvalidError{member, "must not have a value twice"}
		}
	}
	return nil
}

func (a Application) validate() error {
	if err := checkID("id", a.ID); err != nil {
		return err
	}
	if err := checkText("name", a.Name, MaxNameBytes); err != nil {
		return err
	}
	if len(a.Audience) == 0 {
		return &InvalidError{"audience", "must have a value"}
	}
	if err := checkValues("audience", a.Audience, MaxAudience, MaxAudienceBytes); err != nil {
		return err
	}
	return cmp.Or(
		checkText("subject_format", a.SubjectFormat, MaxIDBytes),
		checkText("profile", a.Profile, MaxProfileBytes),
		checkText("encryption", a.Encryption, MaxEncryptionBytes),
	)
}

func (c Client) validate() error {
	if err := checkID("client_id", c.ID); err != nil {
		return err
	}
	if len(c.Scopes) == 0 || len(c.Scopes) > MaxScopes {
		return &InvalidError{"scope", fmt.Sprintf("must have 1 to %d values", MaxScopes)}
	}
	for _, s := range c.Scopes {
		if err := s.check(); err != nil {
			return err
		}
		if !s.known() {
			return &InvalidError{"scope", fmt.Sprintf("%q is not one of ours", s)}
		}
	}
	if c.Environment != "" {
		if err := checkID("environment", c.Environment); err != nil {
			return err
		}
	}
	if c.External && c.hasKeys() {
		return &InvalidError{"external", "goes without keys: the issuer knows them"}
	}
	if err := cmp.Or(c.validateCertificate(), c.validateKeys()); err != nil || c.Source == nil {
		return err
	}
	if c.Source.Consents != nil {
		return &InvalidError{"source.consents", "goes with a vendor's source alone; a client uses /v1/consents"}
	}
	return c.Source.validate()
}

func (s *Source) validate() error {
	if err := checkID("source.name", s.Name); err != nil {
		return err
	}
	if err := checkValues("source.event_types", s.EventTypes, MaxSourceValues, MaxSourceBytes); err != nil {
		return err
	}
	if err := checkValues("source.subject_issuers", s.SubjectIssuers, MaxSourceValues, MaxSourceBytes); err != nil {
		return err
	}
	return checkValues("source.applications", s.Applications, MaxSourceValues, MaxSourceBytes)
}
