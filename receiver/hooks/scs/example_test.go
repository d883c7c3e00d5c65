package scs_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	lib "github.com/alexedwards/scs/v2"
	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/scs"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// An application with a cookie session that a transmitter can end.
func Example() {
	manager := lib.New()
	hook, err := scs.New(scs.Config{Manager: manager})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := receiver.NewMux() // of the application's receiver.Config
	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, hook))

	pages := http.NewServeMux()
	pages.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if err := hook.Login(r.Context(), scs.Login{Users: []subject.Identifier{subject.Email("jo@example.com")}}); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		manager.Put(r.Context(), "user", "jo")
	})
	pages.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if manager.GetString(r.Context(), "user") == "" {
			http.Error(w, "log in", http.StatusUnauthorized)
		}
	})
	app := manager.LoadAndSave(hook.Guard(pages))

	cookie := visit(app, "/login").Cookies()[0]
	fmt.Println(visit(app, "/", cookie).Status)
	// What the mux does when the event is there:
	event := receiver.Delivery{Subject: subject.Email("jo@example.com"), EventTime: time.Now()}
	out, err := hook.Act(context.Background(), hooks.NewAction(event, "scs", hooks.End))
	fmt.Println(out.Ended, err)
	fmt.Println(visit(app, "/", cookie).Status)
	// Output:
	// 200 OK
	// 1 <nil>
	// 401 Unauthorized
}

// visit asks for a page as a browser with these cookies.
func visit(app http.Handler, page string, cookies ...*http.Cookie) *http.Response {
	r, w := httptest.NewRequest(http.MethodGet, page, nil), httptest.NewRecorder()
	for _, c := range cookies {
		r.AddCookie(c)
	}
	app.ServeHTTP(w, r)
	return w.Result()
}
