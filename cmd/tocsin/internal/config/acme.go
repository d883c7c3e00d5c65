package config

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/crypto/acme"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
)

// ACMESettings say where a listener's certificates come from, if an ACME server gives them
// (docs/operations/edge.md), by the same words for every command that serves.
type ACMESettings struct {
	ACMEDomain      []string       `help:"Obtain and renew the certificate of this name by ACME (RFC 8555), in place of --tls-cert; repeatable." placeholder:"NAME" name:"acme-domain" yaml:"acme_domain" group:"Certificates by ACME:"`
	ACMEAcceptTerms bool           `help:"Agree to the terms of service of the ACME server." name:"acme-accept-terms" yaml:"acme_accept_terms" group:"Certificates by ACME:"`
	ACMEEmail       string         `help:"Where the ACME server writes to about the account (default: nowhere)." placeholder:"ADDRESS" name:"acme-email" yaml:"acme_email" group:"Certificates by ACME:"`
	ACMEDirectory   string         `help:"Directory of the ACME server (default: that of Let's Encrypt)." placeholder:"URL" name:"acme-directory" yaml:"acme_directory" group:"Certificates by ACME:"`
	ACMECA          string         `help:"CA of the ACME server, PEM, beside the system's." placeholder:"FILE" name:"acme-ca" yaml:"acme_ca" group:"Certificates by ACME:"`
	ACMEAllow       []netip.Prefix `help:"Address ranges that the ACME server may have although they are not public; repeatable." placeholder:"CIDR" name:"acme-allow" yaml:"acme_allow" group:"Certificates by ACME:"`
	ACMEEABKid      string         `help:"Key id of the external account that the ACME server has given." placeholder:"ID" name:"acme-eab-kid" yaml:"acme_eab_kid" group:"Certificates by ACME:"`
	ACMEEABKey      string         `help:"File with its MAC key, base64url: @FILE." placeholder:"@FILE" name:"acme-eab-key" yaml:"acme_eab_key" group:"Certificates by ACME:"`
	ACMEHTTP        string         `help:"Address for HTTP-01 challenges, reached at port 80 of the names, in place of TLS-ALPN-01, which the listener itself answers at port 443." placeholder:"HOST:PORT" name:"acme-http" yaml:"acme_http" group:"Certificates by ACME:"`
}

// ACME reports whether an ACME server gives the certificates.
func (a ACMESettings) ACME() bool { return len(a.ACMEDomain) > 0 }

// Same reports whether other says the same.
func (a ACMESettings) Same(other ACMESettings) bool { return reflect.DeepEqual(a, other) }

// Over puts what is given in a over to.
func (a ACMESettings) Over(to *ACMESettings) {
	if a.ACME() {
		to.ACMEDomain = a.ACMEDomain
	}
	if a.ACMEAllow != nil {
		to.ACMEAllow = a.ACMEAllow
	}
	to.ACMEAcceptTerms = to.ACMEAcceptTerms || a.ACMEAcceptTerms
	for _, one := range []struct{ from, to *string }{
		{&a.ACMEEmail, &to.ACMEEmail},
		{&a.ACMEDirectory, &to.ACMEDirectory},
		{&a.ACMECA, &to.ACMECA},
		{&a.ACMEEABKid, &to.ACMEEABKid},
		{&a.ACMEEABKey, &to.ACMEEABKey},
		{&a.ACMEHTTP, &to.ACMEHTTP},
	} {
		*one.to = cmp.Or(*one.from, *one.to)
	}
}

// Names are the names that certificates are for, as the ACME server has them.
func (a ACMESettings) Names() (names []string, err error) {
	for _, one := range a.ACMEDomain {
		name, err := acmecert.Name(one)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > acmecert.MaxDomains {
		return nil, fmt.Errorf("there are more than %d names", acmecert.MaxDomains)
	}
	return names, nil
}

// Beside is what goes with certificates by ACME, or does not.
type Beside struct {
	TLSCert          string
	InsecureLoopback bool
	Redis            bool
	URL              string // by which others come: the issuer's, or a receiver's
	URLKey           string // what it is called: issuer, public_url
}

// CheckACME returns the first fault of the settings and the key that it is about; nil: there
// is none.
func (a ACMESettings) CheckACME(with Beside) (key string, err error) {
	if !a.ACME() {
		if a.Same(ACMESettings{}) {
			return "", nil
		}
		return "acme_domain", errors.New("it is missing, and other settings are about certificates by ACME: name what certificates are for")
	}
	names, err := a.Names()
	u, parsed := url.Parse(a.ACMEDirectory)
	at, atErr := url.Parse(with.URL)
	switch {
	case err != nil:
		return "acme_domain", err
	case with.TLSCert != "":
		return "acme_domain", errors.New("tls_cert names a certificate, too; leave one of them out")
	case with.InsecureLoopback:
		return "acme_domain", errors.New("with insecure_loopback plain http is served; leave one of them out")
	case with.Redis:
		return "acme_domain", errors.New("several nodes share a Redis, and a challenge would come to any of them: let a balancer end TLS, or give every node the files of a certificate with tls_cert")
	case with.URL == "":
		return with.URLKey, errors.New("it is missing: a certificate by ACME is for the name by which others come")
	case atErr != nil || !a.covers(names, at):
		return "acme_domain", fmt.Errorf("it does not have the host of %s (%s): others would refuse the certificate", with.URLKey, with.URL)
	case a.ACMEDirectory != "" && (parsed != nil || u.Scheme != "https" || u.Host == ""):
		return "acme_directory", fmt.Errorf("%q is no URL that begins with https://", a.ACMEDirectory)
	case a.ACMEDirectory == "" && !a.ACMEAcceptTerms:
		return "acme_accept_terms", errors.New("it is missing: Let's Encrypt gives certificates to those alone who agree to its terms of service, https://letsencrypt.org/repository/")
	case a.ACMEEmail != "" && !strings.Contains(a.ACMEEmail, "@"):
		return "acme_email", fmt.Errorf("%q is no address of mail", a.ACMEEmail)
	case (a.ACMEEABKid == "") != (a.ACMEEABKey == ""):
		return "acme_eab_kid", errors.New("acme_eab_kid and acme_eab_key belong together")
	case a.ACMEEABKey != "" && !strings.HasPrefix(a.ACMEEABKey, "@"):
		return "acme_eab_key", errors.New("name the file that holds the key, as @FILE: the key itself would be seen by others")
	}
	return "", nil
}

func (a ACMESettings) covers(names []string, at *url.URL) bool {
	name, err := acmecert.Name(at.Hostname())
	return err == nil && slices.Contains(names, name)
}

// maxBindingKey bounds the file of a binding's key, in bytes.
const maxBindingKey = 4 << 10

// Binding reads the credentials of the external account; nil: there are none.
func (a ACMESettings) Binding() (*acme.ExternalAccountBinding, error) {
	path, ok := strings.CutPrefix(a.ACMEEABKey, "@")
	if !ok {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxBindingKey {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxBindingKey)
	}
	var raw []byte
	if err == nil {
		raw, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("acme_eab_key: %w", err)
	}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(string(raw)), "="))
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("acme_eab_key: %s holds no key in base64url", path)
	}
	return &acme.ExternalAccountBinding{KID: a.ACMEEABKid, Key: key}, nil
}
