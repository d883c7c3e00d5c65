package main_test

import (
	"net"
	"slices"
	"testing"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// Plain http is for addresses of this machine alone: what is not surely one is none.
func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "127.9.9.9:80": true, "[::1]:80": true, "localhost:80": true,
		"0.0.0.0:80": false, ":80": false, "[::]:80": false, "10.0.0.1:80": false, "203.0.113.1:80": false,
		"ssf.example:80": false, "127.0.0.1.example:80": false, "127.0.0.1": false, "": false,
	} {
		if got := main.Loopback(address); got != want {
			t.Errorf("%s: got %t, want %t", address, got, want)
		}
	}
}

// The certificate of our own is good for loopback, the address served on and
// the issuer's host; "every address" is no host.
func TestCertificateHosts(t *testing.T) {
	tests := []struct {
		addr, issuer, admin string
		want, not           []string
	}{
		{"127.0.0.1:8443", "https://127.0.0.1:8443", "127.0.0.1:0", []string{"localhost", "127.0.0.1", "::1"}, []string{""}},
		{"0.0.0.0:8443", "https://ssf.example/tenant", "0.0.0.0:9", []string{"localhost", "ssf.example"}, []string{"0.0.0.0", ""}},
		{"[::]:8443", "https://[2001:db8::1]:8443", "off", []string{"2001:db8::1"}, []string{"::"}},
		{"10.1.2.3:8443", "", "10.1.2.4:9", []string{"10.1.2.3", "10.1.2.4"}, []string{""}},
	}
	for _, test := range tests {
		addr, err := net.ResolveTCPAddr("tcp", test.addr)
		if err != nil {
			t.Fatal(err)
		}
		got := main.CertificateHosts(addr, test.issuer, test.admin)
		for _, host := range test.want {
			if !slices.Contains(got, host) {
				t.Errorf("%s, %s: got %q, want %s in it", test.addr, test.issuer, got, host)
			}
		}
		for _, host := range test.not {
			if slices.Contains(got, host) {
				t.Errorf("%s, %s: got %q, want no %q", test.addr, test.issuer, got, host)
			}
		}
		if slices.Sort(got); len(slices.Compact(got)) != len(got) {
			t.Errorf("%s, %s: got a host twice in %q", test.addr, test.issuer, got)
		}
	}
}
