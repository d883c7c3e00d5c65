package guard

import (
	"fmt"
	"net/netip"
	"slices"

	"code.dny.dev/ssrf"
)

// judge says which addresses a policy allows.
type judge struct {
	ranges *ssrf.Guardian
	exact  []netip.Addr // allowed one by one
}

func newJudge(p Policy) *judge {
	allow := p.Allow
	if p.InsecureLoopback {
		allow = append(loopback(), allow...)
	}
	v4, v6 := split(allow)
	j := &judge{ranges: ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))}
	for _, one := range slices.Concat(v4, v6) {
		if one.IsSingleIP() {
			j.exact = append(j.exact, one.Addr())
		}
	}
	return j
}

// loopbackJudge allows loopback addresses and nothing else.
func loopbackJudge() *judge {
	v4, v6 := split(loopback())
	return &judge{ranges: ssrf.New(ssrf.WithAnyPort(),
		ssrf.WithAllowedV4Prefixes(v4...),
		ssrf.WithDeniedV4Prefixes(netip.PrefixFrom(netip.IPv4Unspecified(), 0)),
		ssrf.WithAllowedV6Prefixes(v6...),
		ssrf.WithDeniedV6Prefixes(netip.PrefixFrom(netip.IPv6Unspecified(), 0)))}
}

// connection judges what is about to be connected to: network and address are those of
// net.Dialer.Control.
func (j *judge) connection(network, address string) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", ErrBlocked, network)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBlocked, err)
	}
	return j.address(at.Addr())
}

// address judges an address, an IPv4 one however it is written.
func (j *judge) address(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	if slices.Contains(j.exact, a) {
		return nil
	}
	if slices.Contains(metadata(), a) {
		return fmt.Errorf("%w: %s is where a cloud tells a machine its credentials", ErrBlocked, a)
	}
	if err := j.ranges.SafeAddr(a); err != nil {
		return fmt.Errorf("%w: %w", ErrBlocked, err)
	}
	if ssrf.IPv6NAT64Prefix.Contains(a) { // allowed as a prefix; it leads to any IPv4 address
		const at = 12 // of 16 bytes
		b := a.As16()
		return j.address(netip.AddrFrom4([4]byte(b[at:])))
	}
	return nil
}

// metadata are the addresses at which clouds serve instance metadata. Azure's second is
// a public one, and the others lie in ranges that an operator may allow for other ends.
func metadata() []netip.Addr {
	var all []netip.Addr
	for _, text := range []string{
		"169.254.169.254", // AWS, Azure, Google Cloud, Oracle, DigitalOcean, OpenStack
		"169.254.170.2",   // AWS, credentials of tasks
		"169.254.170.23",  // AWS, credentials of pods
		"168.63.129.16",   // Azure, the host
		"100.100.100.200", // Alibaba Cloud
		"192.0.0.192",     // Oracle Cloud
		"fd00:ec2::254",   // AWS
		"fd00:ec2::23",    // AWS, credentials of pods
		"fd20:ce::254",    // Google Cloud
		"fe80::a9fe:a9fe", // Oracle, OpenStack
	} {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}
