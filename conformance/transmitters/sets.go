package transmitters

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/ssf"
)

func (s *suite) setChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "sets", Title: "looks at the claims of every SET that came",
			Decides: []string{
				"SET-2-01", "SET-2.2-01", "SET-2.2-02", "SET-2.2-03", "SET-2.2-04", "SSF-4.1.2-01", "SSF-4.1.7-01", "SSF-3.1-01", "SSF-3.1.2-01",
				"SSF-4.1.6-01", "SSF-4.1.8-01", "SSF-4.1.9-01", "SSF-4.2.1-01", "SSF-8.1.4.2-03", "SSF-8.1.5-03", "JWT-3.7-01", "JWT-3.9-01", "INTEROP-2.8.1-01",
			},
			Run: s.checkClaims,
		},
		{
			Name: "signatures", Title: "looks at the header and the signature of every SET that came",
			Decides: []string{"SET-2.3-01", "SSF-4.1.1-01", "SET-2.4-01", "SET-5.1-01", "JWT-3.1-01", "JWT-3.2-01", "SSF-7.1-02", "INTEROP-2.3.3-01", "INTEROP-2.6-01"},
			Run:     s.checkSignatures,
		},
	}
}

// someSETs makes sure that there is a SET of each method to look at.
func (s *suite) someSETs(ctx context.Context, t *conformance.T) error {
	if len(s.seen) > 0 {
		return nil
	}
	err := s.each(ctx, t, spec{}, func(st *stream) error {
		_, err := s.verification(ctx, t, st)
		return err
	})
	if len(s.seen) > 0 {
		return nil
	}
	if err == nil {
		err = errors.New("no SET came")
	}
	return err
}

func (s *suite) checkClaims(ctx context.Context, t *conformance.T) error {
	if err := s.someSETs(ctx, t); err != nil {
		return err
	}
	byID := map[string]*token{}
	for _, one := range s.seen {
		t := t.With(one.exchange)
		if one.err != nil {
			t.Expect("SET-2-01", false, "got a SET that cannot be read: %v", one.err)
			continue
		}
		s.checkRegistered(t, one)
		s.checkSubjectPlace(t, one)
		s.checkEvents(t, one)
		s.checkStreamUpdated(t, one)
		s.checkUnique(t, one, byID)
	}
	return nil
}

// checkRegistered judges the claims that every SET has.
func (s *suite) checkRegistered(t *conformance.T, one *token) {
	c := one.claims
	for _, name := range []string{"iss", "jti"} {
		t.Expect("SET-2.2-01", c.text(name) != "", "got %s %s, want a string", name, c[name])
	}
	_, ok := c.number("iat")
	t.Expect("SET-2.2-01", ok, "got iat %s, want a number", c["iat"])
	if c.text("iss") != "" {
		t.Expect("SSF-4.1.6-01", c.text("iss") == s.cfg.Issuer, "got iss %s, want the issuer of the metadata", c["iss"])
	}
	t.Expect("SSF-4.1.2-01", !c.has("sub"), "got sub %s, want none", c["sub"])
	t.Expect("SSF-4.1.7-01", !c.has("exp"), "got exp %s, want none", c["exp"])
	t.Expect("SET-2.2-04", c.has("aud"), "got no aud, want it")
	if c.has("aud") {
		values, ok := c.audience("aud")
		t.Expect("SSF-4.1.8-01", ok, "got aud %s, want a string or an array of strings", c["aud"])
		mine, known := one.stream.config.audience("aud")
		if ok && known {
			t.Expect("JWT-3.9-01", len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(mine, v) }),
				"got aud %s, want what the stream's aud has: %s", c["aud"], one.stream.config["aud"])
		}
	}
	txn, ok := c.string("txn")
	t.Expect("SSF-4.1.9-01", ok && txn != "", "got txn %s, want a string", c["txn"])
	t.Expect("JWT-3.7-01", utf8.Valid(one.rawHeader) && utf8.Valid(one.rawClaims), "got bytes that are not UTF-8, want it alone")
	t.Expect("SET-2.2-03", !repeated(one.rawHeader) && !repeated(one.rawClaims), "got a member twice, want each once")
}

// checkSubjectPlace judges where the subject stands.
func (s *suite) checkSubjectPlace(t *conformance.T, one *token) {
	t.Expect("SSF-3.1-01", one.claims.object("sub_id") != nil, "got sub_id %s, want an object", one.claims["sub_id"])
	for uri := range one.claims.object("events") {
		event := one.claims.object("events").object(uri)
		if strings.HasPrefix(uri, caep.BaseURI) || strings.HasPrefix(uri, risc.BaseURI) || event == nil {
			continue
		}
		t.Expect("SSF-3.1.2-01", !event.has("subject"), "got subject within %s, want it in sub_id alone", uri)
	}
	if event, ok := one.event(ssf.VerificationType); ok && event.has("state") {
		// Where one was asked for, another is that one, changed.
		t.Expect("SSF-8.1.4.2-03", len(one.stream.states) > 0, "got state %s, which nobody asked for", event["state"])
	} else if ok {
		t.Expect("SSF-8.1.4.2-03", true, "got a verification event without state, want none that nobody asked for")
	}
}

