// Package receive is the receiver as a daemon: a configuration of any number of
// transmitters, hooks and rules becomes one running whole ([Open], [Daemon.Run]) that
// takes SETs by push and poll, keeps them in one inbox, runs the hooks behind it, and
// can be asked what became of all that.
package receive

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/telemetry"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Defaults and bounds of [Config].
const (
	DefaultListen          = "127.0.0.1:8444"
	DefaultData            = "./tocsin-receive"
	DefaultAdminListen     = "127.0.0.1:0"
	DefaultShutdownTimeout = 20 * time.Second
	MaxIssuers             = 1000
	MaxHooks               = 100
)

// How a transmitter is trusted, and how its SETs come.
const (
	ModeDiscovered = "discovered" // issuer → metadata → stream, kept as configured
	ModeStatic     = "static"     // issuer, keys and audience; no stream API

	MethodPush = "push"
	MethodPoll = "poll"
)

// Config is the daemon's configuration file.
type Config struct {
	// Listen is the address of the push endpoints; empty: DefaultListen. PublicURL is
	// how transmitters reach it, without a path of an endpoint; empty: the address.
	Listen, PublicURL string
	// TLSCert and TLSKey are files; without them a CA in the data folder signs one.
	TLSCert, TLSKey string
	// ACMESettings say whether an ACME server gives certificates in place of those.
	config.ACMESettings
	// InsecureLoopback serves plain http on loopback and lets issuers be such.
	InsecureLoopback bool
	// Data is the daemon's own folder; empty: DefaultData.
	Data string
	// RedisSettings say where all is kept that several processes share; of Data's files
	// there remain the lock, the socket and the certificates. Empty: all is in Data.
	config.RedisSettings
	// EdgeSettings bound what comes from outside, on every listener.
	config.EdgeSettings
	// ConsoleSettings say who signs in to the console with an OpenID Provider, whose
	// sessions there end by what is heard here. ConsoleSignals is the name of the issuer
	// that is the provider's transmitter; empty: the one with the provider's iss.
	config.ConsoleSettings
	ConsoleSignals string
	// ConsoleAllow are address ranges that the provider's servers may have although they
	// are not public. ConsoleCA is a PEM file with their authorities, beside the system's.
	ConsoleAllow []netip.Prefix
	ConsoleCA    string `yaml:"console_ca"`
	// TraceSettings say whether traces are sent, and where.
	telemetry.TraceSettings
	// AdminListen is the address of health and metrics, "off" for none; empty:
	// DefaultAdminListen. Off loopback it is https and wants AdminToken, a secret.
	AdminListen, AdminToken string
	LogLevel                string
	// ShutdownTimeout is the deadline of a graceful end; zero: DefaultShutdownTimeout.
	ShutdownTimeout time.Duration

	// Issuers are the transmitters; at least one, each of another name.
	Issuers []Issuer
	// Hooks are what events lead to, by name.
	Hooks map[string]settings.Node
	// Rules say which event leads to which hook and effect (docs/policy.md), with Tests
	// of them and whether the DefaultRules stand behind; RulesFile holds all that
	// instead.
	Rules, Tests []settings.Node
	DefaultRules settings.Node
	RulesFile    string
	// Sessions is the index of sessions, Gate the check of them.
	Sessions, Gate settings.Node
	// DryRun reports what would be done, and does nothing.
	DryRun bool

	// Workers, Retry and Skew are those of receiver.Config, for each issuer;
	// HookTimeout is that of policy.Config.
	Workers     int
	HookTimeout time.Duration
	Retry       []time.Duration
	Skew        time.Duration

	rules policy.Source // where Rules stand
}

