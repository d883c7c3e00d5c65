package siwa_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/siwa"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const app = "com.mytest.app"

func now() time.Time { return time.Unix(1508184900, 0) }

var appleKey = sync.OnceValue(func() *jose.PrivateKey {
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		panic(err)
	}
	return key
})

type keys struct{ *jose.KeySet }

func (k keys) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return k.Find(kid, alg)
}

// claims are those of Apple's documents, with another event and what is changed.
func claims(t testing.TB, event string, change map[string]any) string {
	t.Helper()
	c := map[string]any{
		"iss": siwa.Issuer, "aud": app, "iat": 1508184845, "exp": 1508271245, "jti": "abede67890", "events": event,
	}
	for name, value := range change {
		c[name] = value
		if value == nil {
			delete(c, name)
		}
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const accountDelete = `{"type":"account-delete","sub":"820417.faa325acbc78e1be1668ba852d492d8a.0219","event_time":1508184845123}`

func sign(t testing.TB, key *jose.PrivateKey, typ, claims string) string {
	t.Helper()
	signer, err := jose.NewSigner(key, typ)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// server is a receiver of notifications; got has what its hooks were told.
type server struct {
	*receiver.Receiver
	got chan receiver.Delivery
}

func newServer(t *testing.T, dir string) server {
	t.Helper()
	dialect, err := siwa.New(siwa.Config{Audience: []string{app}, Keys: keys{jose.NewKeySet(appleKey().Public())}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	in, err := sqliteinbox.Open(t.Context(), sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
	if err != nil {
		t.Fatal(err)
	}
	s := server{got: make(chan receiver.Delivery, 16)}
	mux := receiver.NewMux()
	mux.Default(func(_ context.Context, d receiver.Delivery) error {
		s.got <- d
		return nil
	})
	s.Receiver, err = receiver.New(receiver.Config{
		Issuer: siwa.Issuer, Dialect: dialect, Inbox: in, Mux: mux, Skew: -1, Now: now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return s
}

func (s server) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func (s server) post(media, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "https://rp.example/apple", strings.NewReader(body))
	req.Header.Set("Content-Type", media)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, req)
	return w
}

func (s server) notify(t testing.TB, claims string) *httptest.ResponseRecorder {
	t.Helper()
	return s.post("application/json", `{"payload":"`+sign(t, appleKey(), "JWT", claims)+`"}`)
}

func (s server) next(t *testing.T) receiver.Delivery {
	t.Helper()
	select {
	case d := <-s.got:
		return d
	case <-time.After(10 * time.Second):
		t.Fatal("got no run of a hook, want one")
		return receiver.Delivery{}
	}
}

// Each type leads to its RISC event, with Apple's account as the subject and the time of
// the event; it is kept before 200 is answered, and survives a restart in between.
func TestNotifications(t *testing.T) {
	const sub = "820417.faa325acbc78e1be1668ba852d492d8a.0219"
	cases := []struct{ event, typ, payload string }{
		{accountDelete, risc.AccountPurgedType, `{"event_timestamp":1508184845123,"siwa_type":"account-delete"}`},
		{
			`{"type":"consent-revoked","sub":"` + sub + `","event_time":1508184845}`, risc.OptOutEffectiveType,
			`{"event_timestamp":1508184845,"siwa_type":"consent-revoked"}`,
		},
		{
			`{"type":"email-disabled","sub":"` + sub + `","email":"ep9ks2tnph@privaterelay.appleid.com","is_private_email":"true","event_time":1508184845123}`,
			risc.IdentifierChangedType,
			`{"email":"ep9ks2tnph@privaterelay.appleid.com","event_timestamp":1508184845123,"is_private_email":true,"siwa_type":"email-disabled"}`,
		},
		{
			`{"type":"email-enabled","sub":"` + sub + `","email":"a@example.com","is_private_email":false,"x":{"y":1}}`,
			risc.IdentifierChangedType, `{"email":"a@example.com","is_private_email":false,"siwa_type":"email-enabled","x":{"y":1}}`,
		},
		{`{"type":"something-new","sub":"` + sub + `"}`, siwa.TypeURI("something-new"), `{"siwa_type":"something-new"}`},
	}
	dir := t.TempDir()
	before := newServer(t, dir)
	for i, c := range cases {
		if w := before.notify(t, claims(t, c.event, map[string]any{"jti": string(rune('a' + i))})); w.Code != http.StatusOK || w.Body.Len() != 0 {
			t.Fatalf("%s: got %d %s, want 200", c.event, w.Code, w.Body)
		}
	}
	s := newServer(t, dir) // nothing ran yet: it is all in the inbox
	s.run(t)
	for i, c := range cases {
		d := s.next(t)
		event := d.Token.Events[0]
		if d.ID != string(rune('a'+i)) || d.Type != c.typ || string(event.Payload) != c.payload {
			t.Errorf("got %s %s %s, want %s %s", d.ID, d.Type, event.Payload, c.typ, c.payload)
		}
		if want := subject.IssSub(siwa.Issuer, sub); !d.Subject.Equal(want) || d.Issuer != siwa.Issuer {
			t.Errorf("got %s, want %s", d.Subject.Raw(), want.Raw())
		}
		want := time.Unix(1508184845, 0)
		if strings.Contains(c.event, "123}") {
			want = want.Add(time.Second) // rounded up
		}
		if !d.EventTime.Equal(want) {
			t.Errorf("%s: got event time %v, want %v", c.event, d.EventTime, want)
		}
		if got := string(d.Token.Claims()); !strings.Contains(got, `"events":"{`) || d.Token.Compact() == "" {
			t.Errorf("got claims %s, want them as they came", got)
		}
	}
}

// A repeat is answered as the first time and runs nothing: by jti, or without one by
// what the event says.
func TestRepeats(t *testing.T) {
	s := newServer(t, t.TempDir())
	for _, change := range []map[string]any{
		{}, {"iat": 1508184850}, {"jti": nil}, {"jti": nil, "iat": 1508184850}, {"jti": ""},
	} {
		if w := s.notify(t, claims(t, accountDelete, change)); w.Code != http.StatusOK {
			t.Fatalf("%v: got %d %s, want 200", change, w.Code, w.Body)
		}
	}
	s.notify(t, claims(t, strings.Replace(accountDelete, "123", "124", 1), map[string]any{"jti": nil}))
	s.run(t)
	for range 3 { // with a jti, without, and another event
		s.next(t)
	}
	select {
	case d := <-s.got:
		t.Errorf("got %s again, want each once", d.ID)
	case <-time.After(50 * time.Millisecond):
	}
}

// What is refused, and how: 400 with a code of RFC 8935, or the status of no notification.
func TestRefusals(t *testing.T) {
	s := newServer(t, t.TempDir())
	other, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	elliptic, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	good := claims(t, accountDelete, nil)
	wrap := func(compact string) string { return `{"payload":"` + compact + `"}` }
	ours := func(claims string) string { return wrap(sign(t, appleKey(), "JWT", claims)) }
	unsigned := "eyJhbGciOiJub25lIn0." + strings.Split(sign(t, appleKey(), "JWT", good), ".")[1] + "."
	forged := sign(t, appleKey(), "JWT", good)
	forged = forged[:strings.LastIndexByte(forged, '.')+1] + strings.Repeat("A", 342)
	for name, c := range map[string]struct {
		body, want string
	}{
		"no JSON":          {`payload`, "invalid_request"},
		"no payload":       {`{"Payload":"x"}`, "invalid_request"},
		"payload twice":    {`{"payload":"x","payload":"x"}`, "invalid_request"},
		"payload a number": {`{"payload":1}`, "invalid_request"},
		"no JWS":           {wrap("x"), "invalid_request"},
		"a SET's typ":      {wrap(sign(t, appleKey(), set.HeaderType, good)), "invalid_request"},
		"unsigned":         {wrap(unsigned), "invalid_key"},
		"key of another":   {wrap(sign(t, other, "JWT", good)), "invalid_key"},
		"other algorithm":  {wrap(sign(t, elliptic, "JWT", good)), "invalid_key"},
		"signature":        {wrap(forged), "authentication_failed"},
		"issuer":           {ours(claims(t, accountDelete, map[string]any{"iss": siwa.Issuer + "/"})), "invalid_issuer"},
		"audience":         {ours(claims(t, accountDelete, map[string]any{"aud": "com.other"})), "invalid_audience"},
		"audiences":        {ours(claims(t, accountDelete, map[string]any{"aud": []string{"com.other"}})), "invalid_audience"},
		"no audience":      {ours(claims(t, accountDelete, map[string]any{"aud": nil})), "invalid_request"},
		"expired":          {ours(claims(t, accountDelete, map[string]any{"exp": 1508184600})), "invalid_request"},
		"from the future":  {ours(claims(t, accountDelete, map[string]any{"iat": 1508185201})), "invalid_request"},
		"no iat":           {ours(claims(t, accountDelete, map[string]any{"iat": nil})), "invalid_request"},
		"an ID token":      {ours(claims(t, accountDelete, map[string]any{"events": nil, "sub": "1"})), "invalid_request"},
		"events an object": {ours(claims(t, accountDelete, map[string]any{"events": json.RawMessage(accountDelete)})), "invalid_request"},
		"events no JSON":   {ours(claims(t, "account-delete", nil)), "invalid_request"},
		"event twice":      {ours(claims(t, accountDelete+accountDelete, nil)), "invalid_request"},
		"sub twice":        {ours(claims(t, `{"type":"account-delete","sub":"1","sub":"2"}`, nil)), "invalid_request"},
		"no sub":           {ours(claims(t, `{"type":"account-delete"}`, nil)), "invalid_request"},
		"no type":          {ours(claims(t, `{"sub":"1"}`, nil)), "invalid_request"},
		"type no word":     {ours(claims(t, `{"type":"a b","sub":"1"}`, nil)), "invalid_request"},
		"claims twice":     {ours(strings.Replace(good, `{`, `{"jti":"x",`, 1)), "invalid_request"},
		"jti too long":     {ours(claims(t, accountDelete, map[string]any{"jti": strings.Repeat("j", set.MaxIDBytes+1)})), "invalid_request"},
	} {
		w := s.post("application/json", c.body)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"err":"`+c.want) {
			t.Errorf("%s: got %d %s, want 400 %s", name, w.Code, w.Body, c.want)
		}
	}
	if w := s.post("application/secevent+jwt", ours(good)); w.Code != http.StatusUnsupportedMediaType || w.Header().Get("Accept") != "application/json" {
		t.Errorf("a SET's media type: got %d (Accept %q), want 415", w.Code, w.Header().Get("Accept"))
	}
	if w := s.post("application/json; charset=utf-8", ours(good)); w.Code != http.StatusOK {
		t.Errorf("good: got %d %s, want 200", w.Code, w.Body)
	}
}

func TestNew(t *testing.T) {
	for _, audience := range [][]string{nil, {""}} {
		if d, err := siwa.New(siwa.Config{Audience: audience}); err == nil || d != nil || !strings.Contains(err.Error(), "Audience") {
			t.Errorf("%q: got %v, %v, want Audience named", audience, d, err)
		}
	}
	if _, err := siwa.New(siwa.Config{Audience: []string{app}}); err != nil {
		t.Errorf("got %v, want Apple's keys by default", err)
	}
}

// The law: what is accepted reads again as the same token; nothing panics.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{accountDelete, `{"type":"x","sub":"y","event_time":1e12,"is_private_email":"maybe"}`, `{}`, `"x"`} {
		f.Add(claims(f, seed, nil))
	}
	d, err := siwa.New(siwa.Config{Audience: []string{app}, Keys: keys{jose.NewKeySet(appleKey().Public())}, Now: now})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		compact := []byte(sign(t, appleKey(), "JWT", text))
		token, err := d.Verify(t.Context(), compact)
		if err != nil {
			if token != nil {
				t.Fatalf("got %v with an error, want nil", token)
			}
			return
		}
		again, err := d.Read(compact)
		if err != nil || again.ID != token.ID || !again.Subject.Equal(token.Subject) || string(again.Events[0].Payload) != string(token.Events[0].Payload) {
			t.Fatalf("got %v, %v, want what was verified", again, err)
		}
		if token.ID == "" || token.Subject.IsZero() || !json.Valid(token.Events[0].Payload) {
			t.Fatalf("got %v, want a whole token", token)
		}
	})
}
