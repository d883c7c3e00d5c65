package transmitter_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter"
)

// metadataURL is where SSF-7.2-01 puts the document of an issuer, written down
// once more from the specification: between host and path, without the slash at
// the issuer's end.
func metadataURL(t testing.TB, issuer string) string {
	t.Helper()
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/.well-known/ssf-configuration" + strings.TrimSuffix(u.Path, "/")
	return u.String()
}

// read fetches what anybody may read.
func (h *house) read(url string) answer {
	h.t.Helper()
	a := h.ask(context.Background(), http.MethodGet, url, "", strings.NewReader(""))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		h.t.Fatalf("GET %s: got %d %s, want 200 and JSON", url, a.status, a.header.Get("Content-Type"))
	}
	return a
}

// verifier is a receiver that knows the issuer's name alone: all else it reads
// from the metadata.
func (h *house) verifier(app string) *set.Verifier {
	h.t.Helper()
	metadata := h.read(metadataURL(h.t, h.issuer))
	keySet, err := jose.ParseKeySet([]byte(h.read(metadata.member("jwks_uri")).body))
	if err != nil {
		h.t.Fatal(err)
	}
	v, err := set.NewVerifier(set.VerifierConfig{
		Issuer: metadata.member("issuer"), Audience: []string{audience(app)}, Keys: published{keySet}, Algorithms: []jose.Algorithm{jose.ES256},
		Tolerances: set.Tolerances{IssuerSlash: strings.HasSuffix(h.issuer, "/")},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// published is a key set as a set.KeySource.
type published struct{ *jose.KeySet }

func (p published) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return p.Find(kid, alg)
}

// The metadata is where it must be, says what is, and its keys are those that sign
// (SSF-7.2-01, SSF-7.2.1-01, SSF-7.2.3-01, SSF-7.1-01, SSF-7.1-02, SSF-7.1-03,
// SSF-7.1-10, SSF-4.1.6-01, SET-5.1-01).
func TestMetadataTellsTheTruth(t *testing.T) {
	for _, path := range []string{"", "/tenant", "/tenant/", "/a/b"} {
		t.Run("issuer "+path, func(t *testing.T) {
			h := open(t, func(s *setup) { s.Issuer += path })
			metadata := h.read(metadataURL(t, h.issuer))
			if got := metadata.member("issuer"); got != h.issuer {
				t.Errorf("SSF-7.1-01: got issuer %q, want %q", got, h.issuer)
			}
			if got, want := metadata.member("delivery_methods_supported"), `["urn:ietf:rfc:8935","urn:ietf:rfc:8936"]`; got != want {
				t.Errorf("SSF-7.1-03: got %s, want %s", got, want)
			}
			if got := metadata.member("default_subjects"); got != "ALL" {
				t.Errorf("SSF-7.1-10: got %q, want ALL", got)
			}
			if strings.Contains(metadata.body, "[]") || strings.Contains(metadata.body, "null") {
				t.Errorf("SSF-7.2.3-01: got %s, want empty members left out", metadata.body)
			}
			if got, want := metadata.member("jwks_uri"), strings.TrimSuffix(h.issuer, "/")+"/jwks.json"; got != want {
				t.Errorf("SSF-7.1-02: got %s, want %s", got, want)
			}
			h.checkOneIssuer(t, metadata)
		})
	}
}

// checkOneIssuer creates a stream at the endpoint that the metadata names and
// compares the iss of the stream and of its SETs.
func (h *house) checkOneIssuer(t *testing.T, metadata answer) {
	t.Helper()
	token := h.client("alice", everyScope)
	made := h.ask(t.Context(), http.MethodPost, metadata.member("configuration_endpoint"), token,
		strings.NewReader(`{"events_requested":["`+sessionRevoked+`"]}`))
	if made.status != http.StatusCreated || made.member("iss") != h.issuer {
		t.Fatalf("SSF-4.1.6-01: got %d %s, want a stream of %s", made.status, made.body, h.issuer)
	}
	root := strings.TrimSuffix(h.issuer, "/")
	h.postTo(t, root+"/v1/events", token, event("alice"), http.StatusAccepted)
	var delivery struct {
		URL string `json:"endpoint_url"`
	}
	if err := json.Unmarshal([]byte(made.member("delivery")), &delivery); err != nil {
		t.Fatal(err)
	}
	polled := h.postTo(t, delivery.URL, token, `{"maxEvents":1}`, http.StatusOK)
	var sets map[string]string
	if err := json.Unmarshal([]byte(polled.member("sets")), &sets); err != nil || len(sets) != 1 {
		t.Fatalf("got %s, %v, want one SET", polled.body, err)
	}
	for jti, compact := range sets {
		if got := parse(t, compact).Issuer; got != h.issuer {
			t.Errorf("SSF-4.1.6-01: got iss %q, want %q", got, h.issuer)
		}
		verified, err := h.verifier("alice").Verify(t.Context(), []byte(compact))
		if err != nil || verified.ID != jti {
			t.Errorf("SSF-7.1-02, SET-5.1-01: got %+v, %v, want it signed by a key of jwks_uri", verified, err)
		}
	}
}

// postTo posts to a whole URL.
func (h *house) postTo(t *testing.T, url, token, body string, status int) answer {
	t.Helper()
	a := h.ask(t.Context(), http.MethodPost, url, token, strings.NewReader(body))
	if a.status != status {
		t.Fatalf("POST %s: got %d %s, want %d", url, a.status, a.body, status)
	}
	return a
}

// SSF-7.1-02: the current signing key is published before it signs, and one that
// signed stays published while its SETs may be on their way.
func TestKeysArePublished(t *testing.T) {
	h := open(t)
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	var sets []string
	for range 2 {
		h.emit(token, "alice")
		_, got := h.poll(token, stream, `{"maxEvents":1}`)
		sets = append(sets, got...)
		if _, err := h.keys.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.must(http.StatusOK, http.MethodPost, "/ssf/poll/"+stream, token, `{"maxEvents":0,"ack":["`+parse(t, got[0]).ID+`"]}`)
	}
	if a, b := parse(t, sets[0]).Header.KeyID, parse(t, sets[1]).Header.KeyID; a == b {
		t.Fatalf("got both SETs signed by %s, want two keys", a)
	}
	v := h.verifier("alice")
	for i, compact := range sets {
		if _, err := v.Verify(t.Context(), []byte(compact)); err != nil {
			t.Errorf("SSF-7.1-02: SET %d: got %v, want its key published", i, err)
		}
	}
}

// SSF-7.1-01: an issuer that metadata could not name, or that is not protected,
// starts nothing.
func TestIssuersRefused(t *testing.T) {
	for _, issuer := range []string{
		"", "t.example", "https://", "http://t.example", "ftp://t.example", "http://10.0.0.1",
		"https://t.example?x=1", "https://t.example/?", "https://t.example#f", "https://t.example/#", "https://u@t.example", "https://t.example//a",
	} {
		_, err := transmitter.New(transmitter.Config{Issuer: issuer, InsecureLoopback: true})
		if err == nil || !strings.Contains(err.Error(), "Config.Issuer") {
			t.Errorf("SSF-7.1-01 %q: got %v, want Config.Issuer refused", issuer, err)
		}
	}
	for _, issuer := range []string{"https://t.example", "https://t.example:8443/tenant", "https://t.example/"} {
		if _, err := transmitter.New(transmitter.Config{Issuer: issuer}); err == nil || strings.Contains(err.Error(), "Config.Issuer") {
			t.Errorf("SSF-7.1-01 %q: got %v, want only the stores missing", issuer, err)
		}
	}
	// SSF-7.1-10: so does a default that the metadata has no word for.
	_, err := transmitter.New(transmitter.Config{Issuer: "https://t.example", DefaultSubjects: "all"})
	if err == nil || !strings.Contains(err.Error(), "Config.DefaultSubjects") {
		t.Errorf("SSF-7.1-10: got %v, want Config.DefaultSubjects refused", err)
	}
}

// SSF-7.1-09: the scheme that the metadata names protects the poll endpoint too: the
// same token, got from the token endpoint, opens both, and without it neither opens.
func TestOneScheme(t *testing.T) {
	h := open(t)
	made := h.credentials("alice", "ssf.manage")
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {made.ClientID}, "client_secret": {made.Secret}}
	a := h.must(http.StatusOK, http.MethodPost, "/oauth/token", "", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	token := a.member("access_token")
	if got := h.read(metadataURL(t, h.issuer)).member("authorization_schemes"); got != `[{"spec_urn":"urn:ietf:rfc:6749"}]` {
		t.Fatalf("got %s, want OAuth 2.0", got)
	}
	stream := h.stream(token, "")
	for path, body := range map[string]string{
		"/ssf/poll/" + stream: `{"returnImmediately":true}`,
		"/ssf/verify":         `{"stream_id":"` + stream + `"}`,
	} {
		if got := h.do(http.MethodPost, path, token, body).status; got/100 != 2 {
			t.Errorf("SSF-7.1-09 %s with the token: got %d, want success", path, got)
		}
		checkError(t, "SSF-7.1-09 "+path, h.do(http.MethodPost, path, "", body), http.StatusUnauthorized)
		checkError(t, "SSF-7.1-09 "+path, h.do(http.MethodPost, path, made.Secret, body), http.StatusUnauthorized)
	}
}
