package transmitter_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// What leaves for each kind of receiver that does not read the current form, over
// HTTP, in the shape that it takes.
func TestProfiles(t *testing.T) {
	h := open(t)
	const verify = `"https://schemas.openid.net/secevent/ssf/event-type/verification"`
	for _, tt := range []struct {
		profile, typ  string
		event, verify string // claims but iss, jti, iat, txn, toe
	}{
		{
			"", set.HeaderType,
			`{"aud":"AUD","sub_id":{"format":"email","email":"jo@example.com"},"events":{"` + sessionRevoked + `":{"event_timestamp":1700000000}}}`,
			`{"aud":"AUD","sub_id":{"format":"opaque","id":"STREAM"},"events":{` + verify + `:{"state":"x"}}}`,
		},
		{
			"okta,timestamps=milliseconds", set.HeaderType,
			`{"aud":"AUD","events":{"` + sessionRevoked + `":{"subject":{"user":{"format":"email","email":"jo@example.com"}},"event_timestamp":1700000000000}}}`,
			`{"aud":"AUD","events":{` + verify + `:{"subject":{"format":"opaque","id":"STREAM"},"state":"x"}}}`,
		},
		{
			"apple", set.HeaderType,
			`{"aud":["AUD"],"sub_id":{"format":"email","email":"jo@example.com"},"events":{"` + sessionRevoked + `":{}}}`,
			`{"aud":["AUD"],"sub_id":{"format":"opaque","id":"STREAM"},"events":{` + verify + `:{"state":"x"}}}`,
		},
		{
			"google-workspace", set.HeaderType,
			`{"aud":"AUD","sub_id":{"format":"email","email":"jo@example.com"},"events":{"` + sessionRevoked + `":{"subject":{"format":"email","email":"jo@example.com"},"event_timestamp":1700000000}}}`,
			`{"aud":"AUD","sub_id":{"format":"opaque","id":"STREAM"},"events":{` + verify + `:{"subject":{"format":"opaque","id":"STREAM"},"state":"x"}}}`,
		},
		{
			"risc-draft,typ=JWT", "JWT",
			`{"aud":"AUD","events":{"` + sessionRevoked + `":{"subject":{"subject_type":"email","email":"jo@example.com"},"event_timestamp":1700000000}}}`,
			`{"aud":"AUD","events":{` + verify + `:{"subject":{"subject_type":"opaque","id":"STREAM"},"state":"x"}}}`,
		},
	} {
		t.Run(tt.profile, func(t *testing.T) {
			app := h.application(tt.profile)
			token := h.client(app, everyScope)
			stream := h.stream(token, "")
			h.must(204, "POST", "/ssf/verify", token, `{"stream_id":"`+stream+`","state":"x"}`)
			h.emit(token, "jo")
			var sets []string
			until(t, "both are there", func() bool {
				_, more := h.poll(token, stream, `{"returnImmediately":true}`)
				sets = append(sets, more...)
				return len(sets) == 2
			})
			for i, want := range []string{tt.verify, tt.event} {
				tok, err := set.Parse([]byte(sets[i]))
				if err != nil {
					t.Fatal(err)
				}
				if tok.Header.Type != tt.typ {
					t.Errorf("typ: got %s, want %s", tok.Header.Type, tt.typ)
				}
				if diff := cmp.Diff(shape(t, want, audience(app), stream), shape(t, string(tok.Claims()), "", "")); diff != "" {
					t.Errorf("claims: -want +got\n%s", diff)
				}
			}
		})
	}
}

// application adds one with a profile.
func (h *house) application(profile string) string {
	h.t.Helper()
	made, err := h.apps.AddApplication(context.Background(), auth.Application{
		ID: "app" + profile[:min(3, len(profile))], Audience: []string{audience("app" + profile[:min(3, len(profile))])}, Profile: profile,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return made.ID
}

// shape returns claims without those that differ from run to run, AUD and STREAM
// replaced.
func shape(t *testing.T, claims, aud, stream string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(claims), &m); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iss", "jti", "iat", "txn", "toe"} {
		delete(m, name)
	}
	return replace(m, map[string]string{"AUD": aud, "STREAM": stream}).(map[string]any)
}

func replace(v any, with map[string]string) any {
	switch v := v.(type) {
	case string:
		if to, ok := with[v]; ok {
			return to
		}
	case []any:
		for i := range v {
			v[i] = replace(v[i], with)
		}
	case map[string]any:
		for k := range v {
			v[k] = replace(v[k], with)
		}
	}
	return v
}

