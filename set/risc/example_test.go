package risc_test

import (
	"encoding/json"
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/risc"
)

// A receiver reads why an account was disabled; the list of reasons is open.
func Example() {
	var e risc.AccountDisabled
	if err := json.Unmarshal([]byte(`{"reason":"hijacking","note":"unknown members are kept"}`), &e); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Reason == risc.ReasonHijacking, string(e.Extra["note"]))
	// Output: true "unknown members are kept"
}

// The state of an account after an event about its taking part.
func ExampleParticipation_Next() {
	state := risc.ParticipationIn
	for _, eventType := range []string{risc.OptOutInitiatedType, risc.OptOutEffectiveType} {
		state, _ = state.Next(eventType)
		fmt.Println(state, state.Exchanges())
	}
	// Output:
	// opt-out-initiated true
	// opt-out false
}
