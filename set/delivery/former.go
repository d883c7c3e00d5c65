package delivery

// Delivery methods under the URIs that drafts of RISC gave them.
const (
	FormerMethodPush = "https://schemas.openid.net/secevent/risc/delivery-method/push"
	FormerMethodPoll = "https://schemas.openid.net/secevent/risc/delivery-method/poll"
)

// CurrentMethod returns today's URN of a method that drafts of RISC named otherwise; any
// other method as it is.
func CurrentMethod(method string) string {
	switch method {
	case FormerMethodPush:
		return MethodPush
	case FormerMethodPoll:
		return MethodPoll
	}
	return method
}

// FormerMethod returns the URI of a method in drafts of RISC; what they do not have as it
// is.
func FormerMethod(method string) string {
	switch method {
	case MethodPush:
		return FormerMethodPush
	case MethodPoll:
		return FormerMethodPoll
	}
	return method
}

// FormerDuplicate is the code by which drafts of RFC 8935 told that a SET was received
// before. It is no failure: the SET is delivered.
const FormerDuplicate Code = "dup"

// Current returns today's code for one of the drafts of RFC 8935 (there §2.4), which
// login.gov still sends; any other code, [FormerDuplicate] too, as it is.
func (c Code) Current() Code {
	switch c {
	case "jwtParse", "jwtHdr", "jwe", "setType", "setParse", "setData":
		return CodeInvalidRequest
	case "jwtCrypto":
		return CodeInvalidKey
	case "jws":
		return CodeAuthenticationFailed
	case "jwtAud":
		return CodeInvalidAudience
	case "jwtIss":
		return CodeInvalidIssuer
	}
	return c
}
