package script_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/script"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const audience = "https://shop.example"

// peer is a transmitter that does one thing wrong: what twist answers in place of an
// endpoint, by its method and path.
type peer struct {
	url   string
	key   *jose.PrivateKey
	twist map[string]http.HandlerFunc
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{key: key, twist: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wrong := p.twist[r.Method+" "+r.URL.Path]; wrong != nil {
			wrong(w, r)
			return
		}
		p.right(w, r)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *peer) right(w http.ResponseWriter, r *http.Request) {
	stream := map[string]any{
		"stream_id": "s1", "iss": p.url, "aud": audience, "events_delivered": []string{caep.SessionRevokedType},
		"delivery": map[string]string{"method": "urn:ietf:rfc:8936", "endpoint_url": p.url + "/poll"},
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /.well-known/ssf-configuration":
		answer(w, 200, map[string]any{
			"issuer": p.url, "jwks_uri": p.url + "/jwks", "configuration_endpoint": p.url + "/streams", "status_endpoint": p.url + "/status",
			"verification_endpoint": p.url + "/verify", "add_subject_endpoint": p.url + "/add", "remove_subject_endpoint": p.url + "/remove",
		})
	case "GET /jwks":
		answer(w, 200, jose.NewKeySet(p.key.Public()))
	case "POST /streams":
		answer(w, 201, stream)
	case "GET /streams", "PATCH /streams", "PUT /streams":
		answer(w, 200, stream)
	case "DELETE /streams", "POST /verify":
		w.WriteHeader(204)
	case "GET /status", "POST /status":
		answer(w, 200, map[string]string{"stream_id": "s1", "status": "enabled"})
	case "POST /add", "POST /remove":
		w.WriteHeader(200)
	case "POST /poll":
		answer(w, 200, map[string]any{"sets": map[string]string{}})
	default:
		w.WriteHeader(404)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// status answers nothing but a status.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// hangs answers when nobody waits any more.
func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // else it is not seen that the peer has gone
	<-r.Context().Done()
}

// says answers 200 with a body.
func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, body) }
}

// token signs a SET about jo.
func (p *peer) token(t *testing.T, aud string, key *jose.PrivateKey) string {
	t.Helper()
	b := set.Builder{
		Issuer: p.url, ID: "j1", Audience: []string{aud}, IssuedAt: time.Now(), TransactionID: "t1",
		Subject: subject.Email("jo@example.com"), Event: set.Event{Type: caep.SessionRevokedType},
	}
	claims, err := b.Claims()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, set.HeaderType)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func sets(id, compact string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"sets": map[string]string{id: compact}})
	}
}

