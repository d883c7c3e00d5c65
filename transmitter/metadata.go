package transmitter

import (
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// configuration is the metadata of SSF §7.1.
func (t *Transmitter) configuration() wellknown.Configuration {
	return wellknown.Configuration{
		SpecVersion:              wellknown.SpecVersion,
		Issuer:                   t.cfg.Issuer,
		JWKSURI:                  t.root + pathJWKS,
		DeliveryMethodsSupported: []string{delivery.MethodPush, delivery.MethodPoll},
		ConfigurationEndpoint:    t.root + pathStreams,
		StatusEndpoint:           t.root + pathStatus,
		AddSubjectEndpoint:       t.root + pathAddSubject,
		RemoveSubjectEndpoint:    t.root + pathRemoveSubject,
		VerificationEndpoint:     t.root + pathVerify,
		AuthorizationSchemes:     []wellknown.AuthorizationScheme{{SpecURN: wellknown.SchemeOAuth2URN}},
		DefaultSubjects:          string(t.cfg.DefaultSubjects),
	}
}

// authorizationServer is the metadata of RFC 8414.
func (t *Transmitter) authorizationServer() wellknown.AuthorizationServer {
	methods, algorithms := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}, algorithms()
	if t.cfg.Certificates {
		if t.cfg.ClientCAs != nil {
			methods = append(methods, "tls_client_auth")
		}
		methods = append(methods, "self_signed_tls_client_auth")
	}
	return wellknown.AuthorizationServer{
		Issuer:              t.cfg.Issuer,
		TokenEndpoint:       t.root + pathToken,
		RevocationEndpoint:  t.root + pathRevoke,
		JWKSURI:             t.root + pathJWKS,
		ScopesSupported:     scopes(),
		GrantTypesSupported: []string{"client_credentials"},

		TokenEndpointAuthMethodsSupported:          methods,
		TokenEndpointAuthSigningAlgValuesSupported: algorithms,
		RevocationEndpointAuthMethodsSupported:     methods,
		RevocationEndpointAuthSigningAlgs:          algorithms,

		CertificateBoundAccessTokens: t.cfg.Certificates, MTLSEndpointAliases: t.aliases(),
	}
}

// aliases are where the OAuth endpoints are for clients with a certificate; nil: where they
// are for all.
func (t *Transmitter) aliases() *wellknown.MTLSAliases {
	if t.cfg.CertificateURL == "" {
		return nil
	}
	root := strings.TrimSuffix(t.cfg.CertificateURL, "/")
	return &wellknown.MTLSAliases{TokenEndpoint: root + pathToken, RevocationEndpoint: root + pathRevoke}
}

// oauthEndpoints are the URLs that clients may make assertions for.
func (t *Transmitter) oauthEndpoints() []string {
	all := []string{t.root + pathToken, t.root + pathRevoke}
	if with := t.aliases(); with != nil {
		all = append(all, with.TokenEndpoint, with.RevocationEndpoint)
	}
	return all
}

// algorithms are those that clients may sign their assertions with.
func algorithms() []string {
	return []string{string(jose.RS256), string(jose.PS256), string(jose.ES256), string(jose.EdDSA)}
}

// resourceMetadata returns the URL of the document of RFC 9728 for a path of
// ours, or "" if it has none of its own.
func (t *Transmitter) resourceMetadata(path string) string {
	path = strings.TrimPrefix(path, t.base)
	if !slices.Contains(resources(), path) {
		return ""
	}
	u, err := wellknown.ProtectedResourceURL(t.root + path)
	if err != nil {
		return ""
	}
	return u
}

// resources are the endpoints that have a document of RFC 9728 each.
func resources() []string {
	return []string{pathStreams, pathStatus, pathAddSubject, pathRemoveSubject, pathVerify, pathEvents}
}

// protectedResource is the metadata of RFC 9728, one document per endpoint (U30).
func (t *Transmitter) protectedResource(resource string) wellknown.ProtectedResource {
	return wellknown.ProtectedResource{
		Resource:               resource,
		AuthorizationServers:   []string{t.issuerOfTokens()},
		ScopesSupported:        scopes(),
		BearerMethodsSupported: []string{"header"},

		CertificateBoundAccessTokens: t.cfg.Certificates,
	}
}

func scopes() []string {
	var names []string
	for _, s := range auth.DefaultRules().Scopes() {
		names = append(names, string(s))
	}
	return names
}
