package backchannel_test

import (
	"context"
	"fmt"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/backchannel"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// A provider whose own database says which of its users an event is about.
func Example() {
	key, err := jose.Generate(jose.ES256) // of those that the provider publishes
	if err != nil {
		fmt.Println(err)
		return
	}
	signer, err := jose.NewSigner(key, "logout+jwt")
	if err != nil {
		fmt.Println(err)
		return
	}
	hook, err := backchannel.New(backchannel.Config{
		Issuer: "https://op.example", Signer: signer,
		Parties: []backchannel.Party{
			{ClientID: "shop", URL: "https://shop.example/backchannel-logout"},
			{ClientID: "bank", URL: "https://bank.example/logout", NeedsSession: true},
		},
		Resolve: func(context.Context, hooks.Action) ([]backchannel.Target, error) {
			return []backchannel.Target{{Sub: "248289761001", Sid: "08a5019c"}}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := receiver.NewMux() // of the provider's receiver.Config
	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, hook))
	fmt.Println("ready")
	// Output: ready
}
