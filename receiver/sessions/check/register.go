package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// MaxBodyBytes bounds what is sent to a Register.
const MaxBodyBytes = 1 << 20

// RegisterConfig says how a Register is to be built. Listen and Token are those of Config.
type RegisterConfig struct {
	// Index is what sessions are kept in; required.
	Index         sessions.Index
	Listen, Token string
}

// Register is how applications in any language tell of their sessions: one call where a
// user logs in, and one, if they like, where a user logs out.
//
//	POST   {"id": "…", "members": {"user": [{"format": "email", "email": "…"}], "session": [{"format": "opaque", "id": "…"}]},
//	        "begun": 1700000000, "expires": 1700028800}
//	DELETE {"ids": ["…"]}
//
// Times are Unix seconds; begun is now, expires not known, if left out. The body is of the
// type application/json. Answers: 204; 400 with what is wrong; 403 to who may not; 503.
type Register struct {
	index sessions.Index
	asker asker
}

// NewRegister returns the endpoint. The error names everything that is wrong in cfg.
func NewRegister(cfg RegisterConfig) (*Register, error) {
	asker, errs := newAsker(cfg.Listen, cfg.Token)
	if cfg.Index == nil {
		errs = append(errs, errors.New("check: RegisterConfig.Index is required"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Register{cfg.Index, asker}, nil
}

// ServeHTTP keeps or forgets sessions.
func (g *Register) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !g.asker.may(r) {
		refuse(w, http.StatusForbidden, "these sessions are not yours to tell of")
		return
	}
	do := map[string]func(context.Context, []byte) error{http.MethodPost: g.add, http.MethodDelete: g.remove}[r.Method]
	if do == nil {
		w.Header().Set("Allow", "POST, DELETE")
		refuse(w, http.StatusMethodNotAllowed, "POST or DELETE")
		return
	}
	// No form of a page that somebody on this machine looks at can send this type.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "the body is to be application/json")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBodyBytes))
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("the body cannot be read, or has more than %d bytes", MaxBodyBytes))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookupTimeout)
	defer cancel()
	var bad *badBody
	switch err := do(ctx, body); {
	case errors.As(err, &bad):
		refuse(w, http.StatusBadRequest, bad.reason)
	case err != nil:
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "the session could not be kept, try again")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// badBody says what of a body is wrong, without its values.
type badBody struct{ reason string }

// Error is the reason.
func (b *badBody) Error() string { return b.reason }

func (g *Register) add(ctx context.Context, body []byte) error {
	var login struct {
		ID      string                          `json:"id"`
		Members map[string][]subject.Identifier `json:"members"`
		Begun   int64                           `json:"begun"`
		Expires int64                           `json:"expires"`
	}
	if err := decode(body, &login, `{"id", "members": {"user": [{"format": …}]}, "begun", "expires"} with times in Unix seconds`); err != nil {
		return err
	}
	if login.Begun < 0 || login.Expires < 0 || login.Begun > 1<<40 || login.Expires > 1<<40 {
		return &badBody{"begun and expires are Unix seconds"}
	}
	s := sessions.Session{ID: login.ID, Members: login.Members, Begun: time.Now()}
	if login.Begun > 0 {
		s.Begun = time.Unix(login.Begun, 0)
	}
	if login.Expires > 0 {
		s.Expires = time.Unix(login.Expires, 0)
	}
	err := g.index.Add(ctx, s)
	if errors.Is(err, sessions.ErrInvalid) {
		return &badBody{err.Error()}
	}
	return err
}

func (g *Register) remove(ctx context.Context, body []byte) error {
	var logout struct {
		IDs []string `json:"ids"`
	}
	if err := decode(body, &logout, `{"ids": ["…"]}`); err != nil {
		return err
	}
	if len(logout.IDs) > sessions.MaxPage {
		return &badBody{fmt.Sprintf("ids has %d, want at most %d", len(logout.IDs), sessions.MaxPage)}
	}
	return g.index.Remove(ctx, logout.IDs...)
}

// decode reads a body that has no other members. The decoder's error may hold values.
func decode(body []byte, into any, form string) error {
	if json.Unmarshal(body, into, json.RejectUnknownMembers(true)) != nil {
		return &badBody{"the body is not of the form " + form}
	}
	return nil
}
