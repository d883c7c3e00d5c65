package guard_test

import (
	"fmt"
	"net/netip"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

func ExampleCheckURL() {
	policy := guard.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for _, raw := range []string{"https://10.1.2.3/events", "https://10.2.0.1/events", "http://receiver.example/"} {
		_, err := guard.CheckURL(raw, policy)
		fmt.Println(err == nil, guard.Blocked(err))
	}
	// Output:
	// true false
	// false true
	// false false
}
