package set_test

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	otherType  = "https://schemas.openid.net/secevent/caep/event-type/session-established"
	innerEmail = `"subject":{"format":"email","email":"jdoe@example.com"}`
)

// changes are the vectors, by the sections of the requirement list.
func changes() []change {
	return slices.Concat(envelope(), typed(), algorithms(), requiredClaims(), audiences(), times(),
		forbiddenClaims(), subjects(), innerSubjects(), events(), duplicates(), unknown(), limits())
}

func swap(old, new string) func(string) string {
	return func(compact string) string { return strings.Replace(compact, old, new, 1) }
}

// The compact form itself (U21, RFC 7515 §7.1).
func envelope() []change {
	part := func(n int, f func(string) string) func(string) string {
		return func(compact string) string {
			parts := strings.Split(compact, ".")
			parts[n] = f(parts[n])
			return strings.Join(parts, ".")
		}
	}
	with := func(s string) func(string) string { return func(string) string { return s } }
	return []change{
		{name: "SET-2.2-01 good", want: accepted},
		{name: "PUSH-2.4-01 empty body", bend: with(""), want: notJWS},
		{name: "PUSH-2.4-01 no token", bend: with("hello"), want: notJWS},
		{name: "PUSH-2.4-01 claims unsigned as JSON", bend: with(claims), want: notJWS},
		{name: "PUSH-2.4-01 two parts", bend: func(s string) string { return s[:strings.LastIndexByte(s, '.')] }, want: notJWS},
		{name: "JWT-3.11-01 five parts of an encrypted SET", bend: with("eyJhbGciOiJkaXIifQ.a.a.a.a"), want: notJWE},
		{name: "JWT-3.11-01 a nested JWT in a JWS", header: `{"alg":"RS256","kid":"test","typ":"secevent+jwt","cty":"JWT"}`, new: "eyJhbGciOiJub25lIn0.e30.", want: notObject},
		{name: "PUSH-2.4-01 padding", bend: func(s string) string { return s + "==" }, want: notJWS},
		{name: "PUSH-2.4-01 line break at the end", bend: func(s string) string { return s + "\r\n" }, want: notJWS},
		{name: "PUSH-2.4-01 space before", bend: func(s string) string { return " " + s }, want: notJWS},
		{name: "JWT-3.3-01 signature of another message", bend: part(2, func(string) string { return strings.Repeat("A", 342) }), want: badSignature},
		{name: "JWT-3.3-01 signature cut", bend: part(2, func(s string) string { return s[:len(s)-2] }), want: badSignature},
		{name: "JWT-3.3-01 signature empty", bend: part(2, func(string) string { return "" }), want: badSignature},
		{name: "JWT-3.3-01 header changed", bend: part(0, swap("eyJhbGciOiJSUzI1NiIs", "eyJhbGciOiJSUzI1NiIg")), want: notJWS},
		{name: "JWT-3.3-01 kid of another key", header: `{"alg":"RS256","kid":"other","typ":"secevent+jwt"}`, want: verdict{key, "the issuer has no key of this kid"}},
	}
}

// typ (SET-2.3-01, SSF-4.1.1-01, U1).
func typed() []change {
	head := func(typ string) string { return `{"alg":"RS256","kid":"test"` + typ + `}` }
	return []change{
		{name: "SSF-4.1.1-01 no typ", header: head(""), want: badType, tolerances: set.Tolerances{TypJWT: true}, tolerant: accepted},
		{name: "SSF-4.1.1-01 typ empty", header: head(`,"typ":""`), want: badType, tolerances: set.Tolerances{TypJWT: true}, tolerant: accepted},
		{name: "SSF-4.1.1-01 other case", header: head(`,"typ":"SecEvent+JWT"`), want: accepted},
		{name: "SSF-4.1.1-01 prefix", header: head(`,"typ":"application/secevent+jwt"`), want: accepted},
		{name: "SSF-4.1.1-01 prefix in other case", header: head(`,"typ":"Application/SECEVENT+jwt"`), want: accepted},
		{name: "SET-4-01 typ of an access token", header: head(`,"typ":"at+jwt"`), want: badType},
		{name: "SET-4-01 typ of any JWT", header: head(`,"typ":"JWT"`), want: badType, tolerances: set.Tolerances{TypJWT: true}, tolerant: accepted},
		{name: "SET-4-01 typ of any JWT in other case", header: head(`,"typ":"jwt"`), want: badType, tolerances: set.Tolerances{TypJWT: true}, tolerant: accepted},
		{name: "SET-4-01 typ of a logout token", header: head(`,"typ":"logout+jwt"`), want: badType},
		{name: "SSF-4.1.1-01 letter that folds to an ASCII one", header: head(`,"typ":"\u017fecevent+jwt"`), want: badType},
		{name: "SSF-4.1.1-01 other prefix", header: head(`,"typ":"text/secevent+jwt"`), want: badType},
		{name: "SSF-4.1.1-01 typ a number", header: head(`,"typ":1`), want: notJWS},
		{name: "SSF-4.1.1-01 typ null", header: head(`,"typ":null`), want: notJWS},
	}
}

