package eventapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

type logFunc func(id string) (*eventlog.Record, error)

func (f logFunc) Get(_ context.Context, id string) (*eventlog.Record, error) { return f(id) }

func (logFunc) Note(context.Context, ...eventlog.Entry) ([]eventlog.Appended, error) { return nil, nil }

func (logFunc) Entries(context.Context, eventlog.Kind, string, eventlog.Span) ([]*eventlog.Record, error) {
	return nil, nil
}

func (logFunc) Record(context.Context, uint64) (*eventlog.Record, error) {
	return nil, eventlog.ErrNotFound
}

func (logFunc) Erase(context.Context, ...uint64) (int, error) { return 0, nil }

func (logFunc) Head(context.Context) (uint64, error) { return 0, nil }

type registryFunc func(id string) (streams.Stream, error)

func (f registryFunc) Stream(_ context.Context, id string) (streams.Stream, error) { return f(id) }

// lettersFunc is a store of dead letters; what it is asked for is told as a line.
type lettersFunc func(call string) ([]streams.DeadLetter, string, error)

func (f lettersFunc) DeadLetters(_ context.Context, stream, after string, limit int) ([]streams.DeadLetter, string, error) {
	return f(fmt.Sprintf("list %s %q %d", stream, after, limit))
}

func (f lettersFunc) Resend(_ context.Context, stream, id string) error {
	_, _, err := f("resend " + stream + " " + id)
	return err
}

func (f lettersFunc) Drop(_ context.Context, stream, id string) error {
	_, _, err := f("drop " + stream + " " + id)
	return err
}

// call sends a request of app and returns status and body; statuses are those of
// the transmitter's table.
func call(t *testing.T, h eventapi.Handler, p *auth.Principal, method, path string) (int, string, http.Header) {
	t.Helper()
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		var wrong *request.Error
		status := http.StatusServiceUnavailable
		switch {
		case errors.As(err, &wrong):
			status = wrong.Status
		case errors.Is(err, streams.ErrNotFound), errors.Is(err, eventlog.ErrNotFound):
			status = http.StatusNotFound
		case errors.Is(err, eventlog.ErrMalformedID):
			status = http.StatusBadRequest
		}
		_ = c.NoContent(status)
	}
	as := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			request.WithPrincipal(c, p)
			return next(c)
		}
	}
	e.GET("/v1/events/:id", h.Event, as)
	e.GET("/v1/streams/:stream_id/dead-letters", h.DeadLetterPage, as)
	e.POST("/v1/streams/:stream_id/dead-letters/:jti/resend", h.Resend, as)
	e.DELETE("/v1/streams/:stream_id/dead-letters/:jti", h.Drop, as)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, strings.TrimSpace(w.Body.String()), w.Header()
}

func app(id string, scopes ...auth.Scope) *auth.Principal {
	return &auth.Principal{Client: "c", Application: id, Scopes: scopes}
}

// contracts.md §1: readable only by the applications it is addressed to; unknown
// and not-yours look alike.
func TestEvent(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	rec := &eventlog.Record{ID: "e1", Seq: 7, Kind: eventlog.KindEvent, Recorded: time.Date(2026, 1, 2, 4, 4, 6, 0, berlin), Event: eventlog.Event{
		Source: "hr", SourceID: "s", Type: "account.suspended", Time: time.Date(2026, 1, 2, 4, 4, 5, 0, berlin),
		Subjects: []subject.Identifier{subject.Opaque("x")}, Data: json.RawMessage(`{"reason":"hijacking"}`),
		Mapped: []eventlog.Mapped{{Type: "https://example.com/t", Payload: json.RawMessage(`{}`)}},
	}}
	bare := &eventlog.Record{ID: "e2", Kind: eventlog.KindEvent, Recorded: rec.Recorded, Event: eventlog.Event{
		Source: "v", Type: "idme:x", Format: "idme", Original: json.RawMessage(`{"event":"x"}`), MappingError: "event is missing",
		Applications: []string{"a"},
	}}
	suspect := false
	staged := &eventlog.Record{ID: "e4", Kind: eventlog.KindEvent, Recorded: rec.Recorded, Event: eventlog.Event{
		Source: "v", Type: "t", Environment: "staging",
		Attributes: eventlog.Attributes{Session: "s1", Address: netip.MustParseAddr("192.0.2.1"), Suspect: &suspect},
	}}
	staging := app("a")
	staging.Environment = "staging"
	h := eventapi.Handler{Log: logFunc(func(id string) (*eventlog.Record, error) {
		switch id {
		case "e4":
			return staged, nil
		case "erased":
			return rec.Erase(), nil
		case "entry":
			return &eventlog.Record{ID: "entry", Kind: eventlog.KindConsent, Entry: []byte(`{}`)}, nil
		case "e1":
			return rec, nil
		case "e2":
			return bare, nil
		case "bad":
			return nil, eventlog.ErrMalformedID
		case "broken":
			return nil, errors.New("disk")
		}
		return nil, eventlog.ErrNotFound
	})}
	for _, c := range []struct {
		name string
		who  *auth.Principal
		id   string
		code int
		body string
	}{
		{"for all", app("b"), "e1", 200, `{"id":"e1","source":"hr","source_id":"s","type":"account.suspended","time":"2026-01-02T03:04:05Z","recorded_at":"2026-01-02T03:04:06Z","subjects":[{"format":"opaque","id":"x"}],"data":{"reason":"hijacking"},"sets":[{"type":"https://example.com/t","payload":{}}]}`},
		{"for the caller, absent is absent", app("a"), "e2", 200, `{"id":"e2","source":"v","type":"idme:x","recorded_at":"2026-01-02T03:04:06Z","format":"idme","record":{"event":"x"},"mapping_error":"event is missing"}`},
		{"for others", app("b"), "e2", 404, ""},
		{"for others, operator", app("b", auth.ScopeAdmin), "e2", 200, ""},
		{"of an environment", staging, "e4", 200, `{"id":"e4","source":"v","type":"t","recorded_at":"2026-01-02T03:04:06Z","environment":"staging","session":"s1","ip_address":"192.0.2.1","suspect":false}`},
		{"of an environment, to all of the application", app("a"), "e4", 200, ""},
		{"of none, to an environment", staging, "e1", 404, ""},
		{"erased", app("a"), "erased", 404, ""},
		{"no event", app("a", auth.ScopeAdmin), "entry", 404, ""},
		{"unknown", app("a"), "e3", 404, ""},
		{"no id", app("a"), "bad", 400, ""},
		{"failing log", app("a"), "broken", 503, ""},
	} {
		code, body, header := call(t, h, c.who, http.MethodGet, "/v1/events/"+c.id)
		if code != c.code || c.body != "" && body != c.body {
			t.Errorf("%s: got %d %s, want %d %s", c.name, code, body, c.code, c.body)
		}
		if code == http.StatusOK && header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got Cache-Control %q, want no-store", c.name, header.Get("Cache-Control"))
		}
	}
}

