package transmitter_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/poll"
)

// receiverKey makes a key of a receiver, and its public half as JSON.
func receiverKey(t *testing.T, alg jose.KeyManagement) (*jose.DecryptionKey, string) {
	t.Helper()
	key, err := jose.GenerateDecryptionKey(alg, "")
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, string(public)
}

// unsealed returns the signed SET in a JWE, or why there is none.
func unsealed(compact string, key *jose.DecryptionKey) (*set.Token, error) {
	keys, err := jose.NewDecryptionKeys(key)
	if err != nil {
		return nil, err
	}
	m, err := jose.ParseEncrypted([]byte(compact))
	if err != nil {
		return nil, err
	}
	plain, err := keys.Decrypt(m)
	if err != nil {
		return nil, err
	}
	return set.Parse(plain)
}

// SET-5.1-01: an operator gives a stream and an application the receiver's key: what
// waits leaves encrypted to it, what a later key is set for to that one, verification
// too, and with off as before. A receiver can neither set nor see it.
func TestEncryptionIsSet(t *testing.T) {
	h := open(t, func(s *setup) { s.Redeliver = 10 * time.Millisecond })
	token, other := h.client("shop", everyScope), h.client("other", everyScope)
	stream, apart := h.stream(token, ""), h.stream(other, "")
	o, admin := h.operator(h.Transmitter.AdminHandler()), h.client("operators", "admin")
	path := "/admin/streams/" + stream + "/encryption"
	h.emit(token, "jo")
	var ids []string
	waiting := func(n int) (sets []string) {
		until(t, "they wait", func() bool {
			ids, sets = h.poll(token, stream, `{"returnImmediately":true}`)
			return len(ids) == n
		})
		return sets
	}
	if sets := waiting(1); strings.Count(sets[0], ".") != 2 {
		t.Fatalf("without a key: got %s", sets[0])
	}
	first, public := receiverKey(t, jose.RSAOAEP256)
	got := o.must(200, "PUT", path, admin, `{"keys":{"keys":[{"kty":"oct","k":"AAAA"},`+public+`]},"enc":"A128GCM"}`)
	var shown struct {
		Encryption struct{ Kid, Alg, Enc string }
	}
	if err := json.Unmarshal([]byte(got.body), &shown); err != nil || shown.Encryption.Kid != first.ID() || shown.Encryption.Alg != "RSA-OAEP-256" || shown.Encryption.Enc != "A128GCM" {
		t.Errorf("got %+v, %v in %s", shown, err, got.body)
	}
	h.must(204, "POST", "/ssf/verify", token, `{"stream_id":"`+stream+`","state":"x"}`)
	for _, compact := range waiting(2) {
		if tok, err := unsealed(compact, first); err != nil || tok.Header.Type != set.HeaderType {
			t.Errorf("got %v, %v, want a SET to the key", tok, err)
		}
	}
	second, public := receiverKey(t, jose.ECDHESA256KW)
	o.must(200, "PUT", path, admin, `{"keys":`+public+`}`)
	for _, compact := range waiting(2) {
		if _, err := unsealed(compact, second); err != nil {
			t.Errorf("what waited when the key was replaced: got %v", err)
		}
	}
	if got := h.must(200, "GET", "/ssf/streams?stream_id="+stream, token, "").body; strings.Contains(got, second.ID()) {
		t.Errorf("the receiver's view: got %s: it is no member of SSF", got)
	}
	h.must(200, "PATCH", "/ssf/streams", token, `{"stream_id":"`+stream+`","encryption":{"off":true}}`)
	o.must(200, "PATCH", "/admin/applications/shop", admin, `{"encryption":{"keys":`+public+`,"alg":"ECDH-ES+A256KW"}}`)
	made, err := h.store.Stream(t.Context(), h.stream(token, ""))
	if err != nil || !strings.Contains(made.Encryption, second.ID()) {
		t.Errorf("a stream made later: got %s, %v", made.Encryption, err)
	}
	o.must(200, "PATCH", "/admin/applications/shop", admin, `{"name":"Shop"}`)
	if app, err := h.apps.Application(t.Context(), "shop"); err != nil || !strings.Contains(app.Encryption, second.ID()) {
		t.Errorf("after another change: got %v, %v", app, err)
	}
	o.must(200, "PATCH", "/admin/applications/shop", admin, `{"encryption":{"off":true}}`)
	if made, err := h.store.Stream(t.Context(), h.stream(token, "")); err != nil || made.Encryption != "" {
		t.Errorf("after off: got %s, %v", made.Encryption, err)
	}
	if s, err := h.store.Stream(t.Context(), apart); err != nil || s.Encryption != "" {
		t.Errorf("another application's stream: got %s, %v", s.Encryption, err)
	}
	o.must(200, "PUT", path, admin, `{"off":true}`)
	for _, compact := range waiting(2) {
		if _, err := set.Parse([]byte(compact)); err != nil {
			t.Errorf("off: got %v", err)
		}
	}
	list, _ := o.acts(admin, "?act=stream.encrypt")
	if len(list) == 0 || !strings.Contains(string(must(t, list)), first.ID()) || strings.Contains(string(must(t, list)), "AAAA") {
		t.Errorf("got acts %s, want them with the kid that was chosen", must(t, list))
	}
}

