package webhook_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/webhook"
)

// Whatever is asked for is refused by name, or makes a webhook whose requests
// can be sent: their header has no line of the owner's making.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"url":"https://r.example/x"}`,
		`{"url":"https://r.example","types":["a","*"],"applications":["P"],"environment":"prod","description":"d"}`,
		`{"url":"https://r.example","format":"ndjson","batch":{"events":2,"seconds":1},"headers":{"x-a":"b"}}`,
		`{"url":"https://r.example","auth":{"type":"basic","username":"u","password":"p\u00e4"}}`,
		`{"url":"https://r.example","auth":{"type":"bearer","token":"t"},"signing":{"type":"asymmetric"}}`,
		`{"url":"https://r.example","headers":{"a":"b\r\nc"}}`, `{"url":null}`, `{"headers":{"a":null}}`, `[]`, `{"url":1e999}`,
	} {
		f.Add([]byte(seed))
	}
	b := newBench(f, guard.Policy{})
	f.Fuzz(func(t *testing.T, body []byte) {
		b.t = t
		req, err := webhook.ParseRequest(body)
		var v webhook.View
		if err == nil {
			v, err = b.Create(t.Context(), shop(), req)
		}
		if err != nil {
			var refused *request.Error
			if !errors.As(err, &refused) || refused.Status/100 != 4 {
				t.Fatalf("got %v, want a refusal", err)
			}
			return
		}
		defer func() {
			if err := b.Delete(t.Context(), shop(), v.ID); err != nil {
				t.Error(err)
			}
		}()
		if v.Auth.Type == webhook.AuthOAuth2 {
			return // it would ask for a token
		}
		p, err := b.way(v.ID).Pack(t.Context(), []streams.Item{b.event("e", 10)})
		if err != nil || len(p.Origins) != 1 {
			t.Fatalf("got %v, want a request", err)
		}
		var head bytes.Buffer
		if err := p.Header.Write(&head); err != nil {
			t.Fatal(err)
		}
		lines := 0
		for _, values := range p.Header {
			lines += len(values)
		}
		if got := bytes.Count(head.Bytes(), []byte("\r\n")); got != lines {
			t.Errorf("got %d lines for %d fields: %q", got, lines, head.String())
		}
		if _, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.URL, http.NoBody); err != nil {
			t.Fatalf("url: got %v", err)
		}
	})
}
