package keeper_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// peerKey is the key of peers; making RSA keys is slow.
var peerKey = sync.OnceValue(func() *jose.PrivateKey {
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		panic(err)
	}
	return key
})

type object = map[string]any

// peer is a transmitter over HTTP that does what a test tells it.
type peer struct {
	t      testing.TB
	issuer string
	http   *http.Client

	mu       sync.Mutex
	streams  []object // as they are answered, with "status" beside
	made     int
	requests []string // "METHOD /path?query"
	bodies   []string
	queue    []delivery.PollSet // of polls
	mute     bool               // verification events are lost

	// What it does otherwise than it should; set before it is used, or under mu.
	metadata func(object)                                                   // changes the document
	wire     func(object) any                                               // changes a stream that is answered
	list     func([]any) any                                                // changes a list of streams
	before   func(w http.ResponseWriter, r *http.Request, body []byte) bool // answers in its stead
}

func newPeer(t testing.TB) *peer {
	t.Helper()
	p := &peer{t: t, http: plain(t)}
	server := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(server.Close)
	p.issuer = server.URL
	return p
}

// with changes what the peer does while it is used.
func (p *peer) with(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

// count returns how many requests began so.
func (p *peer) count(prefix string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, r := range p.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

// sent returns the bodies of requests that began so.
func (p *peer) sent(prefix string) (bodies []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range p.requests {
		if strings.HasPrefix(r, prefix) {
			bodies = append(bodies, p.bodies[i])
		}
	}
	return bodies
}

// add makes a stream by other means and returns its id.
func (p *peer) add(s object) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.create(s)
}

func (p *peer) create(s object) string {
	p.made++
	id := "s" + strconv.Itoa(p.made)
	s["stream_id"], s["iss"], s["aud"], s["status"] = id, p.issuer, []string{audience}, "enabled"
	s["events_delivered"] = s["events_requested"]
	if how, _ := s["delivery"].(object); how != nil && strings.HasSuffix(how["method"].(string), "8936") {
		how["endpoint_url"] = p.issuer + "/poll?stream_id=" + id
	}
	p.streams = append(p.streams, s)
	return id
}

// stream returns the stream with this id, nil if there is none. Under mu.
func (p *peer) stream(id string) object {
	for _, s := range p.streams {
		if s["stream_id"] == id {
			return s
		}
	}
	return nil
}

// set changes the status of a stream.
func (p *peer) set(id, status string) {
	p.with(func() { p.stream(id)["status"] = status })
}

func (p *peer) is(id, status string) func() bool {
	return func() (is bool) {
		p.with(func() { is = p.stream(id)["status"] == status })
		return is
	}
}

func (p *peer) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.requests, p.bodies = append(p.requests, r.Method+" "+r.URL.RequestURI()), append(p.bodies, string(body))
	before := p.before
	p.mu.Unlock()
	if before != nil && before(w, r, body) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/jwks":
		answer(w, http.StatusOK, jose.NewKeySet(peerKey().Public()))
	case "/streams":
		p.manage(w, r, body)
	case "/status":
		p.status(w, r, body)
	case "/verify":
		p.verify(w, body)
	case "/poll":
		p.poll(w, body)
	default:
		p.document(w, r)
	}
}

func (p *peer) document(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/.well-known/ssf-configuration") {
		http.NotFound(w, r)
		return
	}
	answer(w, http.StatusOK, p.page())
}

// page is the metadata.
func (p *peer) page() object {
	doc := object{
		"issuer": p.issuer, "jwks_uri": p.issuer + "/jwks", "configuration_endpoint": p.issuer + "/streams",
		"status_endpoint": p.issuer + "/status", "verification_endpoint": p.issuer + "/verify",
		"delivery_methods_supported": []string{delivery.MethodPush, delivery.MethodPoll},
	}
	if p.metadata != nil {
		p.metadata(doc)
	}
	return doc
}

// shown is a stream as it is answered.
func (p *peer) shown(s object) any {
	out := object{}
	for name, value := range s {
		if name != "status" {
			out[name] = value
		}
	}
	if p.wire != nil {
		return p.wire(out)
	}
	return out
}

