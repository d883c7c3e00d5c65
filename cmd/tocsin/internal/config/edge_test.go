package config_test

import (
	"net/netip"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
)

// A limit is a number or off; what is not said is the default, and nothing else is taken.
func TestLimit(t *testing.T) {
	for text, want := range map[string]float64{"5": 5, "0.5": 0.5, "off": 0, "1e3": 1000} {
		var l config.Limit
		if err := l.UnmarshalText([]byte(text)); err != nil || l.Or(7) != want {
			t.Errorf("%s: got %v, %v, want %v", text, l.Or(7), err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "x", "NaN", "Inf", "1e10", "OFF"} {
		var l config.Limit
		if err := l.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, l.Or(7))
		}
	}
	if got := config.Limit(0).Or(7); got != 7 {
		t.Errorf("nothing said: got %v, want the default", got)
	}
}

// Flags win over a file, one by one.
func TestEdgeOver(t *testing.T) {
	file := config.EdgeSettings{MaxConnections: 1, MaxConnectionsPerAddress: 2, RateAddress: 3, TrustedProxy: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	got := file
	config.EdgeSettings{}.Over(&got)
	if !got.Same(file) {
		t.Errorf("no flag: got %+v, want %+v", got, file)
	}
	flags := config.EdgeSettings{MaxConnections: 4, RateAddress: 5, TrustedProxy: []netip.Prefix{netip.MustParsePrefix("fd00::/8")}}
	flags.Over(&got)
	if all, each := got.Conns(); all != 4 || each != 2 || got.RateAddress != 5 || got.TrustedProxy[0] != flags.TrustedProxy[0] || got.Same(file) {
		t.Errorf("got %+v, want the flags over the file", got)
	}
}
