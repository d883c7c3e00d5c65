package wellknown

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Bounds on fetching and keeping documents.
const (
	// DefaultMinRefresh is the shortest time between two fetches of one document,
	// unless [Config.MinRefresh] says otherwise.
	DefaultMinRefresh = 10 * time.Second
	// DefaultLifetime is how long a document is kept whose answer does not say.
	DefaultLifetime = time.Hour

	minLifetime  = time.Minute    // also for answers that are not to be kept
	maxLifetime  = 24 * time.Hour // whatever an answer says
	staleLimit   = 24 * time.Hour // use of a document that cannot be renewed
	fetchTimeout = 15 * time.Second
	maxEntries   = 4096
)

// Config says how documents are fetched. Its zero value is good.
type Config struct {
	// HTTP makes the requests; it follows no redirects here, whatever it does
	// elsewhere. Nil means a guarded client for public https addresses.
	HTTP *http.Client
	// MinRefresh is the shortest time between two fetches of one document, however
	// many ask for it; zero or less means DefaultMinRefresh.
	MinRefresh time.Duration
	// MetadataURLs says by issuer where the configuration of a transmitter is found
	// that does not publish it where [URL] says.
	MetadataURLs map[string]string
	// Fallbacks are further places to look for a transmitter's configuration, each
	// tried if the one before answers 404. None by default (SSF §7.2.2).
	Fallbacks []Location
}

// Client fetches documents of issuers and resources, checks them, and keeps them for
// as long as the answer's Cache-Control allows (within a minute and a day; an hour if
// it does not say). A document that cannot be renewed is used for another day; one
// that turns invalid is not used at all.
//
// Issuers come from trusted configuration (SSF §7.2). A Client is safe for concurrent
// use and holds no goroutine except while it fetches.
type Client struct {
	config         Config
	http           *http.Client
	configurations *cache[Configuration]
	servers        *cache[AuthorizationServer]
	resources      *cache[ProtectedResource]
}

// NewClient returns a Client. It makes no request.
func NewClient(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = guard.NewClient(guard.Policy{Timeout: fetchTimeout})
	}
	if cfg.MinRefresh <= 0 {
		cfg.MinRefresh = DefaultMinRefresh
	}
	h := *cfg.HTTP
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.Jar = nil
	c := &Client{config: cfg, http: &h}
	c.configurations = newCache(c, c.fetchConfiguration)
	c.servers = newCache(c, c.fetchAuthorizationServer)
	c.resources = newCache(c, c.fetchProtectedResource)
	return c
}

func newCache[T any](c *Client, fetch func(context.Context, string) (document[T], error)) *cache[T] {
	return &cache[T]{fetch: fetch, interval: c.config.MinRefresh, entries: map[string]*entry[T]{}}
}

// Configuration returns the configuration of the transmitter issuer.
//
// Errors: one that wraps [ErrDocument] if there is one that may not be used; a
// [StatusError] if the answer is not 200; any other is a failure to fetch it.
func (c *Client) Configuration(ctx context.Context, issuer string) (Configuration, error) {
	doc, _, err := c.configurations.load(ctx, issuer)
	return doc, err
}

// Expire makes the next call for the configuration of issuer ask again, as after a 404
// from an endpoint that it names.
func (c *Client) Expire(issuer string) { c.configurations.expire(issuer) }

// AuthorizationServer returns the metadata of the authorization server issuer: that of
// RFC 8414, or else of OpenID Connect Discovery, which has the same members. Its
// errors are those of [Client.Configuration].
func (c *Client) AuthorizationServer(ctx context.Context, issuer string) (AuthorizationServer, error) {
	doc, _, err := c.servers.load(ctx, issuer)
	return doc, err
}

// ProtectedResource returns the metadata of resource, from where
// [ProtectedResourceURL] says. Its errors are those of [Client.Configuration].
func (c *Client) ProtectedResource(ctx context.Context, resource string) (ProtectedResource, error) {
	doc, _, err := c.resources.load(ctx, withoutQuery(resource))
	return doc, err
}

// ProtectedResourceAt returns the metadata at url, which the answer to a request for
// requested named in WWW-Authenticate (see [ResourceMetadata]). It is not kept. Its
// errors are those of [Client.Configuration].
func (c *Client) ProtectedResourceAt(ctx context.Context, url, requested string) (ProtectedResource, error) {
	body, _, err := c.get(ctx, url, MaxDocumentBytes)
	if err != nil {
		return ProtectedResource{}, err
	}
	p, err := ParseProtectedResource(body)
	if err == nil {
		err = p.Validate(requested)
	}
	if err != nil {
		return ProtectedResource{}, err
	}
	return p, nil
}

