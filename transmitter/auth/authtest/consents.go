package authtest

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// Records of consent drive the gates of applications that exist and that the
// source's events are for, and of none where anybody may write.
func consentsOfASource(t *testing.T, open Open) {
	s := sourceStore(t, open)
	want := map[string]string{"Portal": "rp", "Shop ümlaut": "other"}
	with := func(change func(*auth.VendorSource)) auth.VendorSource {
		v := vendor("idme", auth.VendorBearer)
		v.Consents = maps.Clone(want)
		change(&v)
		return v
	}
	for _, c := range []struct {
		name   string
		source auth.VendorSource
	}{
		{"of an application that is not", with(func(v *auth.VendorSource) { v.Consents["X"] = "nobody" })},
		{"of one that its events are not for", with(func(v *auth.VendorSource) { v.Applications = []string{"rp"} })},
		{"without a name", with(func(v *auth.VendorSource) { v.Consents[""] = "rp" })},
		{"of a long name", with(func(v *auth.VendorSource) { v.Consents[strings.Repeat("x", 257)] = "rp" })},
		{"of one environment", with(func(v *auth.VendorSource) { v.Environment = "test" })},
		{"open to all", with(func(v *auth.VendorSource) { v.Auth = auth.VendorNone })},
	} {
		_, err := s.AddVendorSource(t.Context(), c.source)
		var invalid *auth.InvalidError
		if !errors.As(err, &invalid) || invalid.Member != "consents" {
			t.Errorf("%s: got %v, want consents refused", c.name, err)
		}
	}
	if _, err := s.AddVendorSource(t.Context(), with(func(*auth.VendorSource) {})); err != nil {
		t.Fatal(err)
	}
	list, err := s.VendorSources(t.Context())
	if err != nil || len(list) != 1 || !maps.Equal(list[0].Consents, want) {
		t.Errorf("got %+v, %v, want the consents kept", list, err)
	}
	_, err = s.AddClient(t.Context(), writes("c", &auth.Source{Name: "c", Consents: want}))
	var invalid *auth.InvalidError
	if !errors.As(err, &invalid) || invalid.Member != "source.consents" {
		t.Errorf("of a client: got %v, want it refused", err)
	}
}
