package acmecert

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// challenges is where HTTP-01 challenges are looked for (RFC 8555 §8.3).
const challenges = "/.well-known/acme-challenge/"

// Handler serves the listener of plain http that answers HTTP-01 challenges. Whoever comes
// for something else is sent to https, by GET and HEAD and to a name of ours alone; all else
// is 404.
func (m *Manager) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.NotFound(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, challenges) {
			m.mu.RLock()
			text, found := m.http[r.URL.Path]
			m.mu.RUnlock()
			if !found {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = io.WriteString(w, text) // who has gone is told nothing
			return
		}
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		name, err := Name(host)
		// "GET x:.evil.example/" has no path: what follows the name would be part of it.
		if err != nil || !strings.HasPrefix(r.URL.RequestURI(), "/") || !slices.Contains(m.cfg.Domains, name) {
			http.NotFound(w, r)
			return
		}
		http.Redirect(w, r, "https://"+name+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}