// alg and kid (SET-2.4-01, JWT-3.1-01, JWT-3.2-01, JWT-3.10-01, SSF-4.1.4-01).
func algorithms() []change {
	head := func(alg string) string { return `{"alg":"` + alg + `","kid":"test","typ":"secevent+jwt"}` }
	unsigned := func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] }
	list := []change{
		{name: "SET-2.4-01 unsecured", header: head("none"), bend: unsigned, want: badAlgorithm},
		{name: "SET-2.4-01 none with a signature", header: head("none"), want: badAlgorithm},
		{name: "SET-2.4-01 no alg", header: `{"kid":"test","typ":"secevent+jwt"}`, want: notJWS},
		{name: "JWT-3.10-01 no kid", header: `{"alg":"RS256","typ":"secevent+jwt"}`, want: verdict{key, "the header has no kid"}, tolerances: set.Tolerances{NoKid: true}, tolerant: accepted},
		{name: "JWT-3.10-01 no kid, and the signature of another key", header: `{"alg":"RS256","typ":"secevent+jwt"}`, bend: func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] + strings.Repeat("A", 342) }, want: verdict{key, "the header has no kid"}, tolerances: set.Tolerances{NoKid: true}, tolerant: badSignature},
		{name: "JWT-3.10-01 kid in other case", header: `{"alg":"RS256","kid":"TEST","typ":"secevent+jwt"}`, want: verdict{key, "the issuer has no key of this kid"}},
		{name: "JWT-3.10-01 kid too long", header: `{"alg":"RS256","typ":"secevent+jwt","kid":"` + strings.Repeat("k", jose.MaxKeyIDBytes+1) + `"}`, want: tooLarge},
		{
			name:   "SSF-4.1.4-01 places to find keys are not looked at",
			header: `{"alg":"RS256","kid":"test","typ":"secevent+jwt","jku":"https://attacker.example/jwks","x5u":"https://attacker.example/x5u","jwk":{"kty":"oct","k":"AAAA"},"x5c":["AAAA"]}`, want: accepted,
		},
		{name: "RFC 7515 4.1.11 crit", header: `{"alg":"RS256","kid":"test","typ":"secevent+jwt","crit":["exp"],"exp":1}`, want: notJWS},
		{name: "RFC 7797 b64", header: `{"alg":"RS256","kid":"test","typ":"secevent+jwt","b64":false}`, want: notJWS},
		{name: "SSF-4.2.3-02 unknown members of the header", header: `{"x":{"a":[1]},"alg":"RS256","kid":"test","typ":"secevent+jwt","x5t":"a"}`, want: accepted},
		{name: "JWT-3.7-01 header not UTF-8", header: "{\"alg\":\"RS256\",\"kid\":\"test\",\"typ\":\"secevent+jwt\",\"x\":\"\xff\"}", want: notJWS},
	}
	for _, alg := range []string{"None", "NONE", "HS256", "HS512", "rs256", "RS384", "RS512", "PS256", "ES256", "EdDSA", "RSA-OAEP", ""} {
		want := badAlgorithm
		if alg == "" {
			want = notJWS
		}
		list = append(list, change{name: "JWT-3.2-01 alg " + strconv.Quote(alg), header: head(alg), want: want})
	}
	return list
}