func TestDeadLetters(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var asked []string
	h := eventapi.Handler{
		Registry: registryFunc(func(id string) (streams.Stream, error) {
			switch id {
			case "mine":
				return streams.Stream{ID: id, Owner: "a"}, nil
			case "theirs":
				return streams.Stream{ID: id, Owner: "b"}, nil
			}
			return streams.Stream{}, streams.ErrNotFound
		}),
		DeadLetters: lettersFunc(func(call string) ([]streams.DeadLetter, string, error) {
			asked = append(asked, call)
			if strings.HasSuffix(call, " gone") {
				return nil, "", streams.ErrNotFound
			}
			if strings.Contains(call, `"end"`) {
				return nil, "", nil
			}
			letter := streams.DeadLetter{Item: streams.Item{ID: "j", Type: "https://example.com/t", Attempts: 3}, Code: "invalid_key", Description: "unknown kid", At: at}
			return []streams.DeadLetter{letter}, "n", nil
		}),
	}
	const list = "/dead-letters"
	for _, c := range []struct {
		name, method, path string
		code               int
		asked, body        string
	}{
		{"page", http.MethodGet, "mine" + list, 200, `list mine "" 50`, `{"dead_letters":[{"jti":"j","event_type":"https://example.com/t","err":"invalid_key","description":"unknown kid","attempts":3,"at":"2026-01-02T03:04:05Z"}],"next":"n"}`},
		{"the end", http.MethodGet, "mine" + list + "?after=end&limit=500", 200, `list mine "end" 500`, `{"dead_letters":[]}`},
		{"limit 0", http.MethodGet, "mine" + list + "?limit=0", 400, "", ""},
		{"limit 501", http.MethodGet, "mine" + list + "?limit=501", 400, "", ""},
		{"limit is no number", http.MethodGet, "mine" + list + "?limit=x", 400, "", ""},
		{"long cursor", http.MethodGet, "mine" + list + "?after=" + strings.Repeat("x", 257), 400, "", ""},
		{"another's", http.MethodGet, "theirs" + list, 404, "", ""},
		{"unknown", http.MethodGet, "none" + list, 404, "", ""},
		{"resend", http.MethodPost, "mine" + list + "/j/resend", 202, "resend mine j", ""},
		{"resend what is gone", http.MethodPost, "mine" + list + "/gone/resend", 404, "resend mine gone", ""},
		{"resend another's", http.MethodPost, "theirs" + list + "/j/resend", 404, "", ""},
		{"drop", http.MethodDelete, "mine" + list + "/j", 204, "drop mine j", ""},
		{"drop what is gone", http.MethodDelete, "mine" + list + "/gone", 404, "drop mine gone", ""},
		{"drop another's", http.MethodDelete, "theirs" + list + "/j", 404, "", ""},
	} {
		asked = nil
		code, body, _ := call(t, h, app("a"), c.method, "/v1/streams/"+c.path)
		if code != c.code || body != c.body {
			t.Errorf("%s: got %d %s, want %d %s", c.name, code, body, c.code, c.body)
		}
		if got := strings.Join(asked, ";"); got != c.asked {
			t.Errorf("%s: got the store asked %q, want %q", c.name, got, c.asked)
		}
	}
}
