package auth

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

const (
	// MaxCertificateNameBytes bounds the name by which a certificate is known.
	MaxCertificateNameBytes = 2 << 10
	// maxChain bounds the certificates beside the client's of which a way to an authority
	// is looked for.
	maxChain = 8
)

// Certificate says which certificates are a client's (RFC 8705 §2): one of its members is
// set. The names are for those of the authorities that the operator trusts
// (tls_client_auth, §2.1), [Config.ClientCAs].
type Certificate struct {
	// SubjectDN is its subject (RFC 4514); the others are the value of an entry of its
	// subject alternative names, of which it may have more.
	SubjectDN string `json:"subject_dn,omitempty"`
	SANDNS    string `json:"san_dns,omitempty"`
	SANURI    string `json:"san_uri,omitempty"`
	SANIP     string `json:"san_ip,omitempty"`
	SANEmail  string `json:"san_email,omitempty"`
	// SelfSigned: whoever signed it, its key is one of the client's JWKS or of those at
	// its JWKSURI (self_signed_tls_client_auth, §2.2).
	SelfSigned bool `json:"self_signed,omitempty"`
}

// Method is what RFC 8705 calls the way in which the client authenticates.
func (c *Certificate) Method() string {
	if c.SelfSigned {
		return methodSelfSigned
	}
	return methodCertificate
}

// Methods of client authentication (RFC 8705 §2.1.1, §2.2.1).
const (
	methodCertificate = "tls_client_auth"
	methodSelfSigned  = "self_signed_tls_client_auth"
)

// members are the names by which it is known, and how each is read.
func (c *Certificate) members() []certificateName {
	return []certificateName{
		{"subject_dn", c.SubjectDN, func(value string) error { _, err := parseName(value); return err }},
		{"san_dns", c.SANDNS, checkDNSName},
		{"san_uri", c.SANURI, checkURIName},
		{"san_ip", c.SANIP, checkIPName},
		{"san_email", c.SANEmail, checkEmailName},
	}
}

type certificateName struct {
	member, value string
	check         func(value string) error
}

// validateCertificate judges what a client says of certificates.
func (c *Client) validateCertificate() error {
	if c.Static && c.bindsTokens() {
		return &InvalidError{"static", "goes without a certificate: a static token is bound to none"}
	}
	if c.Certificate == nil {
		return nil
	}
	if c.External {
		return &InvalidError{"external", "goes without certificate: the issuer knows it"}
	}
	given := 0
	for _, name := range c.Certificate.members() {
		if name.value == "" {
			continue
		}
		given++
		if err := checkText("certificate."+name.member, name.value, MaxCertificateNameBytes); err != nil {
			return err
		}
		if err := name.check(name.value); err != nil {
			return &InvalidError{"certificate." + name.member, err.Error()}
		}
	}
	switch self := c.Certificate.SelfSigned; {
	case self && given > 0, !self && given != 1:
		return &InvalidError{"certificate", "must have one of subject_dn, san_dns, san_uri, san_ip, san_email and self_signed (RFC 8705 §2)"}
	case self && !c.hasKeys():
		return &InvalidError{"jwks", "must be given, or jwks_uri: a certificate that nobody vouches for is known by its key"}
	case !self && c.hasKeys():
		return &InvalidError{"jwks", "goes with a certificate that is self_signed alone"}
	}
	return nil
}

// bindsTokens reports whether the client's tokens are bound to its certificate.
func (c *Client) bindsTokens() bool { return c.Certificate != nil || c.BoundTokens }

// names reports whether the certificate is the client's by its names.
func (c *Certificate) names(leaf *x509.Certificate) bool {
	switch {
	case c.SubjectDN != "":
		name, err := parseName(c.SubjectDN)
		return err == nil && name.is(leaf.RawSubject)
	case c.SANDNS != "":
		return slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return strings.EqualFold(name, c.SANDNS) })
	case c.SANURI != "":
		return slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == c.SANURI })
	case c.SANIP != "":
		want, err := netip.ParseAddr(c.SANIP)
		return err == nil && slices.ContainsFunc(leaf.IPAddresses, func(ip net.IP) bool {
			has, ok := netip.AddrFromSlice(ip)
			return ok && has.Unmap() == want
		})
	case c.SANEmail != "":
		return slices.ContainsFunc(leaf.EmailAddresses, func(address string) bool { return sameMailbox(address, c.SANEmail) })
	}
	return false
}