// iss, jti, iat (SET-2.2-01, SSF-4.1.6-02) and the form of the claims.
func requiredClaims() []change {
	iss := func(value string) string { return `"iss":` + value + `,"jti"` }
	const noIss, noJTI, noIat = `"jti"`, `"x":1`, `"x":1`
	return []change{
		{name: "SET-2.2-01 no iss", old: issClaim, new: noIss, want: wrong("iss is missing")},
		{name: "SET-2.2-01 iss a number", old: issClaim, new: iss("1"), want: wrong("iss must be a string")},
		{name: "SET-2.2-01 iss null", old: issClaim, new: iss("null"), want: wrong("iss must be a string"), tolerances: set.Tolerances{NullMembers: true}, tolerant: wrong("iss is missing")},
		{name: "SET-2.2-01 iss empty", old: issClaim, new: iss(`""`), want: wrong("iss is empty or too long")},
		{name: "SSF-4.1.6-02 other issuer", old: issClaim, new: iss(`"https://idp.example.com/other"`), want: badIssuer},
		{name: "SSF-4.1.6-02 slash at the end", old: issClaim, new: iss(`"https://idp.example.com/tenant/"`), want: badIssuer},
		{name: "SSF-4.1.6-02 other case", old: issClaim, new: iss(`"https://IDP.example.com/tenant"`), want: badIssuer},
		{name: "SSF-4.1.6-02 the same in escapes", old: issClaim, new: iss(`"https:\/\/idp.example.com\/tenan\u0074"`), want: accepted},
		{name: "SET-2.2-01 no jti", old: jtiClaim, new: noJTI, want: wrong("jti is missing")},
		{name: "SET-2.2-01 jti a number", old: jtiClaim, new: `"jti":17`, want: wrong("jti must be a string")},
		{name: "SET-2.2-01 jti empty", old: jtiClaim, new: `"jti":""`, want: wrong("jti is empty or too long")},
		{name: "SET-2.2-01 no iat", old: iatClaim, new: noIat, want: wrong("iat is missing")},
		{name: "SET-2.2-01 iat a string", old: iatClaim, new: `"iat":"1763999940"`, want: wrong("iat must be a number")},
		{name: "SET-2.2-01 iat null", old: iatClaim, new: `"iat":null`, want: wrong("iat must be a number"), tolerances: set.Tolerances{NullMembers: true}, tolerant: wrong("iat is missing")},
		{name: "SET-2.2-01 iat negative", old: iatClaim, new: `"iat":-1`, want: wrong("iat must be seconds since 1970")},
		{name: "SET-2.2-01 iat beyond the year 9999", old: iatClaim, new: `"iat":253402300800`, want: wrong("iat must be seconds since 1970")},
		{name: "SET-2.2-01 iat beyond every number", old: iatClaim, new: `"iat":1e400`, want: wrong("iat must be seconds since 1970")},
		{name: "JWT-3.7-01 claims an array", new: `[` + claims + `]`, want: notObject},
		{name: "JWT-3.7-01 claims null", new: `null`, want: notObject},
		{name: "JWT-3.7-01 claims of spaces", new: ` `, want: notObject},
		{name: "JWT-3.7-01 claims twice", new: claims + claims, want: notJSON},
		{name: "JWT-3.7-01 claims cut", new: claims[:len(claims)-1], want: notJSON},
		{name: "JWT-3.7-01 space around", new: " \n" + claims + "\t", want: accepted},
		{name: "JWT-3.7-01 byte order mark", new: "\ufeff" + claims, want: notObject},
		{name: "JWT-3.7-01 not UTF-8", old: jtiClaim, new: "\"jti\":\"a\xff\"", want: notJSON},
		{name: "JWT-3.7-01 not UTF-8 in an unknown member", old: txnClaim, new: "\"x\":[\"\xc3\"]", want: notJSON},
		{name: "JWT-3.7-01 half a surrogate pair", old: jtiClaim, new: `"jti":"\ud800"`, want: notJSON},
	}
}

