package transmitter

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// Upkeep does once what Run does every 15 seconds.
func (t *Transmitter) Upkeep(ctx context.Context) {
	t.sweep(ctx)
	t.upkeep(ctx)
}

// Formats is the memory of applications' preferred formats.
type Formats struct{ formats }

// Get, Put and Known look into it.
func (f *Formats) Get(owner string, now time.Time) (string, bool) { return f.get(owner, now) }
func (f *Formats) Put(owner, name string, now time.Time)          { f.put(owner, name, now) }
func (f *Formats) Known() int                                     { return len(f.known) }

// Routes are those of the issuer's server, as "METHOD /path".
func (t *Transmitter) Routes() []string { return routesOf(t.server) }

// AdminRoutes are those of the admin server.
func (t *Transmitter) AdminRoutes() []string { return routesOf(t.adminServer().(*echo.Echo)) }

func routesOf(e *echo.Echo) (list []string) {
	for _, r := range e.Routes() {
		if r.Method != echo.RouteNotFound { // what a group adds for its middleware
			list = append(list, r.Method+" "+r.Path)
		}
	}
	return list
}

// Operations are what of the issuer's routes needs a token, by "METHOD /path".
func (t *Transmitter) Operations() map[string]auth.Operation {
	all := map[string]auth.Operation{}
	for _, r := range append(t.treeAPI(), t.api()...) {
		all[r.method+" "+r.path] = r.operation
	}
	return all
}
