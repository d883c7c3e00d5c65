package check_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// No header lets a session through but jo's cookie or token: whatever else is in them,
// the sessions that ended stay ended, and the gate asks for a login or answers why not.
func FuzzCheck(f *testing.F) {
	k := newKit(f, sessions.FailClosed)
	jo, mo := k.token("jo", nil), k.token("mo", nil)
	for _, seed := range [][2]string{
		{"sid=jo", ""},
		{"", "Bearer {jo}"},
		{"sid=jo; sid=mo", "Bearer {jo}"},
		{"sid=mo", "bearer\t{jo} "},
		{"sid=\"jo\"", "Basic x"},
		{"sid=jo", "Bearer {mo}"},
		{"sid=", "Bearer a.b.c"},
		{";;;=;sid = jo", "Bearer {jo}.x"},
		{"sid=" + strings.Repeat("x", 3000), ""},
		{"sid=j\x00o", "Bearer"},
	} {
		f.Add(seed[0], seed[1])
	}
	h := k.handler(func(c *check.Config) { c.ResponseHeaders = true })
	show := strings.NewReplacer("{jo}", jo, "{mo}", mo)
	f.Fuzz(func(t *testing.T, cookie, authorization string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = "127.0.0.1:40000"
		r.Header["Cookie"], r.Header["Authorization"] = []string{cookie}, []string{show.Replace(authorization)}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(strings.ReplaceAll(authorization, "\t", " "))), " ")
		switch w.Code {
		case http.StatusOK:
			if !strings.Contains(cookie, "jo") && !strings.Contains(authorization, "{jo}") || scheme == "bearer" && strings.Contains(authorization, "{mo}") {
				t.Fatalf("%q, %q: got it let through", cookie, authorization)
			}
		case http.StatusUnauthorized, http.StatusForbidden:
		default:
			t.Fatalf("%q, %q: got %d %s", cookie, authorization, w.Code, w.Body)
		}
		for name, values := range w.Header() {
			if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
				t.Fatalf("%s: got %q", name, values)
			}
		}
	})
}

// Claims of whatever form, signed by the issuer, are a session only if they are of the
// issuer, for us and of now; what they say stands in the answer's headers in printable form.
func FuzzToken(f *testing.F) {
	k := newKit(f, sessions.FailClosed)
	for _, claims := range []string{
		`{"iss":"https://idp.example","sub":"jo","aud":"https://app.example","exp":32503680000,"iat":1e9,"sid":"s"}`, `{"iss":"https://idp.example","sub":"j\r\no","aud":["x","other"],"exp":3e10,"email":"é@example.com"}`,
		`{"iss":"https://idp.example","aud":{},"exp":3e10}`, `{"sub":"mo","sub":"jo"}`, `[]`, `{"iss":"https://idp.example","aud":"other","exp":1e308,"nbf":-1e308,"auth_time":1e300}`,
	} {
		f.Add(claims, "at+jwt")
		f.Add(claims, "secevent+jwt")
	}
	h := k.handler(func(c *check.Config) { c.ResponseHeaders = true })
	f.Fuzz(func(t *testing.T, claims, typ string) {
		signer, err := jose.NewSigner(k.key, typ)
		if err != nil {
			return
		}
		compact, err := signer.Sign([]byte(claims))
		if err != nil {
			return
		}
		w := ask(h, "Authorization", "Bearer "+compact)
		switch w.Code {
		case http.StatusOK, http.StatusUnauthorized, http.StatusForbidden:
		case http.StatusServiceUnavailable: // a session older than what is remembered
		default:
			t.Fatalf("%q: got %d %s", claims, w.Code, w.Body)
		}
		if w.Code == http.StatusOK && (!strings.Contains(claims, "iss") || !strings.Contains(claims, "aud") || strings.Contains(strings.ToLower(typ), "secevent")) {
			t.Fatalf("%q (%s): got it let through", claims, typ)
		}
		for name, values := range w.Header() {
			for _, v := range values {
				if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
					t.Fatalf("%q: %s: got %q", claims, name, v)
				}
			}
		}
	})
}
