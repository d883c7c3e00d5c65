package doctor

import (
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
)

// lateRenewal is how long after its time a renewal is late: some tries have failed.
const lateRenewal = 24 * time.Hour

// acmeNames looks at the certificates that an ACME server has given for wanted, in the data
// folder; names are the hosts by which others come.
func acmeNames(r *Report, data string, wanted, names []string, now time.Time) {
	wanted = slices.Clone(wanted)
	for i, name := range wanted {
		if ascii, err := acmecert.Name(name); err == nil { // else the settings have told
			wanted[i] = ascii
		}
	}
	for _, name := range names {
		if ascii, err := acmecert.Name(name); err != nil || !slices.Contains(wanted, ascii) {
			r.Fail("tls.name", name, "name it with acme-domain, if it is one that the ACME server gives certificates for", "others come by it, and there will be no certificate for it")
		}
	}
	for _, name := range wanted {
		acme(r, data, name, now)
	}
}

func acme(r *Report, data, name string, now time.Time) {
	path, chain, err := acmecert.Chain(data, name)
	switch {
	case err != nil:
		r.Fail("tls.acme", path, "let the user of the server read it; if it is damaged, take it away: it is obtained anew", "it cannot be read: %v", err)
		return
	case len(chain) == 0:
		r.Warn("tls.acme", name, "start the server; its log says why, if there is none some minutes later. The name must lead here, and the ACME server must reach port 443 of it (port 80 with acme-http)", "there is no certificate yet")
		return
	}
	keyMode(r, "tls.key", path)
	leaf := chain[0]
	until := leaf.NotAfter.UTC().Format(time.DateOnly)
	late := min(lateRenewal, leaf.NotAfter.Sub(leaf.NotBefore)/10)
	const do = "look for \"COULD NOT BE RENEWED\" in the log of the server: it says why, and what to do"
	switch {
	case now.After(leaf.NotAfter):
		r.Fail("tls.expiry", path, do, "the certificate has expired on %s: others refuse to connect", until)
	case now.After(acmecert.Due(leaf).Add(late)):
		r.Warn("tls.expiry", path, do, "the certificate expires on %s and should be renewed by now", until)
	default:
		r.OK("tls.expiry", path, "the certificate is good until %s and is renewed from %s on", until, acmecert.Due(leaf).UTC().Format(time.DateOnly))
	}
	if err := leaf.VerifyHostname(name); err != nil {
		r.Fail("tls.name", name, "take the file away and start the server: it is obtained anew", "the certificate is not good for it: %v", err)
	} else {
		r.OK("tls.name", name, "the certificate is good for it")
	}
	trusted(r, path, chain, nil, now)
}
