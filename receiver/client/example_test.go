package client_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Ensure makes the stream, or adopts the one that is there.
func ExampleClient_Ensure() {
	c, err := client.New(client.Config{
		Issuer: issuer, Audience: []string{audience},
		Token: func(context.Context) (string, error) { return "access token", nil },
		// Leave these out: the metadata is discovered, the client guarded.
		Metadata: metadata(), HTTP: &http.Client{Transport: existing()},
	})
	if err != nil {
		log.Fatal(err)
	}
	stream, adopted, err := c.Ensure(context.Background(), client.Request{
		EventsRequested: []string{"https://schemas.openid.net/secevent/caep/event-type/session-revoked"},
		Delivery:        &streams.Delivery{Method: delivery.MethodPoll},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stream.StreamID, adopted)
	// Output: 1 true
}

// existing is a transmitter of which we have a stream already.
func existing() *transmitter {
	return &transmitter{answer: func(_ int, r seen) *http.Response {
		switch r.method {
		case http.MethodPost:
			return answer(http.StatusConflict, "")
		case http.MethodGet:
			return answer(http.StatusOK, "["+stream("1")+"]")
		}
		return answer(http.StatusOK, stream("1"))
	}}
}
