package guard_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// SEC-01, SEC-02: every way to write an inner address is judged as the address it leads
// to; a public address is allowed.
func TestJudge(t *testing.T) {
	everywhere := prefixes("0.0.0.0/0", "::/0")
	for _, tt := range []struct {
		name, address string
		allow         []netip.Prefix
		want          bool
	}{
		{"public", "1.1.1.1:443", nil, true},
		{"public, another port", "1.1.1.1:8443", nil, true},
		{"public, mapped", "[::ffff:1.1.1.1]:443", nil, true},
		{"public IPv6", "[2606:4700::1111]:443", nil, true},
		{"mapped", "[::ffff:10.0.0.1]:443", nil, false},
		{"mapped, in hexadecimal", "[::ffff:7f00:1]:443", nil, false},
		{"mapped metadata", "[::ffff:a9fe:a9fe]:443", nil, false},
		{"compatible", "[::10.0.0.1]:443", nil, false},
		{"translated (RFC 2765)", "[::ffff:0:10.0.0.1]:443", nil, false},
		{"NAT64", "[64:ff9b::10.0.0.1]:443", nil, false},
		{"NAT64 of a public address", "[64:ff9b::1.1.1.1]:443", nil, false},
		{"local NAT64", "[64:ff9b:1::10.0.0.1]:443", nil, false},
		{"6to4", "[2002:a00:1::]:443", nil, false},
		{"Teredo", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]:443", nil, false},
		{"ORCHIDv2", "[2001:20::1]:443", nil, false},
		{"documentation", "[2001:db8::1]:443", nil, false},
		{"unique local", "[fd12::1]:443", nil, false},
		{"link local", "[fe80::1%lo]:443", nil, false},
		{"discard", "[100::1]:443", nil, false},
		{"multicast", "[ff0e::1]:443", nil, false},
		{"unspecified", "[::]:443", nil, false},
		{"broadcast", "255.255.255.255:443", nil, false},
		{"this network", "0.1.2.3:443", nil, false},

		{"AWS", "169.254.169.254:80", nil, false},
		{"AWS, containers", "169.254.170.2:80", nil, false},
		{"AWS, IPv6", "[fd00:ec2::254]:80", nil, false},
		{"Google, IPv6", "[fd20:ce::254]:80", nil, false},
		{"Azure, the host", "168.63.129.16:80", nil, false},
		{"Azure, the host, mapped", "[::ffff:168.63.129.16]:80", nil, false},
		{"Azure's neighbour is public", "168.63.129.17:443", nil, true},
		{"Alibaba", "100.100.100.200:80", nil, false},
		{"Oracle", "192.0.0.192:80", nil, false},
		{"link local, IPv6", "[fe80::a9fe:a9fe%lo]:80", nil, false},

		{"private, allowed", "10.0.0.1:443", prefixes("10.0.0.0/8"), true},
		{"private, allowed, mapped", "[::ffff:10.0.0.1]:443", prefixes("10.0.0.0/8"), true},
		{"metadata in a range that is allowed", "169.254.169.254:80", prefixes("169.254.0.0/16"), false},
		{"its neighbour", "169.254.169.253:80", prefixes("169.254.0.0/16"), true},
		{"metadata, IPv6, in a range that is allowed", "[fd00:ec2::254]:80", prefixes("fc00::/7"), false},
		{"metadata where all is allowed", "169.254.169.254:80", everywhere, false},
		{"metadata, allowed by name", "169.254.169.254:80", prefixes("169.254.169.254/32"), true},
		{"metadata, IPv6, allowed by name", "[fd00:ec2::254]:80", prefixes("fd00:ec2::254/128"), true},
		{"NAT64, allowed, of a public address", "[64:ff9b::1.1.1.1]:443", prefixes("64:ff9b::/96"), true},
		{"NAT64, allowed, of a private address", "[64:ff9b::10.0.0.1]:443", prefixes("64:ff9b::/96"), false},
		{"NAT64, allowed, of loopback", "[64:ff9b::7f00:1]:443", prefixes("64:ff9b::/96"), false},
		{"NAT64, allowed, of metadata", "[64:ff9b::a9fe:a9fe]:443", prefixes("64:ff9b::/96"), false},
		{"NAT64, allowed, of a private address that is, too", "[64:ff9b::10.0.0.1]:443", prefixes("64:ff9b::/96", "10.0.0.0/8"), true},
	} {
		network := "tcp4"
		if strings.HasPrefix(tt.address, "[") {
			network = "tcp6"
		}
		err := guard.Judge(guard.Policy{Allow: tt.allow}, network, tt.address)
		if got := err == nil; got != tt.want || err != nil && !guard.Blocked(err) {
			t.Errorf("SEC-02 %s %s: got allowed %t (%v), want %t", tt.name, tt.address, got, err, tt.want)
		}
	}
	if err := guard.Judge(guard.Policy{}, "udp4", "1.1.1.1:443"); !guard.Blocked(err) {
		t.Errorf("UDP: got %v, want it refused", err)
	}
	for _, private := range guard.PrivateRanges() {
		if err := guard.Judge(guard.Policy{Allow: guard.PrivateRanges()}, "tcp6", "[fd00:ec2::254]:80"); !guard.Blocked(err) {
			t.Errorf("%s: got metadata allowed with what a person types", private)
		}
	}
}