func (p *peer) manage(w http.ResponseWriter, r *http.Request, body []byte) {
	id := r.URL.Query().Get("stream_id")
	var said object
	if len(body) > 0 && json.Unmarshal(body, &said) == nil && r.Method != http.MethodPost {
		id, _ = said["stream_id"].(string)
	}
	s := p.stream(id)
	switch {
	case r.Method == http.MethodPost:
		answer(w, http.StatusCreated, p.shown(p.stream(p.create(said))))
	case r.Method == http.MethodGet && id == "":
		list := []any{}
		for _, s := range p.streams {
			list = append(list, p.shown(s))
		}
		if p.list != nil {
			answer(w, http.StatusOK, p.list(list))
			return
		}
		answer(w, http.StatusOK, list)
	case s == nil:
		answer(w, http.StatusNotFound, object{})
	case r.Method == http.MethodDelete:
		p.streams = slices.DeleteFunc(p.streams, func(s object) bool { return s["stream_id"] == id })
		w.WriteHeader(http.StatusNoContent)
	default:
		if r.Method == http.MethodPatch || r.Method == http.MethodPut {
			former := s["delivery"]
			for name, value := range said {
				s[name] = value
			}
			if how, ok := s["delivery"].(object); ok && how["endpoint_url"] == nil {
				how["endpoint_url"] = former.(object)["endpoint_url"]
			}
			s["events_delivered"] = s["events_requested"]
		}
		answer(w, http.StatusOK, p.shown(s))
	}
}

func (p *peer) status(w http.ResponseWriter, r *http.Request, body []byte) {
	id := r.URL.Query().Get("stream_id")
	var said struct {
		StreamID string `json:"stream_id"`
		Status   string `json:"status"`
	}
	if r.Method == http.MethodPost && json.Unmarshal(body, &said) == nil {
		id = said.StreamID
	}
	s := p.stream(id)
	if s == nil {
		answer(w, http.StatusNotFound, object{})
		return
	}
	if r.Method == http.MethodPost {
		s["status"] = said.Status
	}
	answer(w, http.StatusOK, object{"stream_id": id, "status": s["status"], "reason": nil})
}

// verify sends a verification event, by push or poll as the stream has it.
func (p *peer) verify(w http.ResponseWriter, body []byte) {
	var said struct {
		StreamID string `json:"stream_id"`
		State    string `json:"state"`
	}
	s := object(nil)
	if json.Unmarshal(body, &said) == nil {
		s = p.stream(said.StreamID)
	}
	if s == nil {
		answer(w, http.StatusNotFound, object{})
		return
	}
	w.WriteHeader(http.StatusNoContent)
	if p.mute {
		return
	}
	payload, _ := json.Marshal(object{"state": said.State})
	compact := p.sign("v-"+said.State, subject.Opaque(said.StreamID), streams.TypeVerification, string(payload))
	how := s["delivery"].(object)
	if url, _ := how["endpoint_url"].(string); strings.HasSuffix(how["method"].(string), "8935") || strings.HasSuffix(how["method"].(string), "push") {
		header, _ := how["authorization_header"].(string)
		go p.push(url, header, compact)
		return
	}
	p.queue = append(p.queue, delivery.PollSet{ID: "v-" + said.State, SET: compact})
}

// poll answers at once, whatever was asked.
func (p *peer) poll(w http.ResponseWriter, body []byte) {
	ask, err := delivery.ParsePollRequest(body)
	if err != nil {
		answer(w, http.StatusBadRequest, object{})
		return
	}
	p.queue = slices.DeleteFunc(p.queue, func(s delivery.PollSet) bool { return slices.Contains(ask.Ack, s.ID) })
	answer(w, http.StatusOK, delivery.PollResponse{Sets: p.queue})
}

// sign makes a SET with one event.
func (p *peer) sign(id string, about subject.Identifier, event, payload string) string {
	b := set.Builder{
		Issuer: p.issuer, ID: id, Audience: []string{audience}, IssuedAt: time.Now(), TransactionID: "txn-" + id,
		Subject: about, Event: set.Event{Type: event, Payload: []byte(payload)},
	}
	claims, err := b.Claims()
	if err != nil {
		p.t.Error(err)
		return ""
	}
	return p.signClaims(string(claims), peerKey())
}

func (p *peer) signClaims(claims string, key *jose.PrivateKey) string {
	signer, err := jose.NewSigner(key, set.HeaderType)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	compact, err := signer.Sign([]byte(claims))
	if err != nil {
		p.t.Error(err)
	}
	return compact
}

// push pushes a SET, without an Accept header, and returns the status and body of the
// answer.
func (p *peer) push(url, authorization, compact string) (int, string) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(compact))
	if err != nil {
		p.t.Error(err)
		return 0, ""
	}
	req.Header.Set("Content-Type", delivery.MediaType)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, err.Error() // the receiver has stopped
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