// sameMailbox compares the part before the last @ letter by letter (RFC 5280 §7.5).
func sameMailbox(a, b string) bool {
	at, other := strings.LastIndexByte(a, '@'), strings.LastIndexByte(b, '@')
	return at == other && at > 0 && a[:at] == b[:at] && strings.EqualFold(a[at:], b[at:])
}

// byCertificate authenticates a client by the certificates of its connection, its own
// first. How long it takes does not tell which clients there are.
func (a *Authenticator) byCertificate(ctx context.Context, id string, chain []*x509.Certificate) (Registration, error) {
	if len(chain) == 0 {
		return Registration{}, badClient()
	}
	now := a.cfg.Now()
	vouched := a.vouchedFor(chain, now)
	h, err := a.cfg.Store.backend.Holder(ctx, Credential{Client: id}, 0)
	if err = ignore(err, ErrNotFound); err != nil {
		return Registration{}, err
	}
	isIts, err := a.isOf(ctx, &h.Client, chain[0], vouched)
	if err != nil {
		return Registration{}, err
	}
	if leaf := chain[0]; !isIts || now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return Registration{}, a.unauthenticated(id)
	}
	return h.Registration, nil
}

// vouchedFor reports whether an authority that the operator trusts vouches for the first
// of the certificates as one of a client, now.
func (a *Authenticator) vouchedFor(chain []*x509.Certificate, now time.Time) bool {
	roots := a.cfg.ClientCAs()
	if roots == nil {
		return false
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:min(len(chain), maxChain+1)] {
		between.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// isOf reports whether the certificate is the client's.
func (a *Authenticator) isOf(ctx context.Context, c *Client, leaf *x509.Certificate, vouched bool) (bool, error) {
	if c.Certificate == nil || !c.Certificate.SelfSigned {
		_, _ = jose.ParseKeySet([]byte(decoyRSA)) // as one that has keys would have cost
		return c.Certificate != nil && vouched && c.Certificate.names(leaf), nil
	}
	if c.JWKSURI == "" {
		set, err := jose.ParseKeySet(c.JWKS)
		return err == nil && set.Has(leaf.PublicKey), nil
	}
	published, ok := a.cfg.ClientKeys.(KeyFinder)
	if !ok {
		return false, nil
	}
	has, err := published.Has(ctx, c.JWKSURI, leaf.PublicKey)
	if err != nil {
		return false, a.keysAway(ctx, c, err)
	}
	return has, nil
}

// KeyFinder is what a [KeySource] of clients has besides, for those whose certificates are
// known by their keys.
type KeyFinder interface {
	// Has reports whether the set has that key, or has it now. Error: it cannot be known.
	Has(ctx context.Context, set string, key crypto.PublicKey) (bool, error)
}

// The errors of these say what is wrong with a value.

func checkDNSName(name string) error {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return errors.New("is not a DNS name; it is compared as it is, without wildcards")
		}
	}
	return nil
}

func checkURIName(name string) error {
	if u, err := url.Parse(name); err != nil || u.Scheme == "" || u.String() != name {
		return errors.New("is not a URI in its normal form")
	}
	return nil
}

func checkIPName(name string) error {
	if addr, err := netip.ParseAddr(name); err != nil || addr.Zone() != "" || addr.Is4In6() {
		return errors.New("is not an IP address")
	}
	return nil
}

func checkEmailName(name string) error {
	if at := strings.LastIndexByte(name, '@'); at < 1 || checkDNSName(name[at+1:]) != nil {
		return errors.New("is not an address such as shop@rp.example")
	}
	return nil
}
