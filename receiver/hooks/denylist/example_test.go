package denylist_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/denylist"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// An API that takes JWTs, and refuses those issued before an event.
func Example() {
	list, err := denylist.New(denylist.Config{Fail: sessions.FailClosed, Lifetime: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	// verified returns the payload of the request's token, which the API has verified.
	verified := func(*http.Request) []byte {
		return []byte(fmt.Sprintf(`{"iss":"https://idp.example","sub":"jo","iat":%d}`, time.Now().Add(-time.Minute).Unix()))
	}
	api := list.Middleware(func(r *http.Request) (sessions.Claims, bool) {
		c, err := denylist.ParseClaims(verified(r))
		return c, err == nil
	})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	call := func() int {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Code
	}

	fmt.Println(call())
	// What hooks.Route does when an event is there:
	event := receiver.Delivery{Subject: subject.IssSub("https://idp.example", "jo"), EventTime: time.Now()}
	_, err = list.Act(context.Background(), hooks.NewAction(event, "denylist", hooks.End))
	fmt.Println(err, call())
	// Output:
	// 200
	// <nil> 401
}
