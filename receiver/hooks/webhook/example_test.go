package webhook_test

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/webhook"
	"github.com/tocsin-ssf/tocsin/set/caep"
)

// An internal service is told, at an address that would not be called otherwise.
func Example() {
	hook, err := webhook.New(webhook.Config{
		URL:     "https://sessions.internal/security-events",
		Secrets: []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		HTTP:    call.Config{Allow: []string{"10.0.0.0/8"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := receiver.NewMux() // of the application's receiver.Config
	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, hook))
	fmt.Println("ready")
	// Output: ready
}
