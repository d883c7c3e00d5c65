package subject_test

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// A stream that registered a tenant gets the events of its users.
func Example() {
	tenant, err := subject.ParseStrict([]byte(`{"format":"complex","tenant":{"format":"opaque","id":"t1"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	event, err := subject.Complex(map[string]subject.Identifier{
		subject.MemberUser:   subject.Email("jdoe@example.com"),
		subject.MemberTenant: subject.Opaque("t1"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(subject.DefaultMatching().Match(tenant, event))
	fmt.Println(event.OrderKey())
	// Output:
	// true
	// {"format":"email","email":"jdoe@example.com"}
}
