package wellknown_test

import (
	"fmt"
	"net/http"

	"github.com/tocsin-ssf/tocsin/wellknown"
)

func ExampleURL() {
	url, err := wellknown.URL("https://tr.example/tenant1/")
	fmt.Println(url, err)
	// Output: https://tr.example/.well-known/ssf-configuration/tenant1 <nil>
}

// Two issuers on one host.
func ExampleHandler() {
	mux := http.NewServeMux()
	for _, issuer := range []string{"https://tr.example/tenant1", "https://tr.example/tenant2"} {
		mux.Handle(wellknown.Path(issuer), wellknown.Handler(wellknown.Configuration{
			SpecVersion: wellknown.SpecVersion,
			Issuer:      issuer,
			JWKSURI:     issuer + "/jwks.json",
		}))
	}
}
