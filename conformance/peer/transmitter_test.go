package peer_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

const (
	audience = "https://receiver.example"
	static   = "static-token"
)

// testKey is made once: making RSA keys is slow.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// serve runs a transmitter for the test and returns it with its issuer.
func serve(t *testing.T, change ...func(*peer.TransmitterConfig)) (*peer.Transmitter, string) {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	cfg := peer.TransmitterConfig{
		Issuer: server.URL, Key: testKey(), Clients: []peer.Client{
			{ID: "one", Secret: "one's secret", Token: static, Audience: audience}, {ID: "two", Token: "other-token", Audience: audience + "/2"},
		},
		HTTP: loopback(), LongPoll: 300 * time.Millisecond, Redeliver: 100 * time.Millisecond, Retry: 10 * time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	p, err := peer.NewTransmitter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	handler = p.Handler()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; server.Close() })
	return p, server.URL
}

func loopback() *http.Client { return guard.NewClient(guard.Policy{InsecureLoopback: true}) }

// manage is a client of the API with a token.
func manage(t *testing.T, issuer, token string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Issuer: issuer, HTTP: loopback(), Token: func(context.Context) (string, error) { return token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask makes a request and returns its answer.
func ask(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := loopback().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(raw)
}

func poll(t *testing.T, endpoint, body string) delivery.PollResponse {
	t.Helper()
	resp, raw := ask(t, http.MethodPost, endpoint, body, "Authorization", "Bearer "+static)
	answer, err := delivery.ParsePollResponse([]byte(raw))
	if resp.StatusCode != http.StatusOK || err != nil {
		t.Fatalf("got %d %s (%v), want a poll's answer", resp.StatusCode, raw, err)
	}
	return answer
}

func happened(user string) peer.Event {
	return peer.Event{
		Type: caep.SessionRevokedType, Subject: subject.Email(user),
		Payload: map[string]any{"event_timestamp": time.Now().Unix(), "reason_admin": map[string]any{"en": "test"}},
	}
}

// Without breaks it is a transmitter: discovered, its API used, its SETs polled, verified
// by its keys, acknowledged and gone.
func TestTransmitterPoll(t *testing.T) {
	p, issuer := serve(t)
	c := manage(t, issuer, static)
	s, err := c.Create(t.Context(), client.Request{EventsRequested: []string{caep.SessionRevokedType, "urn:example:none"}})
	if err != nil || s.Delivery.Method != delivery.MethodPoll || len(s.EventsDelivered) != 1 {
		t.Fatalf("got %+v, %v, want a polled stream of one type", s, err)
	}
	p.Emit(happened("jo@example.com"))
	state := "s1"
	if err := c.Verify(t.Context(), s.StreamID, &state); err != nil {
		t.Fatal(err)
	}
	answer := poll(t, s.Delivery.EndpointURL, `{"maxEvents":1,"returnImmediately":true}`)
	if len(answer.Sets) != 1 || !answer.MoreAvailable {
		t.Fatalf("got %+v, want one of two", answer)
	}
	v, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: wellknown.NewClient(wellknown.Config{HTTP: loopback()}).Keys(issuer)})
	if err != nil {
		t.Fatal(err)
	}
	token, err := v.Verify(t.Context(), []byte(answer.Sets[0].SET))
	if err != nil || token.Type() != streams.TypeVerification || token.ID != answer.Sets[0].ID {
		t.Fatalf("got %v, %v, want the verification first", token, err)
	}
	answer = poll(t, s.Delivery.EndpointURL, `{"ack":["`+token.ID+`"]}`)
	if len(answer.Sets) != 1 || answer.MoreAvailable {
		t.Fatalf("got %+v, want the other one", answer)
	}
	id := answer.Sets[0].ID
	if again := poll(t, s.Delivery.EndpointURL, `{}`); len(again.Sets) != 1 || again.Sets[0].ID != id {
		t.Errorf("got %+v, want what was not acknowledged again", again)
	}
	if last := poll(t, s.Delivery.EndpointURL, `{"returnImmediately":true,"setErrs":{"`+id+`":{"err":"invalid_request"}}}`); len(last.Sets) != 0 {
		t.Errorf("got %+v, want nothing left", last)
	}
	verdict, _, err := p.Verdict(t.Context(), 0, id)
	if err != nil || !verdict.Refused || verdict.Code != delivery.CodeInvalidRequest {
		t.Errorf("got %+v, %v, want the refusal", verdict, err)
	}
	if err := c.Delete(t.Context(), s.StreamID); err != nil {
		t.Fatal(err)
	}
	if resp, _ := ask(t, http.MethodPost, s.Delivery.EndpointURL, `{}`, "Authorization", "Bearer "+static); resp.StatusCode != http.StatusNotFound {
		t.Errorf("got %d from a stream that is gone, want 404", resp.StatusCode)
	}
}

