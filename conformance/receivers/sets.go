package receivers

import (
	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/streams"
)

// taken is a probe of a SET that is unusual, and right.
func taken(what string, e peer.Event, breaks []string, ids ...string) probe {
	return probe{what: what, event: e, with: breaks, take: true, ids: ids}
}

// refused is a probe of a SET with a break.
func refused(what, name string, ids ...string) probe {
	return probe{what: what, with: []string{name}, ids: ids}
}

// goodSets are SETs that a receiver takes.
func (s *suite) goodSets(method string) []conformance.Check {
	return []conformance.Check{
		s.probing(method, "unusual-sets", "sends SETs that are unusual and right", func(*site) []probe {
			return []probe{
				taken("a SET with members that nobody knows", event(), []string{"extra-members"}, "SSF-4.2.3-02"),
				taken("a SET issued a year ago", event(), []string{"old"}, "SSF-4.1.7-01"),
				taken("typ application/secevent+jwt", event(), []string{"SET-2.3-01"}, "SSF-4.1.1-01"),
				taken("typ in other case", event(), []string{"typ-case"}, "SSF-4.1.1-01"),
				taken("an aud that is a list with another receiver in it", event(), []string{"aud-list"}, "SSF-4.1.8-03"),
				taken("an event of a type that nobody knows", of("urn:example:event", object{"a": 1}), nil, "EVT-01"),
				taken("a value outside a list of values", event(), []string{"unlisted-value"}, "EVT-02"),
				taken("an event_timestamp in milliseconds", event(), []string{"milliseconds"}, "EVT-02"),
				taken("an event about somebody who was not added", about(object{"format": "email", "email": "nobody@example.com"}), nil, "SSF-9.3-02"),
				taken("an RS256 signature by a key of 2,048 bits", event(), nil, "INTEROP-2.6-01"),
			}
		}),
		s.probing(method, "subjects", "sends events about subjects of every format", func(*site) []probe {
			var list []probe
			for _, one := range subjects() {
				list = append(list, taken("a subject of format "+one.sub["format"].(string), about(one.sub), nil, one.ids...))
			}
			return list
		}),
		s.probing(method, "credential-changes", "sends credential-change events of every kind", func(*site) []probe {
			var list []probe
			change := func(kind, what string) {
				list = append(list, taken("a credential-change of "+kind+", "+what, of(caep.CredentialChangeType, object{
					"credential_type": kind, "change_type": what, "reason_admin": object{"en": "conformance"},
				}), nil, "INTEROP-3.2-01"))
			}
			for _, what := range []string{"create", "revoke", "update", "delete"} {
				change("password", what)
			}
			for _, kind := range []string{"pin", "x509", "fido2-platform", "fido2-roaming", "fido-u2f", "verifiable-credential", "phone-voice", "phone-sms", "app"} {
				change(kind, "update")
			}
			return list
		}),
	}
}

// form is a good subject and the requirements that it is about.
type form struct {
	sub object
	ids []string
}

// subjects are those of every format.
func subjects() []form {
	user := object{"format": "iss_sub", "iss": "https://idp.example", "sub": "1234"}
	return []form{
		{email(), []string{"SUBJ-3.2.2-01", "INTEROP-2.5-01", "SUBJ-3-01"}},
		{user, []string{"SUBJ-3.2.3-01", "INTEROP-2.5-01"}},
		{object{"format": "opaque", "id": "11112222333344445555"}, []string{"SUBJ-3.2.4-01", "INTEROP-2.5-01"}},
		{object{"format": "account", "uri": "acct:jo@example.com"}, []string{"SUBJ-3.2.1-01"}},
		{object{"format": "phone_number", "phone_number": "+12065550100"}, []string{"SUBJ-3.2.5-01"}},
		{object{"format": "did", "url": "did:example:123456"}, []string{"SUBJ-3.2.6-01"}},
		{object{"format": "uri", "uri": "https://user.example.com/"}, []string{"SUBJ-3.2.7-01"}},
		{object{"format": "aliases", "identifiers": []any{email(), user}}, []string{"SUBJ-3.2.8-01"}},
		{object{"format": "jwt_id", "iss": "https://idp.example/123456789/", "jti": "B70BA622-9515-4353-A866-823539EECBC8"}, []string{"SSF-3.5.1-01"}},
		{object{"format": "saml_assertion_id", "issuer": "https://idp.example/123456789/", "assertion_id": "_8e8dc5f69a98cc4c1ff3427e5ce34606fd672f91e6"}, []string{"SSF-3.5.2-01"}},
		{object{"format": "ip-addresses", "ip-addresses": []any{"10.29.37.75", "2001:db8::1"}}, []string{"SSF-3.5.3-01"}},
		{object{"format": "complex", "user": user, "device": object{"format": "opaque", "id": "d-1"}, "session": object{"format": "opaque", "id": "s-1"}}, []string{"SSF-3.3-01"}},
		{object{"format": "urn:example:badge", "badge": "17"}, []string{"SUBJ-3-02", "SSF-3.4-01"}},
	}
}

