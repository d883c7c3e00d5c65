package exercise

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
)

// payloads are those of the types whose payload must have members.
func payloads() map[string]string {
	return map[string]string{
		caep.TokenClaimsChangeType:      `{"claims":{"role":"ro-admin"}}`,
		caep.CredentialChangeType:       `{"credential_type":"password","change_type":"update"}`,
		caep.AssuranceLevelChangeType:   `{"namespace":"NIST-AAL","current_level":"nist-aal2","previous_level":"nist-aal1","change_direction":"increase"}`,
		caep.DeviceComplianceChangeType: `{"previous_status":"compliant","current_status":"not-compliant"}`,
		caep.RiskLevelChangeType:        `{"principal":"USER","current_level":"LOW","previous_level":"HIGH","risk_reason":"PASSWORD_FOUND_IN_DATA_BREACH"}`,
		risc.AccountDisabledType:        `{"reason":"hijacking"}`,
		risc.CredentialCompromiseType:   `{"credential_type":"password"}`,
	}
}

// said is what CAEP lets every event say besides (CAEP §2).
const said = `{"initiating_entity":"policy","reason_admin":{"en":"conformance test"},"reason_user":{"en":"conformance test"}}`

// last are types in the order in which they come behind all others: after an account has
// opted out no other RISC event about it is exchanged (RISC §2.8).
func last() []string {
	return []string{risc.OptOutInitiatedType, risc.OptOutCancelledType, risc.OptOutEffectiveType, risc.OptInType}
}

// itemsOf returns one event of each type.
func itemsOf(types []string, about subject.Identifier, now time.Time) []ingest.Item {
	behind := last()
	ordered := slices.DeleteFunc(slices.Clone(types), func(t string) bool { return t == risc.SessionsRevokedType }) // deprecated: not sent
	slices.SortStableFunc(ordered, func(a, b string) int { return slices.Index(behind, a) - slices.Index(behind, b) })
	given := payloads()
	items := make([]ingest.Item, len(ordered))
	for i, eventType := range ordered {
		payload := given[eventType]
		if payload == "" {
			payload = "{}"
		}
		if slices.Contains(caep.Types(), eventType) {
			payload = joined(payload, said)
		}
		items[i] = ingest.Item{Type: eventType, Subjects: []subject.Identifier{about}, Time: now, Data: json.RawMessage(payload)}
	}
	return items
}

// joined returns an object with the members of both, of which the second has some.
func joined(a, b string) string {
	if a == "{}" {
		return b
	}
	return a[:len(a)-1] + "," + b[1:]
}