// aud (SSF-4.1.8-03, JWT-3.9-01) and txn (L12).
func audiences() []change {
	aud := func(name, value string, want verdict) change {
		return change{name: name, old: audClaim, new: `"aud":` + value, want: want}
	}
	numeric := set.Tolerances{TxnNumber: true}
	return []change{
		{name: "JWT-3.9-01 no aud", old: audClaim, new: `"x":1`, want: badAudience},
		aud("SSF-4.1.8-03 ours among others", `["https://else.example","https://rp.example.com"]`, accepted),
		aud("SSF-4.1.8-03 another one of ours", `["other"]`, accepted),
		aud("SSF-4.1.8-03 foreign", `"https://else.example"`, badAudience),
		aud("SSF-4.1.8-03 foreign ones", `["https://else.example","https://rp.example.com/"]`, badAudience),
		{name: "SSF-4.1.8-03 the URL of the push endpoint", old: audClaim, new: `"aud":"https://rp.example.com/push"`, want: badAudience, tolerances: set.Tolerances{AudIsURLOfPush: true}, tolerant: accepted},
		aud("SSF-4.1.8-03 other case", `"HTTPS://rp.example.com"`, badAudience),
		aud("SSF-4.1.8-03 none of it", `[]`, badAudience),
		aud("SSF-4.1.8-03 a number", `1`, wrong("aud must be a string")),
		{name: "SSF-4.1.8-03 null", old: audClaim, new: `"aud":null`, want: wrong("aud must be a string"), tolerances: set.Tolerances{NullMembers: true}, tolerant: badAudience},
		aud("SSF-4.1.8-03 an array in an array", `[["https://rp.example.com"]]`, wrong("aud must be a string")),
		aud("SSF-4.1.8-03 a number beside ours", `["https://rp.example.com",1]`, wrong("aud must be a string")),
		aud("SSF-4.1.8-03 an empty one beside ours", `["https://rp.example.com",""]`, wrong("aud is empty or too long")),
		{name: "SSF-4.1.9-01 no txn", old: txnClaim, new: `"x":1`, want: accepted},
		{name: "SET-2.2-05 txn a number", old: txnClaim, new: `"txn":8675309`, want: wrong("txn must be a string"), tolerances: numeric, tolerant: accepted},
		{name: "PUSH-5.4-01 txn a number too long", old: txnClaim, new: `"txn":1` + strings.Repeat("0", set.MaxIDBytes), want: wrong("txn must be a string"), tolerances: numeric, tolerant: wrong("txn is too long")},
		{name: "SET-2.2-05 txn null", old: txnClaim, new: `"txn":null`, want: wrong("txn must be a string"), tolerances: set.Tolerances{NullMembers: true}, tolerant: accepted},
		{name: "SET-2.2-05 txn an object", old: txnClaim, new: `"txn":{}`, want: wrong("txn must be a string")},
		{name: "SET-2.2-05 txn empty", old: txnClaim, new: `"txn":""`, want: wrong("txn is empty or too long")},
	}
}

// iat and toe (U33, SET-2.2-05, SSF-4.1.7-01).
func times() []change {
	iat := func(name, value string, want verdict) change {
		return change{name: name, old: iatClaim, new: `"iat":` + value, want: want}
	}
	return []change{
		iat("SSF-4.1.7-01 decades old", `1`, accepted),
		iat("SSF-4.1.7-01 from 1970", `0`, accepted),
		iat("RFC 7519 2 fraction", `1763999940.5`, accepted),
		iat("RFC 7519 2 exponent", `1.76399994e9`, accepted),
		iat("OIDF-05 five minutes ahead", `1764000300`, accepted),
		iat("OIDF-05 a second more", `1764000301`, inFuture),
		iat("OIDF-05 a moment more", `1764000300.001`, inFuture),
		iat("OIDF-05 milliseconds", `1763999940000`, wrong("iat must be seconds since 1970")),
		{name: "SET-2.2-05 toe", old: txnClaim, new: `"toe":1763999000`, want: accepted},
		{name: "SET-2.2-05 toe ahead", old: txnClaim, new: `"toe":1864000000`, want: accepted},
		{name: "SET-2.2-05 toe a string", old: txnClaim, new: `"toe":"1763999000"`, want: wrong("toe must be a number")},
		{name: "SET-2.2-05 toe negative", old: txnClaim, new: `"toe":-0.5`, want: wrong("toe must be seconds since 1970")},
	}
}

