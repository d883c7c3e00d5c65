// Command webapp is an application with logins that hears of security events: when a
// transmitter says that a user's sessions are revoked, they end here.
//
//	TOKEN=… webapp -issuer https://ssf.example -audience https://app.example -listen 127.0.0.1:8080
//
// It logs in whoever asks (POST /login?email=…): what it shows is how sessions end.
// docs/guides/embed.md walks through it.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/credential"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

func main() {
	issuer := flag.String("issuer", "", "issuer URL of the transmitter")
	audience := flag.String("audience", "", "the aud that means this application")
	listen := flag.String("listen", "127.0.0.1:8080", "address to serve on")
	data := flag.String("data", ".", "folder for the inbox")
	local := flag.String("local-ca", "", "CA of a transmitter on this machine, for trials")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *issuer, *audience, *listen, *data, *local); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, issuer, audience, listen, data, local string) error {
	sessions := &sessions{begun: map[string]session{}}

	// What an event means to this application.
	mux := receiver.NewMux()
	mux.Handle(receiver.On(func(_ context.Context, d receiver.Delivery, _ caep.SessionRevoked) error {
		email, ok := d.Subject.Value("email")
		if !ok {
			return receiver.Permanent(errors.New("the subject has no email")) // set aside
		}
		log.Print("sessions ended: ", sessions.end(email, d.EventTime))
		return nil
	}))

	// Where events are kept until the hook has done its part, whatever happens in between.
	inbox, err := sqliteinbox.Open(ctx, sqliteinbox.Config{Path: filepath.Join(data, "inbox.db")})
	if err != nil {
		return err
	}
	defer inbox.Close() // every event in it is durable

	// Whom it trusts. The stream is created, kept and verified by itself.
	client, err := httpClient(local)
	if err != nil {
		return err
	}
	token, err := credential.New(credential.Config{Token: os.Getenv("TOKEN")})
	if err != nil {
		return err
	}
	keep, err := keeper.New(keeper.Config{
		Receiver: receiver.Config{
			Issuer: issuer, Audience: []string{audience}, Inbox: inbox, Mux: mux,
			Poll: &receiver.Poll{HTTP: client}, // or push: PushURL, and keep.Handler() at that path
		},
		Stream:     &keeper.Stream{Delivery: streams.Delivery{Method: delivery.MethodPoll}},
		Events:     []string{caep.SessionRevokedType},
		Credential: token, HTTP: client, State: filepath.Join(data, "stream.json"),
	})
	if err != nil {
		return err
	}

	server := &http.Server{Addr: listen, Handler: sessions.app(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	err = keep.Run(ctx) // until ctx ends
	if closing := server.Close(); closing != nil {
		err = errors.Join(err, closing)
	}
	if serving := <-ended; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	return err
}

// session is a login.
type session struct {
	email string
	begun time.Time
}

// sessions are those of the application. Yours are in a database.
type sessions struct {
	mu    sync.Mutex
	begun map[string]session
}

// end ends the sessions of a user that began until then, and no later ones.
func (s *sessions) end(email string, until time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.begun {
		if one.email == email && !one.begun.After(until) {
			delete(s.begun, id)
			n++
		}
	}
	return n
}

// find returns whose a session is.
func (s *sessions) find(id string) (email string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.begun[id]
	return one.email, ok
}

// login begins a session.
func (s *sessions) login(id, email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun[id] = session{email, time.Now()}
}
