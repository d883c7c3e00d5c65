package config

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
)

// EdgeSettings bound what comes from outside, by the same words for every command that
// serves (docs/operations/edge.md).
type EdgeSettings struct {
	MaxConnections           Limit          `help:"Connections of a listener, \"off\" for any number (default: 10000)." placeholder:"N" group:"Limits:"`
	MaxConnectionsPerAddress Limit          `help:"Connections of one address, of IPv6 a /64, \"off\" for any number (default: 1000)." placeholder:"N" group:"Limits:"`
	RateAddress              Limit          `help:"Requests a second of one address that fail, or that are of nobody, \"off\" for any number (default: 50)." placeholder:"N" group:"Limits:"`
	TrustedProxy             []netip.Prefix `help:"Address ranges of proxies whose X-Forwarded-For is believed; repeatable (default: none)." placeholder:"CIDR" group:"Limits:"`
}

// Defaults of the limits.
const (
	DefaultMaxConnections           = 10_000
	DefaultMaxConnectionsPerAddress = 1000
	DefaultRateAddress              = 50     // requests a second
	DefaultRateClient               = 10_000 // requests a second
)

// Conns are the bounds on connections; zero: none.
func (e EdgeSettings) Conns() (all, perAddress int) {
	return int(e.MaxConnections.Or(DefaultMaxConnections)), int(e.MaxConnectionsPerAddress.Or(DefaultMaxConnectionsPerAddress))
}

// Same reports whether other says the same.
func (e EdgeSettings) Same(other EdgeSettings) bool {
	return e.MaxConnections == other.MaxConnections && e.MaxConnectionsPerAddress == other.MaxConnectionsPerAddress &&
		e.RateAddress == other.RateAddress && slices.Equal(e.TrustedProxy, other.TrustedProxy)
}

// Over puts what is given in e over to.
func (e EdgeSettings) Over(to *EdgeSettings) {
	for _, one := range []struct{ from, to *Limit }{
		{&e.MaxConnections, &to.MaxConnections},
		{&e.MaxConnectionsPerAddress, &to.MaxConnectionsPerAddress},
		{&e.RateAddress, &to.RateAddress},
	} {
		if *one.from != 0 {
			*one.to = *one.from
		}
	}
	if e.TrustedProxy != nil {
		to.TrustedProxy = e.TrustedProxy
	}
}

// Limit is a number above zero, or "off". Its zero value says nothing: the default is
// meant.
type Limit float64

// off is no limit.
const off Limit = -1

// UnmarshalText reads a number, or off.
func (l *Limit) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*l = off
		return nil
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n > 0 && n <= 1e9) {
		return errors.New(`want a number above 0, or "off"`)
	}
	*l = Limit(n)
	return nil
}

// Or returns the limit, or value if nothing was said; zero: there is none.
func (l Limit) Or(value float64) float64 {
	switch {
	case l == 0:
		return value
	case l < 0:
		return 0
	}
	return float64(l)
}
