package receive

import (
	"net/http"
	"strings"

	"github.com/tocsin-ssf/tocsin/receiver/profile"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Documents returns a client that finds the issuer's metadata where its receiver does.
func (is Issuer) Documents(client *http.Client) *wellknown.Client {
	wc := wellknown.Config{HTTP: client}
	url := is.MetadataURL
	if p, err := profile.Lookup(is.Profile); err == nil {
		switch former := strings.Contains(p.MetadataPath, "risc-configuration"); {
		case former:
			wc.Fallbacks = []wellknown.Location{
				wellknown.Inserted(wellknown.NameRISCConfiguration), wellknown.Inserted(wellknown.NameSSEConfiguration),
			}
		case url == "":
			url = p.MetadataURL(is.Issuer)
		}
	}
	if url != "" {
		wc.MetadataURLs = map[string]string{is.Issuer: url}
	}
	return wellknown.NewClient(wc)
}

// Endpoint returns the address of the issuer's push endpoint as others see it; address is
// where the push endpoints are served.
func (is Issuer) Endpoint(cfg Config, address string) string { return endpoint(cfg, is, address) }
