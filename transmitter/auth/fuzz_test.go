package auth_test

import (
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// Whatever its claims and header are, an assertion lets its client in only if they are
// those of RFC 7523, as another reader of JSON sees them, and once.
func FuzzAssertion(f *testing.F) {
	d := newDesk(f, nil)
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		f.Fatal(err)
	}
	set, err := json.Marshal(jose.NewKeySet(key.Public()))
	if err != nil {
		f.Fatal(err)
	}
	d.client(f, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, JWKS: set})
	for _, claims := range []string{
		`{"iss":"c","sub":"c","aud":"https://tocsin.example/t1","exp":1800000060,"iat":1800000000,"jti":"1"}`,
		`{"iss":"c","sub":"c","aud":["https://tocsin.example/t1"],"exp":1.80000006e9,"nbf":1,"jti":"\u0000"}`,
		`{"iss":"c","sub":"c","aud":"https://tocsin.example/t1","exp":1e300,"jti":"x"}`, `{"iss":"c","sub":"c","events":{}}`, `{"sub":"c","sub":"c"}`, `[]`, `{"iss":"c","sub":"c","aud":{},"exp":-1}`,
	} {
		f.Add(claims, "JWT", "")
		f.Add(claims, "client-authentication+jwt", "c")
	}
	f.Add("{}", "secevent+jwt", "")
	used := map[string]bool{}
	f.Fuzz(func(t *testing.T, claims, typ, id string) {
		signer, err := jose.NewSigner(key, typ)
		if err != nil {
			return
		}
		compact, err := signer.Sign([]byte(claims))
		if err != nil {
			return
		}
		form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {compact}}
		if id != "" {
			form.Set("client_id", id)
		}
		res := post(d.TokenHandler(), "/oauth/token", form)
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode >= 500 || !json.Valid(body) {
			t.Fatalf("%q: got %d %s", claims, res.StatusCode, body)
		}
		if res.StatusCode != http.StatusOK {
			return
		}
		var c struct {
			Iss, Sub, Jti string
			Aud           any
			Exp, Nbf, Iat float64
			Events        json.RawMessage
		}
		if err := json.Unmarshal([]byte(claims), &c); err != nil {
			t.Fatalf("%q: let in, and %v", claims, err)
		}
		list, _ := c.Aud.([]any)
		forUs := c.Aud == issuer || len(list) > 0
		for _, one := range list {
			forUs = forUs && one == issuer
		}
		const now = 1_800_000_000
		inTime := c.Exp > now-61 && c.Exp <= now+3660 && c.Nbf <= now+61 && c.Iat <= now+61
		typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
		if c.Iss != "c" || c.Sub != "c" || id != "" && id != "c" || c.Jti == "" || len(c.Jti) > 256 || c.Events != nil || !forUs || !inTime ||
			typ != "" && typ != "jwt" && typ != "client-authentication+jwt" || used[c.Jti] {
			t.Fatalf("%q (%s, %q, used before: %t): got %s", claims, typ, id, used[c.Jti], body)
		}
		used[c.Jti] = true
	})
}

// Whatever is posted to the OAuth endpoints, nobody gets a token but a client that showed
// its secret, and no answer repeats it.
func FuzzTokenRequest(f *testing.F) {
	d := newDesk(f, nil)
	given := d.client(f, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	const form = "application/x-www-form-urlencoded"
	for _, seed := range [][4]string{
		{"POST", form, "", "grant_type=client_credentials&client_id=c&client_secret={secret}"},
		{"POST", form, "Basic {basic}", "grant_type=client_credentials&scope=ssf.read"},
		{"POST", form + ";charset=utf-8", "Basic {basic}", "token=x&token_type_hint=access_token"},
		{"POST", "application/json", "", "{}"},
		{"POST", form, "Basic !!", "grant_type=client_credentials&grant_type=x"},
		{"GET", "", "Basic", "%zz"},
		{"POST", form, "", "grant_type=a;b&client_assertion=a.b.c&client_assertion_type=x"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.SetBasicAuth(given.ClientID, given.Secret)
	show := strings.NewReplacer("{secret}", given.Secret, "{basic}", strings.TrimPrefix(r.Header.Get("Authorization"), "Basic "))
	f.Fuzz(func(t *testing.T, method, media, authorization, body string) {
		shown := strings.Contains(body+authorization, "{secret}") || strings.Contains(authorization, "{basic}")
		for _, h := range []http.Handler{d.TokenHandler(), d.RevokeHandler()} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(show.Replace(body)))
			r.Method = method
			r.Header["Content-Type"] = []string{media}
			if authorization != "" {
				r.Header["Authorization"] = []string{show.Replace(authorization)}
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			said := w.Body.String()
			if w.Code >= 500 || said != "" && !json.Valid(w.Body.Bytes()) || strings.Contains(said, given.Secret) {
				t.Fatalf("%s %q %q %q: got %d %s", method, media, authorization, body, w.Code, said)
			}
			if w.Code == http.StatusOK && (!shown || method != http.MethodPost) {
				t.Fatalf("%s %q %q %q: got %s, want it refused", method, media, authorization, body, said)
			}
		}
		d.now.Add(60) // failures are forgotten
	})
}

// No header lets anybody in but one with a token of ours, as it was given.
func FuzzAuthenticate(f *testing.F) {
	d := newDesk(f, nil)
	token := d.token(f, d.client(f, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}}), "")
	static := d.client(f, auth.Client{ID: "s", Scopes: []auth.Scope{"ssf.read"}, Static: true}).AccessToken
	for _, seed := range []string{"Bearer {token}", "bearer  {token} ", "Bearer {static}", "Bearer", "Basic {token}", "Bearer {token}=", "Bearer {static}{static}", "{token}", "Bearer a.b.c", "Bearer\t{token}"} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	show := strings.NewReplacer("{token}", token, "{static}", static)
	f.Fuzz(func(t *testing.T, header string, twice bool) {
		values := []string{show.Replace(header)}
		if twice {
			values = append(values, values[0])
		}
		p, err := d.Authenticate(context.Background(), values)
		var refused *auth.Error
		if (p == nil) != (err != nil) || err != nil && (!errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || strings.Contains(err.Error(), token)) {
			t.Fatalf("%q: got %v, %v", header, p, err)
		}
		scheme, rest, _ := strings.Cut(header, " ")
		rest = strings.Trim(rest, " ")
		if good := !twice && strings.EqualFold(scheme, "Bearer") && (rest == "{token}" || rest == "{static}"); (p != nil) != good {
			t.Fatalf("%q, twice %t: got %v, %v", header, twice, p, err)
		}
	})
}