// Issuer is one transmitter.
type Issuer struct {
	// Name is what it is called here: in the path of its push endpoint, in metrics
	// and commands, and in the inbox, where it must stay the same. Required.
	Name string
	// Issuer is its iss, byte for byte. Required.
	Issuer string
	// Mode is ModeDiscovered or ModeStatic; empty: static if keys are named.
	Mode string
	// MetadataURL is where its metadata is found, if not where SSF §7.2 says.
	MetadataURL string
	// JWKSURL or KeyFile, a JWK set or PEM that is read again when it changes, hold the
	// keys of a static issuer.
	JWKSURL string `yaml:"jwks_url"`
	KeyFile string
	// Audience are the values of aud that mean us; at least one.
	Audience []string
	// Algorithms are the signatures accepted; none: RS256.
	Algorithms []jose.Algorithm
	// DecryptionKeys are files with the private keys to which its SETs are encrypted, a JWK
	// or PEM each, the current one and those before it; RequireEncryption refuses SETs
	// that are not.
	DecryptionKeys    []string
	RequireEncryption bool
	// Profile and Tolerances name the older forms that are read.
	Profile    string
	Tolerances []string
	// Events are the event types asked for and taken, by URI or by the name of one of
	// CAEP or RISC; none: these are asked for, and all are taken.
	Events []string
	// SubjectIssuers are the issuers of whose subjects it may speak; none: all.
	SubjectIssuers []string
	Delivery       Delivery
	Credentials    Credentials
	// StreamID, Description and Resume are those of keeper.Stream.
	StreamID, Description string
	Resume                bool
	// VerifyEvery is how often the stream is verified; zero:
	// keeper.DefaultVerifyInterval; negative: never.
	VerifyEvery time.Duration
	// Allow are address ranges that the issuer's servers may have although they are
	// not public. CA is a PEM file with its authorities, beside the system's.
	Allow []netip.Prefix
	CA    string `yaml:"ca"`
}

// Delivery is how an issuer's SETs come.
type Delivery struct {
	// Method is MethodPush or MethodPoll; empty: push.
	Method string
	// Path is that of the push endpoint; empty: /push/ and the issuer's name.
	// PublicURL is the whole address if it is not Config.PublicURL and Path.
	Path, PublicURL string
	// Authorization is the Authorization header that each push must have. A secret.
	Authorization string
	// EndpointURL is what is polled at a static issuer.
	EndpointURL string
	// MaxEvents, Interval and Immediate are those of receiver.Poll.
	MaxEvents int
	Interval  time.Duration
	Immediate bool
}

// Credentials are for the transmitter's API and for polling: one of the three.
type Credentials struct {
	// Token is an access token, a secret; TokenFile holds it and is read for each
	// request, so that whoever renews the token only replaces the file.
	Token, TokenFile string
	Client           Client
	Command          []string // prints an access token; no shell
	// CertificateFile and CertificateKeyFile are PEM files with what the issuer's servers
	// are shown that ask for a certificate (mutual TLS, RFC 8705), beside one of the three;
	// a client without secret and key is known by it. They are read again when they change.
	CertificateFile, CertificateKeyFile string
}

// Client is an OAuth 2.0 client (client credentials).
type Client struct {
	ID, Secret string
	// SecretFile holds the secret, KeyFile the private JWK that the client has in its
	// place; they are read for each token.
	SecretFile, KeyFile string
	// TokenURL is the token endpoint; empty: as the metadata of AuthorizationServer
	// says, which is the issuer unless it is named.
	TokenURL, AuthorizationServer string
	Scopes                        []string          // none: ssf.read and ssf.manage, or what the metadata of the API tells
	Parameters                    map[string]string // further ones of the request
}

// StoreOf returns the data folder that the configuration file at path names, or the
// default, and its Redis, for commands that ask for nothing else of it.
func StoreOf(path string, environ []string) (data string, redis config.RedisSettings, err error) {
	doc, err := settings.Read(path, environ)
	if err == nil {
		err = errors.Join(doc.At("data").Decode(&data), doc.Only("redis", "redis_file", "redis_prefix", "redis_replicas", "redis_replica_wait", "redis_durable").Decode(&redis))
	}
	if err != nil {
		return "", redis, &ConfigError{err}
	}
	redis.Redis = redisdb.Within(filepath.Dir(path), redis.Redis)
	if data == "" {
		return DefaultData, redis, nil
	}
	return within(filepath.Dir(path), data), redis, nil
}

// Read reads the configuration file at path and completes and checks it; its error is
// a ConfigError; change, if
// not nil, is called before. environ is the environment as NAME=value.
func Read(path string, environ []string, change func(*Config)) (Config, error) {
	doc, err := settings.Read(path, environ)
	if err != nil {
		return Config{}, &ConfigError{fmt.Errorf("reading the configuration: %w", err)}
	}
	var cfg Config
	err = doc.Decode(&cfg)
	if err == nil {
		cfg.fromFolder(filepath.Dir(path))
		cfg.rules, err = rulesOf(doc, cfg)
	}
	if err != nil {
		return Config{}, &ConfigError{err}
	}
	if change != nil {
		change(&cfg)
	}
	fault := func(key, format string, args ...any) error { return find(doc, key).Fault(format, args...) }
	cfg, err = cfg.Complete(fault)
	if err := errors.Join(err, secrets(doc), unused(cfg, fault)); err != nil {
		return Config{}, &ConfigError{err}
	}
	return cfg, nil
}

