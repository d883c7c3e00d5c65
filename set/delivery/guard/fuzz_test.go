package guard_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// A URL that may be called is https to a host, bears no user and no fragment, names no
// address inside, and is the same URL when it is read again; errors repeat nothing of it.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://r.example/a?b=c", "https://u:secret@r.example", "http://127.0.0.1/", "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a00:1]:443",
		"https:r.example", "https://r.example:0", "https://r.example#", "HTTPS://R.example:65536/", "https://0x7f.1/", "https://[fe80::1%25eth0]/", "//r.example", "https://\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := guard.CheckURL(raw, guard.Policy{})
		if err != nil {
			if u != nil {
				t.Fatalf("%q: got %v and %v", raw, u, err)
			}
			if len(raw) > 24 && strings.Contains(err.Error(), raw) {
				t.Fatalf("got %v, which repeats the URL", err)
			}
			return
		}
		if u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" || len(raw) > guard.MaxURLBytes {
			t.Fatalf("%q: got %+v", raw, u)
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
			if addr = addr.Unmap(); addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() || addr.IsMulticast() {
				t.Fatalf("%q: got %v let through", raw, addr)
			}
		}
		again, err := guard.CheckURL(u.String(), guard.Policy{})
		if len(u.String()) <= guard.MaxURLBytes && (err != nil || again.String() != u.String()) {
			t.Fatalf("%q: got %v (%v) from %q", raw, again, err, u)
		}
	})
}
