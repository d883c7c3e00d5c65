package peer

import (
	"net/http"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// metadata is the transmitter's configuration (SSF §7.1).
func (t *Transmitter) metadata(*request) *reply {
	doc := object{
		"spec_version":               "1_0",
		"issuer":                     t.cfg.Issuer,
		"jwks_uri":                   t.at("/jwks.json"),
		"delivery_methods_supported": []any{delivery.MethodPush, delivery.MethodPoll},
		"configuration_endpoint":     t.at("/streams"),
		"status_endpoint":            t.at("/status"),
		"add_subject_endpoint":       t.at("/subjects/add"),
		"remove_subject_endpoint":    t.at("/subjects/remove"),
		"verification_endpoint":      t.at("/verify"),
		"authorization_schemes":      []any{object{"spec_urn": "urn:ietf:rfc:6749"}},
		"default_subjects":           t.cfg.DefaultSubjects,
	}
	if t.cfg.CriticalMembers != nil {
		doc["critical_subject_members"] = t.cfg.CriticalMembers
	}
	return answer(http.StatusOK, doc)
}

// server is the metadata of the authorization server (RFC 8414 §2).
func (t *Transmitter) server(*request) *reply {
	return answer(http.StatusOK, object{
		"issuer":                                t.cfg.Issuer,
		"token_endpoint":                        t.at("/token"),
		"response_types_supported":              []any{"token"},
		"grant_types_supported":                 []any{"client_credentials"},
		"token_endpoint_auth_methods_supported": []any{"client_secret_basic", "client_secret_post"},
	})
}

// resource is the metadata of the streams endpoint as a protected resource (RFC 9728 §2).
func (t *Transmitter) resource(*request) *reply {
	return answer(http.StatusOK, object{
		"resource":                 t.at("/streams"),
		"authorization_servers":    []any{t.cfg.Issuer},
		"scopes_supported":         t.cfg.ResourceScopes,
		"bearer_methods_supported": []any{"header"},
	})
}

// keys is the key set (RFC 7517 §5).
func (t *Transmitter) keys(*request) *reply {
	list := []any{t.key.public()}
	for _, former := range t.former {
		list = append(list, former.public())
	}
	a := answer(http.StatusOK, object{"keys": list})
	a.header.Set("Content-Type", "application/jwk-set+json")
	return a
}
