// Package acmecert obtains the certificates of a listener from an ACME server (RFC 8555),
// such as Let's Encrypt or an internal step-ca, and renews them while it serves.
//
// Orders are made by [Manager.Run] alone, for the names that are configured, and never
// because somebody has connected: servers bound how often they may be asked. That, and
// failures that are told, is why this drives golang.org/x/crypto/acme itself and not by its
// autocert, which orders in a handshake and is silent about a renewal that fails.
package acmecert

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/acme"
	"golang.org/x/net/idna"

	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// LetsEncrypt is the directory that is asked unless another is named.
const LetsEncrypt = acme.LetsEncryptURL

// MaxDomains bounds the names of one process.
const MaxDomains = 100

// Config says what certificates are for, and where they come from.
type Config struct {
	// Domains are the names, as [Name] returns them; one at least. Each has a certificate
	// of its own, so that one which cannot be had keeps no other from being renewed.
	Domains []string
	// Directory is the URL of the server's directory; empty: [LetsEncrypt].
	Directory string
	// AcceptTerms agrees to the server's terms of service; without it a server that has
	// terms gives nothing.
	AcceptTerms bool
	// Email is where the server writes to about the account; empty: nowhere.
	Email string
	// Binding ties the account to one of the server's customers (RFC 8555 §7.3.4); nil: to
	// none.
	Binding *acme.ExternalAccountBinding
	// HTTP answers HTTP-01 challenges, by [Manager.Handler], in place of TLS-ALPN-01, which
	// the listener itself answers.
	HTTP bool
	// Dir is the folder of account key and certificates; it is made. Required.
	Dir string
	// Vault encrypts private keys there; nil: they are in clear.
	Vault *vault.Vault
	// Client calls the server: one of guard.NewClient. Required.
	Client *http.Client
	// Retry are the pauses after the first, second, … failure in a row; the last goes on.
	// None: 1 m, 10 m, 30 m, 1 h, few enough for what Let's Encrypt lets fail in an hour.
	Retry  []time.Duration
	Logger *slog.Logger // required
}

// orderTime bounds one order with all its challenges.
const orderTime = 5 * time.Minute

// Manager has the certificates. Safe for concurrent use.
type Manager struct {
	cfg    Config
	store  store
	orders *prometheus.CounterVec // by result

	ordering sync.Mutex // one order at a time
	account  *ecdsa.PrivateKey
	client   *acme.Client // knows directory and account; nil: both are to be asked for

	mu   sync.RWMutex
	held map[string]held             // by name
	alpn map[string]*tls.Certificate // answers to challenges under way, by name
	http map[string]string           // the same, by path
}

// held is a certificate with the directory it came from.
type held struct {
	cert      *tls.Certificate
	directory string
	unsaved   bool // it is in memory alone
}

// maxName bounds what is looked at as a name, in bytes: what is longer has no form of at
// most 253 characters. Its cost grows with its square, and strangers name it in handshakes.
const maxName = 1024

// Name returns a name as certificates have it, in lower case and in ASCII. It must have a
// dot and be no address: no ACME server gives a certificate for something else.
func Name(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("it is no host name: it has %d bytes", len(name))
	}
	strict := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))
	ascii, err := strict.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil || !strings.Contains(ascii, ".") || strings.HasSuffix(ascii, ".") || strings.ContainsAny(ascii, "*/: ") {
		return "", fmt.Errorf("%q is no host name such as ssf.example.com", name)
	}
	if _, err := netip.ParseAddr(ascii); err == nil {
		return "", fmt.Errorf("%q is an address, want a host name", name)
	}
	return strings.ToLower(ascii), nil
}

// New reads what there is in the folder, and calls nobody. Errors: those of the folder, and
// vault.ErrLocked if its keys are encrypted and cfg.Vault cannot open them.
func New(cfg Config) (*Manager, error) {
	if cfg.Directory == "" {
		cfg.Directory = LetsEncrypt
	}
	if len(cfg.Retry) == 0 {
		cfg.Retry = []time.Duration{time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}
	}
	m := &Manager{
		cfg: cfg, store: store{dir: cfg.Dir, vault: cfg.Vault, logger: cfg.Logger}, orders: newOrders(),
		held: map[string]held{}, alpn: map[string]*tls.Certificate{}, http: map[string]string{},
	}
	if err := m.store.open(); err != nil {
		return nil, err
	}
	var err error
	if m.account, err = m.store.account(); err != nil {
		return nil, err
	}
	m.cfg.Client = bounded(cfg.Client)
	for _, name := range cfg.Domains {
		one, err := m.store.certificate(name)
		switch {
		case err != nil:
			return nil, err
		case one.cert != nil:
			m.held[name] = one
		}
	}
	return m, nil
}

