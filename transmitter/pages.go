package transmitter

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// PagesHandler serves the admin API to web pages of the same process. who tells on whose
// behalf they ask; what nobody stands behind is answered 401. What is done so is noted as
// any other act, with them and via "console".
func (t *Transmitter) PagesHandler(who func(*http.Request) (by eventlog.Actor, ok bool)) http.Handler {
	return t.adminServer(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			by, ok := who(c.Request())
			if !ok {
				return &request.Error{Status: http.StatusUnauthorized, Code: "unauthorized", Description: "nobody is signed in"}
			}
			by.Via = eventlog.ViaConsole
			request.WithPrincipal(c, &auth.Principal{Client: by.String(), Scopes: []auth.Scope{auth.ScopeAdmin}})
			request.WithActor(c, by)
			return next(c)
		}
	})
}

// Administrator returns the client whose admin token a request has. Error: an
// [*auth.Error] says that there is none, or not a good one.
func (t *Transmitter) Administrator(r *http.Request) (client string, err error) {
	p, err := t.auth.Check(r, auth.OpAdminister)
	if err != nil {
		return "", err
	}
	return p.Client, nil
}

// NoteSession notes in the log that somebody signed in to web pages, or out: act is
// "console.sign_in" or "console.sign_out", how by what ("token", "code", "oidc").
// Error: the log did not take it; then nobody is to be let in.
func (t *Transmitter) NoteSession(ctx context.Context, r *http.Request, act string, by eventlog.Actor, how string) error {
	by.Via = eventlog.ViaConsole
	return t.acts().Session(ctx, r, act, by, how)
}
