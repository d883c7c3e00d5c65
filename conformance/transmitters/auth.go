package transmitters

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

func (s *suite) authChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "no-credential", Title: "calls every operation without a credential",
			Decides: []string{"SSF-8-01", "INTEROP-2.7.3-03"},
			Run:     s.checkNoCredential,
		},
		{
			Name: "bad-token", Title: "calls every operation with tokens that nobody issued",
			Decides: []string{"SSF-8-01", "INTEROP-2.7.3-02", "INTEROP-2.7.3-03"},
			Run:     s.checkBadToken,
		},
		{
			Name: "token-in-query", Title: "sends the access token in the query",
			Decides: []string{"INTEROP-2.7.3-01"},
			Run:     s.checkTokenInQuery,
		},
		{
			Name: "scopes", Title: "calls with tokens of a single scope",
			Decides: []string{"INTEROP-2.7.2-02", "INTEROP-2.7.3-02", "INTEROP-2.7.3-03"},
			Run:     s.checkScopes,
		},
		{
			Name: "other-receiver", Title: "calls as another receiver",
			Decides: []string{"SSF-8-03"},
			Run:     s.checkOther,
		},
		{
			Name: "poll-credential", Title: "polls without a credential",
			Decides: []string{"POLL-3-01", "SSF-7.1-09"},
			Run:     s.checkPollCredential,
		},
		{
			Name: "set-as-token", Title: "sends a SET as an access token",
			Decides: []string{"SET-4-01"},
			Run:     s.checkSETAsToken,
		},
		{
			Name: "protected-resource", Title: "reads the metadata of the protected resource",
			Decides: []string{"PRM-2-01", "PRM-3-01", "PRM-5.1-01"},
			Run:     s.checkProtectedResource,
		},
	}
}

// operation is one thing that a receiver can do to a stream.
type operation struct {
	what string
	call
}

// operations lists what can be done to a stream with the endpoints that there are. It
// ends with what would delete it.
func (s *suite) operations(ctx context.Context, t *conformance.T, id string) ([]operation, error) {
	m, err := s.metadata(ctx, t)
	if err != nil {
		return nil, err
	}
	query := url.Values{"stream_id": {id}}
	subject := map[string]any{"format": "email", "email": "conformance@tocsin.example"}
	config, status := m.text(configurationEndpoint), m.text(statusEndpoint)
	all := []operation{
		{"creating a stream", call{method: http.MethodPost, url: config, body: map[string]any{"description": s.mark, "delivery": map[string]any{"method": delivery.MethodPoll}}}},
		{"reading a stream", call{method: http.MethodGet, url: config, query: query}},
		{"listing streams", call{method: http.MethodGet, url: config}},
		{"updating a stream", call{method: http.MethodPatch, url: config, body: map[string]any{"stream_id": id, "description": s.mark}}},
		{"replacing a stream", call{method: http.MethodPut, url: config, body: map[string]any{"stream_id": id, "description": s.mark}}},
		{"reading the status", call{method: http.MethodGet, url: status, query: query}},
		{"changing the status", call{method: http.MethodPost, url: status, body: map[string]any{"stream_id": id, "status": "enabled"}}},
		{"adding a subject", call{method: http.MethodPost, url: m.text(addEndpoint), body: map[string]any{"stream_id": id, "subject": subject}}},
		{"removing a subject", call{method: http.MethodPost, url: m.text(removeEndpoint), body: map[string]any{"stream_id": id, "subject": subject}}},
		{"asking for verification", call{method: http.MethodPost, url: m.text(verificationEndpoint), body: map[string]any{"stream_id": id}}},
		{"deleting a stream", call{method: http.MethodDelete, url: config, query: query}},
	}
	var offered []operation
	for _, o := range all {
		if o.url != "" {
			offered = append(offered, o)
		}
	}
	if len(offered) == 0 {
		return nil, fmt.Errorf("the metadata names no endpoint")
	}
	return offered, nil
}

// tryAll calls every operation on a stream with a token, "" for none.
func (s *suite) tryAll(ctx context.Context, t *conformance.T, st *stream, token string, judge func(o operation, a conformance.Answer)) error {
	all, err := s.operations(ctx, t, st.id)
	if err != nil {
		return err
	}
	for _, o := range all {
		o.token = &token
		answer, err := s.do(ctx, t, o.call)
		if err != nil {
			return err
		}
		if made, err := s.took(answer); err == nil && o.what == all[0].what {
			s.removeAs(ctx, made.id, &token)
		}
		judge(o, answer)
	}
	return nil
}

