package keycloak_test

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/keycloak"
	"github.com/tocsin-ssf/tocsin/set/caep"
)

// A realm that brokers an identity provider: its events end sessions at the realm.
func Example() {
	hook, err := keycloak.New(keycloak.Config{
		URL: "https://sso.internal", Realm: "shop",
		ClientID: "tocsin", ClientSecret: "…",
		Brokers:      map[string]string{"https://idp.example": "corp"},
		DisableUsers: true,
		HTTP:         call.Config{Allow: []string{"10.0.0.0/8"}},
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
