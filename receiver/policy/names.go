package policy

import (
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/ssf"
)

// Event types of Google that are in no OpenID profile: all tokens of a user, or one.
const (
	TokensRevokedType = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked"
	TokenRevokedType  = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked"
)

// Names returns the event types that rules may call by name, by their names: the last
// segment of the URI of each type of CAEP and RISC, and of Google's two.
func Names() map[string]string {
	names := map[string]string{}
	for _, uri := range slices.Concat(caep.Types(), risc.Types(), []string{TokensRevokedType, TokenRevokedType}) {
		names[nameOf(uri)] = uri
	}
	return names
}

// nameOf returns the last segment of the URI of an event type.
func nameOf(uri string) string { return uri[strings.LastIndexByte(uri, '/')+1:] }

// control reports whether an event is about the stream and never comes to a hook.
func control(uri string) bool { return slices.Contains(ssf.Types(), uri) }

// controlName reports whether name is that of such an event.
func controlName(name string) bool {
	return slices.ContainsFunc(ssf.Types(), func(uri string) bool { return nameOf(uri) == name })
}
