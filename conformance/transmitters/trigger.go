package transmitters

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

// happening is an event that the suite asks the trigger for.
type happening struct {
	eventType string
	subject   map[string]any
	data      map[string]any // with a nonce, where it may have a reason
}

// nonceMark begins what tells one happening from all others, if the transmitter tells of
// it with the members that the suite suggests.
const nonceMark = "conformance-nonce-"

var errNoTrigger = errors.New("nothing makes the transmitter tell of events (see --trigger-cmd)")

// sessionRevoked is the event that every transmitter is likely to have.
func sessionRevoked(sub map[string]any) happening {
	return happening{caep.SessionRevokedType, sub, common()}
}

// common are the members that every CAEP event may have.
func common() map[string]any {
	return map[string]any{
		"event_timestamp": time.Now().Unix(), "initiating_entity": "policy",
		"reason_admin": map[string]any{"en": nonceMark + rand.Text()}, "reason_user": map[string]any{"en": "a test"},
	}
}

// with returns common members and others.
func with(more map[string]any) map[string]any {
	all := common()
	for name, value := range more {
		all[name] = value
	}
	return all
}

// caepEvents are the events of CAEP with members as an example.
func caepEvents() []happening {
	base := caep.BaseURI
	device := map[string]any{"format": "complex", "user": person(), "device": map[string]any{"format": "opaque", "id": "conformance-device"}}
	return []happening{
		sessionRevoked(person()),
		{base + "token-claims-change", person(), with(map[string]any{"claims": map[string]any{"role": "reader"}})},
		{base + "credential-change", person(), with(map[string]any{"credential_type": "password", "change_type": "revoke", "friendly_name": "password"})},
		{base + "assurance-level-change", person(), with(map[string]any{
			"namespace": "NIST-AAL", "current_level": "nist-aal1", "previous_level": "nist-aal2", "change_direction": "decrease",
		})},
		{base + "device-compliance-change", device, with(map[string]any{"previous_status": "compliant", "current_status": "not-compliant"})},
		{base + "session-established", person(), with(map[string]any{"acr": "urn:example:acr", "amr": []string{"pwd"}})},
		{base + "session-presented", person(), with(map[string]any{"ext_id": "conformance"})},
		{base + "risk-level-change", person(), with(map[string]any{"principal": "USER", "current_level": "HIGH", "previous_level": "LOW", "risk_reason": "a test"})},
	}
}

// riscEvents are the events of RISC, without those that change whether a user takes
// part.
func riscEvents() []happening {
	base := risc.BaseURI
	none := map[string]any{}
	return []happening{
		{base + "account-credential-change-required", person(), none},
		{base + "account-purged", person(), none},
		{base + "account-disabled", person(), map[string]any{"reason": "hijacking"}},
		{base + "account-enabled", person(), none},
		{base + "identifier-changed", person(), map[string]any{"new-value": "conformance-new@tocsin.example"}},
		{base + "identifier-recycled", person(), none},
		{base + "credential-compromise", person(), map[string]any{"credential_type": "password"}},
		{base + "recovery-activated", person(), none},
		{base + "recovery-information-changed", person(), none},
	}
}

// unique returns what of a subject is of this run alone: the longest text that it has.
func unique(sub map[string]any) string {
	longest := ""
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case string:
			if strings.Contains(v, "conformance-") && len(v) > len(longest) {
				longest = v
			}
		case map[string]any:
			for _, inner := range v {
				look(inner)
			}
		case []any:
			for _, inner := range v {
				look(inner)
			}
		}
	}
	look(sub)
	return longest
}

// trigger makes the transmitter tell of an event, to a stream that is to hear of it: its
// subject is added where not every subject is in a stream from the beginning.
func (s *suite) trigger(ctx context.Context, t *conformance.T, st *stream, h happening) error {
	if s.cfg.Trigger == nil {
		return errNoTrigger
	}
	m, err := s.metadata(ctx, t)
	if err != nil {
		return err
	}
	if m.text("default_subjects") != "ALL" && m.has(addEndpoint) {
		answer, err := s.subject(ctx, t, addEndpoint, st.id, h.subject, nil)
		if err != nil {
			return err
		}
		if answer.Status/100 != 2 {
			return fmt.Errorf("adding the subject of an event answers %d", answer.Status)
		}
	}
	return s.fire(ctx, h)
}

// fire makes it happen.
func (s *suite) fire(ctx context.Context, h happening) error {
	if s.cfg.Trigger == nil {
		return errNoTrigger
	}
	err := s.cfg.Trigger(ctx, Event{Type: h.eventType, Subject: encode(h.subject), Data: encode(h.data)})
	if err != nil {
		return fmt.Errorf("the trigger of %s: %w", shortType(h.eventType), err)
	}
	return nil
}

// tells reports whether a SET tells of what happened: by the nonce, else by the subject.
func (h happening) tells(one *token) bool {
	if !one.is(h.eventType) && one.claims.object("events") != nil {
		return false
	}
	text := plain(one.rawClaims)
	if strings.Contains(text, nonceMark) {
		reason, _ := h.data["reason_admin"].(map[string]any)
		nonce, _ := reason["en"].(string)
		return nonce != "" && strings.Contains(text, nonce)
	}
	return strings.Contains(text, unique(h.subject))
}

// plain is JSON without escapes, to look for a text in it.
func plain(raw []byte) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return string(raw)
	}
	return b.String()
}

// told triggers an event and returns its SET; nil if none came in time.
func (s *suite) told(ctx context.Context, t *conformance.T, st *stream, h happening) (*token, error) {
	if err := s.trigger(ctx, t, st, h); err != nil {
		return nil, err
	}
	return s.awaited(ctx, t, st, h)
}

// awaited returns the SET of what happened; nil if none came in time.
func (s *suite) awaited(ctx context.Context, t *conformance.T, st *stream, h happening) (*token, error) {
	got, err := s.next(ctx, t, st, s.cfg.Wait, h.tells)
	if errors.Is(err, errNoSET) && ctx.Err() == nil {
		return nil, nil
	}
	return got, err
}

// delivers reports whether a stream is to carry an event type.
func (st *stream) delivers(eventType string) bool {
	delivered, _ := st.config.texts("events_delivered")
	return slices.Contains(delivered, eventType)
}

// shortType is the last part of an event type.
func shortType(uri string) string { return uri[strings.LastIndex(uri, "/")+1:] }

func types(events []happening) []string {
	out := make([]string, len(events))
	for i, h := range events {
		out[i] = h.eventType
	}
	return out
}
