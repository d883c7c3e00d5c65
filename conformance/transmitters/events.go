package transmitters

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

func (s *suite) eventChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "events-caep", Title: "triggers each event of CAEP",
			Decides: []string{
				"CAEP-2-01", "CAEP-2-02", "CAEP-2-03", "CAEP-3.1-01", "CAEP-3.2-01", "CAEP-3.3-01", "CAEP-3.4-01", "CAEP-3.4-02", "CAEP-3.5-01",
				"CAEP-3.6-01", "CAEP-3.8-01", "INTEROP-3.1-01", "INTEROP-3.2-01", "INTEROP-2.5-01",
			},
			Run: s.checkCAEP,
		},
		{
			Name: "events-risc", Title: "triggers each event of RISC",
			Decides: []string{"RISC-2.3-01", "RISC-2.5-01", "RISC-2.6-01", "RISC-2.7-01", "RISC-2-01", "RISC-2.11-01"},
			Run:     s.checkRISC,
		},
		{
			Name: "events-delivered", Title: "triggers what a stream carries and what it does not",
			Decides: []string{"SSF-8.1.1-01"},
			Run:     s.checkDelivered,
		},
		{
			Name: "held-order", Title: "triggers several events of one subject while a stream is paused",
			Decides: []string{"SSF-8.1.2.1-05"},
			Run:     s.checkHeldOrder,
		},
		{
			Name: "copies", Title: "triggers an event that two streams hear of",
			Decides: []string{"SSF-4.1.9-01", "SET-2.2-02", "SSF-8.1.3.1-03"},
			Run:     s.checkCopies,
		},
	}
}

// eachEvent makes a stream for all events, triggers each that it carries, and judges
// what comes.
func (s *suite) eachEvent(ctx context.Context, t *conformance.T, events []happening, ids func(eventType string) []string, judge func(t *conformance.T, h happening, one *token, event object)) error {
	if s.cfg.Trigger == nil {
		return errNoTrigger
	}
	skip := func(h happening, format string, args ...any) {
		for _, id := range ids(h.eventType) {
			t.Skip(id, format, args...)
		}
	}
	return s.using(ctx, t, spec{events: types(events)}, func(st *stream) error {
		for _, h := range events {
			if !st.delivers(h.eventType) {
				skip(h, "the transmitter does not deliver %s", shortType(h.eventType))
				continue
			}
			one, err := s.told(ctx, t, st, h)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil || one == nil {
				skip(h, "no %s came: %s", shortType(h.eventType), orFine(err))
				continue
			}
			event, _ := one.event(h.eventType)
			judge(t.With(one.exchange), h, one, event)
		}
		return nil
	})
}

func caepID(eventType string) []string {
	return map[string][]string{
		caep.BaseURI + "session-revoked":          {"CAEP-3.1-01", "INTEROP-3.1-01"},
		caep.BaseURI + "token-claims-change":      {"CAEP-3.2-01"},
		caep.BaseURI + "credential-change":        {"CAEP-3.3-01", "INTEROP-3.2-01"},
		caep.BaseURI + "assurance-level-change":   {"CAEP-3.4-01", "CAEP-3.4-02"},
		caep.BaseURI + "device-compliance-change": {"CAEP-3.5-01"},
		caep.BaseURI + "session-established":      {"CAEP-3.6-01"},
		caep.BaseURI + "session-presented":        {"CAEP-3.6-01"},
		caep.BaseURI + "risk-level-change":        {"CAEP-3.8-01"},
	}[eventType]
}

func (s *suite) checkCAEP(ctx context.Context, t *conformance.T) error {
	return s.eachEvent(ctx, t, caepEvents(), caepID, func(t *conformance.T, h happening, one *token, event object) {
		judgeCommon(t, event)
		judgeCAEP(t, h.eventType, event)
		format := one.claims.object("sub_id").text("format")
		if slices.Contains([]string{"email", "iss_sub", "opaque"}, format) {
			t.Expect("INTEROP-2.5-01", true, "got a subject of the format %s", format)
		}
	})
}