// Scopes are read back as they are written; what is no list of scopes is none.
func FuzzParseScopes(f *testing.F) {
	for _, seed := range []string{"ssf.read ssf.manage", "", " ", "a  b", "a\tb", "a\"", "é", strings.Repeat("x ", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := auth.ParseScopes(text)
		if err != nil {
			if list != nil {
				t.Fatalf("%q: got %q and %v", text, list, err)
			}
			return
		}
		again, err := auth.ParseScopes(auth.JoinScopes(list))
		if err != nil || auth.JoinScopes(again) != auth.JoinScopes(list) {
			t.Fatalf("%q: got %q (%v), want %q", text, again, err, list)
		}
	})
}

// A body is signed only by the one who has the secret: by no other header, and with no
// other body.
func FuzzSignature(f *testing.F) {
	const secret, body = "0123456789abcdef", `{"event_id":"1"}`
	good := auth.Signature(secret, []byte(body))
	for _, seed := range []string{"v1={good}", "v1=00,v1={good}", "v2={good}", " v1={good} ,", "v1=", ",,,", "v1={good}00", "V1={good}", strings.Repeat("v1=00,", 20) + "v1={good}"} {
		f.Add(seed, "", body)
		f.Add(seed, "v1={good}", body+" ")
	}
	f.Fuzz(func(t *testing.T, one, two, of string) {
		values := []string{strings.ReplaceAll(one, "{good}", good), strings.ReplaceAll(two, "{good}", good)}
		if !auth.BearsSignature(secret, values, []byte(of)) {
			return
		}
		if of != body || !strings.Contains(one+","+two, "v1={good}") && !strings.Contains(strings.ToLower(values[0]+values[1]), good) {
			t.Fatalf("%q of %q: got it taken for signed", values, of)
		}
	})
}

// A subject is the name that is written for it, however its value is escaped; what else is
// written is another name or none.
func FuzzDistinguishedName(f *testing.F) {
	for _, seed := range []string{"shop", " shop ", "a,b", `a\b`, "#0c0161", "é", "\x00", "a+b=c", "", "\xff", ";\"<>"} {
		f.Add(seed, "CN="+seed)
	}
	f.Add("shop", "2.5.4.3=#0c0473686f70")
	f.Fuzz(func(t *testing.T, value, text string) {
		subject, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(value)}}}})
		if err != nil {
			return
		}
		escaped := ""
		for _, b := range []byte(value) {
			escaped += fmt.Sprintf(`\%02x`, b)
		}
		is, err := auth.NameIs("CN="+escaped, subject)
		if good := utf8.ValidString(value); is != good || (err == nil) != good {
			t.Errorf("%q: got %t (%v), want it the name that is written for it if it is UTF-8", value, is, err)
		}
		if is, err := auth.NameIs("CN="+escaped+`\20`, subject); is {
			t.Errorf("%q and a space: got it the same (%v)", value, err)
		}
		if is, _ := auth.NameIs(text, subject); is {
			kind, _, _ := strings.Cut(text, "=")
			if kind = strings.ToUpper(strings.Trim(kind, " ")); kind != "CN" && kind != "2.5.4.3" {
				t.Errorf("%q: got it the name of %q", text, value)
			}
		}
	})
}
