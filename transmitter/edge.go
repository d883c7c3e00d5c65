package transmitter

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// sourceKey begins what the requests of a vendor's source are counted by: no client's
// id has a slash.
const sourceKey = "source/"

// rates bound how often somebody may ask (Config.RateClient, RateAddress). A client
// that shows a good token is counted by itself and never by its address, so that
// nobody who shares the address can keep it out.
type rates struct {
	clients   *edge.Rates[string]
	addresses *edge.Rates[netip.Prefix]
	open      map[string]bool // routes that ask for no token: all of their requests count
	limited   func(by string) // is told of each request that was refused
}

// rateError refuses a request that came too soon.
type rateError struct {
	by   string // client or address
	wait time.Duration
}

func (e *rateError) Error() string { return "too many requests of this " + e.by }

// client counts a request of a client.
func (r *rates) client(id string) error {
	if wait, ok := r.clients.Take(id); !ok {
		r.limited("client")
		return &rateError{"client", wait}
	}
	return nil
}

// address counts a request by its address.
func (r *rates) address(req *http.Request) error {
	from := edge.Network(edge.Address(req))
	if !from.IsValid() { // on the Unix socket
		return nil
	}
	if wait, ok := r.addresses.Take(from); !ok {
		r.limited("address")
		return &rateError{"address", wait}
	}
	return nil
}

// pace is the middleware that counts by address what is asked without a token, before
// anything is done for it, and what was refused to somebody unknown: a wrong token, a
// path that is not there.
func (r *rates) pace(next echo.HandlerFunc) echo.HandlerFunc {
	if r.addresses == nil {
		return next
	}
	return func(c echo.Context) error {
		if r.open[c.Path()] {
			if err := r.address(c.Request()); err != nil {
				return err
			}
			return next(c)
		}
		err := next(c)
		if err == nil || request.Principal(c) != nil || !unknownCaller(err) {
			return err
		}
		if slow := r.address(c.Request()); slow != nil {
			return slow
		}
		return err
	}
}

// unknownCaller reports whether err refuses somebody of whom nothing is known.
func unknownCaller(err error) bool {
	if _, ok := errors.AsType[*auth.Error](err); ok {
		return true
	}
	if e, ok := errors.AsType[*request.Error](err); ok {
		return e.Status == http.StatusUnauthorized
	}
	e, ok := errors.AsType[*echo.HTTPError](err)
	return ok && (e.Code == http.StatusNotFound || e.Code == http.StatusMethodNotAllowed)
}

// oauth reports whether a route is an OAuth endpoint, whose errors have a form of
// their own (RFC 6749 §5.2).
func (t *Transmitter) oauth(path string) bool { return strings.HasPrefix(path, t.base+"/oauth/") }

// note says for the log line of a request which route it took and whose it is.
func note(c echo.Context) {
	client := ""
	if p := request.Principal(c); p != nil {
		client = p.Client
	}
	if by, ok := request.Actor(c); ok {
		client = by.LogName()
	}
	edge.From(c.Request().Context()).Note(c.Path(), client)
}
