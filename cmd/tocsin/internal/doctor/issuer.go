package doctor

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/credential"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// issuerTime bounds what is asked of one transmitter.
const issuerTime = 30 * time.Second

// maxKeys bounds a file of keys, in bytes.
const maxKeys = 4 << 20

// Issuer tries what a receiver needs of a transmitter: metadata, keys, an access token,
// its stream API, which is only read. What the guard refuses is told so.
func Issuer(ctx context.Context, r *Report, cfg receive.Config, is receive.Issuer, now func() time.Time) {
	ctx, cancel := context.WithTimeout(ctx, issuerTime)
	defer cancel()
	at := issuerLook{Report: r, is: is}
	http, err := is.HTTPClient(cfg.InsecureLoopback)
	if err != nil {
		r.Fail("issuer.ca", is.Name, "name a PEM file with ca", "%v", err)
		return
	}
	heard := listen(http, now)
	defer heard.idle()
	defer func() {
		for _, host := range heard.hosts() {
			heard.tell(r, host, now())
		}
	}()
	at.http, at.documents = http, is.Documents(http)
	at.secrets()
	switch {
	case is.KeyFile != "":
		at.keyFile()
	case is.JWKSURL != "":
		at.keys(ctx, at.documents.KeysAt(map[string]string{is.Issuer: is.JWKSURL}), is.JWKSURL)
	case at.metadata(ctx):
		at.keys(ctx, at.documents.Keys(is.Issuer), at.found.JWKSURI)
	default:
		return
	}
	at.api(ctx)
}

// secrets looks at the files with which the receiver shows who it is.
func (l *issuerLook) secrets() {
	client := l.is.Credentials.Client
	for _, name := range []string{l.is.Credentials.TokenFile, client.SecretFile, client.KeyFile} {
		if name != "" {
			keyMode(l.Report, "issuer.secret", name)
		}
	}
}

// hosts are those that were asked, in order.
func (l *line) hosts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for host := range l.ahead {
		all = append(all, host)
	}
	for host := range l.certs {
		if _, known := l.ahead[host]; !known {
			all = append(all, host)
		}
	}
	slices.Sort(all)
	return all
}

// issuerLook is a look at one transmitter.
type issuerLook struct {
	*Report
	is        receive.Issuer
	http      *http.Client
	documents *wellknown.Client
	found     wellknown.Configuration
}

// failed notes why something cannot be had.
func (l *issuerLook) failed(check, what, host string, err error) {
	var status *wellknown.StatusError
	cause := guard.Cause(err)
	switch {
	case guard.Blocked(err):
		l.Fail(check, l.is.Name, "allow: [its range] at this issuer, if it is yours", "%s: %s is an address that is not public, and is not called: %v", what, host, cause)
	case errors.As(err, &status):
		l.Fail(check, l.is.Name, "is the issuer spelled as it spells itself? metadata_url or a profile, where its metadata is elsewhere (docs/receiving.md)", "%s: %v", what, cause)
	case errors.Is(err, wellknown.ErrDocument):
		l.Fail(check, l.is.Name, "issuer must be byte for byte what the metadata says; else ask whoever runs it", "%s: %v", what, cause)
	default:
		l.Fail(check, l.is.Name, "look at name, network and certificate; ca: FILE for an authority of your own", "%s: %s cannot be reached: %v", what, host, cause)
	}
}

func (l *issuerLook) metadata(ctx context.Context) bool {
	var err error
	if l.found, err = l.documents.Configuration(ctx, l.is.Issuer); err != nil {
		l.failed("issuer.metadata", "its metadata", hostOf(l.is.Issuer), err)
		return false
	}
	l.OK("issuer.metadata", l.is.Name, "its metadata is there")
	method := delivery.MethodPush
	if l.is.Delivery.Method == receive.MethodPoll {
		method = delivery.MethodPoll
	}
	if offered := l.found.DeliveryMethodsSupported; len(offered) > 0 && !slices.Contains(offered, method) && l.is.Profile == "" {
		l.Fail("issuer.delivery", l.is.Name, "delivery: {method: …}, one of those", "it does not offer %s, but %q", l.is.Delivery.Method, offered)
	}
	return true
}

