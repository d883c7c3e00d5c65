package acmecert

import (
	"context"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/acme"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

var (
	// errTerms says that the terms of service were not agreed to.
	errTerms = errors.New("the ACME server has terms of service that are not agreed to")
	// errDue says that a certificate came whose time to be renewed has come, too.
	errDue = errors.New("the certificate that came ends so soon that it is to be renewed already")
)

// saveError says that a certificate could not be saved.
type saveError struct{ cause error }

// Error says why.
func (e *saveError) Error() string { return e.cause.Error() }

// Unwrap returns why.
func (e *saveError) Unwrap() error { return e.cause }

// Results of orders.
const (
	issued = "issued"
	failed = "failed"
)

func newOrders() *prometheus.CounterVec {
	orders := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_tls_certificate_orders_total", Help: "Orders of certificates at the ACME server, by result.",
	}, []string{"result"})
	for _, result := range []string{issued, failed} {
		orders.WithLabelValues(result)
	}
	return orders
}

// Metrics counts orders by their result.
func (m *Manager) Metrics() prometheus.Collector { return m.orders }

// count counts an order.
func (m *Manager) count(err error) {
	result := issued
	if err != nil {
		result = failed
	}
	m.orders.WithLabelValues(result).Inc()
}

// tell says what failed, why, what to do and what is served.
func (m *Manager) tell(ctx context.Context, name string, err error, pause time.Duration) {
	logger := m.cfg.Logger.With("host", name, "err", shown(err)+" ("+Advice(err)+")", "in", pause)
	one := m.of(name)
	if one.cert == nil {
		logger.ErrorContext(ctx, "NO CERTIFICATE COULD BE OBTAINED: nobody can connect by this name; it is tried again")
		return
	}
	logger = logger.With("not_after", one.cert.Leaf.NotAfter.UTC())
	_, unsaved := errors.AsType[*saveError](err)
	switch {
	case unsaved:
		logger.ErrorContext(ctx, "THE CERTIFICATE COULD NOT BE SAVED: it is served, and is ordered anew if the server ends before it is saved; it is tried again")
	case errors.Is(err, errDue):
		logger.ErrorContext(ctx, "THE CERTIFICATE IS TO BE RENEWED ALREADY: it is served; another is ordered")
	default:
		logger.ErrorContext(ctx, "THE CERTIFICATE COULD NOT BE RENEWED, the one before is still served; it is tried again")
	}
}

// maxShown bounds what is told of a failure: its words are the server's.
const maxShown = 1000

// shown is the text of an error, bounded and without queries of addresses, which may hold
// a secret.
func shown(err error) string {
	text := err.Error()
	if at, ok := errors.AsType[*url.Error](err); ok {
		if u, err := url.Parse(at.URL); err == nil && u.RawQuery != "" {
			u.RawQuery = ""
			text = strings.ReplaceAll(text, at.URL, u.String())
		}
	}
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// Advice says what an operator does about a failure.
func Advice(err error) string {
	var unknown x509.UnknownAuthorityError
	var refused *acme.AuthorizationError
	var problem *acme.Error
	var unsaved *saveError
	_, limited := limit(err)
	switch {
	case errors.Is(err, errTerms):
		return "read them, and agree with --acme-accept-terms"
	case errors.Is(err, errDue):
		return "is the clock of this machine right? Else ask for longer lives there"
	case errors.As(err, &unsaved):
		return "is there room for it, and may the server write there?"
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
