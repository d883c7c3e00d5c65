package auth

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The kinds of a [VendorSource]: whose records it takes. A kind is also the
// format of those records (transmitter/mapping).
const (
	KindIDme        = "idme"
	KindOneLogin    = "onelogin"
	KindFingerprint = "fingerprint"
)

// How a vendor authenticates what it sends to a [VendorSource].
const (
	// VendorOff: nothing is taken in; the source is only polled.
	VendorOff = "off"
	// VendorNone: whoever knows the path may write events.
	VendorNone = "none"
	// VendorBasic: user and password (RFC 7617).
	VendorBasic = "basic"
	// VendorBearer: a bearer token (RFC 6750 §2.1).
	VendorBearer = "bearer"
	// VendorHeader: a secret in a header of its own.
	VendorHeader = "header"
)

// MaxVendorSources bounds the sources that are configured: each is a label of
// metrics and, where it is polled, a poller.
const MaxVendorSources = 200

// maxHeaderName bounds the name of the header of a [VendorHeader].
const maxHeaderName = 64

// VendorSource is a source that an operator has configured for a vendor's
// system: what the vendor sends to /v1/sources/{name}, or is polled for,
// becomes events of the source (contracts.md §1).
type VendorSource struct {
	// Source is what it may speak for, and the environment of its events. Its
	// name is the path's.
	Source
	// Kind is whose records it takes: one of the kinds above.
	Kind string
	// Auth is how the vendor authenticates: one of the ways above.
	Auth string
	// User is the user of VendorBasic, else empty.
	User string
	// Header is the name of the header of VendorHeader, in its canonical form,
	// else empty.
	Header string
	// SignatureSecret is that with which the vendor signs what it sends
	// (Fingerprint's webhook signature); empty: it does not. It is needed as it
	// is, kept as the signing keys are, and never returned: Signed, which the
	// store sets, says that there is one.
	SignatureSecret string
	Signed          bool
	// API is how the vendor's own API is called; nil: it is not.
	API *VendorAPI
	// Created is set by the store, in whole milliseconds.
	Created time.Time
}

func (v VendorSource) validate() error {
	if err := v.Source.validate(); err != nil {
		return inSource(err)
	}
	if !slices.Contains([]string{KindIDme, KindOneLogin, KindFingerprint}, v.Kind) {
		return &InvalidError{"kind", "must be idme, onelogin or fingerprint"}
	}
	if v.Environment != "" {
		if err := checkID("environment", v.Environment); err != nil {
			return err
		}
	}
	switch v.Auth {
	case VendorOff, VendorNone, VendorBearer:
	case VendorBasic:
		// RFC 7617 §2: a user has no colon.
		if err := checkID("user", v.User); err != nil {
			return err
		}
	case VendorHeader:
		if err := checkHeader(v.Header); err != nil {
			return err
		}
	default:
		return &InvalidError{"auth", "must be bearer, basic, header, none or off"}
	}
	if v.Auth != VendorBasic && v.User != "" {
		return &InvalidError{"user", "goes with auth basic alone"}
	}
	if v.Auth != VendorHeader && v.Header != "" {
		return &InvalidError{"header", "goes with auth header alone"}
	}
	if err := v.validateSignature(); err != nil {
		return err
	}
	if err := v.validateConsents(); err != nil {
		return err
	}
	return v.validateAPI()
}

// inSource names the members of a source as they stand in a vendor's: at the top.
func inSource(err error) error {
	var e *InvalidError
	if errors.As(err, &e) {
		return &InvalidError{strings.TrimPrefix(e.Member, "source."), e.Description}
	}
	return err
}

// checkHeader accepts the name of a header that nobody on the way changes and
// that has no meaning of its own (RFC 9110 §5.1).
func checkHeader(name string) error {
	if name == "" || len(name) > maxHeaderName {
		return &InvalidError{"header", "must be the name of a header, up to 64 characters"}
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return &InvalidError{"header", "has a character that no header's name may have"}
		}
	}
	reserved := []string{
		"Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie",
		"Expect", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Via",
	}
	if slices.Contains(reserved, http.CanonicalHeaderKey(name)) {
		return &InvalidError{"header", "has a meaning of its own in HTTP and cannot carry a secret"}
	}
	return nil
}

// VendorCredential is what a vendor is to send. Its secret is shown once.
type VendorCredential struct {
	User   string `json:"user,omitempty"`
	Header string `json:"header,omitempty"`
	// Secret is empty for the ways that have none.
	Secret string `json:"secret,omitempty"`
}

// String hides the secret.
func (c VendorCredential) String() string { return "credential of a source" }

// LogValue hides the secret.
func (c VendorCredential) LogValue() slog.Value { return slog.StringValue(c.String()) }
