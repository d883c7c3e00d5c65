package receiver_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// A receiver in an application: events end sessions, whatever happens in between.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "receiver")
	check(err)
	defer func() { _ = os.RemoveAll(dir) }()
	transmitter := newTransmitter()

	sessions := exampleSessions{cancel} // one event is enough for the example
	app := http.NewServeMux()

	// What an application writes.
	in, err := sqliteinbox.Open(ctx, sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
	check(err)
	mux := receiver.NewMux()
	mux.Handle(receiver.On(func(ctx context.Context, d receiver.Delivery, e caep.SessionRevoked) error {
		return sessions.End(ctx, d.Subject, d.EventTime, e.ReasonAdmin["en"])
	}))
	cfg := receiver.Config{Issuer: "https://idp.example", Audience: []string{"https://app.example"}, Inbox: in, Mux: mux}
	cfg.Keys = transmitter.keys // leave it out to discover them
	cfg.Logger = slog.New(slog.DiscardHandler)
	r, err := receiver.New(cfg)
	check(err)
	app.Handle("/ssf/events", r.Handler())

	// What the transmitter does.
	server := httptest.NewServer(app)
	resp, err := http.Post(server.URL+"/ssf/events", "application/secevent+jwt", strings.NewReader(transmitter.sessionRevoked()))
	check(err)
	check(resp.Body.Close())
	fmt.Println("answered", resp.Status)

	check(r.Run(ctx))
	server.Close()
	check(in.Close())
	// Output:
	// answered 202 Accepted
	// end the sessions of alice@example.com begun until 12:00:05 because: laptop stolen
}

// A hook says by its error what becomes of an event.
func ExamplePermanent() {
	revoke := func(user string) error {
		if user == "" {
			return receiver.Permanent(fmt.Errorf("no user in the subject")) // set aside, see the dead letters
		}
		return fmt.Errorf("session store is down") // run again later
	}
	fmt.Println(revoke(""))
	fmt.Println(revoke("alice"))
	// Output:
	// no user in the subject
	// session store is down
}

// exampleSessions are those of the application.
type exampleSessions struct{ ended func() }

// End ends the sessions of a user that began until then.
func (s exampleSessions) End(_ context.Context, who subject.Identifier, until time.Time, why string) error {
	user, _ := who.Value("email")
	fmt.Println("end the sessions of", user, "begun until", until.Format(time.TimeOnly), "because:", why)
	s.ended()
	return nil
}

// exampleTransmitter signs as a transmitter would.
type exampleTransmitter struct {
	keys   set.KeySource
	signer *jose.Signer
}

func newTransmitter() exampleTransmitter {
	key, err := jose.Generate(jose.RS256)
	check(err)
	signer, err := jose.NewSigner(key, set.HeaderType)
	check(err)
	return exampleTransmitter{published(key.Public()), signer}
}

func (t exampleTransmitter) sessionRevoked() string {
	compact, err := set.Builder{
		Issuer: "https://idp.example", ID: "1", Audience: []string{"https://app.example"},
		IssuedAt: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), Subject: subject.Email("alice@example.com"),
		Event: set.Event{Type: caep.SessionRevokedType, Payload: []byte(`{"reason_admin":{"en":"laptop stolen"}}`)},
	}.Sign(t.signer)
	check(err)
	return compact
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
