package sessions_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gate"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// shop is an application with sessions, a gate, and what closes it.
type shop struct {
	index *sessions.Memory
	gate  *sessions.Gate
	mux   *receiver.Mux // of the application's receiver.Config
}

func newShop() *shop {
	index, err := sessions.NewMemory(sessions.IndexConfig{Lifetime: 8 * time.Hour})
	must(err)
	revocations, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{Retention: 8 * time.Hour})
	must(err)
	door, err := sessions.NewGate(sessions.Config{Revocations: revocations, Fail: sessions.FailClosed})
	must(err)
	closes, err := gate.New(gate.Config{Revocations: revocations, Index: index})
	must(err)
	mux := receiver.NewMux()
	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, closes))
	return &shop{index, door, mux}
}

// login is the one call where a user logs in.
func (s *shop) login(id, user string) {
	must(s.index.Add(context.Background(), sessions.Session{
		ID: id, Begun: time.Now(),
		Members: map[string][]subject.Identifier{subject.MemberUser: {subject.Email(user)}},
	}))
}

// signal is what the receiver does when a transmitter says that a user's session is over.
func (s *shop) signal(user string) {
	must(s.mux.Dispatch(context.Background(), receiver.Delivery{
		Issuer: "https://idp.example", ID: "1", Type: caep.SessionRevokedType,
		Subject: subject.Email(user), EventTime: time.Now(),
		Token: &set.Token{Events: []set.Event{{Type: caep.SessionRevokedType, Payload: []byte(`{}`)}}},
	}))
}

// tour logs two users in, ends the session of one and shows what each gets.
func (s *shop) tour(app http.Handler) {
	visit := func(id string) string {
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		r.AddCookie(&http.Cookie{Name: "sid", Value: id})
		app.ServeHTTP(w, r)
		return w.Result().Status
	}
	s.login("4f1c", "jo@example.com")
	s.login("9a07", "mo@example.com")
	fmt.Println(visit("4f1c"), "/", visit("9a07"))
	s.signal("jo@example.com")
	fmt.Println(visit("4f1c"), "/", visit("9a07"))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// The gate in an application on net/http.
func ExampleGate_Middleware() {
	s := newShop()
	pages := http.NewServeMux()
	pages.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "your basket") })
	s.tour(s.gate.Middleware(sessions.FromCookie(s.index, "sid"))(pages))
	// Output:
	// 200 OK / 200 OK
	// 401 Unauthorized / 200 OK
}

// The gate in an application on echo.
func ExampleGate_Middleware_echo() {
	s := newShop()
	e := echo.New()
	e.Use(echo.WrapMiddleware(s.gate.Middleware(sessions.FromCookie(s.index, "sid"))))
	e.GET("/", func(c echo.Context) error { return c.String(http.StatusOK, "your basket") })
	s.tour(e)
	// Output:
	// 200 OK / 200 OK
	// 401 Unauthorized / 200 OK
}

// The gate in an application on chi.
func ExampleGate_Middleware_chi() {
	s := newShop()
	r := chi.NewRouter()
	r.Use(s.gate.Middleware(sessions.FromCookie(s.index, "sid")))
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "your basket") })
	s.tour(r)
	// Output:
	// 200 OK / 200 OK
	// 401 Unauthorized / 200 OK
}

// The gate in an application on gin, which has middleware of its own kind.
func ExampleGate_Middleware_gin() {
	s := newShop()
	closed := s.gate.Middleware(sessions.FromCookie(s.index, "sid"))
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.Use(func(c *gin.Context) {
		through := false
		closed(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { through = true })).ServeHTTP(c.Writer, c.Request)
		if !through {
			c.Abort()
		}
	})
	g.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "your basket") })
	s.tour(g)
	// Output:
	// 200 OK / 200 OK
	// 401 Unauthorized / 200 OK
}

// The gate where requests bear access tokens: whoever has verified a token asks by its
// claims.
func ExampleGate_Claims() {
	s := newShop()
	token := sessions.Claims{Issuer: "https://idp.example", Subject: "user-1", Email: "jo@example.com", SessionID: "c0ffee", IssuedAt: time.Now()}
	fmt.Println(s.gate.Claims(token))
	s.signal("jo@example.com")
	fmt.Println(s.gate.Claims(token))
	// Output:
	// good
	// revoked
}
