package wellknown_test

import (
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/wellknown"
)

// SSF-7.2-01, SSF-7.1-01: the name goes between host and path.
func TestURL(t *testing.T) {
	for _, tt := range []struct{ issuer, url, path string }{
		{"https://h/t1", "https://h/.well-known/ssf-configuration/t1", "/.well-known/ssf-configuration/t1"},
		{"https://h/t1/", "https://h/.well-known/ssf-configuration/t1", "/.well-known/ssf-configuration/t1"},
		{"https://h/", "https://h/.well-known/ssf-configuration", "/.well-known/ssf-configuration"},
		{"https://h", "https://h/.well-known/ssf-configuration", "/.well-known/ssf-configuration"},
		{"https://h:8443/a/b", "https://h:8443/.well-known/ssf-configuration/a/b", "/.well-known/ssf-configuration/a/b"},
		{"https://h/a%2Fb", "https://h/.well-known/ssf-configuration/a%2Fb", "/.well-known/ssf-configuration/a/b"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080/.well-known/ssf-configuration", "/.well-known/ssf-configuration"},
		{"https://h/t1?x=1", "", ""},
		{"https://h/t1?", "", ""},
		{"https://h/t1#x", "", ""},
		{"https://u:p@h/t1", "", ""},
		{"ftp://h/t1", "", ""},
		{"https:///t1", "", ""},
		{"/t1", "", ""},
		{"", "", ""},
		{"https://h/" + strings.Repeat("x", 4096), "", ""},
	} {
		url, err := wellknown.URL(tt.issuer)
		if url != tt.url || (err != nil) != (tt.url == "") {
			t.Errorf("%q: got URL %q, %v, want %q", tt.issuer, url, err, tt.url)
		}
		if got := wellknown.Path(tt.issuer); got != tt.path {
			t.Errorf("%q: got path %q, want %q", tt.issuer, got, tt.path)
		}
	}
}

// PRM-3-01, and RFC 8414 §3.1: the same rule under other names.
func TestOtherURLs(t *testing.T) {
	for _, tt := range []struct {
		name string
		of   func(string) (string, error)
		in   string
		want string
	}{
		{"authorization server", wellknown.AuthorizationServerURL, "https://h/t1", "https://h/.well-known/oauth-authorization-server/t1"},
		{"resource", wellknown.ProtectedResourceURL, "https://h/t1/ssf/streams", "https://h/.well-known/oauth-protected-resource/t1/ssf/streams"},
		{"resource with query", wellknown.ProtectedResourceURL, "https://h/ssf/streams?stream_id=1", "https://h/.well-known/oauth-protected-resource/ssf/streams"},
		{"appended", wellknown.Appended(wellknown.NameConfiguration), "https://h/t1/", "https://h/t1/.well-known/ssf-configuration"},
		{"old name", wellknown.Inserted(wellknown.NameRISCConfiguration), "https://h/", "https://h/.well-known/risc-configuration"},
	} {
		if got, err := tt.of(tt.in); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	if got, want := wellknown.AuthorizationServerPath("https://h/t1/"), "/.well-known/oauth-authorization-server/t1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := wellknown.ProtectedResourcePath("https://h/ssf/streams"), "/.well-known/oauth-protected-resource/ssf/streams"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
