package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// logFunc is an event log.
type logFunc func(events []eventlog.Event) ([]eventlog.Appended, error)

func (f logFunc) Append(_ context.Context, events ...eventlog.Event) ([]eventlog.Appended, error) {
	return f(events)
}

// server is the handler over HTTP with a log that keeps what it is given.
type server struct {
	t        testing.TB
	handler  *echo.Echo
	ingest   *ingest.Ingest
	source   *auth.Source
	kept     []eventlog.Event
	outcomes []string
	append   logFunc
	refusing bool
}

func newServer(t testing.TB) *server {
	s := &server{t: t, handler: echo.New(), source: &auth.Source{Name: "hr"}}
	m, err := mapper()
	if err != nil {
		t.Fatal(err)
	}
	s.append = s.keep
	log := logFunc(func(events []eventlog.Event) ([]eventlog.Appended, error) { return s.append(events) })
	in := ingest.New(log, m, func(outcome string) { s.outcomes = append(s.outcomes, outcome) }, nil, nil)
	s.ingest = in
	h := ingest.Handler{Ingest: in, Refusing: func() bool { return s.refusing }}
	s.handler.HTTPErrorHandler = answer
	s.handler.POST("/v1/events", h.Post, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			request.WithPrincipal(c, &auth.Principal{Client: "c", Source: s.source})
			return next(c)
		}
	})
	return s
}

// answer writes errors as the transmitter's table does.
func answer(err error, c echo.Context) {
	var wrong *request.Error
	if errors.As(err, &wrong) {
		_ = c.JSON(wrong.Status, map[string]string{"err": wrong.Code, "member": wrong.Member})
		return
	}
	_ = c.NoContent(http.StatusServiceUnavailable)
}

// keep refuses what the log refuses and finds source ids again.
func (s *server) keep(events []eventlog.Event) ([]eventlog.Appended, error) {
	out := make([]eventlog.Appended, len(events))
	for i := range events {
		if _, err := eventlog.Canonical(&events[i]); err != nil {
			return nil, err
		}
		out[i] = s.appended(events[i])
	}
	return out, nil
}

func (s *server) appended(e eventlog.Event) eventlog.Appended {
	for j, first := range s.kept {
		if e.SourceID == "" || first.SourceID != e.SourceID {
			continue
		}
		id := fmt.Sprint("id-", j+1)
		if first.Type != e.Type || string(first.Data) != string(e.Data) {
			return eventlog.Appended{ID: id, Err: &eventlog.ConflictError{FirstID: id}}
		}
		return eventlog.Appended{ID: id, Duplicate: true}
	}
	s.kept = append(s.kept, e)
	return eventlog.Appended{ID: fmt.Sprint("id-", len(s.kept))}
}

func (s *server) post(contentType, body string) (status int, answer string) {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

// results reads the answer to an array.
func (s *server) results(body string) []ingest.Result {
	s.t.Helper()
	var out struct {
		Results []ingest.Result `json:"results"`
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		s.t.Fatalf("got answer %q, want results: %v", body, err)
	}
	return out.Results
}

const jo = `{"format":"email","email":"jo@example.com"}`

// suspended is an event that can be taken, with further members.
func suspended(members string) string {
	return `{"type":"account.suspended","subject":` + jo + members + `}`
}
