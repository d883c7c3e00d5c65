package transmitter

import "github.com/labstack/echo/v4"

// ActRoutes returns all routes, of applications and of operators, as "METHOD path".
func ActRoutes(t *Transmitter) []string {
	var all []string
	servers := []*echo.Echo{t.server}
	if e, ok := t.SocketHandler().(*echo.Echo); ok {
		servers = append(servers, e)
	}
	for _, e := range servers {
		for _, r := range e.Routes() {
			all = append(all, r.Method+" "+r.Path)
		}
	}
	return all
}

// IsAct reports whether a route is an act.
func IsAct(name string) bool {
	_, ok := actOf(routeName(name))
	return ok
}
