package request_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// timed is a writer with a deadline for reading.
type timed struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (w *timed) SetReadDeadline(at time.Time) error {
	w.deadlines = append(w.deadlines, at)
	return nil
}

// late is a body whose time is over.
type late struct{ err error }

func (l late) Read([]byte) (int, error) { return 0, l.err }

// untouchable is a body that must not be read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// A body has a bounded time, which ends with it; one that says that it is too
// long is not read (SEC-08).
func TestBodyInTime(t *testing.T) {
	read := func(body io.Reader, length int64) (*timed, []byte, error) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
		r.ContentLength = length
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		got, err := request.Body(echo.New().NewContext(r, w), 10)
		return w, got, err
	}
	w, got, err := read(bytes.NewReader([]byte("0123456789")), 10)
	if err != nil || string(got) != "0123456789" || len(w.deadlines) != 2 || time.Until(w.deadlines[0]) > time.Minute || !w.deadlines[1].IsZero() {
		t.Errorf("got %q, %v, deadlines %v; want one that is lifted at the end", got, err, w.deadlines)
	}
	for _, c := range []struct {
		name   string
		body   io.Reader
		length int64
		status int
		closed bool
	}{
		{"its time is over", late{os.ErrDeadlineExceeded}, -1, http.StatusRequestTimeout, true},
		{"cut off", late{io.ErrUnexpectedEOF}, -1, http.StatusBadRequest, false},
		{"says that it is too long", untouchable{t}, 11, http.StatusRequestEntityTooLarge, true},
		{"is too long", bytes.NewReader(make([]byte, 11)), -1, http.StatusRequestEntityTooLarge, false},
	} {
		w, _, err := read(c.body, c.length)
		var wrong *request.Error
		if !errors.As(err, &wrong) || wrong.Status != c.status || (w.Header().Get("Connection") == "close") != c.closed {
			t.Errorf("%s: got %v, header %v, want %d, closed %v", c.name, err, w.Header(), c.status, c.closed)
		}
	}
}

// Also a request that is refused before its body has a bounded time for it.
func TestBoundBody(t *testing.T) {
	for length, want := range map[int64]int{0: 0, -1: 1, 5: 1} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", untouchable{t})
		r.ContentLength = length
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		refuse := func(echo.Context) error { return echo.ErrUnauthorized }
		if err := request.BoundBody(refuse)(echo.New().NewContext(r, w)); !errors.Is(err, echo.ErrUnauthorized) || len(w.deadlines) != want {
			t.Errorf("length %d: got %v, %d deadlines, want %d", length, err, len(w.deadlines), want)
		}
	}
}
