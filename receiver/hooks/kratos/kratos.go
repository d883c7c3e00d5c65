// Package kratos ends sessions at Ory Kratos through its admin API, and on demand makes
// identities inactive and active again.
package kratos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
)

const (
	name = "kratos hook"

	// pageSize is how many sessions of an identity are listed at once.
	pageSize = 250
)

// The states of an identity.
const (
	active   = "active"
	inactive = "inactive"
)

// Config is a Kratos and how it knows users. One of Identity, Identifier and Session is
// needed.
type Config struct {
	// URL is the admin API's: https://kratos.internal, or http://127.0.0.1:4434 with
	// HTTP.InsecureLoopback. Required.
	URL string
	// Identity is a template (package values) of an identity's id; empty: events do
	// not tell it.
	Identity string
	// Identifier is a template of what a user logs in with, by which identities are
	// looked up (credentials_identifier): "{user.email}"; empty: they are not.
	Identifier string
	// Session is a template of a session's id; empty: events do not tell it.
	Session string
	// SetState makes identities inactive at Deny, so that they cannot log in, and
	// active at Allow.
	SetState bool
	// Ignore are members of a scope that may be left out of account ("tenant",
	// "device"), though sessions of others than are meant may end.
	Ignore []string
	// HTTP says how the API may be called; an Authorization header if something before
	// it wants one.
	HTTP call.Config
}

// Hook ends sessions. It does End, Deny, which ends sessions, too, and Allow with
// SetState. Sessions that were authenticated after the event live. Safe for concurrent use.
type Hook struct {
	api      call.API
	ways     []way
	ignore   []string
	setState bool
}

// way is one way to find sessions.
type way struct {
	template values.Template
	act      func(ctx context.Context, r *run, value string) error
}

// New checks cfg and returns its hook.
func New(cfg Config) (*Hook, error) {
	client, err := call.New(cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("%s: http: %w", name, err)
	}
	h := &Hook{ignore: cfg.Ignore, setState: cfg.SetState}
	h.api = call.API{Client: client, Name: name}
	var wrong []error
	if h.api.Base, err = client.URL(cfg.URL); err != nil {
		wrong = append(wrong, fmt.Errorf("url: %w", err))
	}
	for _, w := range []struct {
		name, text string
		act        func(ctx context.Context, r *run, value string) error
	}{{"session", cfg.Session, session}, {"identity", cfg.Identity, identity}, {"identifier", cfg.Identifier, identifier}} {
		if w.text == "" {
			continue
		}
		template, err := values.ParseTemplate(w.text)
		if err == nil && len(template.Names()) == 0 {
			err = errors.New("it names no value of the event")
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", w.name, err))
		}
		h.ways = append(h.ways, way{template, w.act})
	}
	if len(h.ways) == 0 {
		wrong = append(wrong, errors.New("one of identity, identifier and session is needed"))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return h, nil
}

// run is one action under way.
type run struct {
	*Hook
	effect hooks.Effect
	until  time.Time
	dry    bool
	ended  int
	seen   []string // identities that are done
	whole  bool     // the event is about the user, not about one session
}

// Act ends the sessions that the event names: one by its id, or those of an identity.
// What Kratos does not know has none to end.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	return h.do(ctx, a, false)
}

// Preview counts the sessions.
func (h *Hook) Preview(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	return h.do(ctx, a, true)
}