// run runs steps against p.
func (p *peer) run(t *testing.T, steps string) script.Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "steps.yaml")
	text := "issuer: {issuer: " + p.url + ", audience: " + audience + "}\ninsecure_loopback: true\nlisten: 127.0.0.1:0\ntimeout: 400ms\nsteps:\n" + steps
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := script.Read(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(t.Context(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every step passes where the transmitter does right, and fails, with the reason, where
// it does wrong: the same script, one answer twisted.
func TestStepsCanFail(t *testing.T) {
	p := newPeer(t)
	other, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	good := sets("j1", p.token(t, audience, p.key))
	foreign := fmt.Sprintf(`{"stream_id":"s1","iss":"https://evil.example","aud":%q,"delivery":{"method":"urn:ietf:rfc:8936"}}`, audience)
	const create = "- create: {delivery: poll}\n"
	for _, tt := range []struct {
		name, steps, at string
		wrong           http.HandlerFunc
		want            string
	}{
		{"discover missing", "- discover: {}\n", "GET /.well-known/ssf-configuration", status(404), "404"},
		{"discover another's", "- discover: {}\n", "GET /.well-known/ssf-configuration", says(`{"issuer":"https://evil.example"}`), "issuer"},
		{"create refused", create, "POST /streams", status(500), "answered 500"},
		{"create another's", create, "POST /streams", says(foreign), "iss"},
		{"create junk", create, "POST /streams", says(`[]`), "create stream"},
		{"read missing", create + "- read: {}\n", "GET /streams", status(404), "answered 404"},
		{"read not as expected", create + "- read: {}\n  expect: {delivery.method: urn:ietf:rfc:8936}\n", "GET /streams", says(fmt.Sprintf(`{"stream_id":"s1","iss":%q,"aud":%q,"delivery":{"method":"urn:ietf:rfc:8935"}}`, p.url, audience)), "delivery.method: got urn:ietf:rfc:8935, want urn:ietf:rfc:8936"},
		{"list", "- list: {}\n", "GET /streams", status(403), "answered 403"},
		{"update", create + "- update: {description: x}\n", "PATCH /streams", status(400), "answered 400"},
		{"replace", create + "- replace: {delivery: poll}\n", "PUT /streams", status(409), "answered 409"},
		{"status of another", create + "- status: {}\n", "GET /status", says(`{"stream_id":"s2","status":"enabled"}`), "stream_id"},
		{"status not set", create + "- status: {set: enabled}\n  expect: {status: enabled}\n", "POST /status", says(`{"stream_id":"s1","status":"disabled"}`), "status: got disabled, want enabled"},
		{"add_subject", create + "- add_subject: {subject: {format: email, email: jo@example.com}}\n", "POST /add", status(403), "answered 403"},
		{"remove_subject", create + "- remove_subject: {subject: {format: email, email: jo@example.com}}\n", "POST /remove", status(403), "answered 403"},
		{"verify", create + "- verify: {}\n", "POST /verify", status(429), "answered 429"},
		{"delete", create + "- delete: {}\n", "DELETE /streams", status(403), "answered 403"},
		{"poll refused", create + "- poll: {}\n", "POST /poll", status(401), "answered 401"},
		{"poll junk", create + "- poll: {}\n", "POST /poll", says("?"), "malformed"},
		{"poll hangs", create + "- poll: {}\n", "POST /poll", hangs, "not within 400ms"},
		{"a SET of another key", create + "- poll: {}\n", "POST /poll", sets("j1", p.token(t, audience, other)), "invalid_key"},
		{"a SET for another", create + "- poll: {}\n", "POST /poll", sets("j1", p.token(t, "https://mail.example", p.key)), "invalid_audience"},
		{"a SET under another name", create + "- poll: {}\n", "POST /poll", sets("j2", p.token(t, audience, p.key)), "not the jti"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.twist = map[string]http.HandlerFunc{}
			if strings.Contains(tt.name, "list") {
				p.twist["GET /streams"] = says(`[]`)
			}
			if r := p.run(t, tt.steps); !r.Passed {
				t.Fatalf("a transmitter that does right: got %+v, want all passed", r.Steps)
			}
			p.twist[tt.at] = tt.wrong
			r := p.run(t, tt.steps)
			last := r.Steps[len(r.Steps)-1]
			if r.Passed || last.Result != script.Failed || !strings.Contains(last.Why, tt.want) {
				t.Errorf("got %+v, want it failed with %q", last, tt.want)
			}
		})
	}
	p.twist = map[string]http.HandlerFunc{"POST /poll": good}
	for steps, want := range map[string]string{
		"- poll: {until: {type: session-revoked, txn: t1, jti: j1}}\n":      "",
		"- poll: {until: {type: verification}}\n":                           "not within",
		"- poll: {until: {txn: t2}}\n":                                      "not within",
		"- expect_push: {type: session-revoked}\n":                          "0 of 1 came",
		"- acknowledge: {}\n":                                               "nothing to acknowledge",
		"- {poll: {acknowledge: false}}\n- acknowledge: {}\n":               "",
		"- read: {}\n  fails: 404\n":                                        "got success, want a refusal with status 404",
		"- read: {}\n  expect: {nothing: '*'}\n":                            "nothing: got none",
		"- read: {}\n  expect: {nothing: null}\n":                           "",
		"- read: {stream_id: '${nobody}'}\n":                                "there is no variable nobody",
		"- read: {}\n  save: {x: nothing}\n":                                "there is no nothing",
		"- run: {command: ['false']}\n":                                     "exit status 1",
		"- run: {command: [sleep, '5']}\n":                                  "not within",
		"- wait: {for: 1ms}\n":                                              "",
		"- wait: {for: 5s}\n":                                               "not within",
		"- update: {delivery: push}\n  expect: {events_delivered: [other]}": "events_delivered",
	} {
		r := p.run(t, create+steps)
		last := r.Steps[len(r.Steps)-1]
		if r.Passed != (want == "") || !strings.Contains(last.Why, want) {
			t.Errorf("%s: got %+v, want %q", steps, last, want)
		}
	}
}

// A poll acknowledges what it got with the next one, refuses what it cannot verify, and
// keeps the query of the endpoint.
func TestPollOwes(t *testing.T) {
	p := newPeer(t)
	var asked []map[string]any
	compact := p.token(t, audience, p.key)
	p.twist["POST /poll"] = func(w http.ResponseWriter, r *http.Request) {
		var ask map[string]any
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || r.URL.RawQuery != "stream_id=s1" {
			t.Errorf("got %v and query %q, want JSON and the endpoint's query", err, r.URL.RawQuery)
		}
		asked = append(asked, ask)
		if len(asked) == 1 {
			sets("j1", compact)(w, r)
			return
		}
		answer(w, 200, map[string]any{"sets": map[string]string{}})
	}
	p.twist["POST /streams"] = says(fmt.Sprintf(`{"stream_id":"s1","iss":%q,"aud":[%q],"delivery":{"method":"urn:ietf:rfc:8936","endpoint_url":%q}}`, p.url, audience, p.url+"/poll?stream_id=s1"))
	if r := p.run(t, "- create: {delivery: poll}\n- poll: {until: {txn: t1}, max_events: 7}\n"); !r.Passed {
		t.Fatalf("got %+v, want all passed", r.Steps)
	}
	if len(asked) != 2 || asked[0]["maxEvents"] != 7.0 || asked[0]["ack"] != nil {
		t.Fatalf("got %v, want a poll for 7 and one that acknowledges", asked)
	}
	if ack, _ := asked[1]["ack"].([]any); len(ack) != 1 || ack[0] != "j1" || asked[1]["maxEvents"] != 0.0 {
		t.Errorf("got %v, want j1 acknowledged and nothing asked for", asked[1])
	}
}

// On 409 the stream that is there is adopted, unless that is not wanted; events are
// asked for in any case.
func TestAdopts(t *testing.T) {
	p := newPeer(t)
	p.twist["POST /streams"] = func(w http.ResponseWriter, r *http.Request) {
		var ask map[string]any
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask["events_requested"] == nil {
			t.Errorf("got %v (%v), want events_requested", ask, err)
		}
		w.WriteHeader(409)
	}
	p.twist["GET /streams"] = says(fmt.Sprintf(`[{"stream_id":"s1","iss":%q,"aud":%q,"delivery":{"method":"urn:ietf:rfc:8936"}}]`, p.url, audience))
	if r := p.run(t, "- create: {delivery: poll}\n"); !r.Passed {
		t.Errorf("got %+v, want the stream adopted", r.Steps)
	}
	if r := p.run(t, "- create: {delivery: poll, adopt: false}\n  fails: 409\n"); !r.Passed {
		t.Errorf("got %+v, want a refusal with 409 to pass where it is wanted", r.Steps)
	}
}