// The API as SSF §8.1 has it: what is answered to whom.
func TestTransmitterManages(t *testing.T) {
	_, issuer := serve(t)
	c, other := manage(t, issuer, static), manage(t, issuer, "other-token")
	text := "one"
	s, err := c.Create(t.Context(), client.Request{EventsRequested: []string{caep.SessionRevokedType}, Description: &text})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := other.Streams(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v, want no stream of others", list, err)
	}
	if _, err := other.Stream(t.Context(), s.StreamID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("got %v, want another's stream not found", err)
	}
	updated, err := c.Update(t.Context(), s.StreamID, client.Request{EventsRequested: []string{caep.CredentialChangeType}})
	if err != nil || updated.Description != "one" || updated.EventsDelivered[0] != caep.CredentialChangeType {
		t.Errorf("got %+v, %v, want the types changed alone", updated, err)
	}
	replaced, err := c.Replace(t.Context(), s.StreamID, client.Request{})
	if err != nil || replaced.Description != "" || len(replaced.EventsDelivered) != 0 {
		t.Errorf("got %+v, %v, want what is absent gone", replaced, err)
	}
	status, err := c.SetStatus(t.Context(), s.StreamID, streams.Paused, "why")
	if err != nil || status.Status != streams.Paused || status.Reason != "why" {
		t.Errorf("got %+v, %v, want paused", status, err)
	}
	if err := errors.Join(c.AddSubject(t.Context(), s.StreamID, subject.Email("a@example.com"), true), c.RemoveSubject(t.Context(), s.StreamID, subject.Email("a@example.com"))); err != nil {
		t.Error(err)
	}
	bearer := "Bearer " + static
	for _, tt := range []struct {
		name, method, path, body, authorization string
		want                                    int
	}{
		{"no credential", "GET", "/streams", "", "", 401},
		{"a bad one", "GET", "/streams", "", "Bearer x", 401},
		{"no JSON", "POST", "/streams", "{", bearer, 400},
		{"PATCH without stream_id", "PATCH", "/streams", "{}", bearer, 400},
		{"iss of another", "PATCH", "/streams", `{"stream_id":"` + s.StreamID + `","iss":"https://x.example"}`, bearer, 400},
		{"iss of its own", "PATCH", "/streams", `{"stream_id":"` + s.StreamID + `","iss":"` + issuer + `","aud":["` + audience + `"]}`, bearer, 200},
		{"push to nowhere", "PATCH", "/streams", `{"stream_id":"` + s.StreamID + `","delivery":{"method":"urn:ietf:rfc:8935"}}`, bearer, 400},
		{"no such status", "POST", "/status", `{"stream_id":"` + s.StreamID + `","status":"Enabled"}`, bearer, 400},
		{"no such stream", "POST", "/status", `{"stream_id":"x","status":"enabled"}`, bearer, 404},
		{"no subject", "POST", "/subjects/add", `{"stream_id":"` + s.StreamID + `","subject":{"format":"email"}}`, bearer, 400},
		{"a state that is none", "POST", "/verify", `{"stream_id":"` + s.StreamID + `","state":1}`, bearer, 400},
		{"a bad poll", "POST", "/poll?stream_id=" + s.StreamID, `{"maxEvents":-1}`, bearer, 400},
		{"a method that is none", "PUT", "/status", "", bearer, 405},
		{"DELETE", "DELETE", "/streams?stream_id=" + s.StreamID, "", bearer, 204},
		{"DELETE again", "DELETE", "/streams?stream_id=" + s.StreamID, "", bearer, 404},
	} {
		if resp, body := ask(t, tt.method, issuer+tt.path, tt.body, "Authorization", tt.authorization); resp.StatusCode != tt.want {
			t.Errorf("%s: got %d %s, want %d", tt.name, resp.StatusCode, body, tt.want)
		}
	}
}

// A token of the token endpoint has the scopes that were asked for, and no more.
func TestTransmitterToken(t *testing.T) {
	p, issuer := serve(t)
	resp, body := ask(t, http.MethodPost, issuer+"/token", "grant_type=client_credentials&scope=ssf.read&client_id=one&client_secret=one%27s+secret", "Content-Type", "application/x-www-form-urlencoded")
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %d %s, want a token", resp.StatusCode, body)
	}
	if _, err := manage(t, issuer, got.Token).Streams(t.Context()); err != nil {
		t.Errorf("got %v, want streams to be read", err)
	}
	resp, _ = ask(t, http.MethodPost, issuer+"/streams", "{}", "Authorization", "Bearer "+got.Token)
	if challenge := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != http.StatusForbidden || !strings.Contains(challenge, "insufficient_scope") {
		t.Errorf("got %d %s, want insufficient_scope", resp.StatusCode, challenge)
	}
	if resp, _ := ask(t, http.MethodPost, issuer+"/token", "grant_type=client_credentials&client_id=one&client_secret=x"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d for a wrong secret, want 401", resp.StatusCode)
	}
	list, _, _ := p.Exchanges(0)
	for _, e := range list {
		if all, _ := json.Marshal(e); strings.Contains(string(all), "one's secret") || strings.Contains(string(all), got.Token) {
			t.Errorf("got %s in what is remembered, want no secret", all)
		}
	}
}

// Every break has a name of its own and can be switched on; those that are requirements
// are of the checklist, of a transmitter.
func TestTransmitterBreaks(t *testing.T) {
	list, err := conformance.ReadChecklist()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]conformance.Requirement{}
	for _, r := range list.Requirements {
		known[r.ID] = r
	}
	word := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	p, _ := serve(t)
	for _, b := range peer.TransmitterBreaks() {
		if r, ok := known[b.ID]; !word.MatchString(b.ID) && (!ok || r.Who == "R") {
			t.Errorf("%s: got a name that is no requirement of a transmitter, want one or a word", b.ID)
		}
		if seen[b.ID] || b.Does == "" {
			t.Errorf("%s: got it twice or without words, want it once", b.ID)
		}
		seen[b.ID] = true
		if err := p.Misbehave(b.ID); err != nil {
			t.Error(err)
		}
	}
	if err := p.Misbehave("no-such-break"); !errors.Is(err, peer.ErrUnknownBreak) {
		t.Errorf("got %v, want %v", err, peer.ErrUnknownBreak)
	}
}
