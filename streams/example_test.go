package streams_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
)

// The rules of SSF §8 over a store; what the receiver sends is parsed first.
func ExampleCatalog() {
	catalog, err := streams.NewCatalog(streams.CatalogConfig{
		Store: storetest.NewMemory(storetest.Options{}), Issuer: "https://tr.example",
		Methods:         []string{delivery.MethodPoll},
		PollEndpoint:    func(id string) string { return "https://tr.example/ssf/poll/" + id },
		EventsSupported: []string{"urn:example:lost", "urn:example:found"},
		Head:            func(context.Context) (uint64, error) { return 0, nil },
		NewID:           func() string { return "f67e39a0" },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, owner := context.Background(), streams.Owner{ID: "shop", Audience: []string{"https://shop.example"}}
	request, err := streams.ParseRequest([]byte(`{"events_requested":["urn:example:found","urn:example:stolen"]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	stream, err := catalog.Create(ctx, owner, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	delivered, err := json.Marshal(stream.Configuration().EventsDelivered)
	fmt.Println(string(delivered), err)
	_, err = catalog.Stream(ctx, streams.Owner{ID: "mallory"}, stream.ID)
	fmt.Println(err)
	// Output:
	// ["urn:example:found"] <nil>
	// streams: not found
}