// sub and exp (SSF-4.1.2-01, SSF-4.1.7-01, SET-4-01, U2).
func forbiddenClaims() []change {
	add := func(name, member string, want verdict, tolerances set.Tolerances, tolerant verdict) change {
		return change{name: name, old: txnClaim, new: member, want: want, tolerances: tolerances, tolerant: tolerant}
	}
	sub, exp := set.Tolerances{SubPresent: true}, set.Tolerances{ExpPresent: true}
	nulls := set.Tolerances{NullMembers: true}
	return []change{
		add("SSF-4.1.2-01 sub", `"sub":"145234573"`, hasSub, sub, accepted),
		add("SSF-4.1.2-01 sub null", `"sub":null`, hasSub, nulls, accepted),
		add("SSF-4.1.2-01 sub in escapes", `"s\u0075b":"145234573"`, hasSub, sub, accepted),
		add("SUBJ-4.1-01 sub of another subject", `"sub":"someone else"`, hasSub, sub, accepted),
		add("SSF-4.1.7-01 exp past", `"exp":1`, hasExp, exp, expired),
		add("SSF-4.1.7-01 exp ahead", `"exp":1864000000`, hasExp, exp, accepted),
		add("SSF-4.1.7-01 exp now, within the skew", `"exp":1764000000`, hasExp, exp, accepted),
		add("SSF-4.1.7-01 exp beyond the skew by a moment", `"exp":1763999700.001`, hasExp, exp, accepted),
		add("SSF-4.1.7-01 exp as old as the skew", `"exp":1763999700`, hasExp, exp, expired),
		add("SSF-4.1.7-01 exp a string", `"exp":"1864000000"`, hasExp, exp, wrong("exp must be a number")),
		add("SSF-4.1.7-01 exp null", `"exp":null`, hasExp, nulls, accepted),
		add("SET-4-01 an ID token with events", `"sub":"145234573","exp":1864000000,"nonce":"n"`, hasSub, sub.With(exp), accepted),
		add("SET-4-01 an old ID token with events", `"sub":"145234573","exp":1,"nonce":"n"`, hasSub, sub.With(exp), expired),
		{name: "SET-4-01 an ID token", new: `{"iss":"https://idp.example.com/tenant","sub":"145234573","aud":"https://rp.example.com","iat":1763999940,"exp":1864000000}`, want: wrong("jti is missing")},
	}
}

