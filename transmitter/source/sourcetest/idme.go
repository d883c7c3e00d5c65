package sourcetest

import (
	"net/http"
	"strings"
)

// IDme is ID.me's Events API: the look-up of one event. How it refuses is not
// documented; its errors are of the form of ID.me's other API.
type IDme struct {
	server
	token string
}

// NewIDme returns a server without events that takes the token.
func NewIDme(token string) *IDme { return &IDme{token: token} }

// ServeHTTP answers as it is documented.
func (i *IDme) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if i.begin(w, r) {
		return
	}
	id, ok := strings.CutPrefix(r.URL.Path, "/private/v0/events/")
	switch e, found := i.find(id); {
	case r.Header.Get("Authorization") != "Bearer "+i.token:
		reply(w, http.StatusForbidden, map[string]any{"code": 122, "message": "the token is not tied to an account"})
	case !ok || !found || r.Method != http.MethodGet:
		reply(w, http.StatusNotFound, map[string]any{"code": 404, "message": "not found"})
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(e.JSON))
	}
}
