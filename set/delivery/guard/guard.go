// Package guard is the one guarded HTTP client for calls to addresses that
// somebody else names: push endpoints, metadata, key sets, resource metadata.
//
// [CheckURL] judges an address when it is configured, [NewClient] judges it again
// whenever a connection is made, after the name has been resolved, so that a name
// cannot be pointed at the inside of a network later. [ReadBody] bounds what comes
// back.
package guard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Bounds on one call.
const (
	// DefaultTimeout bounds a whole exchange, reading the body included, unless
	// [Policy.Timeout] says otherwise.
	DefaultTimeout = 15 * time.Second
	// DefaultMaxConnsPerHost is the number of connections to one host unless
	// [Policy.MaxConnsPerHost] says otherwise: the push window of a stream.
	DefaultMaxConnsPerHost = 32
	// MaxResponseHeaderBytes bounds the header section of a response.
	MaxResponseHeaderBytes = 64 << 10

	dialTimeout  = 5 * time.Second
	maxIdleConns = 1024
	idleTimeout  = 90 * time.Second
)

// ErrBlocked is the reason why a call was not made: its address is in a range that
// may not be called. It is wrapped by the errors of [CheckURL] and of the client.
var ErrBlocked = errors.New("address not allowed")

// Policy says which addresses may be called and for how long. Its zero value
// allows https to public addresses only.
//
// Addresses at which clouds tell a machine its own credentials are allowed by a prefix of
// a single address alone: no range opens them by the way. Behind NAT64 the prefix
// 64:ff9b::/96 may be allowed; the IPv4 address within is judged as if it stood alone.
type Policy struct {
	Allow            []netip.Prefix // ranges allowed although they are private or special; none by default
	InsecureLoopback bool           // allows loopback addresses, also by plain http
	RootCAs          *x509.CertPool // authorities of servers; nil means the system's
	Timeout          time.Duration  // of a whole exchange; zero or less means DefaultTimeout
	MaxConnsPerHost  int            // connections to one host; zero or less means DefaultMaxConnsPerHost
	// ClientCertificate returns the certificate that https servers are shown which ask for
	// one (mutual TLS); nil: none is. It is asked for each call, and from the call on that
	// finds another, no connection is used that was opened with the one before.
	ClientCertificate func() (*tls.Certificate, error)
}

// NewClient returns a client that refuses addresses outside p when it connects
// (after name resolution), follows no redirect, uses no proxy, keeps no cookies,
// requires TLS 1.2 and bounds time and header size. It speaks HTTP/1.1.
//
// A refused address gives an error for which [Blocked] is true. The client is safe
// for concurrent use and is meant to be kept.
func NewClient(p Policy) *http.Client {
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	t := &transport{policy: p, secure: newTransport(p, newJudge(p)), plain: newTransport(p, loopbackJudge())}
	if p.ClientCertificate != nil {
		t.certified = &certified{get: p.ClientCertificate, base: t.secure}
	}
	return &http.Client{
		Transport: t,
		Timeout:   timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// Cause returns what a call failed with, without the URL that net/http puts
// before it: its query may hold a secret, and errors reach logs (SEC-04).
func Cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// Blocked reports whether err says that an address was refused by this package.
func Blocked(err error) bool { return errors.Is(err, ErrBlocked) }

// transport sends https through a guard that follows the policy and plain http
// through one that knows loopback addresses alone.
type transport struct {
	policy    Policy
	secure    *http.Transport
	certified *certified // in place of secure; nil: there is no certificate
	plain     *http.Transport
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := check(req.URL, t.policy); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper closes the body whatever happens
		}
		return nil, err
	}
	if req.URL.Scheme == "http" {
		return t.plain.RoundTrip(req)
	}
	if t.certified != nil {
		return t.certified.RoundTrip(req)
	}
	return t.secure.RoundTrip(req)
}

// CloseIdleConnections is called by [http.Client.CloseIdleConnections].
func (t *transport) CloseIdleConnections() {
	t.secure.CloseIdleConnections()
	if t.certified != nil {
		t.certified.CloseIdleConnections()
	}
	t.plain.CloseIdleConnections()
}

func newTransport(p Policy, j *judge) *http.Transport {
	conns := p.MaxConnsPerHost
	if conns <= 0 {
		conns = DefaultMaxConnsPerHost
	}
	return &http.Transport{
		DialContext:            dialer(j),
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.RootCAs},
		TLSHandshakeTimeout:    dialTimeout,
		MaxConnsPerHost:        conns,
		MaxIdleConnsPerHost:    conns,
		MaxIdleConns:           maxIdleConns,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: MaxResponseHeaderBytes,
		DisableCompression:     true, // a bound on the body is then a bound on the bytes read
	}
}

// dialer returns a dial function that asks j about every address it is about to
// connect to, after the name has been resolved.
func dialer(j *judge) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{
		Timeout: dialTimeout,
		Control: func(network, address string, _ syscall.RawConn) error { return j.connection(network, address) },
	}
	return d.DialContext
}

func loopback() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
		netip.PrefixFrom(netip.IPv6Loopback(), 128),
	}
}

// split sorts prefixes by family; an IPv4 range written as IPv4-mapped IPv6 counts
// as IPv4, because that is how an address of it is dialled.
func split(prefixes []netip.Prefix) (v4, v6 []netip.Prefix) {
	const mappedBits = 96
	for _, p := range prefixes {
		switch a := p.Addr(); {
		case a.Is4In6() && p.Bits() >= mappedBits:
			v4 = append(v4, netip.PrefixFrom(a.Unmap(), p.Bits()-mappedBits))
		case a.Is4():
			v4 = append(v4, p)
		default:
			v6 = append(v6, p)
		}
	}
	return v4, v6
}

// PrivateRanges returns the address ranges of private networks and loopback,
// for a Policy whose addresses are typed by a person, not named by a peer.
func PrivateRanges() []netip.Prefix {
	var ranges []netip.Prefix
	for _, text := range []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		ranges = append(ranges, netip.MustParsePrefix(text))
	}
	return ranges
}
