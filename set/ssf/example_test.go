package ssf_test

import (
	"encoding/json"
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/ssf"
)

// A transmitter answers a request for verification with the receiver's state.
func Example() {
	state := "VGhpcyBpcw"
	payload, err := json.Marshal(ssf.Verification{State: &state})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ssf.Subject("f67e39a0a4d3").Canonical(), string(payload))
	// Output: {"format":"opaque","id":"f67e39a0a4d3"} {"state":"VGhpcyBpcw"}
}
