package keeper_test

import (
	"context"
	"log"
	"net/http"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/credential"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// A transmitter is known by its issuer alone: its stream is created or adopted, kept,
// and verified.
func Example() {
	ctx := context.Background()
	in, err := sqliteinbox.Open(ctx, sqliteinbox.Config{Path: "inbox.db"})
	if err != nil {
		log.Fatal(err)
	}
	mux := receiver.NewMux()
	mux.Handle(receiver.On(func(context.Context, receiver.Delivery, caep.SessionRevoked) error {
		return nil // end the sessions of the subject
	}))
	tokens, err := credential.New(credential.Config{
		ClientID: "shop", ClientSecretFile: "/run/secrets/client", AuthorizationServer: "https://idp.example",
	})
	if err != nil {
		log.Fatal(err)
	}
	k, err := keeper.New(keeper.Config{
		Receiver:   receiver.Config{Issuer: "https://idp.example", Audience: []string{"https://shop.example"}, Inbox: in, Mux: mux},
		Events:     []string{caep.SessionRevokedType},
		Credential: tokens,
		State:      "stream.json",
		Stream: &keeper.Stream{Delivery: streams.Delivery{
			Method: delivery.MethodPush, EndpointURL: "https://shop.example/events", AuthorizationHeader: "Bearer …",
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/events", k.Handler())
	if err := k.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
