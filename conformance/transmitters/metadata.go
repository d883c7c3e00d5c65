package transmitters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// metadata is the transmitter's document as it came.
type metadata struct {
	object
	answer conformance.Answer
}

// The members that are endpoints.
const (
	configurationEndpoint = "configuration_endpoint"
	statusEndpoint        = "status_endpoint"
	addEndpoint           = "add_subject_endpoint"
	removeEndpoint        = "remove_subject_endpoint"
	verificationEndpoint  = "verification_endpoint"
)

func endpointNames() []string {
	return []string{configurationEndpoint, statusEndpoint, addEndpoint, removeEndpoint, verificationEndpoint}
}

// metadata fetches the document once; whoever comes later gets the same.
func (s *suite) metadata(ctx context.Context, t *conformance.T) (*metadata, error) {
	if s.meta == nil && s.metaErr == nil {
		s.meta, s.metaErr = s.fetchMetadata(ctx, t)
		if ctx.Err() != nil { // it says nothing about the transmitter
			err := s.metaErr
			s.metaErr = nil
			return s.meta, err
		}
	}
	return s.meta, s.metaErr
}

func (s *suite) fetchMetadata(ctx context.Context, t *conformance.T) (*metadata, error) {
	at := s.cfg.MetadataURL
	if at == "" {
		var err error
		if at, err = wellknown.URL(s.cfg.Issuer); err != nil {
			return nil, fmt.Errorf("the issuer %q: %w", s.cfg.Issuer, err)
		}
	}
	answer, err := t.Do(ctx, s.cfg.HTTP, conformance.Ask{URL: at, Header: http.Header{"Accept": {"application/json"}}})
	if err != nil {
		return nil, fmt.Errorf("no metadata: %w", err)
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("no metadata: %s answers %d", at, answer.Status)
	}
	o, err := parseObject(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("no metadata: %s: %w", at, err)
	}
	return &metadata{o, answer}, nil
}

// endpoint returns the URL of an endpoint.
func (s *suite) endpoint(ctx context.Context, t *conformance.T, member string) (string, error) {
	m, err := s.metadata(ctx, t)
	if err != nil {
		return "", err
	}
	if at := m.text(member); at != "" {
		return at, nil
	}
	return "", fmt.Errorf("the metadata names no %s", member)
}

// supports reports whether a delivery method can be expected to work; without
// delivery_methods_supported every one may.
func (m *metadata) supports(method string) bool {
	methods, ok := m.texts("delivery_methods_supported")
	return !ok || slices.Contains(methods, method)
}

func (s *suite) metadataChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "metadata", Title: "reads the metadata where it is to be found",
			Decides: []string{"SSF-7.2-01", "SSF-7.2.3-01", "SSF-7.1-01"},
			Run:     s.checkDocument,
		},
		{
			Name: "metadata-members", Title: "looks at the members of the metadata",
			Decides: []string{
				"SSF-7.1-02", "SSF-7.1-03", "SSF-7.1-04", "SSF-7.1-05", "SSF-7.1-07", "SSF-7.1-08", "SSF-7.1-10", "INTEROP-2.3.1-01", "INTEROP-2.3.2-01",
				"INTEROP-2.3.4-01", "INTEROP-2.3.5-01", "INTEROP-2.3.6-01", "INTEROP-2.3.7-01",
			},
			Run: s.checkMembers,
		},
		{
			Name: "keys", Title: "fetches the keys that SETs are signed with",
			Decides: []string{"SSF-7.1-02", "INTEROP-2.3.3-01"},
			Run:     s.checkKeys,
		},
	}
}

func (s *suite) checkDocument(ctx context.Context, t *conformance.T) error {
	m, err := s.metadata(ctx, t)
	if s.cfg.MetadataURL != "" {
		t.Skip("SSF-7.2-01", "the metadata's URL was given, and is not the issuer's by SSF §7.2")
	} else {
		t.Expect("SSF-7.2-01", err == nil, "got %s, want the metadata at the URL that is made of the issuer", orFine(err))
	}
	if err != nil {
		return err
	}
	t.Expect("SSF-7.2.3-01", isJSON(m.answer.Header), "got Content-Type %q, want application/json", m.answer.Header.Get("Content-Type"))
	for name, raw := range m.object {
		list := strings.TrimSpace(string(raw))
		t.Expect("SSF-7.2.3-01", list != "[]" && list != "[ ]", "got %s an empty array, want it left out", name)
	}
	issuer := m.text("issuer")
	t.Expect("SSF-7.1-01", issuer == s.cfg.Issuer, "got issuer %q, want %q, byte for byte", issuer, s.cfg.Issuer)
	u, err := url.Parse(issuer)
	t.Expect("SSF-7.1-01", err == nil && s.secure(u) && u.RawQuery == "" && u.Fragment == "" && !strings.ContainsAny(issuer, "?#"),
		"got issuer %q, want an https URL without query and fragment", issuer)
	return nil
}

// orFine tells an error, or that there is none.
func orFine(err error) string {
	if err != nil {
		return err.Error()
	}
	return "it"
}

// secure reports whether a URL is https, or may be what it is.
func (s *suite) secure(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "https" || s.cfg.InsecureLoopback && u.Scheme == "http")
}

