package guard_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// asking is a server that tells who came on which connection, and holds back what comes to
// /held until it is let go.
func asking(t *testing.T, change func(*tls.Config)) (*httptest.Server, chan struct{}) {
	t.Helper()
	held := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			held <- struct{}{}
			<-held
		}
		shown := "nobody"
		if certs := r.TLS.PeerCertificates; len(certs) > 0 {
			shown = hex.EncodeToString(certs[0].Raw)
		}
		_, _ = io.WriteString(w, shown+" "+r.RemoteAddr)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	if change != nil {
		change(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, held
}

// RFC 8705 §3: from the moment on that a certificate is renewed every call shows the new
// one, whatever connections are open; what is under way ends as it began; and as long as
// there is one certificate, connections are used again.
func TestClientCertificate(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			// The server names authorities that did not sign the certificate: it is shown all the same.
			s, held := asking(t, func(c *tls.Config) {
				c.MaxVersion, c.ClientCAs = version, edgetest.NewAuthority(t, "another").Pool()
			})
			var now atomic.Pointer[tls.Certificate]
			show := func() tls.Certificate {
				pair := edgetest.SelfSigned(t, nil)
				now.Store(&pair)
				return pair
			}
			client := guard.NewClient(guard.Policy{
				Allow: prefixes("127.0.0.1/32"), RootCAs: roots(s), ClientCertificate: func() (*tls.Certificate, error) { return now.Load(), nil },
			})
			defer client.CloseIdleConnections()
			come := func(path string, cert tls.Certificate) (connection string) {
				t.Helper()
				got, err := fetch(client, s.URL+path)
				shown, connection, _ := strings.Cut(got, " ")
				if err != nil || shown != hex.EncodeToString(cert.Certificate[0]) {
					t.Errorf("%s: got %.40s (%v), want the certificate in force", path, shown, err)
				}
				return connection
			}
			first := show()
			one := come("/", first)
			if again := come("/", first); again != one {
				t.Errorf("got another connection %s, want %s again", again, one)
			}
			under := make(chan struct{})
			go func() {
				defer close(under)
				come("/held", first)
			}()
			<-held
			second := show()
			next := come("/", second)
			if next == one {
				t.Error("got a connection of the certificate before")
			}
			held <- struct{}{}
			<-under
			for range 3 {
				if again := come("/", second); again != next {
					t.Errorf("got another connection %s, want %s again", again, next)
				}
			}
		})
	}
}

// Where there is no certificate to show no call is made, and the error says so.
func TestNoClientCertificate(t *testing.T) {
	s, _ := asking(t, nil)
	broken := errors.New("a broken pair")
	for _, get := range []func() (*tls.Certificate, error){
		func() (*tls.Certificate, error) { return nil, broken },
		func() (*tls.Certificate, error) { return nil, nil }, //nolint:nilnil // what a source should not do
	} {
		client := guard.NewClient(guard.Policy{Allow: prefixes("127.0.0.1/32"), RootCAs: roots(s), ClientCertificate: get})
		body := &closable{Reader: strings.NewReader("x")}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "client certificate: ") {
			t.Errorf("got %v, want an error about the certificate", err)
		}
		if !body.closed {
			t.Error("got the request's body left open")
		}
	}
}
