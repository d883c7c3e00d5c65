package main

import (
	"net/netip"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// tokenFlags say where what tokens need is fetched from.
type tokenFlags struct {
	TokenCA    string   `help:"CAs of the servers with clients' key sets, PEM, beside the system's." placeholder:"FILE" name:"token-ca" group:"Tokens:"`
	TokenAllow []string `help:"Address ranges in which those servers may be although they are not public." placeholder:"CIDR" group:"Tokens:"`
}

// policy returns which addresses may be called.
func (f tokenFlags) policy() (guard.Policy, error) {
	allow, err := prefixes("--token-allow", f.TokenAllow)
	if err != nil || f.TokenCA == "" {
		return guard.Policy{Allow: allow}, err
	}
	pool, err := caPool(f.TokenCA)
	return guard.Policy{Allow: allow, RootCAs: pool}, err
}

// prefixes reads the address ranges of a flag.
func prefixes(flag string, ranges []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, cidr := range ranges {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, usage("%s %s is not an address range such as 10.0.0.0/8", flag, cidr)
		}
		list = append(list, prefix)
	}
	return list, nil
}
