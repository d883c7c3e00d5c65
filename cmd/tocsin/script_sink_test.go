package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// hookPatience is how long a script waits for a webhook's request.
const hookPatience = 20 * time.Second

// hook is one request to the receiver of webhooks.
type hook struct {
	header http.Header
	body   []byte
}

// sinkKey is where a script keeps the requests that its receiver got.
type sinkKey struct{}

// sink starts a receiver of webhooks that answers with a status, and sets $SINK
// to its address.
func sink(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sink STATUS")
	}
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := make(chan hook, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		got <- hook{r.Header, body}
		w.WriteHeader(status)
	}))
	ts.Defer(server.Close)
	ts.Setenv("SINK", server.URL)
	requests, _ := ts.Value(sinkKey{}).(*chan hook)
	*requests = got
}

// received waits for the next request to the receiver, verifies that it is
// signed with $SECRET, and writes its body to a file.
func received(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: received FILE")
	}
	requests, _ := ts.Value(sinkKey{}).(*chan hook)
	select {
	case one := <-*requests:
		verifier, err := standardwebhooks.NewWebhook(ts.Getenv("SECRET"))
		ts.Check(err)
		ts.Check(verifier.Verify(one.body, one.header))
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), one.body, 0o600))
	case <-time.After(hookPatience):
		ts.Fatalf("no request came")
	}
}
