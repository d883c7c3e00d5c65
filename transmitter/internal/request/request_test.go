package request_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/labstack/echo/v4"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

func newContext(body io.Reader, contentType ...string) echo.Context {
	r := httptest.NewRequest(http.MethodPost, "/", body)
	for _, v := range contentType {
		r.Header.Add("Content-Type", v)
	}
	return echo.New().NewContext(r, httptest.NewRecorder())
}

func status(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var refused *request.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got %T, want *request.Error", err)
	}
	return refused.Status
}

func TestBody(t *testing.T) {
	cases := []struct {
		name string
		body io.Reader
		want string
		code int
	}{
		{"at the limit", strings.NewReader("12345"), "12345", 0},
		{"over the limit", strings.NewReader("123456"), "", 413},
		{"none", http.NoBody, "", 0},
		{"broken off", iotest.ErrReader(io.ErrUnexpectedEOF), "", 400},
	}
	for _, c := range cases {
		got, err := request.Body(newContext(c.body), 5)
		if string(got) != c.want || status(t, err) != c.code {
			t.Errorf("%s: got %q, %v, want %q, %d", c.name, got, err, c.want, c.code)
		}
	}
}

func TestMediaType(t *testing.T) {
	json, patch := request.MediaTypeJSON, request.MediaTypeMergePatch
	cases := []struct {
		name    string
		sent    []string
		allowed []string
		want    int
	}{
		{"SSF-8.1.1-09 none", nil, []string{json}, 0},
		{"U15 parameters", []string{"Application/JSON; charset=utf-8; x=y"}, []string{json}, 0},
		{"U15 malformed parameter", []string{"application/json; charset"}, []string{json}, 0},
		{"U15 merge-patch for PATCH", []string{patch}, []string{json, patch}, 0},
		{"U15 merge-patch elsewhere", []string{patch}, []string{json}, 415},
		{"U15 form", []string{"application/x-www-form-urlencoded"}, []string{json}, 415},
		{"U15 empty", []string{""}, []string{json}, 415},
		{"two", []string{json, "text/plain"}, []string{json}, 415},
	}
	for _, c := range cases {
		err := request.MediaType(newContext(http.NoBody, c.sent...), c.allowed...)
		if got := status(t, err); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestPrincipal(t *testing.T) {
	c := newContext(http.NoBody)
	if got := request.Principal(c); got != nil {
		t.Errorf("nobody: got %v, want nil", got)
	}
	want := &auth.Principal{Client: "c", Application: "a"}
	request.WithPrincipal(c, want)
	if got := request.Principal(c); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNoStore(t *testing.T) {
	c := newContext(http.NoBody)
	request.NoStore(c)
	if got := c.Response().Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("SSF-8.1.1-08: got %q, want no-store", got)
	}
}
