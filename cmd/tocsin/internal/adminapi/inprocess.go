package adminapi

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// inProcess answers requests by a handler of this process.
type inProcess struct {
	handler http.Handler
	// asked: the handler knows by the request's context who asks. Else it is this
	// process, for a command.
	asked bool
}

// RoundTrip serves the request and returns the whole answer. Where the
// request's context has ended it is its error: a handler then answers nothing.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &recorder{header: http.Header{}}
	ctx := r.Context()
	if !p.asked {
		ctx = edge.WithPeer(ctx, edge.Peer{UID: os.Getuid(), PID: os.Getpid(), Own: true}) // who did it is in the log
	}
	p.handler.ServeHTTP(w, r.WithContext(ctx))
	if r.Body != nil {
		_ = r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusOK) // if the handler wrote nothing
	return &http.Response{
		Status:     strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// recorder keeps an answer.
type recorder struct {
	header, sent http.Header
	status       int // 0: not written yet
	body         bytes.Buffer
}

// Header returns the header to be sent.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader fixes status and header at its first call.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write appends to the body.
func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