// Run obtains and renews certificates until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, name := range m.cfg.Domains {
		all.Go(func() { m.keep(ctx, name) })
	}
	all.Wait()
	return nil
}

// keep renews one certificate whenever it is due.
func (m *Manager) keep(ctx context.Context, name string) {
	if m.of(name).cert == nil {
		m.cfg.Logger.InfoContext(ctx, "there is no certificate yet, one is ordered; until it is there nobody can connect by this name", "host", name)
	}
	for failures := 0; ; {
		if !m.untilDue(ctx, name) {
			return
		}
		err := m.renew(ctx, name)
		if ctx.Err() != nil {
			return
		}
		pause := m.cfg.Retry[0] // however short their lives are
		if err == nil {
			failures = 0
		} else {
			pause = m.pause(failures, err)
			failures++
			m.tell(ctx, name, err, pause)
		}
		if !wait(ctx, pause) {
			return
		}
	}
}

// look is how often the clock is looked at: timers stand still while a machine sleeps, and
// do not see that its clock was set.
const look = time.Hour

// untilDue waits until a certificate is to be renewed, and reports whether ctx goes on.
func (m *Manager) untilDue(ctx context.Context, name string) bool {
	for {
		left := time.Until(m.due(name))
		if left <= 0 {
			return ctx.Err() == nil
		}
		if !wait(ctx, min(left, look)) {
			return false
		}
	}
}

// pause is how long nothing is asked after a failure: what the server says, if it is longer.
func (m *Manager) pause(failures int, err error) time.Duration {
	pause := m.cfg.Retry[min(failures, len(m.cfg.Retry)-1)]
	if asked, limited := limit(err); limited {
		return max(pause, asked)
	}
	return pause
}

// Due is when a certificate is renewed: a third of its life before the end, 30 days at most.
func Due(leaf *x509.Certificate) time.Time {
	const earliest = 30 * 24 * time.Hour
	return leaf.NotAfter.Add(-min(leaf.NotAfter.Sub(leaf.NotBefore)/3, earliest))
}

// due is when something is to be done for a name: at once where there is no certificate, or
// one of another server, or one that is not saved yet.
func (m *Manager) due(name string) time.Time {
	one := m.of(name)
	if one.cert == nil || one.directory != m.cfg.Directory || one.unsaved {
		return time.Time{}
	}
	return Due(one.cert.Leaf)
}

func (m *Manager) of(name string) held {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.held[name]
}

// GetCertificate is for tls.Config: the certificate of the name that a client asks for, or
// the answer to a challenge. Other names, and names whose certificate is still to come, have
// none: the handshake ends with an alert, and nothing is ordered. A client that names
// nothing gets the certificate that ends first of those that there are.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName == "" {
		first, _ := m.first()
		return first, nil
	}
	name, err := Name(hello.ServerName)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // no certificate: crypto/tls answers unrecognized_name
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto {
		return m.alpn[name], nil
	}
	return m.held[name].cert, nil
}

// Protocols are what a listener that answers challenges speaks (tls.Config.NextProtos).
func (m *Manager) Protocols() []string {
	if m.cfg.HTTP {
		return nil
	}
	return []string{"h2", "http/1.1", acme.ALPNProto}
}

// First returns the certificate that ends first; nil while one name has none.
func (m *Manager) First() *tls.Certificate {
	if first, all := m.first(); all {
		return first
	}
	return nil
}

// first is the certificate that ends first, and whether all are there.
func (m *Manager) first() (first *tls.Certificate, all bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, one := range m.held {
		if first == nil || one.cert.Leaf.NotAfter.Before(first.Leaf.NotAfter) {
			first = one.cert
		}
	}
	return first, len(m.held) == len(m.cfg.Domains)
}

func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
