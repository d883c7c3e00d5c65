package guard_test

import (
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// SEC-01, SSF-6.1.1-01: what may be named as an address.
func TestCheckURL(t *testing.T) {
	strict := guard.Policy{}
	local := guard.Policy{InsecureLoopback: true}
	lan := guard.Policy{Allow: prefixes("10.0.0.0/8", "fd00::/8")}
	for _, tt := range []struct {
		name    string
		raw     string
		policy  guard.Policy
		want    bool
		blocked bool
	}{
		{"https", "https://receiver.example/events?tenant=1", strict, true, false},
		{"upper-case scheme", "HTTPS://receiver.example/", strict, true, false},
		{"port", "https://receiver.example:8443/", strict, true, false},
		{"public literal", "https://1.1.1.1/", strict, true, false},
		{"public literal, IPv6", "https://[2606:4700::1111]/", strict, true, false},
		{"http", "http://receiver.example/", strict, false, false},
		{"http, loopback not asked for", "http://127.0.0.1/", strict, false, false},
		{"http to loopback", "http://127.0.0.1:8080/", local, true, false},
		{"http to loopback, IPv6", "http://[::1]:8080/", local, true, false},
		{"http to localhost", "http://localhost:8080/", local, true, false},
		{"http to elsewhere", "http://receiver.example/", local, false, false},
		{"http to a name that only begins like loopback", "http://127.0.0.1.example/", local, false, false},
		{"http into an allowed range", "http://10.0.0.1/", lan, false, false},
		{"https into an allowed range", "https://10.0.0.1/", lan, true, false},
		{"https into an allowed range, IPv6", "https://[fd00::7]/", lan, true, false},
		{"private literal", "https://192.168.0.1/", lan, false, true},
		{"mapped private literal", "https://[::ffff:192.168.0.1]/", strict, false, true},
		{"metadata literal", "https://169.254.169.254/latest/", strict, false, true},
		{"link-local with zone", "https://[fe80::1%25eth0]/", strict, false, true},
		{"other scheme", "ftp://receiver.example/", strict, false, false},
		{"no scheme", "//receiver.example/", strict, false, false},
		{"no host", "https:///events", strict, false, false},
		{"port without host", "https://:443/", strict, false, false},
		{"opaque", "https:receiver.example", strict, false, false},
		{"user information", "https://user@receiver.example/", strict, false, false},
		{"empty user information", "https://@receiver.example/", strict, false, false},
		{"fragment", "https://receiver.example/#top", strict, false, false},
		{"empty fragment", "https://receiver.example/#", strict, false, false},
		{"port out of range", "https://receiver.example:65536/", strict, false, false},
		{"port zero", "https://receiver.example:0/", strict, false, false},
		{"control character", "https://receiver.example/\r\n", strict, false, false},
		{"empty", "", strict, false, false},
		{"longest", "https://receiver.example/" + strings.Repeat("x", guard.MaxURLBytes-25), strict, true, false},
		{"too long", "https://receiver.example/" + strings.Repeat("x", guard.MaxURLBytes-24), strict, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := guard.CheckURL(tt.raw, tt.policy)
			if got := err == nil; got != tt.want {
				t.Fatalf("got %v, want accepted %v", err, tt.want)
			}
			if (u != nil) != tt.want {
				t.Errorf("got URL %v, want one %v", u, tt.want)
			}
			if got := guard.Blocked(err); got != tt.blocked {
				t.Errorf("got blocked %v (%v), want %v", got, err, tt.blocked)
			}
		})
	}
}
