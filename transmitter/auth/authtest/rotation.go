package authtest

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// secret asks for a token by a secret.
func (p *process) secret(what string, c auth.Credentials, want int) {
	p.Helper()
	if got, body := post(p.TokenHandler(), url.Values{"grant_type": {"client_credentials"}}, c); got != want {
		p.Errorf("%s: got %d %v, want %d", what, got, body, want)
	}
}

func clientRotated(t *testing.T, open Open) {
	dir, keys := t.TempDir(), newSigning(t)
	p := newProcess(t, open(t, dir), keys)
	ctx := t.Context()
	first := p.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	other := p.client(auth.Client{ID: "d", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	token := p.token(first)
	p.good("static before", first.AccessToken)
	end := time.Unix(p.now.Load()+3600, 0)
	second, err := p.RotateClient(ctx, "c", auth.Rotation{OldUntil: end})
	p.check(err)
	if second.ClientID != "c" || second.Secret == "" || second.Secret == first.Secret || second.AccessToken == "" || second.AccessToken == first.AccessToken {
		t.Fatalf("got the credentials of before, or none, want new ones")
	}
	for _, turn := range []string{"at first", "after a restart"} {
		p.secret(turn+": the old secret", first, http.StatusOK)
		p.secret(turn+": the new secret", second, http.StatusOK)
		p.good(turn+": the old static token", first.AccessToken)
		p.good(turn+": the new static token", second.AccessToken)
		p.good(turn+": an access token", token)
		c, err := p.Client(ctx, "c")
		if err != nil || !c.OldUntil.Equal(end) || c.Rotated.IsZero() {
			t.Errorf("%s: got %+v (%v), want when it was rotated and until when the old ones are good", turn, c, err)
		}
		now := p.now.Load()
		p = newProcess(t, open(t, dir), keys)
		p.now.Store(now)
	}
	p.good("cached: the old static token", first.AccessToken)
	p.now.Store(end.Unix() - 1)
	p.secret("in its last second: the old secret", first, http.StatusOK)
	p.good("in its last second: the old static token", first.AccessToken)
	p.now.Store(end.Unix())
	p.secret("at its end: the old secret", first, http.StatusUnauthorized)
	p.refused("at its end: the old static token", first.AccessToken)
	p.secret("then: the new secret", second, http.StatusOK)
	p.good("then: the new static token", second.AccessToken)
	p.good("another's", other.AccessToken)
	p.secret("another's secret", other, http.StatusOK)
}

// A rotation ends what the one before had left, and may end all at once.
func clientRotatedAgain(t *testing.T, open Open) {
	p := newProcess(t, open(t, t.TempDir()), newSigning(t))
	ctx := t.Context()
	first := p.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	end := time.Unix(p.now.Load()+3600, 0)
	second, err := p.RotateClient(ctx, "c", auth.Rotation{OldUntil: end})
	p.check(err)
	third, err := p.RotateClient(ctx, "c", auth.Rotation{OldUntil: end})
	p.check(err)
	p.secret("two before", first, http.StatusUnauthorized)
	p.refused("two before, static", first.AccessToken)
	p.secret("one before", second, http.StatusOK)
	p.good("one before, static", second.AccessToken)
	// What was replaced can be revoked by itself.
	p.revoke(third, second.AccessToken, http.StatusOK)
	p.refused("one before, revoked", second.AccessToken)
	p.good("the one now", third.AccessToken)
	token := p.token(third)
	fourth, err := p.RotateClient(ctx, "c", auth.Rotation{})
	p.check(err)
	p.secret("without overlap: the old secret", third, http.StatusUnauthorized)
	p.refused("without overlap: the old static token", third.AccessToken)
	p.good("without overlap: an access token", token)
	last, err := p.RotateClient(ctx, "c", auth.Rotation{EndTokens: true})
	p.check(err)
	p.refused("tokens ended", token)
	p.secret("tokens ended: the secret of before", fourth, http.StatusUnauthorized)
	p.good("tokens ended: the new static token", last.AccessToken)
	p.good("tokens ended: a new access token", p.token(last))
}

// A client goes from a secret to a key, with overlap, and from one key to another.
func clientRotatedToKeys(t *testing.T, open Open) {
	p := newProcess(t, open(t, t.TempDir()), newSigning(t))
	ctx := t.Context()
	first := p.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}})
	end := time.Unix(p.now.Load()+3600, 0)
	one, two := newKeyed(t, "c"), newKeyed(t, "c")
	given, err := p.RotateClient(ctx, "c", auth.Rotation{OldUntil: end, JWKS: one.jwks})
	p.check(err)
	if given.Secret != "" || given.AccessToken != "" {
		t.Errorf("got a secret, want none beside the key")
	}
	asserted := func(what string, k keyed, jti string, want int) {
		t.Helper()
		if got, _ := p.assert(k, jti); got != want {
			t.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	asserted("by the key", one, "1", http.StatusOK)
	p.secret("the secret meanwhile", first, http.StatusOK)
	p.now.Store(end.Unix())
	p.secret("the secret at its end", first, http.StatusUnauthorized)
	_, err = p.RotateClient(ctx, "c", auth.Rotation{OldUntil: end.Add(time.Hour), JWKS: two.jwks})
	p.check(err)
	asserted("by the key of before", one, "2", http.StatusUnauthorized)
	asserted("by the new key", two, "2", http.StatusOK)
	p.secret("the secret, for good", first, http.StatusUnauthorized)
	if c, err := p.Client(ctx, "c"); err != nil || !c.OldUntil.IsZero() {
		t.Errorf("got %+v (%v), want nothing old", c, err)
	}
	var invalid *auth.InvalidError
	for name, how := range map[string]auth.Rotation{"no keys": {}, "wrong keys": {JWKS: []byte("{}")}} {
		if _, err := p.RotateClient(ctx, "c", how); !errors.As(err, &invalid) || invalid.Member != "jwks" {
			t.Errorf("%s: got %v, want jwks refused", name, err)
		}
	}
	if _, err := p.RotateClient(ctx, "nobody", auth.Rotation{}); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("unknown: got %v, want ErrNotFound", err)
	}
}

// What one process rotates the other knows with its next request.
func rotatedByOther(p *pair) {
	first := p.a.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	p.b.good("before", first.AccessToken)
	second, err := p.a.RotateClient(p.a.Context(), "c", auth.Rotation{})
	p.a.check(err)
	p.b.refused("after", first.AccessToken)
	p.b.secret("after: the old secret", first, http.StatusUnauthorized)
	p.b.good("after: the new one", second.AccessToken)
	p.b.secret("after: the new secret", second, http.StatusOK)
}
