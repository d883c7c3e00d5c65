package acmecert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// Kinds of challenges that are answered (RFC 8737, RFC 8555 §8.3).
const (
	tlsALPN01 = "tls-alpn-01"
	http01    = "http-01"
)

// renew orders a certificate with a new key, keeps it and serves it. Connections that there
// are go on as they began.
func (m *Manager) renew(ctx context.Context, name string) error {
	m.ordering.Lock()
	defer m.ordering.Unlock()
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	if err := m.register(ctx); err != nil {
		return err
	}
	order, err := m.authorize(ctx, name)
	if problem, ok := errors.AsType[*acme.Error](err); ok && problem.ProblemType == noAccount {
		m.registered, m.client.KID = false, "" // the next try makes it anew
	}
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert, err := m.finalize(ctx, order, name, key)
	if err != nil {
		return err
	}
	made := held{cert: cert, directory: m.cfg.Directory}
	if err := m.store.keep(name, made); err != nil {
		return err
	}
	m.mu.Lock()
	m.held[name] = made
	m.mu.Unlock()
	m.cfg.Logger.InfoContext(ctx, "a new certificate is served", "host", name, "not_after", cert.Leaf.NotAfter.UTC())
	return nil
}

// noAccount says that the server does not know our account (any more).
const noAccount = "urn:ietf:params:acme:error:accountDoesNotExist"

// register makes the account, or finds the one of our key (RFC 8555 §7.3), once.
func (m *Manager) register(ctx context.Context) error {
	if m.registered {
		return nil
	}
	account := &acme.Account{ExternalAccountBinding: m.cfg.Binding}
	if m.cfg.Email != "" {
		account.Contact = []string{"mailto:" + m.cfg.Email}
	}
	refused := false
	_, err := m.client.Register(ctx, account, func(string) bool {
		refused = !m.cfg.AcceptTerms
		return m.cfg.AcceptTerms
	})
	switch {
	case refused:
		return errTerms
	case err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists):
		return fmt.Errorf("the account: %w", err)
	}
	m.registered = true
	return nil
}

// authorize makes an order and shows that name is ours.
func (m *Manager) authorize(ctx context.Context, name string) (*acme.Order, error) {
	order, err := m.client.AuthorizeOrder(ctx, acme.DomainIDs(name))
	if err != nil {
		return nil, fmt.Errorf("the order: %w", err)
	}
	if order.Status == acme.StatusReady {
		return order, nil
	}
	for _, url := range order.AuthzURLs {
		if err := m.prove(ctx, url, name); err != nil {
			return nil, err
		}
	}
	if order, err = m.client.WaitOrder(ctx, order.URI); err != nil {
		return nil, fmt.Errorf("the order: %w", err)
	}
	return order, nil
}

// prove answers the challenge of one authorization.
func (m *Manager) prove(ctx context.Context, url, name string) error {
	authz, err := m.client.GetAuthorization(ctx, url)
	if err != nil {
		return fmt.Errorf("the authorization: %w", err)
	}
	if authz.Status == acme.StatusValid {
		return nil
	}
	kind := tlsALPN01
	if m.cfg.HTTP {
		kind = http01
	}
	for _, challenge := range authz.Challenges {
		if challenge.Type != kind {
			continue
		}
		done, err := m.answer(challenge, name)
		if err != nil {
			return err
		}
		defer done()
		if _, err := m.client.Accept(ctx, challenge); err != nil {
			return fmt.Errorf("the challenge: %w", err)
		}
		_, err = m.client.WaitAuthorization(ctx, authz.URI)
		return err
	}
	return fmt.Errorf("the ACME server offers no %s challenge", kind)
}

// answer has the listener answer a challenge until done.
func (m *Manager) answer(challenge *acme.Challenge, name string) (done func(), err error) {
	if challenge.Type == http01 {
		text, err := m.client.HTTP01ChallengeResponse(challenge.Token)
		if err != nil {
			return nil, err
		}
		path := m.client.HTTP01ChallengePath(challenge.Token)
		m.change(func() { m.http[path] = text })
		return func() { m.change(func() { delete(m.http, path) }) }, nil
	}
	cert, err := m.client.TLSALPN01ChallengeCert(challenge.Token, name)
	if err != nil {
		return nil, err
	}
	m.change(func() { m.alpn[name] = &cert })
	return func() { m.change(func() { delete(m.alpn, name) }) }, nil
}

func (m *Manager) change(what func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	what()
}

// finalize has the certificate made, and looks whether it is what was ordered.
func (m *Manager) finalize(ctx context.Context, order *acme.Order, name string, key crypto.Signer) (*tls.Certificate, error) {
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := m.client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	cert := &tls.Certificate{Certificate: chain, PrivateKey: key}
	if cert.Leaf, err = x509.ParseCertificate(chain[0]); err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	public, ok := cert.Leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || !public.Equal(key.Public()) {
		return nil, errors.New("the certificate: it is for another key")
	}
	if err := cert.Leaf.VerifyHostname(name); err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	if now := time.Now(); now.After(cert.Leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate: it has expired on %s", cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return cert, nil
}

// maxTries is how often one request is made, where the server is busy or wants another nonce.
const maxTries = 5

// backoff says how long after its nth failure a request is repeated; 0: not.
func backoff(n int, _ *http.Request, resp *http.Response) time.Duration {
	if n >= maxTries || resp != nil && resp.StatusCode == http.StatusTooManyRequests {
		return 0 // what the server limits is not asked again at once
	}
	return time.Duration(n) * 200 * time.Millisecond
}

// maxAnswer bounds an answer of the server, in bytes.
const maxAnswer = 1 << 20

// bounded is a client whose answers are cut at maxAnswer.
func bounded(client *http.Client) *http.Client {
	short := *client
	short.Transport = cutting{client.Transport}
	return &short
}

type cutting struct{ http.RoundTripper }

// RoundTrip makes one request.
func (c cutting) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// Advice says what an operator does about a failure.
func Advice(err error) string {
	var unknown x509.UnknownAuthorityError
	var refused *acme.AuthorizationError
	var problem *acme.Error
	_, limited := acme.RateLimit(err)
	switch {
	case errors.Is(err, errTerms):
		return "read them, and agree with --acme-accept-terms"
	case guard.Blocked(err):
		return "name its address range with --acme-allow"
	case errors.As(err, &unknown):
		return "name the authority of the ACME server with --acme-ca"
	case errors.As(err, &refused):
		return "the name must lead here, and the ACME server must reach port 443 of it, or port 80 with --acme-http"
	case limited:
		return "it was asked too often: wait, and look what failed before"
	case errors.As(err, &problem) && problem.ProblemType == "urn:ietf:params:acme:error:externalAccountRequired":
		return "get credentials from it, and name them with --acme-eab-kid and --acme-eab-key"
	case errors.As(err, &problem):
		return "this is what the ACME server says; its documentation tells what to do"
	default:
		return "is the ACME server reached from here? See --acme-directory"
	}
}
