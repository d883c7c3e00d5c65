package mapping

import (
	"encoding/json"
	"net/netip"
	"strings"
)

// Attributes are what an event says beside its subject, for search and for
// whoever looks into it. What is not known is absent.
type Attributes struct {
	Category    string            `json:"category,omitempty"`     // one lower-case word: authentication, verification, security, consent, account, …
	Identifier  string            `json:"identifier,omitempty"`   // the source's id of the user
	Email       string            `json:"email,omitempty"`        // of the user
	Application string            `json:"application,omitempty"`  // at the source, not one of ours
	Session     string            `json:"session,omitempty"`      // the source's id of the session
	Fingerprint string            `json:"fingerprint,omitempty"`  // of the device
	Address     netip.Addr        `json:"ip_address,omitzero"`    // v4 or v6, v4 never mapped into v6; zero: not known
	UserAgent   string            `json:"user_agent,omitempty"`   // as it was sent
	Actor       string            `json:"actor,omitempty"`        // id of the user who acted
	ActorSystem string            `json:"actor_system,omitempty"` // the system that acted
	LinkedID    string            `json:"linked_id,omitempty"`    // at most 256 bytes
	RiskScore   *float64          `json:"risk_score,omitempty"`   // the higher the worse
	RiskReasons []string          `json:"risk_reasons,omitempty"` // one reason each
	Signals     map[string]bool   `json:"signals,omitempty"`      // three-valued: true, false, absent
	Suspect     *bool             `json:"suspect,omitempty"`      // three-valued
	Tags        map[string]string `json:"tags,omitempty"`         // free
}

// Limits of attributes. A text that is too long to be one is left out.
const (
	maxAttribute = 1024 // bytes of a text
	maxLinkedID  = 256  // bytes
	maxReasons   = 64
	maxTags      = 64
	maxTagName   = 64   // bytes
	maxTagValue  = 1024 // bytes
)

// textAttributes are the attributes that are texts, by their names in a rules
// file.
func textAttributes() map[string]func(*Attributes) *string {
	return map[string]func(*Attributes) *string{
		"identifier":   func(a *Attributes) *string { return &a.Identifier },
		"email":        func(a *Attributes) *string { return &a.Email },
		"application":  func(a *Attributes) *string { return &a.Application },
		"session":      func(a *Attributes) *string { return &a.Session },
		"fingerprint":  func(a *Attributes) *string { return &a.Fingerprint },
		"user_agent":   func(a *Attributes) *string { return &a.UserAgent },
		"actor":        func(a *Attributes) *string { return &a.Actor },
		"actor_system": func(a *Attributes) *string { return &a.ActorSystem },
		"linked_id":    func(a *Attributes) *string { return &a.LinkedID },
	}
}

// attributes reads what else the record says. What cannot be read is absent:
// it keeps no record from being mapped.
func (e *evaluation) attributes() {
	f, a := e.format, &e.record.Attributes
	if a.Category = f.category(e.record.Handle); a.Category != "" {
		e.note("category", f.handle)
	}
	for _, t := range f.texts {
		from, raw, err := t.src.value(e)
		if err != nil || raw == nil {
			continue
		}
		text, wrong := from.read(raw)
		limit := maxAttribute
		switch t.name {
		case "user_agent":
			text = cut(text, limit)
		case "linked_id":
			limit = maxLinkedID
		}
		if wrong == "" && text != "" && len(text) <= limit {
			*t.of(a) = text
			e.noted(t.name, from)
		}
	}
	if src := f.attributes["ip_address"]; src != nil {
		if text, err := src.text(e); err == nil {
			if a.Address = addressOf(text); a.Address.IsValid() {
				e.note("ip_address", src)
			}
		}
	}
	e.assess()
	if src := f.attributes["tags"]; src != nil {
		if from, raw, err := src.value(e); err == nil && raw != nil && raw[0] == '{' {
			if a.Tags = tagsOf(raw); a.Tags != nil {
				e.noted("tags", from)
			}
		}
	}
}

// assess reads risk, suspicion and signals.
func (e *evaluation) assess() {
	f, a := e.format, &e.record.Attributes
	if from, score, ok := f.attributes["risk_score"].number(e); ok {
		a.RiskScore = &score
		e.noted("risk_score", from)
	}
	if src := f.attributes["risk_reasons"]; src != nil {
		if from, raw, err := src.value(e); err == nil && raw != nil {
			if a.RiskReasons = reasonsOf(raw); a.RiskReasons != nil {
				e.noted("risk_reasons", from)
			}
		}
	}
	if from, suspect, ok := f.attributes["suspect"].truth(e); ok {
		a.Suspect = &suspect
		e.noted("suspect", from)
	}
	for _, s := range f.signals {
		if from, value, ok := s.src.truth(e); ok {
			if a.Signals == nil {
				a.Signals = make(map[string]bool, len(f.signals))
			}
			a.Signals[s.name] = value
			e.noted("signals."+s.name, from)
		}
	}
}

// category returns the category of a handle: its own, else that of its group,
// which is what stands before the first dot; "": it is not known.
func (f *format) category(handle string) string {
	if h := f.handles[handle]; h != nil && h.category != "" {
		return h.category
	}
	group, _, _ := strings.Cut(handle, ".")
	return f.groups[group]
}

// addressOf reads an address; zero: it is none.
func addressOf(text string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// reasonsOf returns the lines of a text, or the texts of a list.
func reasonsOf(raw json.RawMessage) []string {
	var lines []string
	switch raw[0] {
	case '"':
		lines = strings.Split(nameOf(raw), "\n")
	case '[':
		for _, element := range elements(raw, maxReasons) {
			if text, ok := textOf(element); ok {
				lines = append(lines, text)
			}
		}
	}
	var reasons []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" && len(line) <= maxAttribute && len(reasons) < maxReasons {
			reasons = append(reasons, line)
		}
	}
	return reasons
}

// tagsOf returns the members that are texts, numbers and truth values, as text.
func tagsOf(raw json.RawMessage) map[string]string {
	var tags map[string]string
	for _, f := range split(raw, maxTags) {
		text, ok := textOf(f.value)
		if !ok {
			if text = string(f.value); text[0] == '{' || text[0] == '[' {
				continue
			}
		}
		if len(f.name) > maxTagName || len(text) > maxTagValue {
			continue
		}
		if tags == nil {
			tags = map[string]string{}
		}
		tags[f.name] = text
	}
	return tags
}