// zone answers the n-th question for a name's addresses with its n-th entry, the last
// again and again, as a server does that rebinds a name.
type zone struct {
	mu      sync.Mutex
	answers []string
	asked   int
}

// resolver returns one that asks z alone.
func (z *zone) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, StrictErrors: false, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go z.serve(theirs)
		return ours, nil
	}}
}

// serve answers over a stream: two bytes of length before each message (RFC 1035 §4.2.2).
func (z *zone) serve(c net.Conn) {
	defer c.Close()
	for {
		var length [2]byte
		if _, err := c.Read(length[:]); err != nil {
			return
		}
		raw := make([]byte, int(length[0])<<8|int(length[1]))
		for n := 0; n < len(raw); {
			m, err := c.Read(raw[n:])
			if err != nil {
				return
			}
			n += m
		}
		var question dnsmessage.Message
		if question.Unpack(raw) != nil {
			return
		}
		answer := z.answer(question)
		packed, err := answer.Pack()
		if err != nil {
			return
		}
		if _, err := c.Write(append([]byte{byte(len(packed) >> 8), byte(len(packed))}, packed...)); err != nil {
			return
		}
	}
}

func (z *zone) answer(m dnsmessage.Message) dnsmessage.Message {
	m.Response, m.RCode, m.Additionals = true, dnsmessage.RCodeSuccess, nil
	if len(m.Questions) != 1 {
		return m
	}
	q := m.Questions[0]
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0}
	z.mu.Lock()
	defer z.mu.Unlock()
	a := netip.MustParseAddr(z.answers[min(z.asked, len(z.answers)-1)])
	switch {
	case q.Type == dnsmessage.TypeA && a.Is4():
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: a.As4()}}}
		z.asked++
	case q.Type == dnsmessage.TypeAAAA && a.Is6():
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}}
		z.asked++
	}
	return m
}

// SEC-02: a name is judged by the address that is connected to, each time anew: one that
// was good and leads inwards now is refused, in whatever form its server writes that.
func TestRebinding(t *testing.T) {
	served := make(chan struct{}, 10)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served <- struct{}{}
		w.Header().Set("Connection", "close")
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		answers []string // of the name's server, question by question
	}{
		{"loopback", []string{"127.0.0.1", "127.0.0.2"}},
		{"private", []string{"127.0.0.1", "10.0.0.1"}},
		{"metadata", []string{"127.0.0.1", "169.254.169.254"}},
		{"mapped", []string{"127.0.0.1", "::ffff:127.0.0.2"}},
		{"NAT64", []string{"127.0.0.1", "64:ff9b::7f00:2"}},
		{"IPv6 loopback", []string{"127.0.0.1", "::1"}},
	} {
		z := &zone{answers: tt.answers}
		// One address of this machine stands for the public one that the name had.
		policy := guard.Policy{Allow: prefixes("127.0.0.1/32"), RootCAs: roots(server)}
		client := guard.Resolving(policy, z.resolver())
		url := "https://example.com:" + port // the name in the certificate
		resp, err := client.Get(url)
		if err != nil {
			t.Fatalf("%s: the first call: got %v, want it made", tt.name, err)
		}
		_ = resp.Body.Close()
		<-served
		client.CloseIdleConnections()
		if resp, err = client.Get(url); err == nil {
			_ = resp.Body.Close()
		}
		if !guard.Blocked(err) {
			t.Errorf("SEC-02 %s: got %v, want the second call refused", tt.name, err)
		}
		select {
		case <-served:
			t.Errorf("SEC-02 %s: got the server asked, want it not", tt.name)
		default:
		}
	}
}
