package auth_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// with has a request come on a connection with these certificates.
func with(certs ...tls.Certificate) func(*http.Request) {
	return func(r *http.Request) {
		r.TLS = &tls.ConnectionState{}
		for _, one := range certs {
			r.TLS.PeerCertificates = append(r.TLS.PeerCertificates, one.Leaf)
		}
	}
}

func asClient(id string, more ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// keysOf is the JWKS with the key of a certificate.
func keysOf(t *testing.T, of ...tls.Certificate) []byte {
	t.Helper()
	var keys []*jose.PublicKey
	for _, one := range of {
		key, err := jose.NewPublicKey(one.Leaf.PublicKey, "")
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return jwks(t, keys...)
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// RFC 8705 §2.1: a certificate that an authority vouches for now, for clients, with the
// name that the client is registered with, and nothing else, lets it in.
func TestClientCertificate(t *testing.T) {
	ca, other := edgetest.NewAuthority(t, "clients"), edgetest.NewAuthority(t, "clients")
	trusted := ca
	d := newDesk(t, func(c *auth.Config) { c.ClientCAs = func() *x509.CertPool { return trusted.Pool() } })
	now := time.Unix(d.now.Load(), 0)
	for id, c := range map[string]auth.Certificate{
		"dn": {SubjectDN: "CN=shop"}, "dns": {SANDNS: "shop.example"}, "uri": {SANURI: "spiffe://rp.example/shop"},
		"ip4": {SANIP: "192.0.2.7"}, "ip6": {SANIP: "2001:db8::7"}, "email": {SANEmail: "Shop@rp.example"},
	} {
		if made := d.client(t, auth.Client{ID: id, Scopes: []auth.Scope{"ssf.read"}, Certificate: &c}); made.Secret != "" {
			t.Errorf("%s: got a secret", id)
		}
	}
	secretive := d.client(t, auth.Client{ID: "secret", Scopes: []auth.Scope{"ssf.read"}})
	names := func(c *x509.Certificate) {
		c.DNSNames = []string{"a.example", "SHOP.example"}
		c.URIs = []*url.URL{mustURL(t, "https://a.example"), mustURL(t, "spiffe://rp.example/shop")}
		c.IPAddresses = []net.IP{net.ParseIP("198.51.100.1"), net.ParseIP("192.0.2.7"), net.ParseIP("2001:db8::7")}
		c.EmailAddresses = []string{"a@rp.example", "Shop@RP.example"}
	}
	good := ca.Issue(t, names)
	between := ca.Authority(t, "between")
	below := between.Issue(t, nil)
	changed := func(f func(*x509.Certificate)) tls.Certificate { return ca.Issue(t, f) }
	wildcard := changed(func(c *x509.Certificate) { c.DNSNames = []string{"*.example", "*"} })
	for _, tt := range []struct {
		name, id string
		certs    []tls.Certificate
		status   int
	}{
		{"subject", "dn", []tls.Certificate{good}, 200},
		{"one of several DNS names", "dns", []tls.Certificate{good}, 200},
		{"URI", "uri", []tls.Certificate{good}, 200},
		{"IPv4", "ip4", []tls.Certificate{good}, 200},
		{"IPv6", "ip6", []tls.Certificate{good}, 200},
		{"email", "email", []tls.Certificate{good}, 200},
		{"by an authority between", "dn", []tls.Certificate{below, {Leaf: between.Certificate}}, 200},
		{"without that authority", "dn", []tls.Certificate{below}, 401},
		{"none", "dn", nil, 401},
		{"of another authority of that name", "dn", []tls.Certificate{other.Issue(t, names)}, 401},
		{"signed by itself", "dn", []tls.Certificate{edgetest.SelfSigned(t, names)}, 401},
		{"the good one behind another's", "dn", []tls.Certificate{edgetest.SelfSigned(t, nil), good}, 401},
		{"expired", "dn", []tls.Certificate{changed(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) })}, 401},
		{"not good yet", "dn", []tls.Certificate{changed(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) })}, 401},
		{"for servers", "dn", []tls.Certificate{changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, 401},
		{"for anything", "dn", []tls.Certificate{changed(func(c *x509.Certificate) { c.ExtKeyUsage = nil })}, 200},
		{"another subject", "dn", []tls.Certificate{changed(func(c *x509.Certificate) { c.Subject.CommonName = "shop2" })}, 401},
		{"more of a subject", "dn", []tls.Certificate{changed(func(c *x509.Certificate) { c.Subject.Organization = []string{"Shop"} })}, 401},
		{"without names", "dns", []tls.Certificate{changed(nil)}, 401},
		{"the name as subject", "dns", []tls.Certificate{changed(func(c *x509.Certificate) { c.Subject.CommonName = "shop.example" })}, 401},
		{"wildcards are names of nobody", "dns", []tls.Certificate{wildcard}, 401},
		{"a name below", "dns", []tls.Certificate{changed(func(c *x509.Certificate) { c.DNSNames = []string{"shop.example.evil.example", "x.shop.example"} })}, 401},
		{"another URI", "uri", []tls.Certificate{changed(func(c *x509.Certificate) { c.URIs = []*url.URL{mustURL(t, "spiffe://rp.example/shop/")} })}, 401},
		{"another address", "ip4", []tls.Certificate{changed(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("192.0.2.8")} })}, 401},
		{"another letter before @", "email", []tls.Certificate{changed(func(c *x509.Certificate) { c.EmailAddresses = []string{"shop@rp.example"} })}, 401},
		{"DNS name in an email", "dns", []tls.Certificate{changed(func(c *x509.Certificate) { c.EmailAddresses = []string{"x@shop.example"} })}, 401},
		{"nobody's", "nobody", []tls.Certificate{good}, 401},
		{"a client with a secret", "secret", []tls.Certificate{good}, 401},
	} {
		status, code, _ := codeOf(t, post(d.TokenHandler(), "/oauth/token", asClient(tt.id), with(tt.certs...)))
		if status != tt.status || (status == 401) != (code == "invalid_client") {
			t.Errorf("RFC 8705 §2.1 %s: got %d %s, want %d", tt.name, status, code, tt.status)
		}
	}
	for what, got := range map[string]*http.Response{
		"a secret": post(d.TokenHandler(), "/oauth/token", asClient("dn"), basic("dn", secretive.Secret), with(good)),
		"an assertion by the certificate's key": post(d.TokenHandler(), "/oauth/token",
			asserting(d.forge(t, keyOf(t, jose.ES256), "JWT", map[string]any{"iss": "dn", "sub": "dn", "aud": issuer, "exp": d.now.Load() + 60, "jti": "1"}, nil)), with(good)),
	} {
		if got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s of a client with a certificate: got %d, want 401", what, got.StatusCode)
		}
	}
	trusted = other // the operator takes the authority back: connections that there are go on, the client does not
	if got := post(d.TokenHandler(), "/oauth/token", asClient("dn"), with(good)); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("of an authority that is not trusted any more: got %d, want 401", got.StatusCode)
	}
}