// judgeCommon judges the members that every CAEP event may have.
func judgeCommon(t *conformance.T, event object) {
	if event.has("event_timestamp") {
		at, ok := event.number("event_timestamp")
		t.Expect("CAEP-2-01", ok && at < 1e11, "got event_timestamp %s, want a number of seconds", event["event_timestamp"])
	}
	if event.has("initiating_entity") {
		t.Expect("CAEP-2-02", slices.Contains([]string{"admin", "user", "policy", "system"}, event.text("initiating_entity")),
			"got initiating_entity %s, want admin, user, policy or system", event["initiating_entity"])
	}
	for _, name := range []string{"reason_admin", "reason_user"} {
		if event.has(name) {
			t.Expect("CAEP-2-03", byLanguage(event[name]), "got %s %s, want an object of languages and texts", name, event[name])
		}
	}
}

// byLanguage reports whether a value is an object of at least one text by language.
func byLanguage(raw json.RawMessage) bool {
	var texts map[string]*string
	if json.Unmarshal(raw, &texts) != nil || len(texts) == 0 {
		return false
	}
	for tag, text := range texts {
		if tag == "" || text == nil || strings.ContainsAny(tag, " _") {
			return false
		}
	}
	return true
}

// said reports whether a value is there and not empty; its shape is judged elsewhere.
func said(raw json.RawMessage) bool {
	return !slices.Contains([]string{"", "null", `""`, "{}", "[]"}, string(raw))
}

func judgeCAEP(t *conformance.T, eventType string, e object) {
	oneOf := func(name string, values ...string) bool { return slices.Contains(values, e.text(name)) }
	optional := func(name string) bool { return !e.has(name) || e.text(name) != "" }
	switch shortType(eventType) {
	case "session-revoked":
		t.Expect("CAEP-3.1-01", e != nil, "got no object for the event, want one")
		t.Expect("INTEROP-3.1-01", said(e["reason_admin"]), "got reason_admin %s, want it not empty", e["reason_admin"])
	case "token-claims-change":
		t.Expect("CAEP-3.2-01", len(e.object("claims")) > 0, "got claims %s, want an object with a member", e["claims"])
	case "credential-change":
		t.Expect("CAEP-3.3-01", e.text("credential_type") != "" && oneOf("change_type", "create", "revoke", "update", "delete"),
			"got credential_type %s and change_type %s, want both, as listed", e["credential_type"], e["change_type"])
		for _, name := range []string{"friendly_name", "x509_issuer", "x509_serial", "fido2_aaguid"} {
			t.Expect("CAEP-3.3-01", optional(name), "got %s %s, want a string", name, e[name])
		}
		t.Expect("INTEROP-3.2-01", said(e["reason_admin"]), "got reason_admin %s, want it not empty", e["reason_admin"])
	case "assurance-level-change":
		t.Expect("CAEP-3.4-01", e.text("namespace") != "" && e.text("current_level") != "", "got namespace %s and current_level %s, want both", e["namespace"], e["current_level"])
		t.Expect("CAEP-3.4-01", !e.has("change_direction") || oneOf("change_direction", "increase", "decrease"), "got change_direction %s, want increase or decrease", e["change_direction"])
		if e.has("previous_level") {
			t.Expect("CAEP-3.4-02", e.has("change_direction"), "got previous_level without change_direction, want both")
		}
	case "device-compliance-change":
		t.Expect("CAEP-3.5-01", oneOf("previous_status", "compliant", "not-compliant") && oneOf("current_status", "compliant", "not-compliant"),
			"got previous_status %s and current_status %s, want compliant or not-compliant", e["previous_status"], e["current_status"])
	case "session-established", "session-presented":
		_, ok := e.texts("amr")
		t.Expect("CAEP-3.6-01", (!e.has("amr") || ok) && optional("fp_ua") && optional("acr") && optional("ext_id"), "got amr %s, acr %s, fp_ua %s, ext_id %s, want strings, amr an array of them", e["amr"], e["acr"], e["fp_ua"], e["ext_id"])
	case "risk-level-change":
		t.Expect("CAEP-3.8-01", e.text("principal") != "" && oneOf("current_level", "LOW", "MEDIUM", "HIGH") && (!e.has("previous_level") || oneOf("previous_level", "LOW", "MEDIUM", "HIGH")),
			"got principal %s, current_level %s, previous_level %s, want them as listed", e["principal"], e["current_level"], e["previous_level"])
	}
}

