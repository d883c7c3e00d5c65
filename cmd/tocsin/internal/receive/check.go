package receive

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/receiver/profile"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// ConfigError says that a configuration cannot be used.
type ConfigError struct{ Err error }

// Error tells all that is wrong.
func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *ConfigError) Unwrap() error { return e.Err }

// faulter makes an error about a setting.
type faulter func(key, format string, args ...any) error

// Flags makes errors about settings that came from flags alone.
func Flags(key, format string, args ...any) error {
	key = key[strings.LastIndex(key, "]")+1:]
	key = strings.TrimPrefix(strings.TrimSuffix(key, ".method"), ".")
	return fmt.Errorf("--%s: %s", strings.NewReplacer("certificate_key_file", "client-key", "certificate_file", "client-cert", "_", "-", "delivery.", "", "credentials.", "", ".", "-").Replace(key), fmt.Sprintf(format, args...))
}

// names are what issuers and hooks may be called.
var names = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,62}[a-zA-Z0-9])?$`)

// Complete returns cfg with its defaults, or a ConfigError that joins all faults.
func (cfg Config) Complete(fault faulter) (Config, error) {
	setDefault(&cfg.Listen, DefaultListen)
	setDefault(&cfg.Data, DefaultData)
	setDefault(&cfg.AdminListen, DefaultAdminListen)
	setDefault(&cfg.LogLevel, "info")
	setDefault(&cfg.ShutdownTimeout, DefaultShutdownTimeout)
	c := checker{fault: fault}
	c.whole(&cfg)
	seen, paths := map[string]string{}, map[string]string{}
	cfg.Issuers = slices.Clone(cfg.Issuers)
	for i := range cfg.Issuers {
		at := fmt.Sprintf("issuers[%d]", i)
		is := &cfg.Issuers[i]
		c.issuer(at, is, cfg.InsecureLoopback)
		if other, twice := seen[is.Name]; twice {
			c.failIf(is.Name != "", at+".name", "%s has this name, too", other)
		}
		seen[is.Name] = at
		if is.Delivery.Method != MethodPush {
			continue
		}
		if other, twice := paths[is.Delivery.Path]; twice {
			c.failIf(true, at+".delivery.path", "%s has this path, too", other)
		}
		paths[is.Delivery.Path] = at
	}
	if len(c.faults) > 0 {
		return cfg, &ConfigError{errors.Join(c.faults...)}
	}
	return cfg, nil
}

type checker struct {
	fault  faulter
	faults []error
}

func (c *checker) failIf(wrong bool, key, format string, args ...any) {
	if wrong {
		c.faults = append(c.faults, c.fault(key, format, args...))
	}
}

func (c *checker) whole(cfg *Config) {
	c.failIf((cfg.TLSCert == "") != (cfg.TLSKey == ""), "tls_cert", "tls_cert and tls_key belong together")
	c.failIf(cfg.InsecureLoopback && cfg.TLSCert != "", "insecure_loopback", "it serves plain http and tls_cert https; leave one of them out")
	key, err := cfg.CheckACME(config.Beside{
		TLSCert: cfg.TLSCert, InsecureLoopback: cfg.InsecureLoopback, Redis: cfg.RedisSettings.Set(), URL: cfg.PublicURL, URLKey: "public_url",
	})
	c.failIf(err != nil, key, "%v", err)
	c.failIf(!slices.Contains([]string{"debug", "info", "warn", "error"}, cfg.LogLevel), "log_level", "want debug, info, warn or error")
	c.failIf(len(cfg.Issuers) == 0, "issuers", "there is no issuer; name at least one transmitter")
	c.failIf(len(cfg.Issuers) > MaxIssuers, "issuers", "there are more than %d", MaxIssuers)
	c.failIf(len(cfg.Hooks) > MaxHooks, "hooks", "there are more than %d", MaxHooks)
	c.failIf(len(cfg.Rules) > 0 && cfg.RulesFile != "", "rules_file", "there are rules in this file, too; leave one of them out")
	c.failIf(cfg.RedisSettings.Alone(), "redis", "it is missing, and redis_prefix, redis_replicas, redis_replica_wait and redis_durable are about it")
	if cfg.RedisSettings.Set() {
		err := cfg.DB(nil).Check()
		c.failIf(err != nil, "redis", "%v", err)
	}
	c.console(cfg)
	c.failIf(cfg.Workers < 0, "workers", "it must not be negative")
	c.failIf(cfg.HookTimeout < 0, "hook_timeout", "it must not be negative")
	c.failIf(cfg.ShutdownTimeout < 0, "shutdown_timeout", "it must not be negative")
	if cfg.PublicURL != "" {
		c.url("public_url", cfg.PublicURL, cfg.InsecureLoopback)
	}
	for name := range cfg.Hooks {
		c.failIf(!names.MatchString(name), "hooks."+name, "a hook's name is of letters, digits, '.', '_' and '-'")
	}
}

// console checks who signs in to the console.
func (c *checker) console(cfg *Config) {
	if flag, why := cfg.ConsoleSettings.Fault(); flag != "" {
		c.failIf(true, strings.ReplaceAll(flag, "-", "_"), "%s", why)
	}
	if cfg.ConsoleProvider != "" {
		c.url("console_provider", cfg.ConsoleProvider, cfg.InsecureLoopback)
	}
	if cfg.ConsoleURL != "" {
		c.url("console_url", cfg.ConsoleURL, true)
	}
	if cfg.ConsoleSignals != "" {
		c.failIf(cfg.ConsoleProvider == "", "console_signals", "it is about who signs in with console_provider, which is missing")
		known := slices.ContainsFunc(cfg.Issuers, func(is Issuer) bool { return is.Name == cfg.ConsoleSignals })
		c.failIf(!known, "console_signals", "no issuer has this name")
	}
}

// issuer checks one issuer and completes it.
func (c *checker) issuer(at string, is *Issuer, insecure bool) {
	key := func(name string) string { return at + "." + name }
	c.profile(key("profile"), is)
	c.failIf(!names.MatchString(is.Name), key("name"), "want a name of 1 to 64 letters, digits, '.', '_' and '-'")
	c.failIf(is.Issuer == "", key("issuer"), "it is missing: the iss of the transmitter, exactly as it sends it")
	c.failIf(len(is.Audience) == 0, key("audience"), "it is missing: the aud that means this receiver")
	c.failIf(slices.Contains(is.Audience, ""), key("audience"), "a value is empty")
	for i, name := range is.Algorithms {
		alg, err := jose.ParseAlgorithm(string(name))
		c.failIf(err != nil, fmt.Sprintf("%s.algorithms[%d]", at, i), "%v", err)
		is.Algorithms[i] = alg
	}
	c.failIf(slices.Contains(is.DecryptionKeys, ""), key("decryption_keys"), "a value is empty")
	c.failIf(is.RequireEncryption && len(is.DecryptionKeys) == 0, key("require_encryption"), "it needs decryption_keys: files with the private keys to which the SETs are encrypted")
	tolerances, err := set.ParseTolerances(is.Tolerances)
	c.failIf(err != nil, key("tolerances"), "%v", err)
	if p, err := profile.Lookup(is.Profile); err == nil {
		tolerances = tolerances.With(p.Tolerances)
	}
	c.failIf(tolerances.EventsAsString && len(is.DecryptionKeys) > 0, key("decryption_keys"), "notifications that are no SETs are never encrypted")
	other := func(alg jose.Algorithm) bool { return alg != jose.RS256 }
	c.failIf(tolerances.EventsAsString && slices.ContainsFunc(is.Algorithms, other), key("algorithms"), "notifications that are no SETs are signed with RS256 alone")
	events, err := eventTypes(is.Events)
	c.failIf(err != nil, key("events"), "%v", err)
	is.Events = events
	if is.Mode == "" {
		is.Mode = ModeDiscovered
		if is.JWKSURL != "" || is.KeyFile != "" {
			is.Mode = ModeStatic
		}
	}
	switch is.Mode {
	case ModeStatic:
		c.static(at, is, insecure)
	case ModeDiscovered:
		c.failIf(is.JWKSURL != "", key("jwks_url"), "a discovered issuer's keys are named by its metadata; say mode: static, or leave it out")
		c.failIf(is.KeyFile != "", key("key_file"), "a discovered issuer's keys are named by its metadata; say mode: static, or leave it out")
		c.url(key("issuer"), is.Issuer, insecure)
		if is.MetadataURL != "" {
			c.url(key("metadata_url"), is.MetadataURL, insecure)
		}
	default:
		c.failIf(true, key("mode"), "want discovered or static")
	}
	c.delivery(at+".delivery", is, insecure)
	c.credentials(at+".credentials", is.Credentials, insecure)
	if is.CA != "" {
		_, err := os.Stat(is.CA)
		c.failIf(err != nil, key("ca"), "%v", err)
	}
}

// profile completes an issuer with what is known of those who send so.
func (c *checker) profile(key string, is *Issuer) {
	if is.Profile == "" {
		return
	}
	p, err := profile.Lookup(is.Profile)
	if err != nil {
		c.failIf(true, key, "%v", err)
		return
	}
	setDefault(&is.Issuer, p.Issuer)
	if p.Static {
		setDefault(&is.Mode, ModeStatic)
	}
	if is.Mode == ModeStatic && is.KeyFile == "" {
		setDefault(&is.JWKSURL, p.KeysURL)
	}
	c.failIf(p.PushOnly && is.Delivery.Method == MethodPoll, key, "it pushes alone; its SETs cannot be polled")
}

// published reports whether an issuer is known to publish where its keys are.
func (c *checker) published(is *Issuer) bool {
	p, err := profile.Lookup(is.Profile)
	return err == nil && p.MetadataPath != ""
}

func (c *checker) static(at string, is *Issuer, insecure bool) {
	named := is.JWKSURL != "" || is.KeyFile != ""
	c.failIf(is.JWKSURL != "" && is.KeyFile != "", at+".key_file", "there is a jwks_url, too; leave one of them out")
	c.failIf(named && is.MetadataURL != "", at+".metadata_url", "its keys are named beside it; leave one of them out")
	if is.MetadataURL != "" {
		c.url(at+".metadata_url", is.MetadataURL, insecure)
	} else {
		c.failIf(!named && !c.published(is), at, "where are its keys? A static issuer has jwks_url, key_file, or metadata_url")
	}
	if is.JWKSURL != "" {
		c.url(at+".jwks_url", is.JWKSURL, insecure)
	}
	c.failIf(is.VerifyEvery > 0, at+".verify_every", "a static issuer cannot be asked for verification")
	const kept = "it is of a stream that is kept; that of a static issuer is made by other means"
	c.failIf(is.StreamID != "", at+".stream_id", kept)
	c.failIf(is.Description != "", at+".description", kept)
	c.failIf(is.Resume, at+".resume", kept)
	c.failIf(is.Delivery.Method == MethodPoll && is.Delivery.EndpointURL == "", at+".delivery.endpoint_url", "it is missing: what is polled")
}

func (c *checker) delivery(at string, is *Issuer, insecure bool) {
	d := &is.Delivery
	setDefault(&d.Method, MethodPush)
	switch d.Method {
	case MethodPush:
		setDefault(&d.Path, "/push/"+is.Name)
		u, err := url.Parse(d.Path)
		c.failIf(!strings.HasPrefix(d.Path, "/") || err != nil || u.Path != d.Path, at+".path", "want a path that begins with / and has no query and no escapes")
		c.failIf(d.EndpointURL != "", at+".endpoint_url", "it is what is polled; a push comes to path")
		c.failIf(d.MaxEvents != 0 || d.Interval != 0 || d.Immediate, at, "max_events, interval and immediate are of polls")
		if d.PublicURL != "" {
			c.url(at+".public_url", d.PublicURL, insecure)
		}
	case MethodPoll:
		c.failIf(d.Path != "" || d.PublicURL != "" || d.Authorization != "", at, "path, public_url and authorization are of pushes")
		c.failIf(d.EndpointURL != "" && is.Mode == ModeDiscovered, at+".endpoint_url", "a discovered issuer names it")
		c.failIf(d.Interval < 0, at+".interval", "it must not be negative")
		c.failIf(d.MaxEvents < 0, at+".max_events", "it must not be negative")
		if d.EndpointURL != "" {
			c.url(at+".endpoint_url", d.EndpointURL, insecure)
		}
	default:
		c.failIf(true, at+".method", "want push or poll")
	}
}

func (c *checker) credentials(at string, cr Credentials, insecure bool) {
	ways := 0
	for _, there := range []bool{cr.Token != "", cr.TokenFile != "", cr.Client.there(), len(cr.Command) > 0} {
		if there {
			ways++
		}
	}
	c.failIf(ways > 1, at, "there are several; leave one of token, token_file, client and command")
	certified := cr.CertificateFile != ""
	c.failIf(certified != (cr.CertificateKeyFile != ""), at+".certificate_file", "certificate_file and certificate_key_file belong together")
	if cr.Client.there() {
		c.client(at+".client", cr.Client, certified, insecure)
	}
}

func (c *checker) client(at string, cl Client, certified, insecure bool) {
	c.failIf(cl.ID == "", at+".id", "it is missing")
	c.failIf(!certified && cl.Secret+cl.SecretFile+cl.KeyFile == "", at+".secret_file", "it is missing")
	c.failIf(cl.Secret+cl.SecretFile != "" && cl.KeyFile != "", at+".key_file", "the client has a secret; leave one of them out")
	c.failIf(cl.Secret != "" && cl.SecretFile != "", at+".secret", "it is given twice, also by secret_file")
	c.failIf(cl.TokenURL != "" && cl.AuthorizationServer != "", at+".authorization_server", "token_url is what its metadata would tell; leave one of them out")
	if cl.TokenURL != "" {
		c.url(at+".token_url", cl.TokenURL, insecure)
	}
	if cl.AuthorizationServer != "" {
		c.url(at+".authorization_server", cl.AuthorizationServer, insecure)
	}
}

// there reports whether anything is said of the client.
func (cl Client) there() bool {
	return cl.ID+cl.Secret+cl.SecretFile+cl.KeyFile+cl.TokenURL+cl.AuthorizationServer != "" || len(cl.Scopes)+len(cl.Parameters) > 0
}

// there reports whether there are credentials.
func (cr Credentials) there() bool {
	return cr.Token+cr.TokenFile != "" || cr.Client.there() || len(cr.Command) > 0
}

// url checks an address that is called or handed out.
func (c *checker) url(key, raw string, insecure bool) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		c.failIf(true, key, "want a URL such as https://example.com")
	case u.Scheme == "http":
		c.failIf(!insecure, key, "want https; http is for loopback, with insecure_loopback")
	default:
		c.failIf(u.Scheme != "https", key, "want an https URL")
	}
}

// eventTypes returns the URIs of event types that are given by URI or by name.
func eventTypes(list []string) ([]string, error) {
	known := policy.Names()
	var out []string
	for _, name := range list {
		uri, ok := known[name]
		switch {
		case ok:
			out = append(out, uri)
		case strings.Contains(name, ":"):
			out = append(out, name)
		default:
			return nil, fmt.Errorf("%s is no event type of CAEP or RISC; give another's URI", name)
		}
	}
	return out, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