func (c *Client) fetchConfiguration(ctx context.Context, issuer string) (document[Configuration], error) {
	places := append([]Location{Inserted(NameConfiguration)}, c.config.Fallbacks...)
	if url := c.config.MetadataURLs[issuer]; url != "" {
		places = []Location{func(string) (string, error) { return url, nil }}
	}
	return fetchFirst(ctx, c, places, issuer, ParseConfiguration)
}

// fetchFirst is fetchDocument at the first of places that does not answer 404.
func fetchFirst[T interface{ Validate(issuer string) error }](
	ctx context.Context, c *Client, places []Location, issuer string, parse func([]byte) (T, error),
) (doc document[T], err error) {
	for _, place := range places {
		doc, err = fetchDocument(ctx, c, place, issuer, parse)
		if status, ok := errors.AsType[*StatusError](err); !ok || status.Code != http.StatusNotFound {
			return doc, err
		}
	}
	return document[T]{}, err
}

func (c *Client) fetchAuthorizationServer(ctx context.Context, issuer string) (document[AuthorizationServer], error) {
	return fetchFirst(ctx, c, []Location{
		Inserted(NameAuthorizationServer), Appended(NameOpenID), Inserted(NameOpenID),
	}, issuer, ParseAuthorizationServer)
}

func (c *Client) fetchProtectedResource(ctx context.Context, resource string) (document[ProtectedResource], error) {
	return fetchDocument(ctx, c, Inserted(NameProtectedResource), resource, ParseProtectedResource)
}

// fetchDocument gets, reads and checks the document of issuer at place.
func fetchDocument[T interface{ Validate(issuer string) error }](
	ctx context.Context, c *Client, place Location, issuer string, parse func([]byte) (T, error),
) (document[T], error) {
	url, err := place(issuer)
	if err != nil {
		return document[T]{}, fmt.Errorf("%w: issuer: %w", ErrDocument, err)
	}
	body, lifetime, err := c.get(ctx, url, MaxDocumentBytes)
	if err != nil {
		return document[T]{}, err
	}
	value, err := parse(body)
	if err != nil {
		return document[T]{}, err
	}
	if err := value.Validate(issuer); err != nil {
		return document[T]{}, err
	}
	return document[T]{value: value, lifetime: lifetime}, nil
}

// fetchKeySet gets and reads the key set at url.
func (c *Client) fetchKeySet(ctx context.Context, url string) (document[*jose.KeySet], error) {
	body, lifetime, err := c.get(ctx, url, jose.MaxKeySetBytes)
	if err != nil {
		return document[*jose.KeySet]{}, err
	}
	keys, err := jose.ParseKeySet(body)
	if err != nil {
		return document[*jose.KeySet]{}, fmt.Errorf("key set: %w", err)
	}
	return document[*jose.KeySet]{value: keys, lifetime: lifetime}, nil
}

// StatusError says that a document was asked for and the answer was not 200.
type StatusError struct {
	Code int // HTTP status
}

// Error names the status.
func (e *StatusError) Error() string {
	return "answered " + strconv.Itoa(e.Code) + " " + http.StatusText(e.Code)
}

// get returns the body of a 200 answer, of at most limit bytes, and how long it may be
// kept. It needs no credentials and sends none (SSF §7.2.1).
func (c *Client) get(ctx context.Context, url string, limit int64) ([]byte, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, 0, errors.New("not a URL")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, 0, guard.Cause(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, &StatusError{Code: resp.StatusCode}
	}
	body, err := guard.ReadBody(resp.Body, limit)
	if err != nil {
		return nil, 0, err
	}
	return body, lifetime(resp.Header), nil
}

// lifetime reads how long an answer may be kept (RFC 9111 §4.2), within our bounds.
func lifetime(header http.Header) time.Duration {
	life, found := time.Duration(0), false
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minLifetime
		case "max-age":
			life, found = seconds(value), true
		}
	}
	if !found {
		expires, err := http.ParseTime(header.Get("Expires"))
		if err != nil {
			return DefaultLifetime
		}
		date, err := http.ParseTime(header.Get("Date"))
		if err != nil {
			date = time.Now()
		}
		life = expires.Sub(date)
	}
	life -= seconds(header.Get("Age"))
	return min(max(life, minLifetime), maxLifetime)
}

// seconds reads a number of seconds; what is none counts as zero, what is large as
// more than any bound.
func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(strings.Trim(text, `" `), 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		return 2 * maxLifetime
	}
	return time.Duration(n) * time.Second
}
