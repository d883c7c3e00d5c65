package receive

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/credential"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/receiver/profile"
	"github.com/tocsin-ssf/tocsin/receiver/siwa"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// stateFolder holds a file of each stream that is kept.
const stateFolder = "streams"

// keep returns the keeper of an issuer; rc has what it is to be received into. It
// makes no request. shared is what several processes have together, if there are several;
// address is where our push endpoints are.
func keep(cfg Config, is Issuer, rc receiver.Config, shared keeper.Shared, address string, count roundTripper) (*keeper.Keeper, error) {
	certificate, err := is.certificate(rc.Logger)
	if err != nil {
		return nil, err
	}
	client, err := httpClient(cfg, is, certificate, count)
	if err != nil {
		return nil, err
	}
	if rc.Tolerances, err = set.ParseTolerances(is.Tolerances); err != nil {
		return nil, err
	}
	rc.Issuer, rc.Audience, rc.Algorithms, rc.Authorization = is.Issuer, is.Audience, is.Algorithms, is.Delivery.Authorization
	if rc.Decryption, err = decryption(is); err != nil {
		return nil, err
	}
	rc.RequireEncryption = is.RequireEncryption
	if is.Delivery.Method == MethodPoll {
		rc.Poll = &receiver.Poll{
			Endpoint: is.Delivery.EndpointURL, HTTP: client,
			MaxEvents: is.Delivery.MaxEvents, Interval: is.Delivery.Interval, Immediate: is.Delivery.Immediate,
		}
	} else {
		rc.PushURL = endpoint(cfg, is, address)
	}
	kc := keeper.Config{
		MetadataURL: is.MetadataURL, JWKSURL: is.JWKSURL, KeyFile: is.KeyFile, Events: is.Events,
		SubjectIssuers: is.SubjectIssuers, HTTP: client, VerifyInterval: is.VerifyEvery,
	}
	if is.Profile != "" {
		p, err := profile.Lookup(is.Profile)
		if err != nil {
			return nil, err
		}
		rc = p.Apply(rc)
		kc.FormerMetadata = strings.Contains(p.MetadataPath, "risc-configuration")
		if kc.MetadataURL == "" && !kc.FormerMetadata {
			kc.MetadataURL = p.MetadataURL(is.Issuer)
		}
	}
	if rc.Tolerances.EventsAsString {
		kc.Dialect = func(keys set.KeySource) (receiver.Dialect, error) {
			return siwa.New(siwa.Config{Issuer: is.Issuer, Audience: is.Audience, Keys: keys})
		}
	}
	kc.Receiver = rc
	source, err := credentialOf(is, client, certificate)
	if err != nil {
		return nil, err
	}
	if source != nil {
		kc.Credential = source
		if rc.Poll != nil && is.Mode == ModeStatic {
			kc.Receiver.Poll.Token, kc.Receiver.Poll.Refused = source.Token, source.Refused
		}
	}
	kc.Shared = shared
	if is.Mode == ModeDiscovered {
		kc.Stream = streamOf(cfg, is, address)
	}
	if is.Mode == ModeDiscovered && shared == nil {
		kc.State = filepath.Join(cfg.Data, stateFolder, is.Name+".json")
	}
	return keeper.New(kc)
}

// streamOf says how the stream of a discovered issuer shall be.
func streamOf(cfg Config, is Issuer, address string) *keeper.Stream {
	s := &keeper.Stream{
		ID: is.StreamID, Description: is.Description, Resume: is.Resume,
		Delivery: streams.Delivery{Method: delivery.MethodPoll},
	}
	if is.Delivery.Method == MethodPush {
		s.Delivery = streams.Delivery{
			Method: delivery.MethodPush, EndpointURL: endpoint(cfg, is, address), AuthorizationHeader: is.Delivery.Authorization,
		}
	}
	return s
}

// endpoint returns the address of the issuer's push endpoint as others see it.
func endpoint(cfg Config, is Issuer, address string) string {
	switch {
	case is.Delivery.PublicURL != "":
		return is.Delivery.PublicURL
	case cfg.PublicURL != "":
		address = cfg.PublicURL
	}
	return strings.TrimSuffix(address, "/") + is.Delivery.Path
}

