package receive

import (
	"errors"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// login is a session that begins, as an application in any language tells it.
type login struct {
	ID string `json:"id"`
	// Members are the identifiers it is known by: {"user": [{"format":"email",…}]}.
	Members map[string][]subject.Identifier `json:"members"`
	Begun   time.Time                       `json:"begun"`   // absent: now
	Expires time.Time                       `json:"expires"` // absent: not known
}

// logins adds the endpoints by which applications tell of their sessions.
func (p *gateParts) logins(mux muxer, guard func(http.Handler) http.Handler) {
	mux.Handle("POST /sessions", guard(http.HandlerFunc(p.login)))
	mux.Handle("POST /sessions/remove", guard(http.HandlerFunc(p.logout)))
}

func (p *gateParts) login(w http.ResponseWriter, r *http.Request) {
	var l login
	if err := readJSON(w, r, maxAsk, &l); err != nil {
		refused(w, http.StatusBadRequest, "invalid_request", "want {id, members, begun, expires}: "+err.Error())
		return
	}
	if l.Begun.IsZero() {
		l.Begun = time.Now()
	}
	err := p.index.Add(r.Context(), sessions.Session{ID: l.ID, Members: l.Members, Begun: l.Begun, Expires: l.Expires})
	switch {
	case errors.Is(err, sessions.ErrInvalid):
		refused(w, http.StatusBadRequest, "invalid_request", err.Error())
	case err != nil:
		refused(w, http.StatusServiceUnavailable, "unavailable", "the session cannot be kept now")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// Bounds of one request to remove.
const (
	maxRemoved      = 1000 // sessions
	maxRemovedBytes = 2 << 20
)

func (p *gateParts) logout(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		IDs []string `json:"ids"`
	}
	if err := readJSON(w, r, maxRemovedBytes, &ask); err != nil || len(ask.IDs) == 0 || len(ask.IDs) > maxRemoved {
		refused(w, http.StatusBadRequest, "invalid_request", "want {ids: [...]} with 1 to 1000 ids")
		return
	}
	if err := p.index.Remove(r.Context(), ask.IDs...); err != nil {
		refused(w, http.StatusServiceUnavailable, "unavailable", "the sessions cannot be removed now")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