// RFC 8705 §2.2: whoever signed a certificate, its key lets in the client that has
// registered it, for as long as the certificate is good.
func TestSelfSignedCertificate(t *testing.T) {
	first, second, shown, stranger := edgetest.SelfSigned(t, nil), edgetest.SelfSigned(t, nil), edgetest.SelfSigned(t, nil), edgetest.SelfSigned(t, nil)
	source := &certifiedKeys{published{url: "https://rp.example/jwks"}}
	d := newDesk(t, func(c *auth.Config) { c.ClientKeys = source })
	set, err := jose.ParseKeySet(keysOf(t, shown))
	if err != nil {
		t.Fatal(err)
	}
	source.keys = set
	self := &auth.Certificate{SelfSigned: true}
	d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, Certificate: self, JWKS: keysOf(t, first, second)})
	d.client(t, auth.Client{ID: "p", Scopes: []auth.Scope{"ssf.read"}, Certificate: self, JWKSURI: source.url})
	d.client(t, auth.Client{ID: "k", Scopes: []auth.Scope{"ssf.read"}, JWKS: keysOf(t, first)})
	ask := func(what, id string, cert tls.Certificate, want int) {
		t.Helper()
		if got := post(d.TokenHandler(), "/oauth/token", asClient(id), with(cert)); got.StatusCode != want {
			t.Errorf("%s: got %d, want %d", what, got.StatusCode, want)
		}
	}
	ask("its first key", "c", first, 200)
	ask("its second key", "c", second, 200)
	ask("another's", "c", stranger, 401)
	ask("a published key", "p", shown, 200)
	ask("one that is not published", "p", first, 401)
	ask("a client that signs with that key", "k", first, 401)
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	d.client(t, auth.Client{ID: "a", Scopes: []auth.Scope{"ssf.read"}, Certificate: self, JWKS: jwks(t, key.Public())})
	claims := map[string]any{"iss": "a", "sub": "a", "aud": issuer, "exp": d.now.Load() + 60, "jti": "1"}
	if got := post(d.TokenHandler(), "/oauth/token", asserting(d.forge(t, key, "JWT", claims, nil))); got.StatusCode != 401 {
		t.Errorf("an assertion by the key of its certificate: got %d, want 401", got.StatusCode)
	}
	source.err = errors.New("away")
	ask("published, and away", "p", shown, 503)
	d.now.Store(first.Leaf.NotAfter.Unix() + 1)
	ask("expired", "c", first, 401)
	d.now.Store(first.Leaf.NotBefore.Unix() - 1)
	ask("not good yet", "c", first, 401)
}