func riscID(eventType string) []string {
	switch shortType(eventType) {
	case "account-disabled":
		return []string{"RISC-2.3-01"}
	case "identifier-changed":
		return []string{"RISC-2.5-01"}
	case "identifier-recycled":
		return []string{"RISC-2.6-01"}
	case "credential-compromise":
		return []string{"RISC-2.7-01"}
	}
	return []string{"RISC-2-01"}
}

func (s *suite) checkRISC(ctx context.Context, t *conformance.T) error {
	m, err := s.metadata(ctx, t)
	if err != nil {
		return err
	}
	events := riscEvents()
	if err := s.checkDeprecated(ctx, t, m); err != nil {
		return err
	}
	return s.eachEvent(ctx, t, events, riscID, func(t *conformance.T, h happening, one *token, e object) {
		format := one.claims.object("sub_id").text("format")
		named := format == "email" || format == "phone_number"
		switch id := riscID(h.eventType)[0]; id {
		case "RISC-2.3-01":
			t.Expect(id, !e.has("reason") || e.text("reason") != "", "got reason %s, want a string", e["reason"])
		case "RISC-2.5-01":
			t.Expect(id, named && (!e.has("new-value") || e.text("new-value") != "") && !e.has("new_value"), "got a subject of the format %q and new-value %s, want email or phone_number, and a string", format, e["new-value"])
		case "RISC-2.6-01":
			t.Expect(id, named, "got a subject of the format %q, want email or phone_number", format)
		case "RISC-2.7-01":
			t.Expect(id, e.text("credential_type") != "", "got credential_type %s, want a string", e["credential_type"])
		default:
			t.Expect(id, e != nil && len(e) == 0, "got %s with %d members, want {}", shortType(h.eventType), len(e))
		}
	})
}

// checkDeprecated asks for the event that no transmitter shall send any more.
func (s *suite) checkDeprecated(ctx context.Context, t *conformance.T, _ *metadata) error {
	const sessionsRevoked = risc.BaseURI + "sessions-revoked"
	return s.using(ctx, t, spec{events: []string{sessionsRevoked}}, func(st *stream) error {
		t.With(st.created.Exchange).Expect("RISC-2.11-01", !st.delivers(sessionsRevoked), "got sessions-revoked in events_delivered, want CAEP's session-revoked instead of it")
		return nil
	})
}

func (s *suite) checkDelivered(ctx context.Context, t *conformance.T) error {
	if s.cfg.Trigger == nil {
		return errNoTrigger
	}
	return s.each(ctx, t, spec{events: []string{caep.SessionRevokedType}}, func(st *stream) error {
		if !st.delivers(caep.SessionRevokedType) {
			return fmt.Errorf("the transmitter does not deliver session-revoked")
		}
		who := person()
		other := happening{caep.CredentialChangeType, who, with(map[string]any{"credential_type": "password", "change_type": "update"})}
		_ = s.trigger(ctx, t, st, other) // it need not have this event
		one, err := s.told(ctx, t, st, sessionRevoked(who))
		if err != nil {
			return err
		}
		t.Expect("SSF-8.1.1-01", one != nil, "got no session-revoked within %v of its trigger, want it, as events_delivered says", s.cfg.Wait)
		late, err := s.silent(ctx, t, st, func(one *token) bool { return one.is(caep.CredentialChangeType) })
		if err != nil {
			return err
		}
		if late != nil {
			t.With(st.created.Exchange, late.exchange).Expect("SSF-8.1.1-01", false, "got credential-change, which is not in events_delivered, want it left out")
		}
		return nil
	})
}

