package delivery_test

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// A poll's answer keeps the order of its SETs, which a map would lose.
func ExampleParsePollResponse() {
	answer, err := delivery.ParsePollResponse([]byte(`{"sets":{"second":"a.b.c","first":"d.e.f"},"moreAvailable":true}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range answer.Sets {
		fmt.Println(s.ID, s.SET)
	}
	fmt.Println("more:", answer.MoreAvailable)
	// Output:
	// second a.b.c
	// first d.e.f
	// more: true
}