// The drafts' paths have the metadata where that is asked for, and nowhere else.
func TestFormerMetadata(t *testing.T) {
	former := open(t, func(s *setup) { s.FormerMetadata = true })
	strict := open(t)
	want := former.must(200, "GET", "/.well-known/ssf-configuration", "", "").body
	for _, path := range []string{"/.well-known/sse-configuration", "/.well-known/risc-configuration"} {
		if got := former.must(200, "GET", path, "", "").body; got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
		strict.must(404, "GET", path, "", "")
	}
}

// An operator gives an application and a stream their profile; what waits leaves in
// the new form, and a wrong profile is refused.
func TestProfileIsSet(t *testing.T) {
	h := open(t)
	token := h.client("shop", everyScope)
	stream := h.stream(token, "")
	h.emit(token, "jo")
	var ids []string
	until(t, "it is there", func() bool {
		ids, _ = h.poll(token, stream, `{"returnImmediately":true}`)
		return len(ids) == 1
	})
	o := h.operator(h.Transmitter.AdminHandler())
	admin := h.client("operators", "admin")
	for _, path := range []string{"/admin/streams/" + stream + "/profile", "/admin/applications/shop"} {
		method := map[bool]string{true: "PUT", false: "PATCH"}[path != "/admin/applications/shop"]
		a := o.must(400, method, path, admin, `{"profile":"nobody"}`)
		if a.member("member") != "profile" {
			t.Errorf("%s: got %s, want profile named", path, a.body)
		}
		if got := o.must(200, method, path, admin, `{"profile":"okta"}`).member("profile"); got != "okta" {
			t.Errorf("%s: got profile %q, want okta", path, got)
		}
	}
	o.must(404, "PUT", "/admin/streams/none/profile", admin, `{"profile":"okta"}`)
	o.must(404, "PATCH", "/admin/applications/none", admin, `{"profile":"okta"}`)
	s, err := h.store.Stream(t.Context(), stream)
	if err != nil || s.Profile != "okta" {
		t.Errorf("the stream that there was: got %q, %v, want okta", s.Profile, err)
	}
	later := h.stream(token, "")
	if s, err := h.store.Stream(t.Context(), later); err != nil || s.Profile != "okta" {
		t.Errorf("a stream made later: got %q, %v, want okta", s.Profile, err)
	}
	if got := h.must(200, "GET", "/ssf/streams?stream_id="+stream, token, "").member("profile"); got != "" {
		t.Errorf("the receiver's view: got profile %q, want none: it is no member of SSF", got)
	}
}

// A profile counts from when it is set: what is on its way to a receiver that
// refuses the former form is no dead letter, and leaves in the new one.
func TestProfileIsSetWhileSETsAreOnTheirWay(t *testing.T) {
	h := open(t)
	token, admin := h.client("shop", everyScope), h.client("operators", "admin")
	came, changed := make(chan struct{}, 100), make(chan struct{})
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		tok, wrong := parseClaims(string(body))
		if err != nil || wrong != nil {
			t.Errorf("got %q, %v, %v", body, err, wrong)
		}
		if _, former := tok["sub_id"]; former {
			came <- struct{}{}
			<-changed
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"err":"invalid_request","description":"a subject is wanted in the event"}`)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer sink.Close()
	stream := h.stream(token, pushTo(sink.URL))
	h.emitMany(token, 12)
	<-came
	h.operator(h.Transmitter.AdminHandler()).must(200, "PUT", "/admin/streams/"+stream+"/profile", admin, `{"profile":"okta"}`)
	close(changed)
	until(t, "an empty queue", func() bool {
		depth, err := h.store.Depth(t.Context(), stream)
		return err == nil && depth.Items == 0
	})
	if letters := h.must(200, "GET", "/v1/streams/"+stream+"/dead-letters", token, "").body; strings.Contains(letters, "invalid_request") {
		t.Errorf("got dead letters %s, want none", letters)
	}
}

// parseClaims returns the claims of a SET.
func parseClaims(compact string) (claims map[string]any, err error) {
	tok, err := set.Parse([]byte(compact))
	if err != nil {
		return nil, err
	}
	return claims, json.Unmarshal(tok.Claims(), &claims)
}