// credentialOf returns where the issuer's access tokens come from; nil: there are none.
func credentialOf(is Issuer, client *http.Client, certificate certificateSource) (*credential.Source, error) {
	c := is.Credentials
	usual := len(c.Client.Scopes) == 0
	switch {
	case c.Token == "" && c.TokenFile == "" && c.Client.ID == "" && len(c.Command) == 0:
		return nil, nil
	case len(c.Client.Scopes) == 0:
		c.Client.Scopes = []string{"ssf.read", "ssf.manage"}
	}
	cc := credential.Config{
		Token: c.Token, TokenFile: c.TokenFile, Command: c.Command, HTTP: client, Certificate: certificate,
		ClientID: c.Client.ID, ClientSecret: c.Client.Secret, ClientSecretFile: c.Client.SecretFile, ClientKeyFile: c.Client.KeyFile,
		TokenURL: c.Client.TokenURL, Parameters: c.Client.Parameters,
	}
	if c.Client.ID != "" {
		cc.Scopes = c.Client.Scopes
		if usual && is.Mode != ModeStatic {
			cc.Resource = resourceOf(is, client)
		}
		if c.Client.TokenURL == "" {
			cc.AuthorizationServer = c.Client.AuthorizationServer
			setDefault(&cc.AuthorizationServer, is.Issuer)
		}
	}
	return credential.New(cc)
}

// resourceOf returns where an issuer says that its API is, whose metadata tells scopes.
func resourceOf(is Issuer, client *http.Client) func(context.Context) (string, error) {
	wc := wellknown.Config{HTTP: client}
	if is.MetadataURL != "" {
		wc.MetadataURLs = map[string]string{is.Issuer: is.MetadataURL}
	}
	documents := wellknown.NewClient(wc)
	return func(ctx context.Context) (string, error) {
		of, err := documents.Configuration(ctx, is.Issuer)
		return of.ConfigurationEndpoint, err
	}
}

// nowhere is an inbox for receivers that never run.
type nowhere struct{ inbox.Inbox }

// checkIssuer reports what of an issuer cannot be used; it makes no request.
func checkIssuer(cfg Config, is Issuer) error {
	_, err := lookAt(cfg, is)
	return err
}

// lookAt returns a keeper that never runs, to be looked at alone.
func lookAt(cfg Config, is Issuer) (*keeper.Keeper, error) {
	return keep(cfg, is, receiver.Config{
		Inbox: nowhere{}, Mux: receiver.NewMux(), Skew: cfg.Skew, Logger: slog.New(slog.DiscardHandler),
	}, nil, "https://"+cfg.Listen, nil)
}

// roundTripper may stand between a client and the network.
type roundTripper func(http.RoundTripper) http.RoundTripper

// httpClient calls an issuer's servers: public ones, and those that the operator allows.
// certificate is what they are shown; nil: nothing.
func httpClient(cfg Config, is Issuer, certificate certificateSource, count roundTripper) (*http.Client, error) {
	policy := guard.Policy{
		Allow: is.Allow, InsecureLoopback: cfg.InsecureLoopback, ClientCertificate: certificate,
		Timeout: max(keeper.CallTimeout, receiver.DefaultPollTimeout),
	}
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
	client := guard.NewClient(policy)
	if count != nil {
		client.Transport = count(client.Transport)
	}
	return client, nil
}

// maxFile bounds files of keys and certificates.
const maxFile = 4 << 20

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, maxFile)
	}
	raw, err := os.ReadFile(name)
	if err == nil && len(raw) == 0 {
		err = errors.New(name + " is empty")
	}
	return raw, err
}

// HTTPClient returns a client of the issuer's servers.
func (is Issuer) HTTPClient(insecureLoopback bool) (*http.Client, error) {
	certificate, err := is.certificate(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return httpClient(Config{InsecureLoopback: insecureLoopback}, is, certificate, nil)
}

// Credential returns where the issuer's access tokens come from; nil: there are none.
func (is Issuer) Credential(client *http.Client) (*credential.Source, error) {
	certificate, err := is.certificate(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return credentialOf(is, client, certificate)
}
