package values_test

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// A hook of one's own that builds keys from events.
func Example() {
	key, err := values.ParseTemplate("sess:{user.email}:{effect}")
	if err != nil {
		fmt.Println(err)
		return
	}
	event := receiver.Delivery{Subject: subject.Aliases(subject.Email("jo@example.com"), subject.Email("j@example.com"))}
	rows, err := values.Rows(hooks.NewAction(event, "mine", hooks.End), key.Names(), nil)
	for _, row := range rows {
		fmt.Println(key.Expand(row, nil))
	}
	fmt.Println(err)
	// Output:
	// sess:jo@example.com:end
	// sess:j@example.com:end
	// <nil>
}