func refused(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// errorCode finds the error of RFC 6750 §3.1 in a challenge.
var errorCode = regexp.MustCompile(`(?i)\berror="?([a-z_]+)`)

// challenge returns whether an answer asks for a bearer token, and the error that it
// tells.
func challenge(h http.Header) (bearer bool, code string) {
	for _, v := range h.Values("WWW-Authenticate") {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(v)), "bearer") {
			bearer = true
		}
		if found := errorCode.FindStringSubmatch(v); found != nil {
			code = found[1]
		}
	}
	return bearer, code
}

func (s *suite) checkNoCredential(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(st *stream) error {
		return s.tryAll(ctx, t, st, "", func(o operation, a conformance.Answer) {
			t.Expect("SSF-8-01", refused(a.Status), "got %d for %s without a credential, want 401", a.Status, o.what)
			bearer, code := challenge(a.Header)
			t.Expect("INTEROP-2.7.3-03", !refused(a.Status) || a.Status == http.StatusUnauthorized && bearer && code == "",
				"got %d and WWW-Authenticate %q for %s without a credential, want 401 and Bearer without an error", a.Status, a.Header.Get("WWW-Authenticate"), o.what)
		})
	})
}

func (s *suite) checkBadToken(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(st *stream) error {
		good, err := s.token(ctx)
		if err != nil {
			return err
		}
		for what, bad := range map[string]string{"a token of nobody": "invalid-" + rand.Text(), "a token with one letter changed": tampered(good)} {
			s.mask.Hide(bad)
			err := s.tryAll(ctx, t, st, bad, func(o operation, a conformance.Answer) {
				t.Expect("SSF-8-01", a.Status/100 == 4, "got %d for %s with %s, want 401", a.Status, o.what, what)
				t.Expect("INTEROP-2.7.3-02", a.Status == http.StatusUnauthorized || a.Status/100 != 2 && a.Status != http.StatusNotFound,
					"got %d for %s with %s, want 401", a.Status, o.what, what)
				bearer, code := challenge(a.Header)
				t.Expect("INTEROP-2.7.3-03", a.Status/100 == 2 || a.Status == http.StatusUnauthorized && bearer && code == "invalid_token",
					"got %d and WWW-Authenticate %q for %s with %s, want 401 and Bearer with invalid_token", a.Status, a.Header.Get("WWW-Authenticate"), o.what, what)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// tampered changes one letter in the middle of a token.
func tampered(token string) string {
	b := []byte(token)
	i := len(b) / 2
	for i < len(b)-1 && !(b[i] >= 'a' && b[i] <= 'z') {
		i++
	}
	if b[i] == 'q' {
		b[i] = 'k'
	} else {
		b[i] = 'q'
	}
	return string(b)
}

func (s *suite) checkTokenInQuery(ctx context.Context, t *conformance.T) error {
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return err
	}
	token, err := s.token(ctx)
	if err != nil {
		return err
	}
	none := ""
	answer, err := s.do(ctx, t, call{url: at, query: url.Values{"access_token": {token}}, token: &none})
	if err != nil {
		return err
	}
	t.Expect("INTEROP-2.7.3-01", answer.Status/100 == 4, "got %d for a token in the query, want 401", answer.Status)
	return nil
}

func (s *suite) checkScopes(ctx context.Context, t *conformance.T) error {
	if s.cfg.Scoped == nil {
		return fmt.Errorf("tokens of single scopes can be had with client credentials alone")
	}
	return s.using(ctx, t, spec{}, func(st *stream) error {
		all, err := s.operations(ctx, t, st.id)
		if err != nil {
			return err
		}
		for _, scope := range []string{"ssf.read", "ssf.manage"} {
			token, err := s.cfg.Scoped(ctx, scope)
			s.mask.Hide(token)
			if err != nil {
				return fmt.Errorf("no token of scope %s: %w", scope, err)
			}
			for _, o := range all {
				if o.method == http.MethodDelete {
					continue // the stream is needed
				}
				o.token = &token
				answer, err := s.do(ctx, t, o.call)
				if err != nil {
					return err
				}
				if made, err := s.took(answer); err == nil && o.what == all[0].what {
					s.remove(ctx, made.id)
				}
				s.judgeScope(t, scope, o, answer)
			}
		}
		return nil
	})
}

func (s *suite) judgeScope(t *conformance.T, scope string, o operation, a conformance.Answer) {
	if scope == "ssf.manage" || o.method == http.MethodGet {
		t.Expect("INTEROP-2.7.2-02", !refused(a.Status), "got %d for %s with %s, want it allowed", a.Status, o.what, scope)
		return
	}
	t.Expect("INTEROP-2.7.3-02", a.Status/100 == 4, "got %d for %s with %s alone, want 403", a.Status, o.what, scope)
	bearer, code := challenge(a.Header)
	t.Expect("INTEROP-2.7.3-03", a.Status/100 == 2 || a.Status == http.StatusForbidden && bearer && code == "insufficient_scope",
		"got %d and WWW-Authenticate %q for %s with %s, want 403 and insufficient_scope", a.Status, a.Header.Get("WWW-Authenticate"), o.what, scope)
}

func (s *suite) checkOther(ctx context.Context, t *conformance.T) error {
	if s.cfg.Other == nil {
		return fmt.Errorf("no token of another receiver was given")
	}
	token, err := s.cfg.Other(ctx)
	s.mask.Hide(token)
	if err != nil {
		return err
	}
	return s.using(ctx, t, spec{}, func(st *stream) error {
		return s.tryAll(ctx, t, st, token, func(o operation, a conformance.Answer) {
			switch o.what {
			case "creating a stream":
			case "listing streams":
				t.Expect("SSF-8-03", !strings.Contains(string(a.Body), st.id), "got a stream of one receiver in the list of another, want it hidden")
			default:
				t.Expect("SSF-8-03", a.Status/100 == 4 && !refused(a.Status), "got %d for %s that is another receiver's, want 404", a.Status, o.what)
			}
		})
	})
}

func (s *suite) checkPollCredential(ctx context.Context, t *conformance.T) error {
	if !s.cfg.Poll {
		return fmt.Errorf("poll is not tested")
	}
	return s.using(ctx, t, spec{method: delivery.MethodPoll}, func(st *stream) error {
		for what, token := range map[string]string{"no credential": "", "a token of nobody": "invalid-" + rand.Text()} {
			s.mask.Hide(token)
			answer, err := s.do(ctx, t, call{method: http.MethodPost, url: st.pollURL, body: map[string]any{"returnImmediately": true}, token: &token})
			if err != nil {
				return err
			}
			t.Expect("SSF-7.1-09", answer.Status/100 != 2, "got %d for a poll with %s, want it refused as elsewhere", answer.Status, what)
			if answer.Status/100 != 2 {
				t.Expect("POLL-3-01", answer.Status == http.StatusUnauthorized && answer.Header.Get("WWW-Authenticate") != "",
					"got %d and WWW-Authenticate %q for a poll with %s, want 401 with it", answer.Status, answer.Header.Get("WWW-Authenticate"), what)
			}
		}
		answer, err := s.poll(ctx, t, st, map[string]any{"returnImmediately": true})
		if err != nil {
			return err
		}
		t.Expect("SSF-7.1-09", !refused(answer.Status), "got %d for a poll with the access token, want it good here, too", answer.Status)
		return nil
	})
}

func (s *suite) checkSETAsToken(ctx context.Context, t *conformance.T) error {
	if err := s.someSETs(ctx, t); err != nil {
		return err
	}
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return err
	}
	answer, err := s.do(ctx, t, call{url: at, token: &s.seen[0].compact})
	if err != nil {
		return err
	}
	t.Expect("SET-4-01", answer.Status/100 == 4, "got %d for a SET as an access token, want 401", answer.Status)
	return nil
}

// checkProtectedResource looks at what a transmitter may offer, and then must do right.
func (s *suite) checkProtectedResource(ctx context.Context, t *conformance.T) error {
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return err
	}
	none := ""
	answer, err := s.do(ctx, t, call{url: at, token: &none})
	if err != nil {
		return err
	}
	where, said := wellknown.ResourceMetadata(answer.Header)
	if said {
		t.Expect("PRM-5.1-01", s.secureText(where), "got resource_metadata %q, want an https URL", where)
	} else {
		t.Skip("PRM-5.1-01", "the challenge has no resource_metadata")
		if where, err = wellknown.ProtectedResourceURL(at); err != nil {
			return err
		}
	}
	answer, err = t.Do(ctx, s.cfg.HTTP, conformance.Ask{URL: where})
	if err != nil {
		return err
	}
	if !said && answer.Status != http.StatusOK {
		return fmt.Errorf("there is no metadata of the protected resource")
	}
	t.Expect("PRM-3-01", answer.Status == http.StatusOK && isJSON(answer.Header), "got %d and %q, want 200 and application/json", answer.Status, answer.Header.Get("Content-Type"))
	o, err := parseObject(answer.Body)
	t.Expect("PRM-2-01", err == nil && o.text("resource") != "", "got resource %s, want a URL", o["resource"])
	for _, name := range []string{"authorization_servers", "scopes_supported", "bearer_methods_supported"} {
		if o.has(name) {
			list, ok := o.texts(name)
			t.Expect("PRM-2-01", ok && len(list) > 0, "got %s %s, want an array of strings", name, o[name])
		}
	}
	return nil
}
