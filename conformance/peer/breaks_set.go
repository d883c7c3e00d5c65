package peer

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

// setBreaks are those of what SETs say and how they are signed.
func setBreaks() []Break {
	claim := func(name string, value any) func(*Draft) {
		return func(d *Draft) { d.Claims[name] = value }
	}
	lacks := func(name string) func(*Draft) {
		return func(d *Draft) { delete(d.Claims, name) }
	}
	header := func(name string, value any) func(*Draft) {
		return func(d *Draft) { d.Header[name] = value }
	}
	return append([]Break{
		drafts("SET-2-01", "events is an array", claim("events", []any{})),
		drafts("SET-2.2-01", "there is no iat", lacks("iat")),
		drafts("SET-2.2-02", "every SET has the same jti", func(d *Draft) { d.ID = "once"; d.Claims["jti"] = d.ID }),
		drafts("SET-2.2-03", "an event stands twice in events", func(d *Draft) {
			typ, _ := d.event()
			name := encoded(typ)
			twice := append(append(append([]byte(`"events":{`), name...), `:{},`...), name...)
			d.Encoded = bytes.Replace(encoded(d.Claims), append([]byte(`"events":{`), name...), twice, 1)
		}),
		drafts("SET-2.2-04", "there is no aud", lacks("aud")),
		drafts("SET-2.3-01", "typ has the prefix application/", header("typ", "application/secevent+jwt")),
		signs("SET-2.4-01", "alg is none and there is no signature", func(d *Draft) string {
			d.Header["alg"] = "none"
			return d.compact(func(string) []byte { return nil })
		}),
		does("SET-4-01", "its API takes a SET, or whatever has three parts, for an access token", func(c *conduct) { c.ownTokens = true }),
		signs("SET-5.1-01", "the signature is another text's", func(d *Draft) string {
			return d.compact(func(input string) []byte { return d.key.rs256(input + "x") })
		}),
		drafts("SSF-4.1.1-01", "there is no typ", func(d *Draft) { delete(d.Header, "typ") }),
		drafts("SSF-4.1.2-01", "there is a sub", claim("sub", "somebody")),
		drafts("SSF-4.1.7-01", "there is an exp, in an hour", claim("exp", time.Now().Add(time.Hour).Unix())),
		drafts("SSF-3.1-01", "there is no sub_id", lacks("sub_id")),
		drafts("SSF-4.1.6-01", "iss has a slash more than the issuer", func(d *Draft) { d.Claims["iss"] = d.Claims["iss"].(string) + "/" }),
		drafts("SSF-4.1.8-01", "aud is a number", claim("aud", 42)),
		drafts("SSF-4.1.8-02", "aud names another receiver, too", func(d *Draft) { d.Claims["aud"] = []any{d.Claims["aud"], "https://another-receiver.example"} }),
		drafts("SSF-4.1.9-01", "there is no txn", lacks("txn")),
		drafts("SSF-4.2.1-01", "two events of different types", func(d *Draft) {
			if events, ok := d.Claims["events"].(object); ok {
				events["https://schemas.openid.net/secevent/risc/event-type/account-enabled"] = object{}
			}
		}),
		drafts("SUBJ-3-02", "a subject of the format badge, which anybody might call his own", about(object{"format": "badge", "badge": "17"})),
		drafts("SUBJ-3.2-01", "a subject that is an email address as a URI", about(object{"format": "uri", "uri": "mailto:jo@example.com"})),
		drafts("JWT-3.1-01", "alg says PS256, the signature is RS256", header("alg", "PS256")),
		signs("JWT-3.2-01", "HS256, with the public key as the secret", func(d *Draft) string {
			d.Header["alg"] = "HS256"
			return d.compact(func(input string) []byte { return hs256(d.key, input) })
		}),
		drafts("JWT-3.7-01", "the claims are not UTF-8", func(d *Draft) {
			d.Encoded = append(bytes.TrimSuffix(encoded(d.Claims), []byte(`}`)), ",\"note\":\"\xe9t\xe9\"}"...)
		}),
		drafts("JWT-3.9-01", "aud is an empty list", claim("aud", []any{})),
		payload("CAEP-2-02", "initiating_entity is none of the four", func(p object) { p["initiating_entity"] = "robot" }),
		payload("CAEP-2-03", "reason_admin is a text, no object", func(p object) { p["reason_admin"] = "because" }),
		signs("INTEROP-2.6-01", "PS256", func(d *Draft) string {
			d.Header["alg"] = "PS256"
			return d.compact(d.key.ps256)
		}),
	}, append(subjectForms(), payloadForms()...)...)
}

// signs is a break of how SETs are signed.
func signs(id, text string, sign func(*Draft) string) Break {
	return Break{ID: id, Does: text, set: func(c *conduct) {
		c.signs = append(c.signs, func(_ *Transmitter, d *Draft) string { return sign(d) })
	}}
}

