package redisdb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Bounds of the files that a URL names.
const (
	maxPasswordBytes = 4 << 10
	maxPEMBytes      = 1 << 20
)

// secrets are the parameters of a URL that say how to be let in.
type secrets struct {
	passwordFile         string // tells the password in place of the URL; read at each connect
	sentinelUser         string
	sentinelPassword     string
	sentinelPasswordFile string // read once
	ca, cert, key        string // files, PEM
	serverName           string // that the certificates have, in place of the host
}

// takeSecrets takes them out of the parameters.
func takeSecrets(parameters url.Values, secure bool, of topology) (secrets, error) {
	var s secrets
	var err error
	for _, p := range []struct {
		name  string
		value *string
		fits  bool
		only  string
	}{
		{"password_file", &s.passwordFile, true, ""},
		{"sentinel_username", &s.sentinelUser, of == sentinel, "redis+sentinel:// and rediss+sentinel://"},
		{"sentinel_password", &s.sentinelPassword, of == sentinel, "redis+sentinel:// and rediss+sentinel://"},
		{"sentinel_password_file", &s.sentinelPasswordFile, of == sentinel, "redis+sentinel:// and rediss+sentinel://"},
		{"tls_ca", &s.ca, secure, "rediss"},
		{"tls_cert", &s.cert, secure, "rediss"},
		{"tls_key", &s.key, secure, "rediss"},
		{"tls_server_name", &s.serverName, secure, "rediss"},
	} {
		if !parameters.Has(p.name) {
			continue
		}
		*p.value = parameters.Get(p.name)
		parameters.Del(p.name)
		if !p.fits {
			err = errors.Join(err, fmt.Errorf("url: %s is for %s alone", p.name, p.only))
		}
		if *p.value == "" {
			err = errors.Join(err, fmt.Errorf("url: %s is empty", p.name))
		}
	}
	if (s.cert == "") != (s.key == "") {
		err = errors.Join(err, errors.New("url: tls_cert and tls_key go together"))
	}
	if s.sentinelPassword != "" && s.sentinelPasswordFile != "" {
		err = errors.Join(err, errors.New("url: it has a sentinel_password and a sentinel_password_file"))
	}
	return s, err
}

// apply reads the files, and lets options use what they say.
func (s *secrets) apply(o *redis.Options) error {
	var errs []error
	if s.passwordFile != "" {
		_, err := readPassword("password_file", s.passwordFile)
		errs = append(errs, err)
		user := o.Username
		// At each connect, so that a password can be changed without a restart.
		o.CredentialsProviderContext = func(context.Context) (string, string, error) {
			password, err := readPassword("password_file", s.passwordFile)
			return user, password, err
		}
	}
	if s.sentinelPasswordFile != "" {
		var err error
		s.sentinelPassword, err = readPassword("sentinel_password_file", s.sentinelPasswordFile)
		errs = append(errs, err)
	}
	if o.TLSConfig != nil {
		errs = append(errs, s.applyTLS(o.TLSConfig))
	}
	return errors.Join(errs...)
}

func (s *secrets) applyTLS(c *tls.Config) error {
	c.MinVersion = tls.VersionTLS12
	c.ServerName = s.serverName
	if s.ca != "" {
		pem, err := readFile("tls_ca", s.ca, maxPEMBytes)
		if err != nil {
			return err
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New("url: tls_ca: the file has no certificate (PEM)")
		}
	}
	if s.cert == "" {
		return nil
	}
	cert, err := readFile("tls_cert", s.cert, maxPEMBytes)
	if err != nil {
		return err
	}
	key, err := readFile("tls_key", s.key, maxPEMBytes)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("url: tls_cert and tls_key: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return nil
}

// readPassword returns what a file says, without the end of its line.
func readPassword(name, path string) (string, error) {
	raw, err := readFile(name, path, maxPasswordBytes)
	if err != nil {
		return "", err
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" {
		return "", fmt.Errorf("url: %s: the file is empty", name)
	}
	return password, nil
}

func readFile(name, path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("url: %s: %w", name, err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("url: %s: %w", name, err)
	}
	if int64(len(raw)) > most {
		return nil, fmt.Errorf("url: %s: the file has more than %d bytes", name, most)
	}
	return raw, nil
}
