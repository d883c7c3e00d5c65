package client_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

const (
	issuer   = "https://transmitter.example/tenant"
	audience = "https://receiver.example"
)

// seen is a request as the fake transmitter got it.
type seen struct {
	method, url, body, authorization, contentType string
}

// transmitter answers in this process and notes the requests.
type transmitter struct {
	requests []seen
	answer   func(n int, r seen) *http.Response
}

func (f *transmitter) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r := seen{req.Method, req.URL.String(), string(body), req.Header.Get("Authorization"), req.Header.Get("Content-Type")}
	f.requests = append(f.requests, r)
	return f.answer(len(f.requests), r), nil
}

func answer(status int, body string, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Add(header[i], header[i+1])
	}
	return resp
}

func metadata() *wellknown.Configuration {
	return &wellknown.Configuration{
		Issuer: issuer, ConfigurationEndpoint: issuer + "/streams?v=1", StatusEndpoint: issuer + "/status",
		AddSubjectEndpoint: issuer + "/add", RemoveSubjectEndpoint: issuer + "/remove", VerificationEndpoint: issuer + "/verify",
	}
}

func newClient(t testing.TB, f *transmitter, change ...func(*client.Config)) *client.Client {
	t.Helper()
	cfg := client.Config{
		Issuer: issuer, Audience: []string{audience}, HTTP: &http.Client{Transport: f}, Metadata: metadata(),
		Token: func(context.Context) (string, error) { return "t0ken", nil },
	}
	for _, c := range change {
		c(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// stream is a stream as a transmitter sends it.
func stream(id string) string {
	return `{"stream_id":"` + id + `","iss":"` + issuer + `","aud":["` + audience + `"],"events_delivered":["e1"],
		"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://receiver.example/` + id + `"},"unknown":{"x":1}}`
}