// checkStreamUpdated judges what a transmitter says when it changes a status by itself, if
// it did so.
func (s *suite) checkStreamUpdated(t *conformance.T, one *token) {
	event, ok := one.event(ssf.StreamUpdatedType)
	if !ok {
		t.Skip("SSF-8.1.5-03", "no stream-updated came")
		return
	}
	t.Expect("SSF-8.1.5-03", slices.Contains(statuses(), event.text("status")), "got status %s in stream-updated, want enabled, paused or disabled", event["status"])
	if event.has("reason") {
		_, ok := event.string("reason")
		t.Expect("SSF-8.1.5-03", ok, "got reason %s in stream-updated, want a string", event["reason"])
	}
	s.checkControl(t, "SSF-8.1.5-03", one, one.stream)
}

// checkEvents judges the events claim.
func (s *suite) checkEvents(t *conformance.T, one *token) {
	events := one.claims.object("events")
	if !t.Expect("SET-2-01", len(events) > 0, "got events %s, want an object with a member", one.claims["events"]) {
		return
	}
	for uri, event := range events {
		u, err := url.Parse(uri)
		t.Expect("SET-2-01", err == nil && u.IsAbs(), "got an event called %q, want a URI", uri)
		_, err = parseObject(event)
		t.Expect("SET-2-01", err == nil, "got the event %s with %s, want an object", uri, event)
	}
	t.Expect("SSF-4.2.1-01", len(events) == 1, "got %d events in a SET, want one", len(events))
	t.Expect("INTEROP-2.8.1-01", len(events) == 1, "got %d events in a SET, want one", len(events))
}

// checkUnique judges that a jti names one SET alone. The same SET may come again.
func (s *suite) checkUnique(t *conformance.T, one *token, byID map[string]*token) {
	id := one.jti()
	if id == "" {
		return
	}
	before := byID[id]
	if before == nil {
		byID[id] = one
		t.Expect("SET-2.2-02", true, "got jti %q once, want each once", id)
		return
	}
	t.With(before.exchange, one.exchange).Expect("SET-2.2-02", same(before.rawClaims, one.rawClaims), "got jti %q for two different SETs, want each once", id)
}

func (s *suite) checkSignatures(ctx context.Context, t *conformance.T) error {
	if err := s.someSETs(ctx, t); err != nil {
		return err
	}
	keys, err := s.keys(ctx, t)
	if err != nil {
		err = fmt.Errorf("signatures cannot be verified: %w", err)
	}
	for _, one := range s.seen {
		if one.err != nil {
			continue
		}
		t := t.With(one.exchange)
		typ := strings.ToLower(one.header.text("typ"))
		if t.Expect("SSF-4.1.1-01", typ == "secevent+jwt" || typ == "application/secevent+jwt", "got typ %s, want secevent+jwt", one.header["typ"]) {
			t.Expect("SET-2.3-01", one.header.text("typ") == "secevent+jwt", "got typ %s, want secevent+jwt", one.header["typ"])
		}
		alg := one.header.text("alg")
		if !t.Expect("SET-2.4-01", !strings.EqualFold(alg, "none") && len(one.signature) > 0, "got alg %q with a signature of %d bytes, want a signature", alg, len(one.signature)) {
			continue
		}
		if !t.Expect("JWT-3.2-01", asymmetric(alg), "got alg %q, want one with public keys, such as RS256", alg) {
			continue
		}
		if keys != nil {
			s.checkSignature(t, one, keys)
		}
	}
	return err
}

func asymmetric(alg string) bool {
	return slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"}, alg)
}

// checkSignature verifies a signature with the transmitter's keys.
func (s *suite) checkSignature(t *conformance.T, one *token, keys *jose.KeySet) {
	t.Expect("INTEROP-2.6-01", one.header.text("alg") == "RS256", "got alg %s, want RS256", one.header["alg"])
	alg, err := jose.ParseAlgorithm(one.header.text("alg"))
	if err != nil {
		t.Skip("SET-5.1-01", "this suite cannot verify %s", one.header.text("alg"))
		return
	}
	message, err := jose.Parse([]byte(one.compact))
	if err != nil {
		t.Expect("SET-5.1-01", false, "got a signature that cannot be read: %v", err)
		return
	}
	kid := one.header.text("kid")
	key, err := keys.Find(kid, alg)
	if kid == "" {
		key, err = keys.Sole(alg)
	}
	if errors.Is(err, jose.ErrWeakKey) {
		t.Expect("INTEROP-2.6-01", false, "got a key of too few bits: %v", err)
		return
	}
	published := !errors.Is(err, jose.ErrUnknownKey)
	t.Expect("SSF-7.1-02", published, "got kid %q, and no such key at jwks_uri", kid)
	if !t.Expect("INTEROP-2.3.3-01", published, "got kid %q, and no such key at jwks_uri", kid) {
		return
	}
	if !t.Expect("JWT-3.1-01", err == nil, "got alg %s and kid %q, and no key of that id for that algorithm at jwks_uri: %v", alg, kid, err) {
		return
	}
	err = jose.Verify(message, key)
	t.Expect("SET-5.1-01", err == nil, "got a signature that the key %q does not verify: %v", kid, err)
}
