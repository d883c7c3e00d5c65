package peer

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// scopesOf are the scopes of which one is enough for an operation.
func scopesOf(op Op) []string {
	switch op {
	case OpRead, OpList, OpStatus:
		return []string{"ssf.read", "ssf.manage"}
	case OpPoll:
		return []string{"ssf.read", "ssf.manage", "ssf.manage.poll"}
	}
	return []string{"ssf.manage"}
}

// authorize finds out who asks; its reply is a refusal (RFC 6750 §3).
func (t *Transmitter) authorize(r *request) *reply {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if t.conduct.queryToken && token == "" {
		scheme, token = "Bearer", r.URL.Query().Get("access_token")
	}
	g, ok := t.tokens[token]
	switch {
	case t.conduct.anybody, t.conduct.ownTokens && strings.Count(token, ".") == 2:
		r.client = &t.cfg.Clients[0]
		if ok {
			r.client = g.client
		}
		return nil
	case t.conduct.openPoll && r.op == OpPoll:
		if s := t.known(r.URL.Query().Get("stream_id")); s != nil {
			r.client = s.owner
			return nil
		}
		return refuse(http.StatusNotFound, "no such stream")
	case token == "":
		return challenge(http.StatusUnauthorized, "")
	case !strings.EqualFold(scheme, "Bearer") || !ok || !g.expires.IsZero() && time.Now().After(g.expires):
		return challenge(http.StatusUnauthorized, "invalid_token")
	}
	r.client, r.scopes = g.client, g.scopes
	scopes := scopesOf(r.op)
	if t.conduct.noReadScope {
		scopes = []string{"ssf.manage"}
	}
	for _, scope := range scopes {
		scope = t.scope(scope)
		if slices.Contains(g.scopes, scope) || t.conduct.anyScope {
			return nil
		}
	}
	return challenge(http.StatusForbidden, "insufficient_scope")
}

// scope is what a scope of SSF is called here.
func (t *Transmitter) scope(name string) string {
	switch {
	case name == "ssf.read" && len(t.cfg.ResourceScopes) > 0:
		return t.cfg.ResourceScopes[0]
	case name == "ssf.manage" && len(t.cfg.ResourceScopes) > 1:
		return t.cfg.ResourceScopes[1]
	}
	return name
}

func challenge(status int, code string) *reply {
	a := answer(status, nil)
	value := "Bearer"
	if code != "" {
		value += ` error="` + code + `"`
	}
	a.header.Set("WWW-Authenticate", value)
	return a
}

// token is the token endpoint: client credentials by client_secret_basic or _post (RFC
// 6749 §4.4).
func (t *Transmitter) token(r *request) *reply {
	form, err := url.ParseQuery(string(r.body))
	id, secret, basic := r.BasicAuth()
	if basic {
		id, secret = unescaped(id), unescaped(secret)
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	i := slices.IndexFunc(t.cfg.Clients, func(c Client) bool {
		return c.ID == id && c.Secret != "" && subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1
	})
	switch {
	case err != nil:
		return answer(http.StatusBadRequest, object{"error": "invalid_request"})
	case i < 0:
		return answer(http.StatusUnauthorized, object{"error": "invalid_client"})
	case form.Get("grant_type") != "client_credentials":
		return answer(http.StatusBadRequest, object{"error": "unsupported_grant_type"})
	}
	c := &t.cfg.Clients[i]
	scopes := c.Scopes
	if asked := strings.Fields(form.Get("scope")); len(asked) > 0 {
		scopes = asked
		for _, scope := range asked {
			if !slices.Contains(c.Scopes, scope) {
				return answer(http.StatusBadRequest, object{"error": "invalid_scope"})
			}
		}
	}
	token := rand.Text()
	t.tokens[token] = grant{client: c, scopes: scopes, expires: time.Now().Add(tokenLife)}
	r.client = c
	a := answer(http.StatusOK, object{
		"access_token": token, "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()), "scope": strings.Join(scopes, " "),
	})
	a.header.Set("Cache-Control", "no-store")
	return a
}

// unescaped undoes the form encoding of RFC 6749 §2.3.1.
func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}
