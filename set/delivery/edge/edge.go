// Package edge is what every server of ours does with a connection and a request
// before it is known what is asked: the twin, towards those who call us, of package
// guard, which is for those whom we call.
//
//	l = edge.Bound(l, edge.Bounds{Conns: 10_000, ConnsPerAddress: 1000})
//	server := &http.Server{Handler: edge.Handler(h, edge.Config{Listener: "public"})}
//
// [Bound] bounds connections, in all and by address. [Handler] gives each request an
// id, tells who sent it and by which certificate, writes the headers that every answer has and one log line.
// [Rates] count the requests of each client or address. Nothing here knows a route.
package edge

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// Config says how the requests of a listener are met. Its zero value is a good choice.
type Config struct {
	// Listener is what the listener is called in log lines; empty: it is not named.
	Listener string
	// Trusted are the proxies whose X-Forwarded-For is believed; nil: nobody's is.
	Trusted []netip.Prefix
	// ClientCert: the Trusted end TLS, and their Client-Cert and Client-Cert-Chain (RFC
	// 9440) are believed ([Certificates]). They must drop those that a client sends.
	ClientCert bool
	// Quiet are paths whose requests are logged at level debug if they succeed, such
	// as those of health checks.
	Quiet []string
	// Logger gets one line per request; nil: slog.Default.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Handler returns next behind what every request meets: it has an id ([From]), every
// answer has the headers of an API (docs/operations/edge.md), and each request leaves
// one line in the log, whatever becomes of it. The line has the route that was noted
// ([Request.Note]), never a path, a query or a header: these may hold secrets and
// subjects. A panic of next is 500, and an error in the log with its stack ([PanicText]).
func Handler(next http.Handler, cfg Config) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := cfg.Now()
		req := newRequest(r, cfg.Trusted)
		req.certificates = cfg.certificates(r)
		header(w.Header(), r)
		w.Header().Set(headerID, req.id)
		out := &recorder{ResponseWriter: w}
		r = r.WithContext(with(r.Context(), req))
		defer func() {
			cut := cfg.panicked(r, out, recover())
			cfg.log(r, req, out, cfg.Now().Sub(start)) // also of a handler that cuts the connection
			if cut {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(out, r)
	})
}

// recorder notes what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader notes the status. What is too large is not read to its end: the
// connection ends with the answer.
func (w *recorder) WriteHeader(status int) {
	if status >= http.StatusOK && w.status == 0 {
		w.status = status
		if status == http.StatusRequestEntityTooLarge {
			w.Header().Set("Connection", "close")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
