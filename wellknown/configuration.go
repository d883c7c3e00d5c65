package wellknown

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
)

// MaxDocumentBytes bounds a metadata document that is fetched.
const MaxDocumentBytes = 256 << 10

// Values of members of [Configuration].
const (
	SpecVersion     = "1_0"               // SSF 1.0 Final
	SubjectsAll     = "ALL"               // every appropriate subject is in a new stream
	SubjectsNone    = "NONE"              // no subject is in a new stream
	SchemeOAuth2URN = "urn:ietf:rfc:6749" // spec_urn of OAuth 2.0
)

// ErrDocument says that a document was fetched but may not be used: it is not what
// its format demands, or it speaks for somebody else. Nothing of it is used
// (SSF §7.2.4).
var ErrDocument = errors.New("invalid metadata document")

// Configuration is the metadata of a transmitter (SSF §7.1). Empty members are left
// out when it is written; an absent endpoint is an operation that is not offered.
type Configuration struct {
	SpecVersion              string                `json:"spec_version,omitempty"` // absent means 1_0-ID1
	Issuer                   string                `json:"issuer"`
	JWKSURI                  string                `json:"jwks_uri,omitempty"`
	DeliveryMethodsSupported []string              `json:"delivery_methods_supported,omitempty"`
	ConfigurationEndpoint    string                `json:"configuration_endpoint,omitempty"`
	StatusEndpoint           string                `json:"status_endpoint,omitempty"`
	AddSubjectEndpoint       string                `json:"add_subject_endpoint,omitempty"`
	RemoveSubjectEndpoint    string                `json:"remove_subject_endpoint,omitempty"`
	VerificationEndpoint     string                `json:"verification_endpoint,omitempty"`
	CriticalSubjectMembers   []string              `json:"critical_subject_members,omitempty"`
	AuthorizationSchemes     []AuthorizationScheme `json:"authorization_schemes,omitempty"`
	DefaultSubjects          string                `json:"default_subjects,omitempty"` // SubjectsAll, SubjectsNone or absent
}

// AuthorizationScheme names a way in which a transmitter's API is protected
// (SSF §7.1.1).
type AuthorizationScheme struct {
	SpecURN string `json:"spec_urn"` // for example SchemeOAuth2URN
}

// ParseConfiguration reads a configuration as a receiver does: unknown members are
// ignored, an unknown default_subjects counts as absent. Its error wraps
// [ErrDocument]. What it returns has yet to be checked by [Configuration.Validate].
func ParseConfiguration(body []byte) (Configuration, error) {
	var c Configuration
	if err := json.Unmarshal(body, &c); err != nil {
		return Configuration{}, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if c.DefaultSubjects != SubjectsAll && c.DefaultSubjects != SubjectsNone {
		c.DefaultSubjects = ""
	}
	return c, nil
}

// Validate reports whether c may be used as the configuration of issuer: it names
// exactly that issuer, byte for byte, a trailing slash included (SSF §7.2.4), and
// every URL in it is https (http only where the issuer itself is http, which is for
// loopback). Its error wraps [ErrDocument].
func (c Configuration) Validate(issuer string) error {
	if err := validateIssuer(c.Issuer, issuer); err != nil {
		return err
	}
	if err := validateURLs(issuer, []member{
		{"jwks_uri", c.JWKSURI},
		{"configuration_endpoint", c.ConfigurationEndpoint},
		{"status_endpoint", c.StatusEndpoint},
		{"add_subject_endpoint", c.AddSubjectEndpoint},
		{"remove_subject_endpoint", c.RemoveSubjectEndpoint},
		{"verification_endpoint", c.VerificationEndpoint},
	}); err != nil {
		return err
	}
	for _, scheme := range c.AuthorizationSchemes {
		if !strings.HasPrefix(strings.ToLower(scheme.SpecURN), "urn:") {
			return fmt.Errorf("%w: authorization_schemes: spec_urn is not a URN", ErrDocument)
		}
	}
	switch c.DefaultSubjects {
	case "", SubjectsAll, SubjectsNone:
		return nil
	}
	return fmt.Errorf("%w: default_subjects is neither ALL nor NONE", ErrDocument)
}

// member is a named value of a document.
type member struct{ name, value string }

func validateIssuer(got, want string) error {
	if _, err := parseIssuer(want); err != nil {
		return fmt.Errorf("%w: issuer: %w", ErrDocument, err)
	}
	if got != want {
		return fmt.Errorf("%w: issuer is %.200q, want %.200q", ErrDocument, got, want)
	}
	return nil
}

// validateURLs checks those members that are present.
func validateURLs(issuer string, members []member) error {
	plain := !isHTTPS(issuer)
	for _, m := range members {
		if m.value == "" {
			continue
		}
		u, err := parseEndpoint(m.value)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDocument, m.name, err)
		}
		if u.Scheme != "https" && !plain {
			return fmt.Errorf("%w: %s: URL is not https", ErrDocument, m.name)
		}
	}
	return nil
}

func isHTTPS(issuer string) bool {
	u, err := parseIssuer(issuer)
	return err == nil && u.Scheme == "https"
}
