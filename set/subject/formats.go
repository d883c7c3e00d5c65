package subject

// The formats this package knows. Every other format is carried opaquely
// (RFC 9493 §3, SSF §3.4).
const (
	FormatAccount         = "account"           // RFC 9493 §3.2.1
	FormatEmail           = "email"             // RFC 9493 §3.2.2
	FormatIssSub          = "iss_sub"           // RFC 9493 §3.2.3
	FormatOpaque          = "opaque"            // RFC 9493 §3.2.4
	FormatPhoneNumber     = "phone_number"      // RFC 9493 §3.2.5
	FormatDID             = "did"               // RFC 9493 §3.2.6
	FormatURI             = "uri"               // RFC 9493 §3.2.7
	FormatAliases         = "aliases"           // RFC 9493 §3.2.8
	FormatJWTID           = "jwt_id"            // SSF §3.5.1
	FormatSAMLAssertionID = "saml_assertion_id" // SSF §3.5.2
	FormatIPAddresses     = "ip-addresses"      // SSF §3.5.3, hyphen included
	FormatComplex         = "complex"           // SSF §3.3
	FormatSCIM            = "scim"              // RFC 9967 §2.1
)

// The standard members of a complex subject (SSF §3.3). Other names are allowed.
const (
	MemberUser        = "user"
	MemberDevice      = "device"
	MemberSession     = "session"
	MemberApplication = "application"
	MemberTenant      = "tenant"
	MemberOrgUnit     = "org_unit"
	MemberGroup       = "group"
)

const (
	nameFormat      = "format"
	nameIdentifiers = "identifiers"
	nameAddresses   = FormatIPAddresses
)

// Formats returns the formats this package knows, in the order of their
// specifications.
func Formats() []string {
	return []string{
		FormatAccount, FormatEmail, FormatIssSub, FormatOpaque, FormatPhoneNumber, FormatDID, FormatURI,
		FormatAliases, FormatJWTID, FormatSAMLAssertionID, FormatIPAddresses, FormatComplex, FormatSCIM,
	}
}

// StandardMember reports whether name is one of the seven member names that SSF
// §3.3 defines for complex subjects.
func StandardMember(name string) bool {
	switch name {
	case MemberUser, MemberDevice, MemberSession, MemberApplication, MemberTenant, MemberOrgUnit, MemberGroup:
		return true
	}
	return false
}

// known reports whether format is one of [Formats].
func known(format string) bool {
	switch format {
	case FormatAliases, FormatIPAddresses, FormatComplex, FormatSCIM:
		return true
	}
	_, ok := textMembers(format)
	return ok
}

// textMembers returns the members of the formats that consist of required
// strings alone, "" for an unused place.
func textMembers(format string) (names [2]string, ok bool) {
	switch format {
	case FormatAccount, FormatURI:
		return [2]string{"uri"}, true
	case FormatEmail:
		return [2]string{"email"}, true
	case FormatIssSub:
		return [2]string{"iss", "sub"}, true
	case FormatOpaque:
		return [2]string{"id"}, true
	case FormatPhoneNumber:
		return [2]string{"phone_number"}, true
	case FormatDID:
		return [2]string{"url"}, true
	case FormatJWTID:
		return [2]string{"iss", "jti"}, true
	case FormatSAMLAssertionID:
		return [2]string{"issuer", "assertion_id"}, true
	}
	return names, false
}

// checkText returns what is wrong with a required string member, "" if nothing.
func checkText(format, value string, strict bool) string {
	if value == "" {
		return "must not be empty"
	}
	switch format {
	case FormatAccount:
		return reasonUnless(isAccountURI(value), "must be an acct: URI")
	case FormatEmail:
		return reasonUnless(isAddrSpec(value), "must be a bare e-mail address")
	case FormatPhoneNumber:
		return reasonUnless(isPhoneNumber(value, !strict), "must be an E.164 number such as +12065550100")
	case FormatDID:
		return reasonUnless(isDIDURL(value), "must be a DID URL")
	case FormatURI:
		return reasonUnless(isURI(value), "must be a URI")
	}
	return ""
}

func reasonUnless(ok bool, reason string) string {
	if ok {
		return ""
	}
	return reason
}
