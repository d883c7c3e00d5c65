package acmecert

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

const (
	// maxAnswer bounds an answer of the server, in bytes. A chain of certificates has a few
	// thousand.
	maxAnswer = 256 << 10
	// longestPause bounds what a server may ask for.
	longestPause = 24 * time.Hour
)

// bounded is a client whose answers are bounded, in bytes and in what they ask for.
func bounded(client *http.Client) *http.Client {
	short := *client
	short.Transport = bounding{client.Transport}
	return &short
}

type bounding struct{ http.RoundTripper }

// RoundTrip makes one request. The client behind takes Retry-After as it comes, and would
// ask without a pause after one that is negative, or in the past by our clock.
func (b bounding) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{resp.Body, maxAnswer}
	if text := resp.Header.Get("Retry-After"); text != "" {
		resp.Header.Del("Retry-After")
		if pause := asked(text); pause > 0 {
			resp.Header.Set("Retry-After", strconv.Itoa(int((pause+time.Second-1)/time.Second)))
		}
	}
	return resp, nil
}

// asked is how long a server asks us to wait (RFC 9110 §10.2.3), at most longestPause; zero
// or less: not at all.
func asked(text string) time.Duration {
	if at, err := http.ParseTime(text); err == nil {
		return min(time.Until(at), longestPause)
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), seconds < 0:
		return 0
	case err != nil:
		return longestPause
	}
	return time.Duration(min(seconds, int64(longestPause/time.Second))) * time.Second
}

// boundedBody fails where a body is longer than left.
type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read reads.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return n, &guard.TooLargeError{Limit: maxAnswer}
	}
	return n, err
}

// limit reports whether the server has been asked too often, and how long it asks us to wait.
func limit(err error) (time.Duration, bool) {
	problem, ok := errors.AsType[*acme.Error](err)
	if !ok {
		return 0, false
	}
	return acme.RateLimit(problem) // looks at the outermost error alone
}
