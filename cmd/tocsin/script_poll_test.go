package main_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

func poll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: poll NAME")
	}
	answer := pollOnce(ts, `{"maxEvents":1}`)
	if len(answer.Sets) != 1 {
		ts.Fatalf("got %d SETs, want 1", len(answer.Sets))
	}
	ts.Setenv(args[0], answer.Sets[0].ID)
	ts.Check(os.WriteFile(ts.MkAbs("polled.jwt"), []byte(answer.Sets[0].SET), 0o600))
}

func refuse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: refuse NAME")
	}
	jti := ts.Getenv(args[0])
	pollOnce(ts, `{"maxEvents":0,"returnImmediately":true,"setErrs":{"`+jti+`":{"err":"invalid_request","description":"no"}}}`)
}

// pollOnce polls $STREAM at $ISSUER with $TOKEN (RFC 8936).
func pollOnce(ts *testscript.TestScript, body string) delivery.PollResponse {
	pool := x509.NewCertPool()
	if raw, err := os.ReadFile(ts.MkAbs("tocsin-data/ca.pem")); err == nil {
		pool.AppendCertsFromPEM(raw)
	}
	req, err := http.NewRequest(http.MethodPost, ts.Getenv("ISSUER")+"/ssf/poll/"+ts.Getenv("STREAM"), bytes.NewReader([]byte(body)))
	ts.Check(err)
	req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + ts.Getenv("TOKEN")}}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	raw, err := guard.ReadBody(resp.Body, delivery.MaxPushBodyBytes)
	ts.Check(err)
	if !slices.Contains([]int{http.StatusOK, http.StatusAccepted}, resp.StatusCode) {
		ts.Fatalf("poll: got %s %s, want 200", resp.Status, raw)
	}
	if len(raw) == 0 {
		return delivery.PollResponse{}
	}
	answer, err := delivery.ParsePollResponse(raw)
	ts.Check(err)
	return answer
}
