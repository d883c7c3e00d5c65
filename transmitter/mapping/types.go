package mapping

import (
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

// Type is a type of events in the catalogue: an account event by its name, or
// what a vendor's record says has happened.
type Type struct {
	// ID is what an event of the log has as its type: "session.revoked",
	// "idme:session.signin", "onelogin:7".
	ID string `json:"id"`
	// Name is for people.
	Name string `json:"name"`
	// Description is a sentence; a vendor's may be a template with %user%,
	// %actor_user%, %app%, %role%.
	Description string `json:"description,omitempty"`
	// Category is one lower-case word; "": not known.
	Category string `json:"category,omitempty"`
	// Events are the event type URIs that it becomes, or may become where a
	// rule has a condition; none: it is only recorded.
	Events []string `json:"events"`
}

// The categories of account events. Vendors' types may have others.
const (
	CategoryAccount        = "account"
	CategoryAuthentication = "authentication"
	CategoryConsent        = "consent"
	CategorySecurity       = "security"
	CategoryVerification   = "verification"
)

// Types returns the catalogue: the account events by name in the order of
// [Names], then the types of each format, as the mapper's rules have them. Those
// that are not in it are recorded all the same.
//
// refreshed are types that a vendor has told since ([ReadOneLoginTypes]): they
// are added, and name and description of those that are known already replaced.
func (m *Mapper) Types(refreshed ...Type) []Type {
	var types []Type
	for _, n := range Names() {
		types = append(types, Type{n.Name, n.Name, n.Description, m.Category(n.Name), []string{n.Type}})
	}
	return refresh(append(types, m.vendorTypes()...), refreshed)
}

// refresh adds what a vendor told to the catalogue.
func refresh(types, refreshed []Type) []Type {
	at := make(map[string]int, len(types))
	for i := range types {
		at[types[i].ID] = i
	}
	for _, t := range refreshed {
		i, known := at[t.ID]
		if !known {
			at[t.ID] = len(types)
			types = append(types, Type{t.ID, t.Name, t.Description, t.Category, slices.Clone(t.Events)})
			continue
		}
		types[i].Name = t.Name
		if t.Description != "" {
			types[i].Description = t.Description
		}
	}
	return types
}

// Category returns the category of a type: the name of an account event, an event
// type URI, or "<format>:<handle>"; "": it is not known.
func (m *Mapper) Category(eventType string) string {
	if n := m.named[eventType]; n != nil {
		eventType = n.Type
	} else if format, handle, ok := strings.Cut(eventType, ":"); ok && m.formats[format] != nil {
		return m.formats[format].category(handle)
	}
	switch eventType {
	case caep.SessionRevokedType, caep.SessionEstablishedType, caep.SessionPresentedType:
		return CategoryAuthentication
	case caep.AssuranceLevelChangeType:
		return CategoryVerification
	case caep.CredentialChangeType, caep.DeviceComplianceChangeType, caep.RiskLevelChangeType,
		risc.AccountCredentialChangeRequiredType, risc.CredentialCompromiseType,
		risc.RecoveryActivatedType, risc.RecoveryInformationChangedType:
		return CategorySecurity
	case caep.TokenClaimsChangeType, risc.AccountDisabledType, risc.AccountEnabledType,
		risc.AccountPurgedType, risc.IdentifierChangedType, risc.IdentifierRecycledType:
		return CategoryAccount
	case risc.OptInType, risc.OptOutInitiatedType, risc.OptOutCancelledType, risc.OptOutEffectiveType:
		return CategoryConsent
	}
	return ""
}

// vendorTypes are the types of all formats.
func (m *Mapper) vendorTypes() []Type {
	var types []Type
	for _, name := range m.order {
		types = append(types, m.formats[name].types()...)
	}
	return types
}