// sub_id (SSF-3.1-01, SUBJ-4.1-01) and its older forms (L2, L3, L4).
func subjects() []change {
	sub := func(name, value string, want verdict) change {
		return change{name: name, old: subjectJSON, new: value, want: want}
	}
	legacy := func(name, value string, l set.Tolerances) change {
		return change{name: name, old: subjectJSON, new: value, want: badSubject, tolerances: l, tolerant: accepted}
	}
	return []change{
		{name: "SSF-3.1-01 no sub_id", old: `"sub_id":` + subjectJSON, new: `"x":1`, want: noSubject},
		{name: "SSF-3.1-01 null", old: subjectJSON, new: `null`, want: badSubject, tolerances: set.Tolerances{NullMembers: true}, tolerant: noSubject},
		legacy("SSF-3.3-01 a null member of a complex subject", `{"format":"complex","user":{"format":"email","email":"a@example.com"},"session":null}`, set.Tolerances{NullMembers: true}),
		sub("SSF-3.1-01 a string", `"145234573"`, badSubject),
		sub("SSF-3.1-01 an array", `[`+subjectJSON+`]`, badSubject),
		sub("SUBJ-3-01 no format", `{"id":"145234573"}`, badSubject),
		sub("SUBJ-3-01 a member missing", `{"format":"iss_sub","sub":"145234573"}`, badSubject),
		sub("SUBJ-3-01 a member that the format does not describe", `{"format":"email","email":"a@example.com","x":1}`, accepted), // U3
		sub("SUBJ-3-02 unknown format", `{"format":"catalog_item","catalog_id":"c0384"}`, accepted),
		sub("SSF-3.3-01 complex", `{"format":"complex","user":{"format":"email","email":"a@example.com"},"tenant":{"format":"opaque","id":"t"}}`, accepted),
		sub("SSF-3.3-01 complex in complex", `{"format":"complex","user":{"format":"complex","user":{"format":"opaque","id":"a"}}}`, badSubject),
		sub("SUBJ-3.2.3-01 the iss of the subject is another one", `{"format":"iss_sub","iss":"https://else.example","sub":"1"}`, accepted),
		legacy("RISC-3.1-01 subject_type", `{"subject_type":"email","email":"a@example.com"}`, set.Tolerances{SubjectTypeAlias: true}),
		legacy("RISC-3.1-01 subject_type and an old format name", `{"subject_type":"iss-sub","iss":"a","sub":"b"}`, set.Tolerances{SubjectTypeAlias: true}),
		legacy("RISC-3.1-01 id_token_claims of an e-mail address", `{"subject_type":"id_token_claims","email":"a@example.com"}`, set.Tolerances{SubjectTypeAlias: true}),
		legacy("SSF-3.3-01 complex without format", `{"user":{"format":"email","email":"a@example.com"}}`, set.Tolerances{ComplexWithoutFormat: true}),
	}
}

// The subject inside the event (SSF-3.1-01, SSF-3.1.1-01, L1).
func innerSubjects() []change {
	inner := set.Tolerances{SubjectInEvent: true}
	without := func(events string) string { return `"events":` + events }
	const both = `"sub_id":` + subjectJSON + `,"events":` + eventsJSON
	one := func(payload string) string { return `{"` + revokedType + `":` + payload + `}` }
	duplicated := set.Tolerances{SubjectDuplicated: true}
	const email = `"sub_id":{"format":"email","email":"jdoe@example.com"}`
	return []change{
		{name: "SSF-3.1.1-01 both, the same", old: both, new: email + `,` + without(one(`{`+innerEmail+`}`)), want: accepted},
		{name: "SSF-3.1.2-01 both, the same, in an event that is of neither CAEP nor RISC", old: both, new: email + `,` + without(`{"https://schemas.openid.net/secevent/new/event-type/any":{`+innerEmail+`}}`), want: twoPlaces, tolerances: duplicated, tolerant: accepted},
		{name: "SSF-3.1.1-01 both, the inner one in escapes", old: both, new: email + `,` + without(one(`{"s\u0075bject":{"email":"jdoe@example.com","format":"email"}}`)), want: accepted},
		{name: "SSF-3.1.1-01 both, of different people", old: payloadJSON, new: `{` + innerEmail + `}`, want: twoSubjects, tolerances: duplicated, tolerant: twoSubjects},
		{name: "SSF-3.1.1-01 both, the inner one no identifier", old: payloadJSON, new: `{"subject":{"x":1}}`, want: badSubject, tolerances: duplicated, tolerant: badSubject},
		{name: "SSF-3.1.1-01 both, the inner one no object", old: payloadJSON, new: `{"subject":"?"}`, want: accepted},
		{name: "EVT-01 a member subject of somebody's own event", old: eventsJSON, new: `{"https://example.com/any":{` + innerEmail + `}}`, want: accepted},
		{name: "SSF-3.1-01 inner subject alone", old: both, new: without(one(`{` + innerEmail + `}`)), want: noSubject, tolerances: inner, tolerant: accepted},
		{name: "SSF-3.1-01 inner subject of the second event", old: both, new: without(`{"` + otherType + `":{},"` + revokedType + `":{` + innerEmail + `}}`), want: noSubject, tolerances: inner, tolerant: accepted},
		{name: "SSF-3.1-01 inner subjects of two events, the same", old: both, new: without(`{"` + otherType + `":{` + innerEmail + `},"` + revokedType + `":{"subject":{"email":"jdoe@example.com","format":"email"}}}`), want: noSubject, tolerances: inner, tolerant: accepted},
		{name: "SSF-3.1-01 inner subjects of two events, of different people", old: both, new: without(`{"` + otherType + `":{"subject":{"format":"email","email":"al@example.com"}},"` + revokedType + `":{` + innerEmail + `}}`), want: noSubject, tolerances: inner, tolerant: innerTwo},
		{name: "SSF-3.1-01 inner subject of the second event, of the first no identifier", old: both, new: without(`{"https://example.com/mail":{"subject":"Hello"},"` + revokedType + `":{` + innerEmail + `}}`), want: noSubject, tolerances: inner, tolerant: accepted},
		{name: "SSF-3.1-01 inner subject invalid", old: both, new: without(one(`{"subject":"?"}`)), want: noSubject, tolerances: inner, tolerant: badSubject},
		{name: "SSF-3.1-01 no subject anywhere", old: both, new: without(one(`{"x":{` + innerEmail + `}}`)), want: noSubject, tolerances: inner, tolerant: noSubject},
	}
}

