// Package wellknown holds the documents by which parties find each other: SSF
// transmitter configuration (SSF §7), key sets (RFC 7517), authorization server
// metadata (RFC 8414) and protected resource metadata (RFC 9728).
//
// For each document there is a value, a handler that serves it and a [Client] method
// that fetches, checks and caches it. [RemoteKeys] turns the documents of trusted
// issuers into the keys that verify their tokens.
package wellknown

import (
	"errors"
	"net/url"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// Names of documents below /.well-known/.
const (
	NameConfiguration       = "ssf-configuration"
	NameRISCConfiguration   = "risc-configuration" // transmitters of old drafts (SSF §7.2.2)
	NameSSEConfiguration    = "sse-configuration"  // transmitters of old drafts
	NameAuthorizationServer = "oauth-authorization-server"
	NameOpenID              = "openid-configuration" // OpenID Connect; appended, and inserted as RFC 8414 §5 has it
	NameProtectedResource   = "oauth-protected-resource"
)

// URL returns where the configuration of issuer is found: the well-known name is
// inserted between host and path, after a trailing slash has been removed (SSF §7.2).
//
// An issuer is an https URL (http is for loopback) without query, fragment and user
// information.
func URL(issuer string) (string, error) { return Inserted(NameConfiguration)(issuer) }

// Path returns the path of [URL], for mounting [Handler]; "" if issuer is none.
func Path(issuer string) string { return insertedPath(NameConfiguration, issuer) }

// FormerPaths returns the paths under which the drafts had the metadata of an issuer:
// sse-configuration and risc-configuration, inserted as [Path] is.
func FormerPaths(issuer string) []string {
	return []string{insertedPath(NameSSEConfiguration, issuer), insertedPath(NameRISCConfiguration, issuer)}
}

// AuthorizationServerURL returns where the metadata of the authorization server
// issuer is found (RFC 8414 §3.1).
func AuthorizationServerURL(issuer string) (string, error) {
	return Inserted(NameAuthorizationServer)(issuer)
}

// AuthorizationServerPath returns the path of [AuthorizationServerURL]; "" if issuer
// is none.
func AuthorizationServerPath(issuer string) string {
	return insertedPath(NameAuthorizationServer, issuer)
}

// ProtectedResourceURL returns where the metadata of resource is found (RFC 9728
// §3.1). A query is left out: resources here have none (see [ProtectedResource]).
func ProtectedResourceURL(resource string) (string, error) {
	return Inserted(NameProtectedResource)(withoutQuery(resource))
}

// ProtectedResourcePath returns the path of [ProtectedResourceURL]; "" if resource is
// no resource identifier.
func ProtectedResourcePath(resource string) string {
	return insertedPath(NameProtectedResource, withoutQuery(resource))
}

// A Location says where the document of an issuer is found.
type Location func(issuer string) (string, error)

// Inserted puts /.well-known/name between host and path of the issuer, as SSF, RFC
// 8414 and RFC 9728 have it.
func Inserted(name string) Location {
	return func(issuer string) (string, error) {
		u, err := parseIssuer(issuer)
		if err != nil {
			return "", err
		}
		path, escaped := trimSlash(u.Path), trimSlash(u.EscapedPath())
		u.Path, u.RawPath = wellKnown(name)+path, wellKnown(name)+escaped
		return u.String(), nil
	}
}

// Appended puts /.well-known/name behind the path of the issuer, as OpenID Connect
// and some transmitters have it.
func Appended(name string) Location {
	return func(issuer string) (string, error) {
		u, err := parseIssuer(issuer)
		if err != nil {
			return "", err
		}
		path, escaped := trimSlash(u.Path), trimSlash(u.EscapedPath())
		u.Path, u.RawPath = path+wellKnown(name), escaped+wellKnown(name)
		return u.String(), nil
	}
}

func insertedPath(name, issuer string) string {
	u, err := parseIssuer(issuer)
	if err != nil {
		return ""
	}
	return wellKnown(name) + trimSlash(u.Path)
}

func wellKnown(name string) string { return "/.well-known/" + name }

func trimSlash(path string) string { return strings.TrimSuffix(path, "/") }

func withoutQuery(resource string) string {
	before, _, _ := strings.Cut(resource, "?")
	return before
}

// parseIssuer checks the shape of an issuer or resource identifier (SSF §7.1, RFC
// 8414 §2, RFC 9728 §1.2). Whether its host may be called is the HTTP client's matter.
func parseIssuer(issuer string) (*url.URL, error) {
	if strings.ContainsAny(issuer, "?#") {
		return nil, errors.New("issuer has a query or fragment")
	}
	return parseEndpoint(issuer)
}

// parseEndpoint checks that raw is an absolute http or https URL with a host and
// without user information.
func parseEndpoint(raw string) (*url.URL, error) {
	if len(raw) > guard.MaxURLBytes {
		return nil, errors.New("URL too long")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("URL is not https")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("URL has no host")
	case u.User != nil:
		return nil, errors.New("URL has user information")
	}
	return u, nil
}