func must(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// What is wrong is refused by the name of its member, and changes nothing.
func TestEncryptionIsRefused(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	token, admin := h.client("shop", everyScope+" webhooks.manage"), h.client("operators", "admin")
	stream := h.stream(token, "")
	o := h.operator(h.Transmitter.AdminHandler())
	_, public := receiverKey(t, jose.ECDHES)
	signing, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ body, member string }{
		{`{}`, "keys"},
		{`{"enc":"A256GCM"}`, "keys"},
		{`{"keys":{"keys":[]}}`, "keys"},
		{`{"keys":"x"}`, "keys"},
		{`{"keys":` + string(must(t, signing.Public())) + `}`, "keys"},
		{`{"pem":"x"}`, "pem"},
		{`{"pem":"x","keys":` + public + `}`, "pem"},
		{`{"keys":` + public + `,"alg":"RSA1_5"}`, "alg"},
		{`{"keys":` + public + `,"alg":"dir"}`, "alg"},
		{`{"keys":` + public + `,"alg":"ECDH-ES+A128KW"}`, "keys"}, // the key is for ECDH-ES
		{`{"keys":` + public + `,"enc":"A192GCM"}`, "enc"},
		{`{"keys":` + public + `,"kid":"x"}`, "keys"},
		{`{"keys":` + public + `,"off":true}`, "off"},
		{`{"keys":` + public + `,"zip":"DEF"}`, ""},
	} {
		a := o.must(400, "PUT", "/admin/streams/"+stream+"/encryption", admin, c.body)
		if a.member("member") != c.member {
			t.Errorf("%s: got %s, want %q named", c.body, a.body, c.member)
		}
		if c.body != `{}` && c.member != "" {
			o.must(400, "PATCH", "/admin/applications/shop", admin, `{"encryption":`+c.body+`}`)
		}
	}
	o.must(404, "PUT", "/admin/streams/none/encryption", admin, `{"keys":`+public+`}`)
	if s, err := h.store.Stream(t.Context(), stream); err != nil || s.Encryption != "" {
		t.Errorf("after refusals: got %s, %v", s.Encryption, err)
	}
}