// events (SET-2-01, SSF-4.2.1-01, EVT-01).
func events() []change {
	list := []change{
		{name: "SET-2-01 no events", old: `"events":` + eventsJSON, new: `"x":1`, want: badEvents},
		{name: "SET-2-01 event without data", old: payloadJSON, new: `{}`, want: accepted},
		{name: "SSF-4.2.1-01 two URIs", old: eventsJSON, new: `{"` + revokedType + `":{},"` + otherType + `":{}}`, want: accepted},
		{name: "EVT-01 unknown type", old: eventsJSON, new: `{"https://example.com/any":{"a":[1]}}`, want: accepted},
		{name: "SCIM-2.1-01 URN", old: eventsJSON, new: `{"urn:ietf:params:scim:event:prov:delete":{}}`, want: accepted},
	}
	for _, value := range []string{`"x"`, `[]`, `null`, `{}`, `1`, `true`, `[{}]`} {
		list = append(list, change{name: "SET-2-01 events " + value, old: eventsJSON, new: value, want: badEvents})
	}
	for _, name := range []string{``, `session-revoked`, `https:`, `:x`, `1a:b`, `a b:c`, `https://a/ b`, `https://a/\n`, `https://a/<b>`} {
		list = append(list, change{name: "SET-2-01 event type " + strconv.Quote(name), old: eventsJSON, new: `{"` + name + `":{}}`, want: badEvents})
	}
	for _, payload := range []string{`null`, `"x"`, `[]`, `1`, `false`} {
		list = append(list, change{name: "SET-2-01 event " + payload, old: payloadJSON, new: payload, want: badEvents})
	}
	return list
}

// Members that occur twice, wherever (SET-2.2-03).
func duplicates() []change {
	at := func(name, old, new string) change {
		return change{name: "SET-2.2-03 " + name, old: old, new: new, want: notJSON}
	}
	return []change{
		{name: "SET-2.2-03 kid twice", header: `{"alg":"RS256","kid":"test","kid":"test","typ":"secevent+jwt"}`, want: notJWS},
		{name: "SET-2.2-03 an unknown member of the header twice", header: `{"x":1,"x":1,"alg":"RS256","kid":"test","typ":"secevent+jwt"}`, want: notJWS},
		{name: "SET-2.2-03 deep in the header", header: `{"x":[{"a":1,"a":1}],"alg":"RS256","kid":"test","typ":"secevent+jwt"}`, want: notJWS},
		at("jti", jtiClaim, jtiClaim+","+jtiClaim),
		at("iss in escapes", jtiClaim, jtiClaim+`,"\u0069ss":"https://idp.example.com/tenant"`),
		at("events", eventsJSON, eventsJSON+`,"events":`+eventsJSON),
		at("sub_id", subjectJSON, subjectJSON+`,"sub_id":`+subjectJSON),
		at("unknown member", txnClaim, `"x":1,"x":2`),
		at("in the subject", subjectJSON, `{"format":"email","email":"a@example.com","email":"b@example.com"}`),
		at("event type", eventsJSON, `{"`+revokedType+`":{},"`+revokedType+`":{}}`),
		at("event type in escapes", eventsJSON, `{"`+revokedType+`":{},"`+strings.Replace(revokedType, "h", `\u0068`, 1)+`":{}}`),
		at("in the event", payloadJSON, `{"a":1,"a":1}`),
		at("deep in the event", payloadJSON, `{"a":[{"b":{"c":1,"c":1}}]}`),
		at("deep in an unknown member", txnClaim, `"x":[[{"a":{"b":1,"b":1}}]]`),
	}
}

