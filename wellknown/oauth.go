package wellknown

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

// AuthorizationServer is the metadata of an OAuth 2.0 authorization server (RFC 8414
// §2). Empty members are left out when it is written.
type AuthorizationServer struct {
	Issuer                                     string   `json:"issuer"`
	AuthorizationEndpoint                      string   `json:"authorization_endpoint,omitempty"`
	TokenEndpoint                              string   `json:"token_endpoint,omitempty"`
	JWKSURI                                    string   `json:"jwks_uri,omitempty"`
	ScopesSupported                            []string `json:"scopes_supported,omitempty"`
	ResponseTypesSupported                     []string `json:"response_types_supported,omitempty"`
	GrantTypesSupported                        []string `json:"grant_types_supported,omitempty"`
	TokenEndpointAuthMethodsSupported          []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	TokenEndpointAuthSigningAlgValuesSupported []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationEndpoint                         string   `json:"revocation_endpoint,omitempty"`
	RevocationEndpointAuthMethodsSupported     []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	RevocationEndpointAuthSigningAlgs          []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionEndpoint                      string   `json:"introspection_endpoint,omitempty"`
	// Of RFC 8705 §3.3 and §5.
	CertificateBoundAccessTokens bool         `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	MTLSEndpointAliases          *MTLSAliases `json:"mtls_endpoint_aliases,omitempty"`
}

// MTLSAliases are where a client that uses mutual TLS finds endpoints, in place of those
// that bear the same names (RFC 8705 §5). Empty: there.
type MTLSAliases struct {
	TokenEndpoint         string `json:"token_endpoint,omitempty"`
	RevocationEndpoint    string `json:"revocation_endpoint,omitempty"`
	IntrospectionEndpoint string `json:"introspection_endpoint,omitempty"`
}

// MTLSTokenEndpoint is where a client that uses mutual TLS gets its tokens: the alias, or
// else the token endpoint (RFC 8705 §5).
func (a AuthorizationServer) MTLSTokenEndpoint() string {
	if alias := orZero(a.MTLSEndpointAliases).TokenEndpoint; alias != "" {
		return alias
	}
	return a.TokenEndpoint
}

// ParseAuthorizationServer reads a document, unknown members ignored. Its error wraps
// [ErrDocument]. What it returns has yet to be checked by
// [AuthorizationServer.Validate].
func ParseAuthorizationServer(body []byte) (AuthorizationServer, error) {
	var a AuthorizationServer
	if err := json.Unmarshal(body, &a); err != nil {
		return AuthorizationServer{}, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	return a, nil
}

// Validate reports whether a may be used as the metadata of issuer: it names exactly
// that issuer (RFC 8414 §3.3) and its URLs are https, as [Configuration.Validate] has
// it. Its error wraps [ErrDocument].
func (a AuthorizationServer) Validate(issuer string) error {
	if err := validateIssuer(a.Issuer, issuer); err != nil {
		return err
	}
	aliases := orZero(a.MTLSEndpointAliases)
	return validateURLs(issuer, []member{
		{"authorization_endpoint", a.AuthorizationEndpoint},
		{"token_endpoint", a.TokenEndpoint},
		{"jwks_uri", a.JWKSURI},
		{"revocation_endpoint", a.RevocationEndpoint},
		{"introspection_endpoint", a.IntrospectionEndpoint},
		{"mtls_endpoint_aliases.token_endpoint", aliases.TokenEndpoint},
		{"mtls_endpoint_aliases.revocation_endpoint", aliases.RevocationEndpoint},
		{"mtls_endpoint_aliases.introspection_endpoint", aliases.IntrospectionEndpoint},
	})
}

// orZero is what v points to; the zero value if it is nil.
func orZero[T any](v *T) (to T) {
	if v != nil {
		to = *v
	}
	return to
}

// ProtectedResource is the metadata of a protected resource (RFC 9728 §2). Empty
// members are left out when it is written. There is one per endpoint, and its
// resource is the URL of that endpoint without query, so that both rules of RFC 9728
// §3.3 hold.
type ProtectedResource struct {
	Resource               string   `json:"resource"`
	AuthorizationServers   []string `json:"authorization_servers,omitempty"`
	ScopesSupported        []string `json:"scopes_supported,omitempty"`
	BearerMethodsSupported []string `json:"bearer_methods_supported,omitempty"` // for us ["header"]
	ResourceName           string   `json:"resource_name,omitempty"`
	// CertificateBoundAccessTokens: tokens that are bound to a certificate are taken
	// (RFC 8705 §3).
	CertificateBoundAccessTokens bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

// ParseProtectedResource reads a document, unknown members ignored. Its error wraps
// [ErrDocument]. What it returns has yet to be checked by
// [ProtectedResource.Validate].
func ParseProtectedResource(body []byte) (ProtectedResource, error) {
	var p ProtectedResource
	if err := json.Unmarshal(body, &p); err != nil {
		return ProtectedResource{}, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	return p, nil
}

// Validate reports whether p speaks for resource: the identifier from which the
// document's URL was made, or the URL that was requested if the document was named by
// WWW-Authenticate (RFC 9728 §3.3). Queries are not compared. The authorization
// servers it names are https, as [Configuration.Validate] has it. Its error wraps
// [ErrDocument].
func (p ProtectedResource) Validate(resource string) error {
	if err := validateIssuer(withoutQuery(p.Resource), withoutQuery(resource)); err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	members := make([]member, len(p.AuthorizationServers))
	for i, server := range p.AuthorizationServers {
		members[i] = member{"authorization_servers", server}
	}
	return validateURLs(withoutQuery(resource), members)
}

// ResourceMetadata returns the resource_metadata parameter of the WWW-Authenticate
// fields of an answer (RFC 9728 §5.1), and whether there is one.
func ResourceMetadata(header http.Header) (string, bool) {
	for _, field := range header.Values("WWW-Authenticate") {
		quoted := false
		for i := 0; i < len(field); i++ {
			switch {
			case field[i] == '"':
				quoted = !quoted
			case quoted && field[i] == '\\':
				i++
			case !quoted && (i == 0 || strings.IndexByte(" \t,", field[i-1]) >= 0):
				if value := resourceMetadata(field[i:]); value != "" {
					return value, true
				}
			}
		}
	}
	return "", false
}

// resourceMetadata returns the value of the parameter with which s begins; "" if it is
// another one.
func resourceMetadata(s string) string {
	const name = "resource_metadata="
	if len(s) < len(name) || !strings.EqualFold(s[:len(name)], name) {
		return ""
	}
	value := s[len(name):]
	if value, ok := strings.CutPrefix(value, `"`); ok {
		value, _, _ = strings.Cut(value, `"`)
		return value
	}
	if end := strings.IndexAny(value, " \t,"); end >= 0 {
		value = value[:end]
	}
	return value
}
