package receive

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// pageSize is how many dead letters one answer has.
const pageSize = 100

// SocketHandler serves operators, on a socket that they alone can reach: health,
// metrics, dead letters, acts, and the reading of the configuration by reload. Acts are
// noted as those of the process at its other end.
func (d *Daemon) SocketHandler(reload func(ctx context.Context) error) http.Handler {
	return d.operatorsRoutes(reload, onSocket)
}

// PagesHandler serves the same to web pages of this process. who tells on whose behalf
// they ask; what nobody stands behind is answered 401.
func (d *Daemon) PagesHandler(who func(*http.Request) (by eventlog.Actor, ok bool), reload func(ctx context.Context) error) http.Handler {
	routes := d.operatorsRoutes(reload, func(r *http.Request) eventlog.Actor {
		by, _ := who(r)
		by.Via = eventlog.ViaConsole
		return by
	})
	routes.admits = func(r *http.Request) bool {
		_, ok := who(r)
		return ok
	}
	return routes
}

func (d *Daemon) operatorsRoutes(reload func(ctx context.Context) error, who func(*http.Request) eventlog.Actor) *router {
	mux := newRouter(d.recorder(), who)
	d.open(mux)
	d.Store.routes(mux)
	mux.Handle("GET /metrics", d.metrics.handler())
	mux.HandleFunc("GET /admin/health", func(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusOK, d.Health(r.Context())) })
	mux.HandleFunc("GET /admin/figures", d.figures)
	mux.HandleFunc("GET /admin/gate/decisions", d.decided)
	mux.HandleFunc("POST /admin/explain", d.explain)
	if d.gate != nil {
		d.gate.logins(mux, func(h http.Handler) http.Handler { return h })
	}
	mux.HandleFunc("POST /admin/reload", func(w http.ResponseWriter, r *http.Request) {
		if err := reload(r.Context()); err != nil {
			refused(w, http.StatusBadRequest, "invalid_configuration", err.Error())
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// AdminHandler serves what may be asked over TCP: whether the daemon is ready, how it is,
// and, where there is a token, the acts. With token, all but the first want it as a bearer
// token. Nothing is changed here.
func (d *Daemon) AdminHandler(token string) http.Handler {
	mux := http.NewServeMux()
	d.open(mux)
	mux.Handle("GET /metrics", guarded(token, d.metrics.handler()))
	mux.Handle("GET /admin/health", guarded(token, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, d.Health(r.Context()))
	})))
	mux.Handle("GET /admin/figures", guarded(token, http.HandlerFunc(d.figures)))
	if token != "" {
		mux.Handle("GET /admin/acts", guarded(token, http.HandlerFunc(d.listActs)))
	}
	return edge.Failing(mux, d.failing, d.metrics.limited.Inc)
}

// figures answers what the daemon keeps of its own past; ?range= says of which.
func (d *Daemon) figures(w http.ResponseWriter, r *http.Request) {
	if d.opts.Figures == nil {
		refused(w, http.StatusNotImplemented, "not_offered", "no figures are kept")
		return
	}
	out, ok := d.opts.Figures(r.URL.Query().Get("range"))
	if !ok {
		refused(w, http.StatusBadRequest, "invalid_request", "range is none of 15m, 1h, 6h, 24h, 7d, 30d")
		return
	}
	answer(w, http.StatusOK, out)
}

// open adds what needs no credential and tells no names.
func (d *Daemon) open(mux muxer) {
	mux.Handle("GET /healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	mux.Handle("GET /readyz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if d.refuse.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	}))
}

// guarded wants token, if there is one, as a bearer token.
func guarded(token string, h http.Handler) http.Handler {
	if token == "" {
		return h
	}
	return shown("Authorization", "Bearer "+token, h)
}

