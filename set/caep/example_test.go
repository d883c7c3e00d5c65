package caep_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
)

// A transmitter makes a payload and checks it.
func Example() {
	e := caep.CredentialChange{
		CredentialType: caep.CredentialPassword,
		ChangeType:     caep.ChangeUpdate,
		OptionalClaims: caep.OptionalClaims{
			EventTimestamp:   time.Unix(1615304991, 0),
			InitiatingEntity: caep.InitiatedByUser,
			ReasonAdmin:      map[string]string{"en": "Self-service reset"},
		},
	}
	if err := e.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	payload, err := json.Marshal(e)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(payload))
	// Output: {"credential_type":"password","change_type":"update","event_timestamp":1615304991,"initiating_entity":"user","reason_admin":{"en":"Self-service reset"}}
}

// Payloads that come in as JSON are checked by their type's URI.
func ExampleValidate() {
	known, err := caep.Validate(caep.CredentialChangeType, []byte(`{"credential_type":"password","change_type":"changed"}`))
	fmt.Println(known, err)
	// Output: true member change_type must be one of create, revoke, update, delete
}
