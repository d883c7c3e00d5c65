// Package keycloak ends sessions at a realm of Keycloak through its admin API: of a
// user, found by id, by the id at an identity provider that the realm brokers, or by
// e-mail, or one session; and on demand disables users and enables them again.
//
// Its client is a confidential one with a service account that has the roles view-users
// and manage-users of realm-management.
package keycloak

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const name = "keycloak hook"

// Config is a realm and how it knows users.
type Config struct {
	// URL is Keycloak's own: https://sso.example, with its base path if it has one.
	// Required.
	URL string
	// Realm is the one whose sessions end. Required.
	Realm string
	// ClientID and ClientSecret are those of the client with the service account.
	// Required.
	ClientID, ClientSecret string
	// ClientRealm is the client's realm; empty: Realm.
	ClientRealm string

	// Issuer is the iss of the realm's tokens: the sub of such an identifier is a
	// user's id. Empty: URL/realms/Realm.
	Issuer string
	// Brokers are the aliases of identity providers of the realm by their iss: the sub
	// of such an identifier is the user's id there.
	Brokers map[string]string
	// NoEmail says that users are not to be found by e-mail.
	NoEmail bool
	// OwnSessions says that sessions of events are the realm's own.
	OwnSessions bool
	// DisableUsers disables users at Deny, so that they cannot log in, and enables them
	// at Allow.
	DisableUsers bool
	// Ignore are members of a scope that may be left out of account ("tenant",
	// "device"), though sessions of others than are meant may end.
	Ignore []string
	// HTTP says how Keycloak may be called.
	HTTP call.Config
}

// Hook ends sessions. It does End, Deny, which ends sessions, too, and Allow with
// DisableUsers. Sessions begun after the event live; offline sessions are not touched.
// Safe for concurrent use.
type Hook struct {
	cfg Config
	api call.API
}

// New checks cfg and returns its hook.
func New(cfg Config) (*Hook, error) {
	client, err := call.New(cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("%s: http: %w", name, err)
	}
	h := &Hook{cfg: cfg, api: call.API{Client: client, Name: name}}
	var wrong []error
	base, err := client.URL(cfg.URL)
	if err != nil {
		wrong = append(wrong, fmt.Errorf("url: %w", err))
	}
	for _, required := range []struct{ name, value string }{
		{"realm", cfg.Realm}, {"client_id", cfg.ClientID}, {"client_secret", cfg.ClientSecret},
	} {
		if required.value == "" {
			wrong = append(wrong, fmt.Errorf("%s: it is missing", required.name))
		}
	}
	for issuer, alias := range cfg.Brokers {
		if issuer == "" || alias == "" {
			wrong = append(wrong, errors.New("brokers: an issuer or an alias is missing"))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := h.lay(base); err != nil {
		return nil, fmt.Errorf("%s: realm: %w", name, err)
	}
	return h, nil
}

// lay sets the addresses of the API.
func (h *Hook) lay(base *url.URL) (err error) {
	if h.cfg.ClientRealm == "" {
		h.cfg.ClientRealm = h.cfg.Realm
	}
	issuer, err := call.Path(base, "realms", h.cfg.Realm)
	if err != nil {
		return err
	}
	if h.cfg.Issuer == "" {
		h.cfg.Issuer = issuer.String()
	}
	token, err := call.Path(base, "realms", h.cfg.ClientRealm, "protocol", "openid-connect", "token")
	if err != nil {
		return err
	}
	h.api.Tokens = h.api.Client.NewTokens(token.String(), h.cfg.ClientID, h.cfg.ClientSecret)
	h.api.Base, err = call.Path(base, "admin", "realms", h.cfg.Realm)
	return err
}

// Act ends the sessions that the event names. Users and sessions that the realm does
// not know have none to end.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	return h.do(ctx, a, false)
}

// Preview counts the sessions.
func (h *Hook) Preview(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	return h.do(ctx, a, true)
}

// run is one action under way.
type run struct {
	*Hook
	effect hooks.Effect
	until  time.Time
	dry    bool
	ended  int
	whole  bool // the event is about the user, not about one session
}

func (h *Hook) do(ctx context.Context, a hooks.Action, dry bool) (hooks.Outcome, error) {
	switch {
	case a.Effect == hooks.End, a.Effect == hooks.Deny, a.Effect == hooks.Allow && h.cfg.DisableUsers && !values.OneSession(a):
	default:
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	r := &run{Hook: h, effect: a.Effect, until: a.Until, dry: dry, whole: !values.OneSession(a)}
	if ids := h.ownSessions(a); len(ids) > 0 && a.Effect != hooks.Allow {
		for _, id := range ids {
			if err := r.endSession(ctx, id); err != nil {
				return hooks.Outcome{Ended: r.ended}, err
			}
		}
		return hooks.Outcome{Ended: r.ended}, nil
	}
	if _, err := values.Rows(a, []string{"user.format"}, h.cfg.Ignore); err != nil {
		return hooks.Outcome{}, err
	}
	users, told, err := r.users(ctx, a.Scope.Users())
	switch {
	case err != nil:
		return hooks.Outcome{}, err
	case !told:
		return hooks.Outcome{}, fmt.Errorf("the event has no identifier that the realm knows users by: %w", hooks.ErrNotApplicable)
	case len(users) == 0:
		return hooks.Outcome{Detail: "the user is not known there"}, nil
	}
	for _, id := range users {
		if err := r.user(ctx, id); err != nil {
			return hooks.Outcome{Ended: r.ended}, err
		}
	}
	return hooks.Outcome{Ended: r.ended}, nil
}

// ownSessions returns the ids of the realm's sessions that the event names.
func (h *Hook) ownSessions(a hooks.Action) (ids []string) {
	if !h.cfg.OwnSessions {
		return nil
	}
	for _, id := range a.Scope.Sessions() {
		if value, ok := id.Value("id"); ok && id.Format() == subject.FormatOpaque {
			ids = append(ids, value)
		}
	}
	return ids
}
