package mapping_test

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// An account event by its name becomes an event of RISC or CAEP.
func Example() {
	mapper, err := mapping.New(mapping.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	mapped, err := mapper.Map(mapping.Event{
		Type: "account.suspended", Subjects: []subject.Identifier{subject.Email("jo@example.com")}, Data: []byte(`{"reason":"hijacking"}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range mapped {
		fmt.Println(m.Type, string(m.Payload))
	}
	// Output:
	// https://schemas.openid.net/secevent/risc/event-type/account-disabled {"reason":"hijacking"}
}
