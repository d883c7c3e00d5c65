// Package backchannel logs users out at relying parties: for an OpenID provider that
// hears of an event it sends each of its parties a signed logout token (OpenID Connect
// Back-Channel Logout 1.0 §2).
//
//	hook, err := backchannel.New(backchannel.Config{
//		Issuer: "https://op.example", Key: jwk,
//		Parties: []backchannel.Party{{ClientID: "shop", URL: "https://shop.example/logout"}},
//	})
package backchannel

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

const (
	// MaxParties bounds the parties of a provider.
	MaxParties = 1000
	// MaxTargets bounds the users and sessions of one event.
	MaxTargets = 100

	// atOnce is how many parties are called at the same time.
	atOnce = 8

	tokenType = "logout+jwt" // OIDC Back-Channel Logout 1.0 §2.4
)

// Config is a provider and its parties.
type Config struct {
	// Issuer is the iss of the provider's ID tokens. Required.
	Issuer string
	// Key is the private JWK that signs logout tokens: of those that the provider
	// publishes for ID tokens. Required unless Signer is given.
	Key string
	// Signer is used in place of Key. Its type is logout+jwt.
	Signer *jose.Signer `yaml:"-"`
	// Parties are told, each by itself. At least one.
	Parties []Party
	// Sub and Sid are templates (package values) of the sub and the sid of the
	// provider's ID tokens; empty: {user.sub} and {session.id}.
	Sub, Sid string
	// SubjectIssuer is the iss that an identifier has whose sub is a sub here; empty:
	// every one's is.
	SubjectIssuer string
	// Ignore are members of a scope that may be left out of account ("tenant",
	// "device"), though sessions of others than are meant may end.
	Ignore []string
	// Resolve, if not nil, says whom to log out in place of Sub and Sid.
	Resolve func(ctx context.Context, a hooks.Action) ([]Target, error)
	// HTTP says how parties may be called.
	HTTP call.Config
}

// Party is a relying party, as it is registered at the provider.
type Party struct {
	// ClientID is the aud of its logout tokens. Required.
	ClientID string
	// URL is its backchannel_logout_uri. Required.
	URL string
	// NeedsSession is its backchannel_logout_session_required: it takes no token
	// without a sid, and is left out where there is none.
	NeedsSession bool
}

// Target is whom to log out: a user, or a session, or both. Not neither.
type Target = values.Target

// Hook sends logout tokens. It does End and Deny, which ends sessions, too. Safe for
// concurrent use.
type Hook struct {
	cfg     Config
	client  *call.Client
	signer  *jose.Signer
	parties []party
	who     *values.Reader
	memory  memory
}

type party struct {
	Party
	url *url.URL
}

// New checks cfg and returns its hook.
func New(cfg Config) (*Hook, error) {
	h := &Hook{cfg: cfg, signer: cfg.Signer, memory: memory{actions: map[string]*progress{}}}
	client, err := call.New(cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("backchannel hook: http: %w", err)
	}
	h.client = client
	var wrong []error
	if cfg.Issuer == "" {
		wrong = append(wrong, errors.New("issuer: it is missing"))
	}
	if h.signer == nil {
		if h.signer, err = newSigner(cfg.Key); err != nil {
			wrong = append(wrong, fmt.Errorf("key: %w", err))
		}
	}
	if n := len(cfg.Parties); n == 0 || n > MaxParties {
		wrong = append(wrong, fmt.Errorf("parties: there are %d, want 1 to %d", n, MaxParties))
	}
	seen := map[string]bool{}
	for i, p := range cfg.Parties {
		u, err := client.URL(p.URL)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("parties[%d]: url: %w", i, err))
		}
		if p.ClientID == "" || seen[p.ClientID] {
			wrong = append(wrong, fmt.Errorf("parties[%d]: client_id: it is missing, or there twice", i))
		}
		seen[p.ClientID] = true
		h.parties = append(h.parties, party{p, u})
	}
	h.who, err = values.Who{Sub: cfg.Sub, Sid: cfg.Sid, Issuer: cfg.SubjectIssuer, Ignore: cfg.Ignore}.Parse()
	wrong = append(wrong, err)
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("backchannel hook: %w", err)
	}
	return h, nil
}

func newSigner(jwk string) (*jose.Signer, error) {
	key, err := jose.ParsePrivateKey([]byte(jwk))
	if err != nil {
		return nil, err
	}
	return jose.NewSigner(key, tokenType)
}

// Act tells every party. 200 and 204 are success; 400 and others that repetition does
// not mend are permanent once no other party is left to be tried again. Within this
// process a repetition of the action calls only those that failed in a passing way,
// for the MaxRemembered latest actions; else it calls all again, which is harmless.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	if a.Effect != hooks.End && a.Effect != hooks.Deny {
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	targets, err := h.targets(ctx, a)
	if err != nil {
		return hooks.Outcome{}, err
	}
	done := h.memory.of(a.Key)
	calls := 0
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, target := range targets {
		for i, p := range h.parties {
			if p.NeedsSession && target.Sid == "" {
				continue
			}
			calls++
			if done.finished(step{target, i}) {
				continue
			}
			group.Go(func() error {
				done.note(step{target, i}, h.tell(ctx, p, target))
				return nil
			})
		}
	}
	_ = group.Wait()
	if calls == 0 {
		return hooks.Outcome{}, fmt.Errorf("no party takes a token without a session: %w", hooks.ErrNotApplicable)
	}
	if err := done.verdict(); err != nil {
		return hooks.Outcome{}, fmt.Errorf("backchannel hook: %w", err)
	}
	h.memory.forget(a.Key)
	return hooks.Outcome{Ended: hooks.Unknown, Detail: fmt.Sprintf("%d logout tokens taken", calls)}, nil
}

// targets returns whom the action is about.
func (h *Hook) targets(ctx context.Context, a hooks.Action) ([]Target, error) {
	resolve := h.cfg.Resolve
	if resolve == nil {
		resolve = func(_ context.Context, a hooks.Action) ([]Target, error) { return h.who.Targets(a) }
	}
	targets, err := resolve(ctx, a)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("there is nobody to log out: %w", hooks.ErrNotApplicable)
	}
	if len(targets) > MaxTargets {
		return nil, receiver.Permanent(fmt.Errorf("backchannel hook: %w", values.ErrTooMany))
	}
	for _, t := range targets {
		if t == (Target{}) { // §2.4: sub, sid, or both
			return nil, receiver.Permanent(errors.New("backchannel hook: a target has neither sub nor sid"))
		}
	}
	return targets, nil
}
