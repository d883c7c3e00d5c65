package edge

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

const (
	headerID    = "X-Request-Id"
	headerTrace = "Traceparent"

	// minID and maxID bound an id that a client sends, in bytes.
	minID, maxID = 8, 128
)

// Request is what is known of a request before it is known what is asked, and what its
// log line shall tell besides. Safe for concurrent use.
type Request struct {
	id      string
	trace   string // of a W3C traceparent; "": none
	address netip.Addr

	certificates func() []*x509.Certificate // see Certificates

	mu            sync.Mutex
	route, client string
}

// From returns the request that ctx belongs to; nil if it came through no [Handler].
// The methods of a nil Request do nothing and return zero values.
func From(ctx context.Context) *Request {
	r, _ := ctx.Value(key{}).(*Request)
	return r
}

// ID is the request's id: the client's if it sent a good one, else a random one.
func (r *Request) ID() string {
	if r == nil {
		return ""
	}
	return r.id
}

// Note says which route a request took and which client it is of, for its log line;
// "" leaves what was said before.
func (r *Request) Note(route, client string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if route != "" {
		r.route = route
	}
	if client != "" {
		r.client = client
	}
}

func (r *Request) noted() (route, client string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.route, r.client
}

type key struct{}

func with(ctx context.Context, r *Request) context.Context { return context.WithValue(ctx, key{}, r) }

func newRequest(r *http.Request, trusted []netip.Prefix) *Request {
	req := &Request{address: addressOf(r, trusted), trace: traceID(r.Header.Values(headerTrace))}
	switch sent := r.Header.Values(headerID); {
	case len(sent) == 1 && goodID(sent[0]):
		req.id = sent[0]
	case req.trace != "":
		req.id = req.trace
	default:
		req.id = newID()
	}
	return req
}

// newID returns 128 random bits as hexadecimal digits, as a trace's id is written.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// goodID reports whether an id may go into answers and logs: letters, digits and what
// UUIDs, base64 and the like have besides.
func goodID(id string) bool {
	if len(id) < minID || len(id) > maxID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/=:", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// traceID returns the trace-id of a traceparent header (W3C Trace Context §3.2), ""
// if there is not one well-formed one.
func traceID(values []string) string {
	const version0 = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if len(values) != 1 || len(values[0]) < version0 {
		return ""
	}
	v := values[0]
	if later := v[:2] != "00"; later && (v[:2] == "ff" || len(v) > version0 && v[version0] != '-') || !later && len(v) != version0 {
		return ""
	}
	part := strings.Split(v[:version0], "-")
	if len(part) != 4 || !isHex(part[0], 2) || !isHex(part[1], 32) || !isHex(part[2], 16) || !isHex(part[3], 2) {
		return ""
	}
	if strings.Trim(part[1], "0") == "" || strings.Trim(part[2], "0") == "" {
		return ""
	}
	return part[1]
}

// isHex reports whether s is n lower-case hexadecimal digits.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