// A key counts from when it is set: what is on its way in clear to a receiver that wants
// it encrypted is no dead letter, and leaves encrypted; what travels is a JWE of five
// parts in which no claim can be read.
func TestEncryptionIsSetWhileSETsAreOnTheirWay(t *testing.T) {
	h := open(t)
	token, admin := h.client("shop", everyScope), h.client("operators", "admin")
	key, public := receiverKey(t, jose.ECDHES)
	came, changed := make(chan struct{}, 100), make(chan struct{})
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("got %v", err)
		}
		if strings.Count(string(body), ".") == 2 {
			came <- struct{}{}
			<-changed
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"err":"invalid_request","description":"SETs must be encrypted"}`)
			return
		}
		if _, err := unsealed(string(body), key); err != nil || r.Header.Get("Content-Type") != "application/secevent+jwt" {
			t.Errorf("got %v, %v", err, r.Header)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer sink.Close()
	stream := h.stream(token, pushTo(sink.URL))
	h.emitMany(token, 12)
	<-came
	h.operator(h.Transmitter.AdminHandler()).must(200, "PUT", "/admin/streams/"+stream+"/encryption", admin, `{"keys":`+public+`}`)
	close(changed)
	until(t, "an empty queue", func() bool {
		depth, err := h.store.Depth(t.Context(), stream)
		return err == nil && depth.Items == 0
	})
	if letters := h.must(200, "GET", "/v1/streams/"+stream+"/dead-letters", token, "").body; strings.Contains(letters, "invalid_request") {
		t.Errorf("got dead letters %s, want none", letters)
	}
}

// A webhook has no SETs, and says so.
func TestWebhooksAreNotEncrypted(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	token, admin := h.client("shop", "webhooks.manage events.read"), h.client("operators", "admin")
	made := h.must(201, "POST", "/v1/webhooks", token, `{"url":"https://hook.example/x"}`).member("id")
	_, public := receiverKey(t, jose.ECDHES)
	a := h.operator(h.Transmitter.AdminHandler()).must(400, "PUT", "/admin/streams/"+made+"/encryption", admin, `{"keys":`+public+`}`)
	if !strings.Contains(a.body, "webhook") {
		t.Errorf("got %s", a.body)
	}
}

// A poll that waits while a key is set is answered under it: what came meanwhile does not
// leave as the stream was when the wait began.
func TestEncryptionIsSetWhileAPollWaits(t *testing.T) {
	h := open(t, func(s *setup) { s.LongPoll = patience })
	token, admin := h.client("shop", everyScope), h.client("operators", "admin")
	stream := h.stream(token, "")
	key, public := receiverKey(t, jose.ECDHES)
	before, err := h.store.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan []string, 1)
	go func() {
		_, sets := h.poll(token, stream, `{}`)
		answered <- sets
	}()
	until(t, "the poll has begun", func() bool {
		now, err := h.store.Stream(t.Context(), stream)
		return err == nil && now.Active.After(before.Active)
	})
	h.operator(h.Transmitter.AdminHandler()).must(200, "PUT", "/admin/streams/"+stream+"/encryption", admin, `{"keys":`+public+`}`)
	h.emit(token, "jo")
	sets := <-answered
	if len(sets) != 1 {
		t.Fatalf("got %d SETs, want 1", len(sets))
	}
	if _, err := unsealed(sets[0], key); err != nil {
		t.Errorf("got %v in %s", err, sets[0])
	}
}

// SET-5.1-01: nothing that a receiver asks for ends the encryption of its stream: not to
// have it replaced, changed, paused or delivered otherwise, nor to have another one in its
// place. What is sent again is encrypted, too.
func TestEncryptionStays(t *testing.T) {
	h := open(t, func(s *setup) { s.Redeliver = 10 * time.Millisecond })
	token, admin := h.client("shop", everyScope), h.client("operators", "admin")
	o := h.operator(h.Transmitter.AdminHandler())
	key, public := receiverKey(t, jose.ECDHESA256KW)
	o.must(200, "PATCH", "/admin/applications/shop", admin, `{"encryption":{"keys":`+public+`}}`)
	stream := h.stream(token, "")
	encrypted := func(when string) {
		t.Helper()
		if s, err := h.store.Stream(t.Context(), stream); err != nil || !strings.Contains(s.Encryption, key.ID()) {
			t.Errorf("%s: got %q (%v), want the key", when, s.Encryption, err)
		}
	}
	leave := func(when string, n int) (ids []string) {
		t.Helper()
		var sets []string
		until(t, when, func() bool {
			ids, sets = h.poll(token, stream, `{"returnImmediately":true}`)
			return len(sets) >= n
		})
		for _, compact := range sets {
			if _, err := unsealed(compact, key); err != nil {
				t.Errorf("%s: got %v in %.60s, want it encrypted", when, err, compact)
			}
		}
		return ids
	}
	encrypted("created")
	h.emit(token, "jo")
	ids := leave("an event", 1)
	h.poll(token, stream, `{"ack":["`+ids[0]+`"],"returnImmediately":true}`)
	in := `{"stream_id":"` + stream + `"`
	const push, poll = `"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://rp.example/x"}`, `"delivery":{"method":"urn:ietf:rfc:8936"}`
	for _, c := range []struct{ method, body string }{
		{"PUT", in + `,` + push + `}`},
		{"PUT", in + `,` + poll + `,"encryption":null,"Encryption":"","description":"x"}`},
		{"PATCH", in + `,"encryption":"","encrypt_to":null}`},
		{"PATCH", in + `,` + push + `}`},
		{"PATCH", in + `,` + poll + `}`},
		{"PUT", in + `,` + poll + `,"events_requested":["` + sessionRevoked + `"]}`},
	} {
		h.must(200, c.method, "/ssf/streams", token, c.body)
		encrypted(c.method + " " + c.body)
	}
	turn := func(to ...string) {
		for _, status := range to {
			h.must(200, "POST", "/ssf/status", token, in+`,"status":"`+status+`"}`)
			encrypted(status)
		}
	}
	turn("paused", "enabled")
	h.must(202, "POST", "/v1/streams/"+stream+"/replay", token, `{"from":"2026-01-01T00:00:00Z"}`)
	leave("a replay", 1)
	dead := h.deadLetter(stream)
	h.must(202, "POST", "/v1/streams/"+stream+"/dead-letters/"+dead+"/resend", token, "")
	leave("a dead letter sent again", 2)
	turn("disabled", "enabled")
	h.must(204, "DELETE", "/ssf/streams?stream_id="+stream, token, "")
	stream = h.stream(token, "")
	encrypted("another one")
	h.emit(token, "jo")
	leave("an event of another one", 1)
}

// The largest SETs that can be, encrypted, fit into what a receiver reads: one by push,
// a full answer by poll.
func TestLargestEncryptedSETs(t *testing.T) {
	key, err := jose.GenerateDecryptionKey(jose.RSAOAEP512, "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := jose.NewEncrypter(key.Public(), jose.A256CBCHS512)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := e.Encrypt(strings.Repeat("x", jose.MaxCompactBytes))
	if err != nil {
		t.Fatal(err)
	}
	if len(compact) > delivery.MaxPushBodyBytes || len(compact) > jose.MaxEncryptedBytes {
		t.Errorf("got %d bytes, want one that a receiver of pushes reads", len(compact))
	}
	full := delivery.PollResponse{MoreAvailable: true}
	for i := range poll.DefaultMaxBatch {
		full.Sets = append(full.Sets, delivery.PollSet{ID: fmt.Sprintf("%0256d", i), SET: compact})
	}
	body, err := full.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := delivery.ParsePollResponse(body); err != nil || len(got.Sets) != poll.DefaultMaxBatch {
		t.Errorf("%d bytes: got %d SETs (%v), want all", len(body), len(got.Sets), err)
	}
}
