package edge

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Failing returns next behind a bound on what fails: who sent more requests than rates
// allow that were answered 4xx is answered 429 with Retry-After until there is room
// again. It is for endpoints where nobody can be told apart before the work is done.
// limited is told of each such answer; nil: nobody is.
func Failing(next http.Handler, rates *Rates[netip.Prefix], limited func()) http.Handler {
	if rates == nil {
		return next
	}
	if limited == nil {
		limited = func() {}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := Network(Address(r))
		if !from.IsValid() { // on a Unix socket
			next.ServeHTTP(w, r)
			return
		}
		if wait, spent := rates.Spent(from); spent {
			limited()
			w.Header().Set("Retry-After", RetryAfter(wait))
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		out := &recorder{ResponseWriter: w}
		next.ServeHTTP(out, r)
		if out.status >= http.StatusBadRequest && out.status < http.StatusInternalServerError {
			rates.Take(from)
		}
	})
}

// RetryAfter writes a wait as whole seconds, rounded up.
func RetryAfter(wait time.Duration) string {
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
}