func (h *Hook) do(ctx context.Context, a hooks.Action, dry bool) (hooks.Outcome, error) {
	switch {
	case a.Effect == hooks.End, a.Effect == hooks.Deny, a.Effect == hooks.Allow && h.setState && !values.OneSession(a):
	default:
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	names := make([][]string, len(h.ways))
	for i, w := range h.ways {
		names[i] = w.template.Names()
	}
	matches, err := values.Pick(a, names, h.ignore)
	if err != nil {
		return hooks.Outcome{}, err
	}
	r := &run{Hook: h, effect: a.Effect, until: a.Until, dry: dry, whole: !values.OneSession(a)}
	for _, m := range matches {
		for _, row := range m.Rows {
			if err := h.ways[m.Way].act(ctx, r, h.ways[m.Way].template.Expand(row, nil)); err != nil {
				return hooks.Outcome{Ended: r.ended}, err
			}
		}
	}
	return hooks.Outcome{Ended: r.ended}, nil
}

// maxIdentities is how many identities may log in with one identifier, each with another
// kind of credentials.
const maxIdentities = 10

// identifier does what is to be done to the identities that log in with value. A server
// that is too old to look for them answers with all, which is a permanent error.
func identifier(ctx context.Context, r *run, value string) error {
	const what = "look up identities"
	answer, err := r.api.Ask(ctx, what, http.MethodGet, []string{"admin", "identities"}, url.Values{"credentials_identifier": {value}}, nil)
	if err != nil {
		return err
	}
	if err := r.api.Verdict(answer, what, http.StatusOK); err != nil {
		return err
	}
	var found []struct {
		ID string `json:"id"`
	}
	if err := r.api.JSON(answer, what, &found); err != nil {
		return err
	}
	if len(found) > maxIdentities {
		return receiver.Permanent(fmt.Errorf("%s: %s: the server found %d for one identifier, nothing is done", name, what, len(found)))
	}
	for _, one := range found {
		if err := identity(ctx, r, one.ID); err != nil {
			return err
		}
	}
	return nil
}

// identity does what is to be done to one identity.
func identity(ctx context.Context, r *run, id string) error {
	if slices.Contains(r.seen, id) {
		return nil
	}
	r.seen = append(r.seen, id)
	if r.effect == hooks.Allow {
		return r.state(ctx, id, active)
	}
	if r.effect == hooks.Deny && r.setState && r.whole { // first: nobody logs in behind the back of what ends
		if err := r.state(ctx, id, inactive); err != nil {
			return err
		}
	}
	return r.sessions(ctx, id)
}

// state sets the state of an identity (JSON Patch).
func (r *run) state(ctx context.Context, id, state string) error {
	if r.dry {
		return nil
	}
	const what = "set the state of an identity"
	patch := []map[string]string{{"op": "replace", "path": "/state", "value": state}}
	answer, err := r.api.Ask(ctx, what, http.MethodPatch, []string{"admin", "identities", id}, nil, patch)
	if err != nil {
		return err
	}
	return r.api.Verdict(answer, what, http.StatusOK, http.StatusNotFound)
}

// sessions ends the sessions of an identity, page by page: what has ended is listed no more.
func (r *run) sessions(ctx context.Context, id string) error {
	for {
		listed, old, err := r.list(ctx, id)
		if err != nil {
			return err
		}
		if r.dry {
			r.ended += len(old)
			return nil
		}
		for _, one := range old {
			if err := session(ctx, r, one); err != nil {
				return err
			}
		}
		switch {
		case listed < pageSize:
			return nil
		case len(old) == 0:
			return receiver.Permanent(fmt.Errorf("%s: an identity has more than %d sessions begun since", name, pageSize))
		}
	}
}

// list returns how many active sessions an identity has, of up to pageSize, and the ids
// of those that were authenticated at or before the event.
func (r *run) list(ctx context.Context, id string) (listed int, old []string, err error) {
	const what = "list sessions"
	query := url.Values{"active": {"true"}, "page_size": {strconv.Itoa(pageSize)}}
	answer, err := r.api.Ask(ctx, what, http.MethodGet, []string{"admin", "identities", id, "sessions"}, query, nil)
	if err != nil || answer.Status == http.StatusNotFound {
		return 0, nil, err
	}
	if err := r.api.Verdict(answer, what, http.StatusOK); err != nil {
		return 0, nil, err
	}
	var found []struct {
		ID              string    `json:"id"`
		AuthenticatedAt time.Time `json:"authenticated_at"`
	}
	if err := r.api.JSON(answer, what, &found); err != nil {
		return 0, nil, err
	}
	for _, one := range found {
		if !one.AuthenticatedAt.After(r.until) {
			old = append(old, one.ID)
		}
	}
	return len(found), old, nil
}

// session ends one session.
func session(ctx context.Context, r *run, id string) error {
	if r.effect == hooks.Allow {
		return nil
	}
	if r.dry {
		r.ended++
		return nil
	}
	const what = "end a session"
	answer, err := r.api.Ask(ctx, what, http.MethodDelete, []string{"admin", "sessions", id}, nil, nil)
	if err != nil || answer.Status == http.StatusNotFound {
		return err
	}
	if err := r.api.Verdict(answer, what, http.StatusNoContent, http.StatusOK); err != nil {
		return err
	}
	r.ended++
	return nil
}
