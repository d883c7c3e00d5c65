package receive

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// pollTimeout bounds a poll with the transmitter's waiting.
const pollTimeout = 2 * time.Minute

// checkIssuer reports what of an issuer cannot be used; it makes no request.
func checkIssuer(cfg Config, is Issuer) error {
	if is.Mode != ModeStatic {
		return nil
	}
	return trust(cfg, is, &receiver.Config{})
}

// trust says in rc where the issuer's keys come from and how it is polled.
func trust(cfg Config, is Issuer, rc *receiver.Config) error {
	client, err := httpClient(cfg, is)
	if err != nil {
		return err
	}
	if rc.Tolerances, err = set.ParseTolerances(is.Tolerances); err != nil {
		return err
	}
	if is.Mode != ModeStatic {
		return errors.New("mode discovered is not there yet")
	}
	switch {
	case is.KeyFile != "":
		raw, err := readFile(is.KeyFile)
		if err != nil {
			return fmt.Errorf("key_file: %w", err)
		}
		keys, err := jose.ParseKeySet(raw)
		if err != nil {
			return fmt.Errorf("key_file %s: %w", is.KeyFile, err)
		}
		rc.Keys = keyFile{keys}
	default:
		rc.Keys = wellknown.NewClient(wellknown.Config{HTTP: client}).KeysAt(map[string]string{is.Issuer: is.JWKSURL})
	}
	if is.Delivery.Method == MethodPoll {
		rc.Poll = &receiver.Poll{
			Endpoint: is.Delivery.EndpointURL, HTTP: client,
			MaxEvents: is.Delivery.MaxEvents, Interval: is.Delivery.Interval, Immediate: is.Delivery.Immediate,
		}
		if token := is.Credentials.Token; token != "" {
			rc.Poll.Token = func(context.Context) (string, error) { return token, nil }
		}
	}
	return nil
}

// keyFile is a set.KeySource of a file's keys.
type keyFile struct{ keys *jose.KeySet }

var _ set.KeySource = keyFile{}

// Key implements set.KeySource.
func (k keyFile) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return k.keys.Find(kid, alg)
}

// httpClient calls an issuer's servers: public ones, and those that the operator allows.
func httpClient(cfg Config, is Issuer) (*http.Client, error) {
	policy := guard.Policy{Allow: is.Allow, InsecureLoopback: cfg.InsecureLoopback, Timeout: pollTimeout}
	if is.CA != "" {
		raw, err := readFile(is.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		if policy.RootCAs, err = x509.SystemCertPool(); err != nil {
			policy.RootCAs = x509.NewCertPool()
		}
		if !policy.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("ca: %s holds no PEM certificate", is.CA)
		}
	}
	return guard.NewClient(policy), nil
}