// badSets are SETs that a receiver refuses.
func (s *suite) badSets(method string) []conformance.Check {
	return []conformance.Check{
		s.probing(method, "forged-sets", "sends SETs that are forged", func(*site) []probe {
			return []probe{
				refused("a SET with alg none", "SET-2.4-01", "SET-2.4-01"),
				refused("a SET whose signature is another text's", "SET-5.1-01", "JWT-3.3-01"),
				refused("a SET signed by a stranger's key under a published kid", "borrowed-kid", "JWT-3.3-01"),
				refused("a SET signed by the key in its own header", "own-key", "SSF-4.1.4-01"),
				refused("a SET of HS256 with the public key as the secret", "JWT-3.2-01", "JWT-3.2-01"),
				refused("a SET whose alg is not its signature's", "JWT-3.1-01", "JWT-3.1-01"),
				refused("a SET with a kid of 4,000 characters", "long-kid", "JWT-3.10-01"),
				refused("a SET with a kid that is a query", "injected-kid", "JWT-3.10-01"),
				taken("a good SET behind them", event(), nil, "JWT-3.10-01"),
			}
		}),
		s.probing(method, "foreign-sets", "sends SETs that are of others, or for others", func(*site) []probe {
			list := []probe{
				refused("iss of another transmitter", "wrong-iss", "SSF-4.1.6-02"),
				refused("iss with a slash more", "SSF-4.1.6-01", "SSF-4.1.6-02"),
				refused("aud of another receiver", "wrong-aud", "SSF-4.1.8-03"),
				refused("no aud", "SET-2.2-04", "JWT-3.9-01"),
				refused("an aud that is an empty list", "JWT-3.9-01", "JWT-3.9-01"),
			}
			list[0].code, list[1].code, list[2].code = delivery.CodeInvalidIssuer, delivery.CodeInvalidIssuer, delivery.CodeInvalidAudience
			return list
		}),
		s.probing(method, "malformed-sets", "sends SETs that are not what they should be", func(*site) []probe {
			return []probe{
				refused("events that is an array", "SET-2-01", "SET-2-01"),
				refused("events that is empty", "empty-events", "SET-2-01"),
				refused("events that is a text", "text-events", "SET-2-01"),
				refused("no events", "no-events", "SET-2-01"),
				refused("an event that is null", "null-event", "SET-2-01"),
				refused("no iat", "SET-2.2-01", "SET-2.2-01"),
				refused("no jti", "no-jti", "SET-2.2-01"),
				refused("an iat that is a text", "text-iat", "SET-2.2-01"),
				refused("no typ", "SSF-4.1.1-01", "SSF-4.1.1-01"),
				refused("typ of an access token", "typ-access-token", "SSF-4.1.1-01"),
				refused("no sub_id", "SSF-3.1-01", "SSF-3.1-01"),
				refused("an exp", "SSF-4.1.7-01", "SET-4-01"),
				refused("a sub beside sub_id", "SSF-4.1.2-01", "SET-4-01", "SUBJ-4.1-01"),
				refused("claims that are not UTF-8", "JWT-3.7-01", "JWT-3.7-01"),
				refused("claims with iss twice", "twice-iss", "JWT-3.7-01"),
				refused("a header with alg twice", "twice-alg", "JWT-3.7-01"),
			}
		}),
		s.probing(method, "malformed-subjects", "sends events about subjects that are none", func(*site) []probe {
			return []probe{
				refused("a subject without format", "SUBJ-3-01", "SUBJ-3-01"),
				refused("an account without acct:", "SUBJ-3.2.1-01", "SUBJ-3.2.1-01"),
				refused("an email with a display name", "SUBJ-3.2.2-01", "SUBJ-3.2.2-01"),
				refused("an iss_sub with an empty sub", "SUBJ-3.2.3-01", "SUBJ-3.2.3-01"),
				refused("an opaque without id", "SUBJ-3.2.4-01", "SUBJ-3.2.4-01"),
				refused("a phone number without its country", "SUBJ-3.2.5-01", "SUBJ-3.2.5-01"),
				refused("a did that is none", "SUBJ-3.2.6-01", "SUBJ-3.2.6-01"),
				refused("a uri that is none", "SUBJ-3.2.7-01", "SUBJ-3.2.7-01"),
				refused("aliases of none", "SUBJ-3.2.8-01", "SUBJ-3.2.8-01"),
				refused("a complex subject in a complex one", "SSF-3.3-01", "SSF-3.3-01"),
				refused("a jwt_id without jti", "SSF-3.5.1-01", "SSF-3.5.1-01"),
				refused("a saml_assertion_id without assertion_id", "SSF-3.5.2-01", "SSF-3.5.2-01"),
				refused("ip-addresses that are none", "SSF-3.5.3-01", "SSF-3.5.3-01"),
			}
		}),
		s.probing(method, "malformed-events", "sends events without their required members", func(*site) []probe {
			without := func(typ string, payload object) probe {
				return probe{what: "an event without a required member", event: of(typ, payload), ids: []string{"EVT-02"}}
			}
			return []probe{
				without(caep.CredentialChangeType, object{"credential_type": "password"}),
				without(caep.TokenClaimsChangeType, object{}),
				without(risc.CredentialCompromiseType, object{}),
			}
		}),
	}
}

// streamUpdated is an event by which the transmitter tells of a status.
func (at *site) streamUpdated(status string) peer.Event {
	return peer.Event{Type: streams.TypeStreamUpdated, Subject: object{"format": "opaque", "id": at.stream}, Payload: object{"status": status}}
}
