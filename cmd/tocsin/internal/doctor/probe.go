package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// probeTime bounds one request.
const probeTime = 10 * time.Second

// maxProbed bounds the endpoints that are tried, workers how many at once.
const (
	maxProbed = 500
	workers   = 16
)

// line notes what answers tell by the way: the time of their servers, by host, and how
// long their certificates are good.
type line struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	ahead map[string]time.Duration     // of hosts that said a Date
	certs map[string]*x509.Certificate // of hosts that are asked by https
}

// listen makes a client note what is told by the way.
func listen(client *http.Client, now func() time.Time) *line {
	l := &line{next: client.Transport, now: now, ahead: map[string]time.Duration{}, certs: map[string]*x509.Certificate{}}
	client.Transport = l
	return l
}

// RoundTrip makes the request and notes what the answer tells.
func (l *line) RoundTrip(req *http.Request) (*http.Response, error) {
	asked := l.now()
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answered := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		l.certs[req.URL.Host] = resp.TLS.PeerCertificates[0]
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		l.ahead[req.URL.Host] = offset(date, asked, answered)
	}
	return resp, nil
}

// offset is how far a Date, of whole seconds, is outside of the time between a request
// and its answer.
func offset(date, asked, answered time.Time) time.Duration {
	switch {
	case date.Add(time.Second).Before(asked):
		return date.Add(time.Second).Sub(asked)
	case date.After(answered):
		return date.Sub(answered)
	}
	return 0
}

// tell notes what was told of a host.
func (l *line) tell(r *Report, host string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ahead, ok := l.ahead[host]; ok {
		apart(r, host, ahead)
	}
	if cert := l.certs[host]; cert != nil {
		found := new(Report)
		expiry(found, "peer.expiry", host, cert, now)
		for i := range found.Findings {
			if found.Findings[i].Do != "" {
				found.Findings[i].Do = "tell whoever runs " + host
			}
		}
		r.add(found)
	}
}

// idle closes the connections.
func (l *line) idle() {
	if closer, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// knock asks an endpoint for its head, which changes nothing there. Any answer will do: an
// endpoint for POST refuses it.
func knock(ctx context.Context, client *http.Client, raw string) (status string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, raw, http.NoBody)
	if err != nil {
		return "", errors.New("it is no URL that can be called")
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", guard.Cause(err)
	}
	return resp.Status, resp.Body.Close()
}

// hostOf is the host of a URL with its port, "" if there is none.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