// certifiedKeys also finds keys by themselves.
type certifiedKeys struct{ published }

func (p *certifiedKeys) Has(_ context.Context, set string, key crypto.PublicKey) (bool, error) {
	return p.err == nil && set == p.url && p.keys.Has(key), p.err
}

// A client has one way to authenticate, and says it in full.
func TestCertificateRefused(t *testing.T) {
	d := newDesk(t, nil)
	d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	keys := keysOf(t, edgetest.SelfSigned(t, nil))
	for _, tt := range []struct {
		member string
		c      auth.Client
	}{
		{"certificate", auth.Client{Certificate: &auth.Certificate{}}},
		{"certificate", auth.Client{Certificate: &auth.Certificate{SubjectDN: "CN=a", SANDNS: "a.example"}}},
		{"certificate", auth.Client{Certificate: &auth.Certificate{SubjectDN: "CN=a", SelfSigned: true}, JWKS: keys}},
		{"jwks", auth.Client{Certificate: &auth.Certificate{SelfSigned: true}}},
		{"jwks", auth.Client{Certificate: &auth.Certificate{SubjectDN: "CN=a"}, JWKS: keys}},
		{"jwks", auth.Client{Certificate: &auth.Certificate{SubjectDN: "CN=a"}, JWKSURI: "https://rp.example/jwks"}},
		{"external", auth.Client{Certificate: &auth.Certificate{SubjectDN: "CN=a"}, External: true}},
		{"static", auth.Client{Certificate: &auth.Certificate{SubjectDN: "CN=a"}, Static: true}},
		{"static", auth.Client{BoundTokens: true, Static: true}},
		{"certificate.subject_dn", auth.Client{Certificate: &auth.Certificate{SubjectDN: "shop"}}},
		{"certificate.subject_dn", auth.Client{Certificate: &auth.Certificate{SubjectDN: "CN=" + strings.Repeat("a", 3000)}}},
		{"certificate.san_dns", auth.Client{Certificate: &auth.Certificate{SANDNS: "*.example"}}},
		{"certificate.san_dns", auth.Client{Certificate: &auth.Certificate{SANDNS: "shop.example."}}},
		{"certificate.san_uri", auth.Client{Certificate: &auth.Certificate{SANURI: "shop"}}},
		{"certificate.san_ip", auth.Client{Certificate: &auth.Certificate{SANIP: "192.0.2.0/24"}}},
		{"certificate.san_email", auth.Client{Certificate: &auth.Certificate{SANEmail: "@rp.example"}}},
	} {
		tt.c.ID, tt.c.Application, tt.c.Scopes = "x", "rp", []auth.Scope{"ssf.read"}
		var invalid *auth.InvalidError
		if _, err := d.store.AddClient(t.Context(), tt.c); !errors.As(err, &invalid) || invalid.Member != tt.member {
			t.Errorf("%+v: got %v, want %s refused", tt.c.Certificate, err, tt.member)
		}
	}
}

