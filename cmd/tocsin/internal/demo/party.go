package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	hook "github.com/tocsin-ssf/tocsin/receiver/hooks/scs"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// cookie is the name of the applications' session cookie.
const cookie = "session"

// party is a relying party: a small application with cookie sessions, and a
// receiver that ends them.
type party struct {
	name, url string
	sessions  *hook.Hook
	manager   *scs.SessionManager
	inbox     *sqliteinbox.Inbox
}

// newParty starts a relying party and creates its stream.
func (w *world) newParty(ctx context.Context, dir, name string, push bool) (*party, error) {
	token, err := w.register(ctx, name, auth.ScopeManage, auth.ScopeRead)
	if err != nil {
		return nil, err
	}
	listener, err := w.listen(ctx)
	if err != nil {
		return nil, err
	}
	p := &party{name: name, url: "http://" + listener.Addr().String(), manager: scs.New()}
	p.manager.Store = memstore.NewWithCleanupInterval(0)
	p.manager.Cookie.Name = cookie
	p.manager.Cookie.Secure = false // plain http, on loopback, for this once
	if p.sessions, err = hook.New(hook.Config{Manager: p.manager}); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if p.inbox, err = sqliteinbox.Open(ctx, sqliteinbox.Config{Path: filepath.Join(dir, name+".db")}); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if err := w.receive(ctx, p, token, push, listener); err != nil {
		return nil, errors.Join(err, p.inbox.Close(), listener.Close())
	}
	return p, nil
}

// mux routes every event that ends sessions to the application's sessions.
func (p *party) mux(cut bool) *receiver.Mux {
	mux := receiver.NewMux()
	if !cut {
		for _, eventType := range events() {
			mux.Handle(hooks.Route(eventType, hooks.End, p.sessions))
		}
	}
	return mux
}

func events() []string {
	return []string{caep.SessionRevokedType, risc.AccountDisabledType, risc.AccountPurgedType}
}

// receive creates the stream and starts receiver and application.
func (w *world) receive(ctx context.Context, p *party, token string, push bool, l net.Listener) error {
	bearer := func(context.Context) (string, error) { return token, nil }
	plain := guard.NewClient(guard.Policy{InsecureLoopback: true, Timeout: time.Minute})
	api, err := client.New(client.Config{Issuer: w.issuer, Audience: []string{audience(p.name)}, Token: bearer, HTTP: plain})
	if err != nil {
		return err
	}
	how := streams.Delivery{Method: delivery.MethodPoll}
	if push {
		how = streams.Delivery{Method: delivery.MethodPush, EndpointURL: p.url + "/events"}
	}
	stream, err := api.Create(ctx, client.Request{EventsRequested: events(), Delivery: &how})
	if err != nil {
		return err
	}
	cfg := receiver.Config{
		Issuer: w.issuer, Audience: []string{audience(p.name)}, HTTP: plain, StreamID: stream.StreamID,
		Inbox: p.inbox, Mux: p.mux(w.cfg.Cut == "hook"), Client: api, Logger: w.cfg.Logger,
	}
	if !push && w.cfg.Cut != "poll" {
		cfg.Poll = &receiver.Poll{Endpoint: stream.Delivery.EndpointURL, Token: bearer, HTTP: plain}
	}
	r, err := receiver.New(cfg)
	if err != nil {
		return err
	}
	site := http.NewServeMux()
	if push && w.cfg.Cut != "push" {
		site.Handle("/events", r.Handler())
	}
	site.Handle("/", p.application())
	w.serve(l, site)
	w.run(ctx, r.Run)
	return nil
}

// application is a site with a login and a page for those who are logged in.
func (p *party) application() http.Handler {
	site := http.NewServeMux()
	site.HandleFunc("POST /login", func(rw http.ResponseWriter, r *http.Request) {
		who, ok := people()[r.PostFormValue("user")]
		if !ok {
			http.Error(rw, "unknown user", http.StatusUnauthorized)
			return
		}
		p.manager.Put(r.Context(), "name", who.name)
		if err := p.sessions.Login(r.Context(), hook.Login{Users: who.identifiers}); err != nil {
			http.Error(rw, "no session", http.StatusInternalServerError)
		}
	})
	site.HandleFunc("GET /account", func(rw http.ResponseWriter, r *http.Request) {
		name := p.manager.GetString(r.Context(), "name")
		if name == "" {
			http.Error(rw, "log in first", http.StatusUnauthorized)
			return
		}
		_, _ = rw.Write([]byte("hello " + name + "\n"))
	})
	return p.manager.LoadAndSave(p.sessions.Guard(site))
}

// person is a user of both applications, with what the applications know of
// them at the sources of events.
type person struct {
	name        string
	identifiers []subject.Identifier
}

// people are the users of the story, by the name they log in with.
func people() map[string]person {
	return map[string]person{
		"jo":  {"Jo", []subject.Identifier{subject.Email("jo@example.com")}},
		"max": {"Max", []subject.Identifier{subject.IssSub("urn:onelogin:account:1", "654321"), subject.Email("max@example.com")}},
		"ana": {"Ana", []subject.Identifier{subject.Email("ana@example.com")}},
		"kim": {"Kim", []subject.Identifier{subject.Email("kim@example.com")}},
	}
}