// payload is a break of the content of events, those about the stream itself excepted.
func payload(id, text string, alter func(p object)) Break {
	return drafts(id, text, func(d *Draft) {
		if _, p := d.event(); p != nil && !d.control {
			alter(p)
		}
	})
}

// about replaces the subject of events, those about the stream itself excepted.
func about(subject object) func(*Draft) {
	return func(d *Draft) {
		if !d.control {
			d.Claims["sub_id"] = subject
		}
	}
}

// subjectForms are malformed subjects of events, each of another format.
func subjectForms() []Break {
	id := func(id, text string, subject object) Break { return drafts(id, text, about(subject)) }
	mail := object{"format": "email", "email": "jo@example.com"}
	return []Break{
		id("SUBJ-3-01", "the subject has no format", object{"email": "jo@example.com"}),
		id("SUBJ-3.2.1-01", "an account without acct:", object{"format": "account", "uri": "jo@example.com"}),
		id("SUBJ-3.2.2-01", "an email with a display name", object{"format": "email", "email": "Jo <jo@example.com>"}),
		id("SUBJ-3.2.3-01", "an iss_sub with an empty sub", object{"format": "iss_sub", "iss": "https://idp.example", "sub": ""}),
		id("SUBJ-3.2.4-01", "an opaque without id", object{"format": "opaque", "id": ""}),
		id("SUBJ-3.2.5-01", "a phone number without its country", object{"format": "phone_number", "phone_number": "206 555 0100"}),
		id("SUBJ-3.2.6-01", "a did that is none", object{"format": "did", "url": "https://example.com/jo"}),
		id("SUBJ-3.2.7-01", "a uri that is none", object{"format": "uri", "uri": "not a uri"}),
		id("SUBJ-3.2.8-01", "aliases of none", object{"format": "aliases", "identifiers": []any{}}),
		id("SSF-3.3-01", "a complex subject in a complex one", object{"format": "complex", "user": object{"format": "complex", "user": mail}}),
		id("SSF-3.5.1-01", "a jwt_id without jti", object{"format": "jwt_id", "iss": "https://idp.example"}),
		id("SSF-3.5.2-01", "a saml_assertion_id without assertion_id", object{"format": "saml_assertion_id", "issuer": "https://idp.example"}),
		id("SSF-3.5.3-01", "ip-addresses that are none", object{"format": "ip-addresses", "ip-addresses": []any{"localhost"}}),
		id("RISC-3.1-01", "subject_type in place of format", object{"subject_type": "email", "email": "jo@example.com"}),
	}
}

// payloadForms are malformed contents of events, each of its type alone.
func payloadForms() []Break {
	of := func(id, text, typ string, alter func(p object)) Break {
		return drafts(id, text, func(d *Draft) {
			if got, p := d.event(); got == typ && p != nil {
				alter(p)
			}
		})
	}
	return []Break{
		of("CAEP-3.2-01", "a token-claims-change without claims", caep.TokenClaimsChangeType, func(p object) { delete(p, "claims") }),
		of("CAEP-3.3-01", "a credential-change without change_type", caep.CredentialChangeType, func(p object) { delete(p, "change_type") }),
		of("CAEP-3.4-01", "an assurance-level-change without namespace", caep.AssuranceLevelChangeType, func(p object) { delete(p, "namespace") }),
		of("CAEP-3.4-02", "an assurance-level-change with previous_level and no change_direction", caep.AssuranceLevelChangeType, func(p object) {
			p["previous_level"] = "nist-aal3"
			delete(p, "change_direction")
		}),
		of("CAEP-3.5-01", "a device-compliance-change without current_status", caep.DeviceComplianceChangeType, func(p object) { delete(p, "current_status") }),
		of("CAEP-3.8-01", "a risk-level-change of an unknown level", caep.RiskLevelChangeType, func(p object) { p["current_level"] = "SEVERE" }),
		of("RISC-2-01", "an account-purged with a member", risc.AccountPurgedType, func(p object) { p["note"] = "n" }),
		of("RISC-2.5-01", "an identifier-changed with new_value in place of new-value", risc.IdentifierChangedType, func(p object) {
			p["new_value"] = "jo@example.org"
			delete(p, "new-value")
		}),
		of("RISC-2.7-01", "a credential-compromise without credential_type", risc.CredentialCompromiseType, func(p object) { delete(p, "credential_type") }),
		of("INTEROP-3.1-01", "a session-revoked without reason_admin", caep.SessionRevokedType, func(p object) { delete(p, "reason_admin") }),
		of("INTEROP-3.2-01", "a credential-change without reason_admin", caep.CredentialChangeType, func(p object) { delete(p, "reason_admin") }),
	}
}

// hs256 signs with the public key, as who confuses the two would verify it.
func hs256(k *key, input string) []byte {
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil { // an RSA key always can be
		return nil
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(input))
	return mac.Sum(nil)
}

// ps256 signs by RSASSA-PSS.
func (k *key) ps256(input string) []byte {
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPSS(rand.Reader, k.private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil { // only a key too small for a digest
		return nil
	}
	return signature
}
