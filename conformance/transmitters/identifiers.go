package transmitters

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// format is a format of subject identifiers.
type format struct {
	id      string   // of the requirement
	members []string // besides format
	example map[string]any
}

// formats are those of RFC 9493 and of SSF §3.5.
func formats() map[string]format {
	const n = "conformance-"
	return map[string]format{
		"account":           {"SUBJ-3.2.1-01", []string{"uri"}, map[string]any{"uri": "acct:" + n + "%@tocsin.example"}},
		"email":             {"SUBJ-3.2.2-01", []string{"email"}, map[string]any{"email": n + "%@tocsin.example"}},
		"iss_sub":           {"SUBJ-3.2.3-01", []string{"iss", "sub"}, map[string]any{"iss": "https://idp.tocsin.example", "sub": n + "%"}},
		"opaque":            {"SUBJ-3.2.4-01", []string{"id"}, map[string]any{"id": n + "%"}},
		"phone_number":      {"SUBJ-3.2.5-01", []string{"phone_number"}, map[string]any{"phone_number": "+12065550100"}},
		"did":               {"SUBJ-3.2.6-01", []string{"url"}, map[string]any{"url": "did:example:" + n + "%"}},
		"uri":               {"SUBJ-3.2.7-01", []string{"uri"}, map[string]any{"uri": "https://tocsin.example/" + n + "%"}},
		"aliases":           {"SUBJ-3.2.8-01", []string{"identifiers"}, map[string]any{"identifiers": []any{map[string]any{"format": "opaque", "id": n + "%"}, map[string]any{"format": "email", "email": n + "%@tocsin.example"}}}},
		"jwt_id":            {"SSF-3.5.1-01", []string{"iss", "jti"}, map[string]any{"iss": "https://idp.tocsin.example", "jti": n + "%"}},
		"saml_assertion_id": {"SSF-3.5.2-01", []string{"issuer", "assertion_id"}, map[string]any{"issuer": "https://idp.tocsin.example", "assertion_id": n + "%"}},
		"ip-addresses":      {"SSF-3.5.3-01", []string{"ip-addresses"}, map[string]any{"ip-addresses": []any{"192.0.2.17"}}},
	}
}

const complexID = "SSF-3.3-01"

func (s *suite) identifierChecks() []conformance.Check {
	ids := []string{"SUBJ-3-01", "SUBJ-3-02", "SUBJ-3.2-01", complexID, "RISC-3.1-01"}
	for _, f := range formats() {
		ids = append(ids, f.id)
	}
	slices.Sort(ids)
	return []conformance.Check{{
		Name: "identifiers", Title: "triggers events of subjects of each format, and looks at every subject that came",
		Decides: ids, Run: s.checkIdentifiers,
	}}
}

func (s *suite) checkIdentifiers(ctx context.Context, t *conformance.T) error {
	triggered := s.triggerFormats(ctx, t)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := s.someSETs(ctx, t); err != nil {
		return err
	}
	for _, one := range s.seen {
		if one.err != nil {
			continue
		}
		t := t.With(one.exchange)
		t.Expect("RISC-3.1-01", !strings.Contains(string(one.rawClaims), `"subject_type"`), "got subject_type in a SET, want format")
		if raw, ok := one.claims["sub_id"]; ok && one.claims.object("sub_id") != nil {
			judgeIdentifier(t, raw, 0)
		}
	}
	return triggered
}

// triggerFormats triggers an event of a subject of each format, so that there is one to
// look at. It leaves what does not come.
func (s *suite) triggerFormats(ctx context.Context, t *conformance.T) error {
	if s.cfg.Trigger == nil {
		return errNoTrigger
	}
	return s.using(ctx, t, spec{}, func(st *stream) error {
		if !st.delivers(caep.SessionRevokedType) {
			return errors.New("the transmitter does not deliver session-revoked")
		}
		missing := 0
		for _, name := range slices.Sorted(maps.Keys(formats())) {
			sub := example(name, formats()[name])
			if s.trigger(ctx, t, st, sessionRevoked(sub)) != nil {
				missing++
			}
		}
		sub := map[string]any{"format": "complex", "user": person(), "tenant": map[string]any{"format": "opaque", "id": "conformance-tenant"}}
		if s.trigger(ctx, t, st, sessionRevoked(sub)) != nil {
			missing++
		}
		for range len(formats()) + 1 - missing {
			if _, err := s.next(ctx, t, st, s.cfg.Quiet, isOrdinary); err != nil {
				break
			}
		}
		return nil
	})
}

// example fills in what makes an example of a format unique.
func example(name string, f format) map[string]any {
	raw := strings.ReplaceAll(string(encode(f.example)), "%", strings.ToLower(strings.TrimPrefix(person()["email"].(string), "conformance-"))[:12])
	sub := map[string]any{}
	if json.Unmarshal([]byte(raw), &sub) != nil {
		return f.example
	}
	sub["format"] = name
	return sub
}

// judgeIdentifier judges a subject identifier and those in it.
func judgeIdentifier(t *conformance.T, raw json.RawMessage, depth int) {
	o, err := parseObject(raw)
	name, ok := o.string("format")
	if !t.Expect("SUBJ-3-01", err == nil && ok && name != "", "got a subject %s, want an object with a format", raw) {
		return
	}
	if name == "complex" {
		judgeComplex(t, o, depth)
		return
	}
	f, known := formats()[name]
	if !known {
		t.Expect("SUBJ-3-02", strings.ContainsAny(name, ":./"), "got a subject of the format %q, want a registered one or one that nobody else can have", name)
		return
	}
	t.Expect("SUBJ-3-02", true, "got a subject of the format %s", name)
	for member := range o {
		t.Expect("SUBJ-3-01", member == "format" || slices.Contains(f.members, member), "got the member %q of a subject of the format %s, want those that it describes", member, name)
	}
	_, err = subject.Parse(raw) // it lets pass what is told above
	t.Expect(f.id, err == nil, "got a subject %s that is not right: %s", raw, orFine(err))
	if name == "uri" {
		scheme, _, _ := strings.Cut(o.text("uri"), ":")
		t.Expect("SUBJ-3.2-01", !slices.Contains([]string{"mailto", "tel", "acct", "did"}, strings.ToLower(scheme)), "got a URI %s, want the format for it", o["uri"])
	}
}

func judgeComplex(t *conformance.T, o object, depth int) {
	members := 0
	ok := depth == 0
	for name, member := range o {
		if name == "format" {
			continue
		}
		members++
		inner := o.object(name)
		ok = ok && inner != nil && inner.text("format") != "complex"
		if inner != nil && inner.text("format") != "complex" {
			judgeIdentifier(t, member, depth+1)
		}
	}
	t.Expect(complexID, ok && members > 0, "got a complex subject with %d members, want one at least, each a simple subject", members)
}
