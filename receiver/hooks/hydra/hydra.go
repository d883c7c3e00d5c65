// Package hydra ends login sessions at Ory Hydra through its admin API:
// DELETE /admin/oauth2/auth/sessions/login by subject or by sid, and on demand the
// consent sessions, with which go their tokens.
package hydra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
)

const name = "hydra hook"

// Config is a Hydra and how it knows users.
type Config struct {
	// URL is the admin API's: https://hydra.internal, or http://127.0.0.1:4445 with
	// HTTP.InsecureLoopback. Required.
	URL string
	// Subject and Sid are templates (package values) of Hydra's subject and session id;
	// empty: {user.sub} and {session.id}; a Sid of "-": events' sessions are not Hydra's.
	Subject, Sid string
	// SubjectIssuer is the iss that an identifier has whose sub is a subject here;
	// empty: every one's is.
	SubjectIssuer string
	// RevokeConsent revokes the user's consent sessions, too, and by them the access
	// and refresh tokens of all clients. Sessions of one sid alone have none of it.
	RevokeConsent bool
	// Ignore are members of a scope that may be left out of account ("tenant",
	// "device"), though sessions of others than are meant may end.
	Ignore []string
	// HTTP says how the API may be called; an Authorization header if something before
	// it wants one.
	HTTP call.Config
}

// Hook ends login sessions. It does End, and Deny, which ends sessions, too. Hydra does
// not tell when a session began: later ones end as well. Safe for concurrent use.
type Hook struct {
	api           call.API
	who           *values.Reader
	revokeConsent bool
}

// New checks cfg and returns its hook.
func New(cfg Config) (*Hook, error) {
	client, err := call.New(cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("%s: http: %w", name, err)
	}
	base, err := client.URL(cfg.URL)
	if err != nil {
		err = fmt.Errorf("url: %w", err)
	}
	who, wrong := values.Who{Sub: cfg.Subject, Sid: cfg.Sid, Issuer: cfg.SubjectIssuer, Ignore: cfg.Ignore}.Parse()
	if err := errors.Join(err, wrong); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Hook{call.API{Client: client, Base: base, Name: name}, who, cfg.RevokeConsent}, nil
}

// Act ends the sessions of each sid, or of each subject, that the event names. Those
// that are not known have none to end.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	if a.Effect != hooks.End && a.Effect != hooks.Deny {
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	targets, err := h.who.Targets(a)
	if err != nil {
		return hooks.Outcome{}, err
	}
	for _, t := range targets {
		query := url.Values{"subject": {t.Sub}}
		if t.Sid != "" {
			query = url.Values{"sid": {t.Sid}}
		}
		if err := h.delete(ctx, "end login sessions", "login", query); err != nil {
			return hooks.Outcome{}, err
		}
		if h.revokeConsent && !values.OneSession(a) && t.Sid == "" {
			query.Set("all", "true")
			if err := h.delete(ctx, "revoke consent sessions", "consent", query); err != nil {
				return hooks.Outcome{}, err
			}
		}
	}
	return hooks.Outcome{Ended: hooks.Unknown}, nil
}

func (h *Hook) delete(ctx context.Context, what, kind string, query url.Values) error {
	answer, err := h.api.Ask(ctx, what, http.MethodDelete, []string{"admin", "oauth2", "auth", "sessions", kind}, query, nil)
	if err != nil {
		return err
	}
	return h.api.Verdict(answer, what, http.StatusNoContent, http.StatusNotFound)
}