func (s *suite) secureText(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && s.secure(u)
}

func (s *suite) checkMembers(ctx context.Context, t *conformance.T) error {
	m, err := s.metadata(ctx, t)
	if err != nil {
		return err
	}
	t = t.With(m.answer.Exchange)
	t.Expect("SSF-7.1-02", s.secureText(m.text("jwks_uri")), "got jwks_uri %s, want an https URL", m.object["jwks_uri"])
	methods, ok := m.texts("delivery_methods_supported")
	t.Expect("SSF-7.1-03", ok && len(methods) > 0, "got delivery_methods_supported %s, want a list of URIs", m.object["delivery_methods_supported"])
	t.Expect("INTEROP-2.3.2-01", ok && len(methods) > 0, "got delivery_methods_supported %s, want a list of URIs", m.object["delivery_methods_supported"])
	version, given := m.string("spec_version")
	if m.has("spec_version") {
		t.Expect("SSF-7.1-04", given && versionShape(version), "got spec_version %s, want one such as 1_0", m.object["spec_version"])
	} else {
		t.Skip("SSF-7.1-04", "the metadata has no spec_version")
	}
	t.Expect("INTEROP-2.3.1-01", given && versionShape(version) && version >= "1_0" && !strings.Contains(version, "-"),
		"got spec_version %q, want 1_0 or greater", version)
	for _, name := range endpointNames() {
		if m.has(name) {
			t.Expect("SSF-7.1-05", s.secureText(m.text(name)), "got %s %s, want an https URL", name, m.object[name])
		}
	}
	for id, name := range map[string]string{"INTEROP-2.3.4-01": configurationEndpoint, "INTEROP-2.3.5-01": statusEndpoint, "INTEROP-2.3.6-01": verificationEndpoint} {
		t.Expect(id, m.has(name), "got no %s, want it", name)
	}
	if m.has("critical_subject_members") {
		names, ok := m.texts("critical_subject_members")
		t.Expect("SSF-7.1-07", ok && !slices.Contains(names, ""), "got critical_subject_members %s, want an array of names", m.object["critical_subject_members"])
	} else {
		t.Skip("SSF-7.1-07", "the metadata has no critical_subject_members")
	}
	if m.has("default_subjects") {
		all := m.text("default_subjects")
		t.Expect("SSF-7.1-10", all == "ALL" || all == "NONE", "got default_subjects %s, want ALL or NONE", m.object["default_subjects"])
	} else {
		t.Skip("SSF-7.1-10", "the metadata has no default_subjects")
	}
	s.checkSchemes(t, m)
	return nil
}

func versionShape(v string) bool {
	major, minor, ok := strings.Cut(v, "_")
	return ok && major != "" && minor != "" && strings.Trim(major, "0123456789") == ""
}

func (s *suite) checkSchemes(t *conformance.T, m *metadata) {
	schemes, err := parseArray(m.object["authorization_schemes"])
	if !m.has("authorization_schemes") {
		t.Skip("SSF-7.1-08", "the metadata has no authorization_schemes")
		t.Expect("INTEROP-2.3.7-01", false, "got no authorization_schemes, want urn:ietf:rfc:6749 among them")
		return
	}
	urns := []string{}
	for _, scheme := range schemes {
		o, _ := parseObject(scheme)
		urn := o.text("spec_urn")
		urns = append(urns, urn)
		t.Expect("SSF-7.1-08", strings.HasPrefix(urn, "urn:"), "got authorization_schemes with spec_urn %q, want a URN", urn)
	}
	t.Expect("SSF-7.1-08", err == nil && len(schemes) > 0, "got authorization_schemes %s, want an array of objects", m.object["authorization_schemes"])
	t.Expect("INTEROP-2.3.7-01", slices.Contains(urns, "urn:ietf:rfc:6749"), "got authorization_schemes %q, want urn:ietf:rfc:6749 among them", urns)
}

// keys fetches the key set.
func (s *suite) keys(ctx context.Context, t *conformance.T) (*jose.KeySet, error) {
	at, err := s.endpoint(ctx, t, "jwks_uri")
	if err != nil {
		return nil, err
	}
	answer, err := t.Do(ctx, s.cfg.HTTP, conformance.Ask{URL: at})
	if err != nil {
		return nil, fmt.Errorf("no keys: %w", err)
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("no keys: %s answers %d", at, answer.Status)
	}
	set, err := jose.ParseKeySet(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("no keys: %s: %w", at, err)
	}
	return set, nil
}

func (s *suite) checkKeys(ctx context.Context, t *conformance.T) error {
	if _, err := s.metadata(ctx, t); err != nil {
		return err
	}
	set, err := s.keys(ctx, t)
	if err == nil && set.Len() == 0 {
		err = errors.New("no key that can verify a signature")
	}
	t.Expect("SSF-7.1-02", err == nil, "got %s, want the keys at jwks_uri", orFine(err))
	t.Expect("INTEROP-2.3.3-01", err == nil, "got %s, want the keys at jwks_uri", orFine(err))
	return err
}

// methodNames are what the methods of delivery are called in texts.
func methodName(method string) string {
	if method == delivery.MethodPush {
		return "push"
	}
	return "poll"
}
