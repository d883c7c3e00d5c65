package delivery_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

func TestFormerMethods(t *testing.T) {
	for former, current := range map[string]string{
		"https://schemas.openid.net/secevent/risc/delivery-method/push": "urn:ietf:rfc:8935",
		"https://schemas.openid.net/secevent/risc/delivery-method/poll": "urn:ietf:rfc:8936",
		"urn:example:other": "urn:example:other",
		"":                  "",
	} {
		if got := delivery.CurrentMethod(former); got != current {
			t.Errorf("%s today: got %s, want %s", former, got, current)
		}
		if got := delivery.FormerMethod(current); got != former {
			t.Errorf("%s in drafts: got %s, want %s", current, got, former)
		}
		if got := delivery.CurrentMethod(current); got != current {
			t.Errorf("%s stays: got %s", current, got)
		}
	}
}

// legacy_error_codes: each code of the drafts has one of today, or is no failure.
func TestFormerCodes(t *testing.T) {
	for former, want := range map[delivery.Code]delivery.Code{
		"jwtAud": delivery.CodeInvalidAudience, "jwtIss": delivery.CodeInvalidIssuer, "jwtCrypto": delivery.CodeInvalidKey,
		"jwtHdr": delivery.CodeInvalidRequest, "jwtParse": delivery.CodeInvalidRequest, "setData": delivery.CodeInvalidRequest,
		"setType": delivery.CodeInvalidRequest, "jws": delivery.CodeAuthenticationFailed,
	} {
		if got := former.Current(); got != want || former.Known() {
			t.Errorf("%s: got %s (registered %v), want %s", former, got, former.Known(), want)
		}
	}
	for _, same := range []delivery.Code{delivery.FormerDuplicate, delivery.CodeAccessDenied, delivery.CodeInvalidState, "something_new", ""} {
		if got := same.Current(); got != same {
			t.Errorf("%s: got %s, want it as it is", same, got)
		}
	}
}
