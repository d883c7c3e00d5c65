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
	"net/http"
	"time"

	"golang.org/x/crypto/acme"
)

// Kinds of challenges that are answered (RFC 8737, RFC 8555 §8.3).
const (
	tlsALPN01 = "tls-alpn-01"
	http01    = "http-01"
)

// renew orders a certificate with a new key, serves it and keeps it. Connections that there
// are go on as they began. One that could not be saved is not ordered again for that: servers
// bound how many of a name they give in a week.
func (m *Manager) renew(ctx context.Context, name string) error {
	if one := m.of(name); one.unsaved && one.directory == m.cfg.Directory && time.Now().Before(Due(one.cert.Leaf)) {
		return m.save(name, one)
	}
	made, err := m.order(ctx, name)
	if ctx.Err() != nil {
		return err // nothing failed: it ends
	}
	m.count(err)
	if err != nil {
		return err
	}
	m.change(func() { m.held[name] = made })
	m.cfg.Logger.InfoContext(ctx, "a new certificate is served", "host", name, "not_after", made.cert.Leaf.NotAfter.UTC())
	if err := m.save(name, made); err != nil {
		return err
	}
	if !time.Now().Before(Due(made.cert.Leaf)) {
		return errDue
	}
	return nil
}

// save writes the file of a certificate that is served.
func (m *Manager) save(name string, one held) error {
	if err := m.store.keep(name, one); err != nil {
		return &saveError{err}
	}
	one.unsaved = false
	m.change(func() { m.held[name] = one })
	return nil
}

// order has a certificate made. After a failure the next order begins with the directory:
// the server may have changed, or forgotten the account.
func (m *Manager) order(ctx context.Context, name string) (made held, err error) {
	m.ordering.Lock()
	defer m.ordering.Unlock()
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	defer func() {
		if err != nil {
			m.client = nil
		}
	}()
	if err := m.register(ctx); err != nil {
		return held{}, err
	}
	order, err := m.authorize(ctx, name)
	if err != nil {
		return held{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return held{}, err
	}
	cert, err := m.finalize(ctx, order, name, key)
	return held{cert: cert, directory: m.cfg.Directory, unsaved: true}, err
}

// register makes the account, or finds the one of our key (RFC 8555 §7.3), once.
func (m *Manager) register(ctx context.Context) error {
	if m.client != nil {
		return nil
	}
	client := &acme.Client{
		Key: m.account, DirectoryURL: m.cfg.Directory, HTTPClient: m.cfg.Client, UserAgent: "tocsin", RetryBackoff: backoff,
	}
	account := &acme.Account{ExternalAccountBinding: m.cfg.Binding}
	if m.cfg.Email != "" {
		account.Contact = []string{"mailto:" + m.cfg.Email}
	}
	refused := false
	_, err := client.Register(ctx, account, func(string) bool {
		refused = !m.cfg.AcceptTerms
		return m.cfg.AcceptTerms
	})
	if refused {
		return errTerms
	}
	switch {
	case errors.Is(err, acme.ErrAccountAlreadyExists):
		m.write(ctx, client, account)
	case err != nil:
		return fmt.Errorf("the account: %w", err)
	}
	m.client = client
	return nil
}

// write tells the server where it writes to about an account that there is: it was another
// address, maybe. A server that does not take it gives certificates none the less.
func (m *Manager) write(ctx context.Context, client *acme.Client, account *acme.Account) {
	if len(account.Contact) == 0 {
		return
	}
	if _, err := client.UpdateReg(ctx, account); err != nil && ctx.Err() == nil {
		m.cfg.Logger.WarnContext(ctx, "the ACME server did not take the address of --acme-email", "err", shown(err))
	}
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
