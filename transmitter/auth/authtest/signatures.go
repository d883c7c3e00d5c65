package authtest

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// signed is a header with these lines of signatures.
func signed(lines ...string) http.Header { return http.Header{"Fpjs-Event-Signature": lines} }

// The example of Fingerprint's own libraries: secret "secret", body "data".
const fingerprintSigned = "v1=1b2c16b75bd2a870c114153ccda5bcfca63314bc722fa160d690de133ccbb9db"

func signedByVendor(t *testing.T, open Open) {
	s := sourceStore(t, open)
	v := vendor("fp", auth.VendorNone)
	v.Kind, v.SignatureSecret = auth.KindFingerprint, "secret"
	if _, err := s.AddVendorSource(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	other := "v1=" + strings.Repeat("0", 64)
	many := strings.Repeat(other+",", 16) + fingerprintSigned
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		want   bool
	}{
		{"the example", signed(fingerprintSigned), "data", true},
		{"in capitals", signed("v1=" + strings.ToUpper(fingerprintSigned[3:])), "data", true},
		{"one of two", signed(other + "," + fingerprintSigned), "data", true},
		{"one of two, with a space", signed(fingerprintSigned + ", " + other), "data", true},
		{"in two lines", signed(other, fingerprintSigned), "data", true},
		{"another body", signed(fingerprintSigned), "data ", false},
		{"another signature", signed(other), "data", false},
		{"another version", signed("v2=" + fingerprintSigned[3:]), "data", false},
		{"without a version", signed(fingerprintSigned[3:]), "data", false},
		{"cut", signed(fingerprintSigned[:40]), "data", false},
		{"no hexadecimal", signed("v1=xyz"), "data", false},
		{"empty", signed(""), "data", false},
		{"none", http.Header{}, "data", false},
		{"behind more than are looked at", signed(many), "data", false},
	} {
		if got, err := s.SignedByVendor(t.Context(), "fp", c.header, []byte(c.body)); err != nil || got != c.want {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
	if err := s.SetSignatureSecret(t.Context(), "fp", "another"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SignedByVendor(t.Context(), "fp", signed(fingerprintSigned), []byte("data")); err != nil || got {
		t.Errorf("by the secret before: got %v, %v, want false", got, err)
	}
}

// Which sources are signed is shown, by which secret is not.
func signatureSecret(t *testing.T, open Open) {
	s := open(t, t.TempDir())
	plain := vendor("plain", auth.VendorBearer)
	plain.Kind = auth.KindFingerprint
	v := plain
	v.Name, v.SignatureSecret = "fp", "secret"
	for _, v := range []auth.VendorSource{plain, v, vendor("idme", auth.VendorBearer)} {
		if _, err := s.AddVendorSource(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.VendorSources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		if v.Signed != (v.Name == "fp") || v.SignatureSecret != "" {
			t.Errorf("got %+v, want fp alone signed, and no secret", v)
		}
	}
	if _, err := s.SignedByVendor(t.Context(), "plain", signed(fingerprintSigned), []byte("data")); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("without a secret: got %v, want ErrNotFound", err)
	}
	refused := func(name string, err error) {
		t.Helper()
		var invalid *auth.InvalidError
		if !errors.As(err, &invalid) || invalid.Member != "signature_secret" {
			t.Errorf("%s: got %v, want signature_secret refused", name, err)
		}
	}
	refused("of another kind", s.SetSignatureSecret(t.Context(), "idme", "secret"))
	refused("empty", s.SetSignatureSecret(t.Context(), "fp", ""))
	refused("of two lines", s.SetSignatureSecret(t.Context(), "fp", "a\nb"))
	if err := s.SetSignatureSecret(t.Context(), "nobody", "secret"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("unknown: got %v, want ErrNotFound", err)
	}
	if err := s.SetSignatureSecret(t.Context(), "plain", "secret"); err != nil {
		t.Errorf("for the first time: got %v, want it set", err)
	}
	idme := vendor("other", auth.VendorBearer)
	idme.SignatureSecret = "secret"
	_, err = s.AddVendorSource(t.Context(), idme)
	refused("added with another kind", err)
	off := v
	off.Name, off.Auth, off.API = "off", auth.VendorOff, api()
	_, err = s.AddVendorSource(t.Context(), off)
	refused("added with auth off", err)
}
