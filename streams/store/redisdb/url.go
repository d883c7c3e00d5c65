package redisdb

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Bounds of Config.URL and what it names.
const (
	MaxURLBytes = 8 << 10
	MaxAddrs    = 64
	// MaxConns bounds what a URL may say of the number of connections to a server.
	MaxConns = 10_000
)

const (
	serverPort   = "6379"
	sentinelPort = "26379"
)

// topology is what stands behind a URL.
type topology int

const (
	single topology = iota
	sentinel
	cluster
)

// target is what a URL names:
//
//	redis://[user:password@]host[:port][/db]                     one server
//	redis+sentinel://[user:password@]host[:port],…/MASTER[/db]   the master that Sentinels know by that name
//	redis+cluster://[user:password@]host[:port],…                a cluster, by some of its nodes
//	unix://[user:password@]/path[?db=n]                          one server, by its socket
//
// rediss in place of redis is TLS, for Sentinels too. The spelling is that of Gitea and of
// the Python packages redis-sentinel-url, limits and redisvl. User and password are those
// of the servers; those of Sentinels are parameters, as all else is (docs/operations/redis.md).
type target struct {
	topology topology
	addrs    []string
	master   string
	options  *redis.Options // of one server; the others' are made from it
	secrets  secrets
}

// parse reads a URL. Errors do not repeat it, nor any value of it: it has a password.
func parse(raw string, asCluster bool) (*target, error) {
	if len(raw) > MaxURLBytes {
		return nil, fmt.Errorf("url: more than %d bytes", MaxURLBytes)
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errScheme
	}
	rest, query, _ := strings.Cut(rest, "?")
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("url: its parameters are not of the form name=value&name=value")
	}
	for name := range parameters {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" { // a password with a question mark
			return nil, errForm
		}
	}
	authority, path, _ := strings.Cut(rest, "/")
	user, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, hosts = authority[:at+1], authority[at+1:]
	}
	t := &target{}
	secure := strings.HasPrefix(scheme, "rediss")
	port := serverPort
	switch scheme {
	case "redis", "rediss":
		if asCluster {
			t.topology = cluster
		}
	case "redis+sentinel", "rediss+sentinel":
		if t.topology, port = sentinel, sentinelPort; asCluster {
			return nil, errors.New("url: it is that of Sentinels, not of a cluster")
		}
		t.master, path, _ = strings.Cut(path, "/")
		if t.master, err = url.PathUnescape(t.master); err != nil || t.master == "" {
			return nil, errors.New("url: it does not name the master: want redis+sentinel://host:port,host:port/MASTER")
		}
	case "redis+cluster", "rediss+cluster":
		t.topology = cluster
	case "unix":
		if asCluster {
			return nil, errors.New("url: it is that of a socket, not of a cluster")
		}
		hosts = ""
	default:
		return nil, errScheme
	}
	if scheme != "unix" {
		if t.topology != single {
			hosts = strings.Join(append([]string{hosts}, parameters["addr"]...), ",")
			parameters.Del("addr")
		}
		if t.addrs, err = addresses(hosts, port, t.topology); err != nil {
			return nil, err
		}
	}
	if t.topology == cluster {
		if db := path + parameters.Get("db"); db != "" && db != "0" {
			return nil, errors.New("url: a cluster has database 0 alone")
		}
	}
	if t.secrets, err = takeSecrets(parameters, secure, t.topology); err != nil {
		return nil, err
	}
	if t.secrets.passwordFile != "" && strings.Contains(user, ":") {
		return nil, errors.New("url: it has a password and a password_file")
	}
	return t, t.readOptions(scheme, user, path, parameters, secure)
}

var (
	errForm   = errors.New("url: its form is wrong; in user and password all but letters and digits is written as %XX")
	errScheme = errors.New("url: want redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster:// or unix://")
)

// addresses reads host[:port],host[:port].
func addresses(hosts, port string, of topology) ([]string, error) {
	var addrs []string
	for host := range strings.SplitSeq(hosts, ",") {
		addr := host
		if _, _, err := net.SplitHostPort(host); err != nil {
			addr = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		name, number, err := net.SplitHostPort(addr)
		n, numberErr := strconv.ParseUint(number, 10, 16)
		plain := !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/\?#@[]"<>^{|}%`, r) })
		if err != nil || numberErr != nil || n == 0 || name == "" || !plain {
			return nil, errors.New("url: want host or host:port, and between several of them a comma")
		}
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	if of == single && len(addrs) != 1 {
		return nil, errors.New("url: several hosts are those of redis+sentinel:// or redis+cluster://")
	}
	if len(addrs) > MaxAddrs {
		return nil, fmt.Errorf("url: got %d hosts, want at most %d", len(addrs), MaxAddrs)
	}
	return addrs, nil
}

// isLocal says whether nothing leaves this machine.
func (t *target) isLocal() bool {
	for _, addr := range t.addrs {
		host, _, err := net.SplitHostPort(addr)
		ip, ipErr := netip.ParseAddr(host)
		if err != nil || host != "localhost" && (ipErr != nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// readOptions has go-redis read what it knows, its parameters among it.
func (t *target) readOptions(scheme, user, path string, parameters url.Values, secure bool) error {
	kind, host := "redis", ""
	if secure {
		kind = "rediss"
	}
	if scheme == "unix" {
		kind = "unix"
	} else {
		host = t.addrs[0]
	}
	options, err := redis.ParseURL(kind + "://" + user + host + "/" + path + "?" + parameters.Encode())
	var form *url.Error
	switch {
	case errors.As(err, &form): // it repeats the URL
		return errForm
	case err != nil && strings.Contains(err.Error(), "unexpected option"):
		return fmt.Errorf("url: its parameters: %w", err) // names alone
	case err != nil:
		return errors.New("url: the database's number or the value of a parameter is not one")
	}
	for _, n := range []int{options.PoolSize, options.MinIdleConns, options.MaxIdleConns, options.MaxActiveConns, options.PipelinePoolSize, options.MaxConcurrentDials} {
		if n < 0 || n > MaxConns {
			return fmt.Errorf("url: its parameters: want 0 to %d connections", MaxConns)
		}
	}
	t.options = options
	if options.TLSConfig != nil {
		options.TLSConfig.ServerName = "" // each node's own, unless one is given
	}
	return t.secrets.apply(options)
}

// Within returns a URL whose files, where they are relative, are those of a folder: that of
// the configuration that names it.
func Within(dir, raw string) string {
	rest, query, _ := strings.Cut(raw, "?")
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return raw // it is refused when it is read
	}
	moved := false
	for _, name := range fileParameters() {
		if path := parameters.Get(name); path != "" && !filepath.IsAbs(path) {
			parameters.Set(name, filepath.Join(dir, path))
			moved = true
		}
	}
	if !moved {
		return raw
	}
	return rest + "?" + parameters.Encode()
}

// fileParameters are those that name files.
func fileParameters() []string {
	return []string{"password_file", "sentinel_password_file", "tls_ca", "tls_cert", "tls_key"}
}