// unused refuses credentials that nobody is shown.
func unused(cfg Config, fault faulter) error {
	var faults []error
	for i, is := range cfg.Issuers {
		if is.Mode == ModeStatic && is.Delivery.Method == MethodPush && is.Credentials.there() {
			faults = append(faults, fault(fmt.Sprintf("issuers[%d].credentials", i), "nobody is shown them: a static issuer that pushes is asked for nothing but keys"))
		}
	}
	return errors.Join(faults...)
}

// rulesOf returns the text that has the rules of a configuration.
func rulesOf(doc settings.Node, cfg Config) (policy.Source, error) {
	if cfg.RulesFile == "" {
		return policy.Source{Name: doc.File(), YAML: doc.Text(), Part: true}, nil
	}
	raw, err := readFile(cfg.RulesFile)
	if err != nil {
		return policy.Source{}, doc.At("rules_file").Fault("%v", err)
	}
	return policy.Source{Name: cfg.RulesFile, YAML: raw}, nil
}

// fromFolder makes the paths of a file begin in its folder.
func (cfg *Config) fromFolder(dir string) {
	paths := []*string{&cfg.Data, &cfg.TLSCert, &cfg.TLSKey, &cfg.RulesFile, &cfg.OTLPCA, &cfg.ConsoleCA, &cfg.ACMECA}
	for i := range cfg.Issuers {
		is := &cfg.Issuers[i]
		cr := &is.Credentials
		paths = append(paths, &is.KeyFile, &is.CA, &cr.TokenFile, &cr.Client.SecretFile, &cr.Client.KeyFile, &cr.CertificateFile, &cr.CertificateKeyFile)
	}
	for i := range cfg.Issuers {
		for j := range cfg.Issuers[i].DecryptionKeys {
			paths = append(paths, &cfg.Issuers[i].DecryptionKeys[j])
		}
	}
	for _, path := range paths {
		*path = within(dir, *path)
	}
	cfg.Redis = redisdb.Within(dir, cfg.Redis)
	if file, ok := strings.CutPrefix(cfg.ACMEEABKey, "@"); ok {
		cfg.ACMEEABKey = "@" + within(dir, file)
	}
}

func within(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// maxDepth bounds how deep secrets are looked for.
const maxDepth = 12

// secretKeys are the keys whose value must not stand in the file, wherever they stand
// in issuers and hooks.
func secretKeys() []string {
	return []string{"token", "secret", "secrets", "client_secret", "password", "authorization", "key", "admin_token", "console_secret"}
}

// secrets refuses secrets that stand in the file: files are copied, shown and kept
// where secrets should not be.
func secrets(doc settings.Node) error {
	var faults []error
	var look func(at settings.Node, depth int)
	look = func(at settings.Node, depth int) {
		if depth == maxDepth {
			return // an alias that leads to itself; the reading of the whole has told
		}
		for key, value := range at.Each() {
			if slices.Contains(secretKeys(), key) && value.Present() && !value.FromEnvironment() && !value.IsObject() {
				faults = append(faults, value.Fault("a secret does not stand in this file: name the file that holds it with %s_file, or an environment variable as ${NAME}", key))
			}
			look(value, depth+1)
		}
		for item := range at.Items() {
			look(item, depth+1)
		}
	}
	look(doc.Without("rules", "tests"), 0)
	var redis string
	if at := doc.At("redis"); at.Present() && !at.FromEnvironment() && at.Decode(&redis) == nil && config.HasPassword(redis) {
		faults = append(faults, at.Fault("a password does not stand in this file: name with ?password_file= in the URL the file that holds it, or with redis_file one that holds the URL, or an environment variable as ${NAME}"))
	}
	return errors.Join(faults...)
}

// find returns the part of a document that a key such as issuers[1].audience names, or
// the nearest that is there.
func find(doc settings.Node, key string) settings.Node {
	at := doc
	for part := range strings.SplitSeq(key, ".") {
		name, index, listed := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		next := at.At(name)
		if listed {
			items := slices.Collect(next.Items())
			if i, err := strconv.Atoi(index); err == nil && i < len(items) {
				next = items[i]
			}
		}
		if !next.Present() {
			return at.Named(key)
		}
		at = next
	}
	return at
}