func (l *issuerLook) keys(ctx context.Context, keys *wellknown.RemoteKeys, where string) {
	if err := keys.Fetch(ctx, l.is.Issuer); err != nil {
		l.failed("issuer.keys", "its keys", hostOf(where), err)
		return
	}
	if n := keys.State(l.is.Issuer).Count; n == 0 {
		l.Fail("issuer.keys", l.is.Name, "ask whoever runs it; RS256 wants an RSA key of 2048 bits", "no key of its JWKS can be used: every SET is refused")
	} else {
		l.OK("issuer.keys", l.is.Name, "%d keys", n)
	}
}

func (l *issuerLook) keyFile() {
	raw, err := readBounded(l.is.KeyFile, maxKeys)
	if err == nil {
		if _, err = jose.ParseKeySet(raw); err != nil {
			_, err = jose.ParsePEM(raw)
		}
	}
	if err != nil {
		l.Fail("issuer.keys", l.is.Name, "put the keys that it gave you there, a JWK set or PEM", "its key file cannot be used: %v", err)
		return
	}
	l.OK("issuer.keys", l.is.Name, "its key file can be read")
}

// api gets an access token and lists streams; at a static issuer it is for polling alone.
func (l *issuerLook) api(ctx context.Context) {
	static := l.is.Mode == receive.ModeStatic
	if static && l.is.Delivery.Method != receive.MethodPoll {
		return
	}
	source, err := l.is.Credential(l.http)
	switch {
	case err != nil:
		l.Fail("issuer.token", l.is.Name, "correct credentials", "%v", err)
		return
	case source == nil && static:
		return // an endpoint that is polled may be open, or behind something else
	case source == nil:
		l.Warn("issuer.token", l.is.Name, "credentials: {client: {id: …, secret_file: …}}, or token_file", "there are no credentials: its API will hardly be for anybody")
		return
	case len(l.is.Credentials.Command) > 0:
		l.OK("issuer.token", l.is.Name, "its tokens come from a command, which is not run here")
		return
	}
	l.token(ctx, source)
}

func (l *issuerLook) token(ctx context.Context, source *credential.Source) {
	if _, err := source.Token(ctx); err != nil {
		if guard.Blocked(err) {
			l.failed("issuer.token", "its token endpoint", hostOf(l.is.Credentials.Client.TokenURL), err)
			return
		}
		l.Fail("issuer.token", l.is.Name, "look at client id, secret or key_file (the transmitter has to know its public half), and token_url, or at token_file", "no access token can be had: %v", guard.Cause(err))
		return
	}
	l.OK("issuer.token", l.is.Name, "there is an access token")
	if l.is.Mode == receive.ModeStatic {
		return // it has no stream API that we know of
	}
	api, err := client.New(client.Config{Issuer: l.is.Issuer, HTTP: l.http, Discovery: l.documents, Token: source.Token, LegacyDeliveryURI: true})
	if err != nil {
		l.Fail("issuer.api", l.is.Name, "correct the issuer", "%v", err)
		return
	}
	_, err = api.Streams(ctx)
	var offered *client.NotOfferedError
	switch {
	case errors.As(err, &offered):
		l.Fail("issuer.api", l.is.Name, "mode: static, with the stream made by other means", "it offers no stream API: %v", err)
	case err != nil:
		l.Fail("issuer.api", l.is.Name, "the client needs the scopes ssf.read and ssf.manage, or what the transmitter calls them", "its stream API cannot be read: %v", guard.Cause(err))
	default:
		l.OK("issuer.api", l.is.Name, "its stream API answers")
	}
}