// shown wants a value in a header.
func shown(header, value string, h http.Handler) http.Handler {
	want := sha256.Sum256([]byte(value))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get(header)))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			if header == "Authorization" {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Handler serves what can be asked of a folder alone: dead letters, the journal, acts.
func (s *Store) Handler() http.Handler {
	mux := newRouter(recorder{acts: s.Acts, log: slog.New(slog.DiscardHandler)}, onSocket) // what is left open, the list tells
	s.routes(mux)
	return mux
}

func (s *Store) routes(mux *router) {
	mux.HandleFunc("GET /admin/acts", s.listActs)
	mux.HandleFunc("GET /admin/journal", s.listEntries)
	mux.HandleFunc("GET /admin/journal/totals", s.totals)
	mux.HandleFunc("GET /admin/dead-letters", s.listLetters)
	mux.HandleFunc("POST /admin/dead-letters/retry", s.eachLetter(func(ctx context.Context, l LetterID) error {
		return s.Inbox.Resend(ctx, l.Issuer, l.ID)
	}))
	mux.HandleFunc("POST /admin/dead-letters/drop", s.eachLetter(func(ctx context.Context, l LetterID) error {
		return s.Inbox.Drop(ctx, l.Issuer, l.ID)
	}))
}

// LetterID names a dead letter: its iss and jti.
type LetterID struct {
	Issuer string `json:"iss"`
	ID     string `json:"jti"`
}

// Letter is an event that was set aside.
type Letter struct {
	Name string `json:"issuer"` // as configured
	LetterID
	Type          string    `json:"event_type"`
	TransactionID string    `json:"txn,omitempty"`
	Reason        string    `json:"reason"`
	Attempts      int       `json:"attempts"`
	Received      time.Time `json:"received_at"`
	At            time.Time `json:"at"`
}

// LetterPage is an answer with dead letters, and where the next begins: a name and
// a place; both empty after the last.
type LetterPage struct {
	DeadLetters []Letter `json:"dead_letters"`
	Next        string   `json:"next,omitempty"`
}

func (s *Store) listLetters(w http.ResponseWriter, r *http.Request) {
	feeds, err := s.Inbox.Feeds(r.Context())
	if only := r.URL.Query().Get("issuer"); only != "" {
		feeds = []string{only}
	}
	if err != nil {
		failed(w, err)
		return
	}
	// A place is a Seq and a feed's name, since the inbox lists feed by feed.
	place, from, _ := strings.Cut(r.URL.Query().Get("after"), " ")
	after, _ := strconv.ParseUint(place, 10, 63)
	page := LetterPage{DeadLetters: []Letter{}}
	for _, feed := range feeds {
		if feed < from {
			continue
		}
		if feed != from {
			after = 0
		}
		letters, err := s.Inbox.DeadLetters(r.Context(), feed, after, pageSize-len(page.DeadLetters))
		if err != nil {
			failed(w, err)
			return
		}
		for _, l := range letters {
			page.DeadLetters = append(page.DeadLetters, letterOf(l))
			page.Next = strconv.FormatUint(l.Seq, 10) + " " + feed
		}
		if len(page.DeadLetters) == pageSize {
			answer(w, http.StatusOK, page)
			return
		}
	}
	page.Next = ""
	answer(w, http.StatusOK, page)
}

func letterOf(l inbox.DeadLetter) Letter {
	return Letter{
		Name: l.Feed, LetterID: LetterID{l.Issuer, l.ID}, Type: l.Type, TransactionID: l.TransactionID,
		Reason: l.Reason, Attempts: l.Attempts, Received: l.Received.UTC(), At: l.At.UTC(),
	}
}

// maxAsk bounds a request to the admin API.
const maxAsk = 64 << 10

// eachLetter answers a request that names one dead letter.
func (s *Store) eachLetter(do func(context.Context, LetterID) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var id LetterID
		if err := readJSON(w, r, maxAsk, &id); err != nil || id.Issuer == "" || id.ID == "" {
			refused(w, http.StatusBadRequest, "invalid_request", "want iss and jti of a dead letter")
			return
		}
		switch err := do(r.Context(), id); {
		case errors.Is(err, inbox.ErrNotFound):
			refused(w, http.StatusNotFound, "not_found", "there is no such dead letter")
		case err != nil:
			failed(w, err)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the peer may be gone; there is nobody to tell
}

func refused(w http.ResponseWriter, status int, code, description string) {
	answer(w, status, map[string]string{"err": code, "description": description})
}

// failed answers that the store cannot do it now; operators may read why.
func failed(w http.ResponseWriter, err error) {
	refused(w, http.StatusInternalServerError, "internal", err.Error())
}

// readJSON reads a body of at most limit bytes into v: no member twice, none that v
// does not have.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	return jsonv2.UnmarshalRead(http.MaxBytesReader(w, r.Body, limit), v, jsonv2.RejectUnknownMembers(true))
}
