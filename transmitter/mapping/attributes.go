package mapping

import "net/netip"

// Attributes are what an event says beside its subject, for search and for
// whoever looks into it. What is not known is absent.
type Attributes struct {
	Category    string            // one lower-case word: authentication, verification, security, consent, account, …
	Identifier  string            // the source's id of the user
	Email       string            // of the user
	Application string            // at the source, not one of ours
	Session     string            // the source's id of the session
	Fingerprint string            // of the device
	Address     netip.Addr        // v4 or v6, v4 never mapped into v6; zero: not known
	UserAgent   string            // as it was sent
	Actor       string            // id of the user who acted
	ActorSystem string            // the system that acted
	LinkedID    string            // at most 256 characters
	RiskScore   *float64          // the higher the worse
	RiskReasons []string          // one reason each
	Signals     map[string]bool   // three-valued: true, false, absent
	Suspect     *bool             // three-valued
	Tags        map[string]string // free
}