// Unknown members anywhere (SSF-4.2.3-02).
func unknown() []change {
	return []change{
		{name: "SSF-4.2.3-02 claim", old: txnClaim, new: `"x":{"a":[1e400,null,"\u00fc"]},"iss ":1,"ISS":2`, want: accepted},
		{name: "SSF-4.2.3-02 member of the event", old: payloadJSON, new: `{"x":{"a":{}}}`, want: accepted},
		{name: "SSF-4.2.3-02 member of the subject", old: subjectJSON, new: `{"format":"opaque","id":"1","x":{"a":[]}}`, want: accepted},
		{name: "SSF-4.2.3-02 registered claims that are not ours", old: txnClaim, new: `"nbf":1864000000,"sid":"s","client_id":"c"`, want: accepted},
	}
}

// What is bounded (PUSH-5.4-01).
func limits() []change {
	fill := strings.Repeat
	var eventList []string
	for i := range set.MaxEvents + 1 {
		eventList = append(eventList, `"https://example.com/`+strconv.Itoa(i)+`":{}`)
	}
	uri := func(n int) string { return "https://" + fill("a", n-len("https://")) }
	return []change{
		{name: "PUSH-5.4-01 jti longest", old: jtiClaim, new: `"jti":"` + fill("j", set.MaxIDBytes) + `"`, want: accepted},
		{name: "PUSH-5.4-01 jti too long", old: jtiClaim, new: `"jti":"` + fill("j", set.MaxIDBytes+1) + `"`, want: wrong("jti is empty or too long")},
		{name: "PUSH-5.4-01 iss too long", old: issClaim, new: `"iss":"` + fill("i", set.MaxIssuerBytes+1) + `","jti"`, want: wrong("iss is empty or too long")},
		{name: "PUSH-5.4-01 txn too long", old: txnClaim, new: `"txn":"` + fill("t", set.MaxIDBytes+1) + `"`, want: wrong("txn is empty or too long")},
		{name: "PUSH-5.4-01 aud most values", old: audClaim, new: `"aud":["https://rp.example.com"` + fill(`,"a"`, set.MaxAudience-1) + `]`, want: accepted},
		{name: "PUSH-5.4-01 aud too many values", old: audClaim, new: `"aud":["https://rp.example.com"` + fill(`,"a"`, set.MaxAudience) + `]`, want: wrong("aud has too many values")},
		{name: "PUSH-5.4-01 most events", old: eventsJSON, new: `{` + strings.Join(eventList[1:], ",") + `}`, want: accepted},
		{name: "PUSH-5.4-01 too many events", old: eventsJSON, new: `{` + strings.Join(eventList, ",") + `}`, want: wrong("events has too many members")},
		{name: "PUSH-5.4-01 event type longest", old: revokedType, new: uri(set.MaxTypeBytes), want: accepted},
		{name: "PUSH-5.4-01 event type too long", old: revokedType, new: uri(set.MaxTypeBytes + 1), want: badEvents},
		{name: "PUSH-5.4-01 subject too large", old: subjectJSON, new: `{"format":"opaque","id":"` + fill("x", subject.MaxBytes) + `"}`, want: badSubject},
		{name: "PUSH-5.4-01 SET too large", old: txnClaim, new: `"x":"` + fill("x", jose.MaxCompactBytes) + `"`, want: tooLarge},
		{name: "PUSH-5.4-01 nested too deep", old: txnClaim, new: `"x":` + fill("[", 10001) + fill("]", 10001), want: notJSON},
	}
}