func (s *suite) checkHeldOrder(ctx context.Context, t *conformance.T) error {
	if s.cfg.Trigger == nil {
		return errNoTrigger
	}
	who := person()
	all := []happening{
		sessionRevoked(who),
		{caep.CredentialChangeType, who, with(map[string]any{"credential_type": "password", "change_type": "update"})},
		{caep.BaseURI + "assurance-level-change", who, with(map[string]any{"namespace": "NIST-AAL", "current_level": "nist-aal1"})},
	}
	return s.each(ctx, t, spec{events: types(all)}, func(st *stream) error {
		if _, err := s.setStatus(ctx, t, st.id, map[string]any{"status": "paused"}); err != nil {
			return err
		}
		var made []happening
		for _, h := range all {
			if st.delivers(h.eventType) && s.trigger(ctx, t, st, h) == nil {
				made = append(made, h)
			}
		}
		if _, err := s.setStatus(ctx, t, st.id, map[string]any{"status": "enabled"}); err != nil {
			return err
		}
		var came []string
		var shown []conformance.Exchange
		of := func(one *token) int {
			return slices.IndexFunc(made, func(h happening) bool { return one.is(h.eventType) && h.tells(one) })
		}
		for range made {
			one, err := s.next(ctx, t, st, s.cfg.Wait, func(one *token) bool { return of(one) >= 0 })
			if err != nil {
				break // what is held may be dropped
			}
			came = append(came, shortType(made[of(one)].eventType))
			shown = append(shown, one.exchange)
		}
		if len(came) < 2 {
			return fmt.Errorf("%d of %d events that were triggered while the stream was paused came afterwards", len(came), len(made))
		}
		var order []string
		for _, h := range made {
			if short := shortType(h.eventType); slices.Contains(came, short) {
				order = append(order, short)
			}
		}
		t.With(shown...).Expect("SSF-8.1.2.1-05", slices.Equal(came, order), "got events of one subject in the order %q, want that of their happening: %q", came, order)
		return nil
	})
}

func (s *suite) checkCopies(ctx context.Context, t *conformance.T) error {
	if s.cfg.Trigger == nil {
		return errNoTrigger
	}
	return s.using(ctx, t, spec{}, func(first *stream) error {
		return s.using(ctx, t, spec{}, func(second *stream) error {
			h := sessionRevoked(person())
			if m, err := s.metadata(ctx, t); err == nil && m.text("default_subjects") != "ALL" && m.has(addEndpoint) {
				if _, err := s.subject(ctx, t, addEndpoint, second.id, h.subject, nil); err != nil {
					return err
				}
			}
			one, err := s.told(ctx, t, first, h)
			if err != nil {
				return err
			}
			two, err := s.awaited(ctx, t, second, h)
			if err != nil || one == nil && two == nil || first.id == second.id {
				return fmt.Errorf("the event did not come on two streams: %s", orFine(err))
			}
			t := t.With(append(exchanges(one), exchanges(two)...)...)
			if !t.Expect("SSF-8.1.3.1-03", one != nil && two != nil, "got an event on one of two streams that are to hear of it, want it on both") {
				return nil
			}
			t.Expect("SET-2.2-02", one.jti() != two.jti() || one.jti() == "", "got jti %q on two streams, want each once", one.jti())
			if one.claims.has("txn") && two.claims.has("txn") {
				t.Expect("SSF-4.1.9-01", one.claims.text("txn") == two.claims.text("txn"), "got txn %s and %s for one happening, want the same", one.claims["txn"], two.claims["txn"])
			}
			return nil
		})
	})
}
