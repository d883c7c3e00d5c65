package manage_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/manage"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

const (
	typeA = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	typeB = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
)

// server is the management API of one transmitter on a real store. The caller
// of a request is named by its X-Application header.
type server struct {
	*httptest.Server
	t       *testing.T
	store   *sqlitestore.Store
	catalog *streams.Catalog
	now     time.Time
	head    uint64
}

func newServer(t *testing.T, alter ...func(*streams.CatalogConfig)) *server {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(t.TempDir(), "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := &server{t: t, store: store, now: time.Unix(1_700_000_000, 0)}
	cfg := streams.CatalogConfig{
		Store: store, Issuer: "https://tr.example",
		PollEndpoint:    func(id string) string { return "https://tr.example/ssf/poll/" + id },
		EventsSupported: []string{typeA, typeB},
		Methods:         []string{delivery.MethodPush, delivery.MethodPoll},
		CheckEndpoint: func(url string) error {
			if !strings.HasPrefix(url, "https://") {
				return errors.New("URL is not https")
			}
			return nil
		},
		Head: func(context.Context) (uint64, error) { return s.head, nil },
		Now:  func() time.Time { return s.now },
	}
	for _, f := range alter {
		f(&cfg)
	}
	if s.catalog, err = streams.NewCatalog(cfg); err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(routes(manage.Handlers{Catalog: s.catalog}))
	t.Cleanup(s.Close)
	return s
}

func routes(h manage.Handlers) http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) { _ = c.JSON(statusOf(err), map[string]string{"err": err.Error()}) }
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if app := c.Request().Header.Get("X-Application"); app != "" {
				request.WithPrincipal(c, &auth.Principal{Application: app, Audience: []string{"https://" + app + ".example/"}})
			}
			return next(c)
		}
	})
	e.POST("/streams", h.CreateStream)
	e.GET("/streams", h.ReadStream)
	e.PATCH("/streams", h.UpdateStream)
	e.PUT("/streams", h.ReplaceStream)
	e.DELETE("/streams", h.DeleteStream)
	e.GET("/status", h.ReadStatus)
	e.POST("/status", h.UpdateStatus)
	e.POST("/add", h.AddSubject)
	e.POST("/remove", h.RemoveSubject)
	e.POST("/verify", h.Verify)
	return e
}

func statusOf(err error) int {
	var refused *request.Error
	var rule *streams.RuleError
	switch {
	case errors.As(err, &refused):
		return refused.Status
	case errors.As(err, &rule):
		return map[streams.Kind]int{streams.Invalid: 400, streams.Forbidden: 403, streams.TooSoon: 429, streams.Conflict: 409}[rule.Kind]
	case errors.Is(err, streams.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, streams.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, streams.ErrFull):
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}

// answer is what a client sees.
type answer struct {
	Status      int
	ContentType string
	Cache       string
	Body        string
}

func (s *server) call(app, method, path, body string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Application", app)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header.Get("Content-Type"), res.Header.Get("Cache-Control"), string(out)}
}

// create makes a stream and returns its configuration.
func (s *server) create(app, body string) streams.Configuration {
	s.t.Helper()
	a := s.call(app, "POST", "/streams", body)
	if a.Status != http.StatusCreated {
		s.t.Fatalf("create %s: got %+v, want 201", body, a)
	}
	return s.configuration(a)
}

func (s *server) configuration(a answer) (c streams.Configuration) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(a.Body), &c); err != nil {
		s.t.Fatalf("%s: %v", a.Body, err)
	}
	return c
}

// queue takes all that the stream would transmit now, and acknowledges it.
func (s *server) queue(stream string) (types []string) {
	s.t.Helper()
	items, err := s.store.Take(s.t.Context(), stream, streams.TakeOptions{Max: 100, Lease: time.Minute})
	if err != nil {
		s.t.Fatal(err)
	}
	var done []streams.Outcome
	for _, item := range items {
		types = append(types, item.Type[strings.LastIndexByte(item.Type, '/')+1:])
		done = append(done, streams.Outcome{ID: item.ID, Verdict: streams.Delivered})
	}
	if _, err := s.store.Settle(s.t.Context(), stream, done, nil); err != nil {
		s.t.Fatal(err)
	}
	return types
}

func (s *server) wantQueue(name, stream string, want ...string) {
	s.t.Helper()
	if got := s.queue(stream); !cmp.Equal(got, want) {
		s.t.Errorf("%s: got %v, want %v", name, got, want)
	}
}

// want checks a status, and of a success its headers and its body.
func (s *server) want(name string, got answer, status int) {
	s.t.Helper()
	if got.Status != status {
		s.t.Errorf("%s: got %d %s, want %d", name, got.Status, got.Body, status)
	}
	if got.Cache != "no-store" {
		s.t.Errorf("%s: SSF-8.1.1-08: got Cache-Control %q, want no-store", name, got.Cache)
	}
}

// put puts an event on the queue of the stream, as the fan-out would.
func (s *server) put(stream string, seq uint64, jti string) streams.PutReport {
	s.t.Helper()
	now, err := s.store.Stream(s.t.Context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	report, err := s.store.Put(s.t.Context(), streams.Item{
		Stream: stream, Epoch: now.Epoch, Pos: streams.Position{Seq: seq}, ID: jti, Type: typeA, Added: s.now,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}