// RFC 4514, RFC 8705 §2.1.2: a subject is compared by what it says, part by part.
func TestSubjectNames(t *testing.T) {
	type rdn = pkix.RelativeDistinguishedNameSET
	one := func(kind asn1.ObjectIdentifier, value any) rdn { return rdn{{Type: kind, Value: value}} }
	cn, o, ou, c := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.ObjectIdentifier{2, 5, 4, 11}, asn1.ObjectIdentifier{2, 5, 4, 6}
	dc := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	utf8 := func(s string) any { return asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(s)} }
	ia5 := func(s string) any { return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(s)} }
	bmp := asn1.RawValue{Tag: asn1.TagBMPString, Bytes: []byte{0, 's', 0, 'h', 0, 'o', 0, 'p'}}
	number := asn1.RawValue{Tag: asn1.TagInteger, Bytes: []byte{1}}
	bytesOf := func(tag int, b ...byte) any { return asn1.RawValue{Tag: tag, Bytes: b} }
	german := pkix.RDNSequence{one(c, "DE"), one(o, utf8("Müller, Söhne")), one(cn, "shop")}
	for _, tt := range []struct {
		text    string
		subject pkix.RDNSequence
		want    bool
	}{
		{`CN=shop`, pkix.RDNSequence{one(cn, "shop")}, true},
		{`CN=shop`, pkix.RDNSequence{one(cn, utf8("shop"))}, true}, // encoded otherwise
		{`CN=shop`, pkix.RDNSequence{one(cn, bmp)}, true},
		{`cn=shop`, pkix.RDNSequence{one(cn, "shop")}, true},
		{`2.5.4.3=shop`, pkix.RDNSequence{one(cn, "shop")}, true},
		{`CN=#0c0473686f70`, pkix.RDNSequence{one(cn, utf8("shop"))}, true},
		{`CN=#0c0473686f70`, pkix.RDNSequence{one(cn, "shop")}, false}, // that says the encoding, too
		{`CN=#020101`, pkix.RDNSequence{one(cn, number)}, true},
		{`CN=1`, pkix.RDNSequence{one(cn, number)}, false},
		{`CN=Shop`, pkix.RDNSequence{one(cn, "shop")}, false},
		{`CN=shop,O=Müller\, Söhne,C=DE`, german, true},
		{`CN=shop, O=M\C3\BCller\2C S\c3\b6hne, C=DE`, german, true},
		{`C=DE,O=Müller\, Söhne,CN=shop`, german, false}, // the other way round is another
		{`CN=shop,O=Müller\, Söhne`, german, false},
		{`CN=shop,C=DE`, german, false},
		{`CN=shop,DC=rp,DC=example`, pkix.RDNSequence{one(dc, ia5("example")), one(dc, ia5("rp")), one(cn, "shop")}, true},
		{`CN=shop,DC=example,DC=rp`, pkix.RDNSequence{one(dc, ia5("example")), one(dc, ia5("rp")), one(cn, "shop")}, false},
		{`OU=a+CN=shop`, pkix.RDNSequence{{{Type: cn, Value: "shop"}, {Type: ou, Value: "a"}}}, true}, // a part is a set
		{`CN=shop+OU=a`, pkix.RDNSequence{{{Type: cn, Value: "shop"}, {Type: ou, Value: "a"}}}, true},
		{`CN=shop,OU=a`, pkix.RDNSequence{{{Type: cn, Value: "shop"}, {Type: ou, Value: "a"}}}, false},
		{`CN=shop+CN=shop`, pkix.RDNSequence{{{Type: cn, Value: "shop"}, {Type: ou, Value: "shop"}}}, false},
		{`CN=shop\,O\=Evil`, pkix.RDNSequence{one(o, "Evil"), one(cn, "shop")}, false},
		{`CN=shop,O=Evil`, pkix.RDNSequence{one(cn, utf8("shop,O=Evil"))}, false},
		{`CN=shop\00`, pkix.RDNSequence{one(cn, utf8("shop"))}, false},
		{`CN=shop`, pkix.RDNSequence{one(cn, utf8("shop\x00"))}, false},
		{`CN=shop`, pkix.RDNSequence{one(cn, bytesOf(asn1.TagBMPString, 0, 's', 0, 'h', 0, 'o', 0, 'p', 0, 0))}, false}, // a NUL behind it
		{`CN=s\EF\BF\BD`, pkix.RDNSequence{one(cn, bytesOf(asn1.TagBMPString, 0, 's', 0xd8, 0))}, false},                // half a pair is no U+FFFD
		{`CN=s\F0\9F\98\80`, pkix.RDNSequence{one(cn, bytesOf(asn1.TagBMPString, 0, 's', 0xd8, 0x3d, 0xde, 0))}, false}, // BMP has no pairs
		{`CN=ü`, pkix.RDNSequence{one(cn, bytesOf(asn1.TagBMPString, 0, 0xfc))}, true},
		{`CN=ü`, pkix.RDNSequence{one(cn, bytesOf(asn1.TagT61String, 0xc3, 0xbc))}, false}, // T.61 is no UTF-8
		{`CN=shop`, pkix.RDNSequence{one(cn, bytesOf(asn1.TagT61String, 's', 'h', 'o', 'p'))}, true},
		{`CN=ſhop`, pkix.RDNSequence{one(cn, "shop")}, false},
		{`CN=shop`, pkix.RDNSequence{}, false},
		{`CN=shop`, pkix.RDNSequence{one(cn, "shop"), {}}, false},
		{`CN=\ shop\ `, pkix.RDNSequence{one(cn, " shop ")}, true},
		{`CN= shop `, pkix.RDNSequence{one(cn, "shop")}, true},
		{`CN=`, pkix.RDNSequence{one(cn, "")}, true},
		{`CN=a=b`, pkix.RDNSequence{one(cn, "a=b")}, true},
	} {
		der, err := asn1.Marshal(tt.subject)
		if err != nil {
			t.Fatalf("%s: %v", tt.text, err)
		}
		if got, err := auth.NameIs(tt.text, der); err != nil || got != tt.want {
			t.Errorf("%s: got %t (%v) of %v, want %t", tt.text, got, err, tt.subject, tt.want)
		}
	}
	for _, text := range []string{"", "shop", "=shop", "CN=shop,", ",CN=shop", "CN=shop,,O=a", "XX=shop", "CN=a;O=b", `CN="a"`, `CN=a\`, `CN=a\x`, `CN=a\e`, `CN=\ff`, "CN=#", "CN=#zz", "CN=#0c05", "CN=#0c0161ff", "CN=<a>", "1=a", "1..2=a", "01.2=a", "CN=a+", strings.Repeat("CN=a,", 40) + "CN=a"} {
		if _, err := auth.NameIs(text, nil); err == nil {
			t.Errorf("%q: got a name, want it refused", text)
		}
	}
}

// RFC 8705 §3: a token that is bound to a certificate is good on connections with that
// alone, wherever the token came from in the meantime.
func TestBoundTokens(t *testing.T) {
	ca := edgetest.NewAuthority(t, "clients")
	d := newDesk(t, func(c *auth.Config) { c.ClientCAs = ca.Pool })
	d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, Certificate: &auth.Certificate{SubjectDN: "CN=shop"}})
	mine, renewed := ca.Issue(t, nil), ca.Issue(t, nil)
	get := func(form url.Values, by ...func(*http.Request)) string {
		t.Helper()
		var body struct {
			Token string `json:"access_token"`
			Type  string `json:"token_type"`
		}
		res := post(d.TokenHandler(), "/oauth/token", form, by...)
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != 200 || body.Type != "Bearer" {
			t.Fatalf("got %d %+v (%v), want a token", res.StatusCode, body, err)
		}
		return body.Token
	}
	check := func(what, token string, want string, by ...tls.Certificate) {
		t.Helper()
		for _, turn := range []string{"", ", again"} { // what is remembered is asked no less
			r := httptest.NewRequest(http.MethodGet, "/ssf/streams", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			with(by...)(r)
			_, err := d.Check(r, auth.OpReadStream)
			var refusal *auth.Error
			if (want == "") != (err == nil) || err != nil && (!errors.As(err, &refusal) || refusal.Status != 401 || refusal.Code != "invalid_token" || !strings.Contains(refusal.Description, want)) {
				t.Errorf("%s%s: got %v, want %q", what, turn, err, want)
			}
		}
	}
	token := get(asClient("c"), with(mine))
	check("stolen, before it was used", token, "certificate")
	check("with its certificate", token, "", mine)
	check("stolen", token, "certificate")
	check("with one of the same name", token, "certificate", renewed)
	check("with its certificate behind another", token, "certificate", renewed, mine)
	if _, err := d.ask(t, token); err == nil {
		t.Error("without a request: got it good, want it refused")
	}
	// The way to authenticate is another matter (§3.4).
	secret := d.client(t, auth.Client{ID: "s", Scopes: []auth.Scope{"ssf.read"}, BoundTokens: true})
	if status, code, text := codeOf(t, post(d.TokenHandler(), "/oauth/token", asClient("s"), basic("s", secret.Secret))); status != 400 || code != "invalid_request" || !strings.Contains(text, "certificate") {
		t.Errorf("without a certificate: got %d %s %s, want 400 that asks for one", status, code, text)
	}
	anybodys := edgetest.SelfSigned(t, nil)
	bound := get(asClient("s"), basic("s", secret.Secret), with(anybodys))
	check("by a secret, with its certificate", bound, "", anybodys)
	check("by a secret, without", bound, "certificate")
	check("by a secret, with another", bound, "certificate", mine)
	plain := d.client(t, auth.Client{ID: "p", Scopes: []auth.Scope{"ssf.read"}})
	check("a client that asks for nothing of it", get(asClient("p"), basic("p", plain.Secret), with(mine)), "")
	// Revoked as any other, by the client.
	if got := post(d.RevokeHandler(), "/oauth/revoke", url.Values{"client_id": {"c"}, "token": {token}}, with(renewed)); got.StatusCode != 200 {
		t.Errorf("revoke: got %d, want 200", got.StatusCode)
	}
	check("revoked", token, "revoked", mine)
	// What cnf says besides is not looked at, and so not believed.
	claims := map[string]any{"iss": issuer, "aud": issuer, "sub": "p", "client_id": "p", "scope": "ssf.read", "jti": "1", "iat": d.now.Load(), "exp": d.now.Load() + 60}
	m, err := jose.Parse([]byte(get(asClient("p"), basic("p", plain.Secret))))
	var issued struct {
		Number string `json:"reg"`
	}
	if err != nil || json.Unmarshal(m.Payload, &issued) != nil {
		t.Fatal(err)
	}
	number := issued.Number
	print43 := strings.Repeat("A", 43)
	for name, cnf := range map[string]any{
		"null": nil, "empty": map[string]any{}, "jkt": map[string]any{"jkt": print43}, "with jkt": map[string]any{"x5t#S256": print43, "jkt": print43},
		"a number": map[string]any{"x5t#S256": 1}, "too short": map[string]any{"x5t#S256": "AAAA"}, "padded": map[string]any{"x5t#S256": print43 + "="}, "a text": "x", "a list": []any{},
	} {
		forged := d.forge(t, d.key, "at+jwt", claims, map[string]any{"reg": number, "cnf": rawOf(cnf)})
		check("cnf "+name, forged, "bound to what", mine)
	}
	check("no cnf", d.forge(t, d.key, "at+jwt", claims, map[string]any{"reg": number}), "")
}

// rawOf keeps null, which forge takes for a claim that is to go.
func rawOf(v any) json.RawMessage {
	raw, _ := json.Marshal(v)
	return raw
}
