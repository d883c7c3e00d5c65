package transmitter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/source/sourcetest"
)

// polledSource is a source as the admin API lists it.
type polledSource struct {
	Name   string `json:"name"`
	Polled struct {
		Within      bool      `json:"within"`
		LastSuccess time.Time `json:"last_success"`
		Failures    int       `json:"failures"`
		LastError   string    `json:"last_error"`
	} `json:"polled"`
}

// source returns a source as it is listed.
func (o *operator) source(name string) polledSource {
	o.t.Helper()
	var list []polledSource
	a := o.must(http.StatusOK, "GET", "/admin/sources", "", "")
	if err := json.Unmarshal([]byte(a.body), &list); err != nil {
		o.t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == name {
			return s
		}
	}
	o.t.Fatalf("got no source %s in %s", name, a.body)
	return polledSource{}
}

// What vendors list becomes events and SETs, and how it goes is to be seen.
func TestVendorsPolled(t *testing.T) {
	h := open(t)
	o := h.operator(h.SocketHandler())
	shop := h.client("shop", everyScope)
	stream := h.stream(shop, "")
	at := time.Now().Add(-time.Hour)
	onelogin := sourcetest.NewOneLogin("token")
	onelogin.ClientID, onelogin.Secret = "me", "of-onelogin"
	fingerprint := sourcetest.NewFingerprint("of-fingerprint", time.Now)
	for i := range int64(120) {
		onelogin.Add(sourcetest.OneLoginEvent(i+1, 8, at.Add(time.Duration(i)*time.Millisecond)))
		fingerprint.Add(sourcetest.FingerprintEvent(i+1, at.Add(time.Duration(i)*time.Millisecond), `,"identification":{"visitor_id":"v"}`))
	}
	onelogin.Add(sourcetest.OneLoginEvent(500, 7, at.Add(time.Second)))
	fingerprint.Fail(sourcetest.Fault{Status: http.StatusInternalServerError})
	vendors := http.NewServeMux()
	vendors.Handle("/ol/", http.StripPrefix("/ol", onelogin))
	vendors.Handle("/fp/", http.StripPrefix("/fp", fingerprint))
	server := httptest.NewServer(vendors)
	defer server.Close()
	since := at.Add(-time.Minute).UTC().Format(time.RFC3339)
	for _, s := range []string{
		fmt.Sprintf(`{"name":"ol","kind":"onelogin","auth":"off","applications":["shop"],"api":{"url":"%s/ol","client_id":"me","secret":"of-onelogin","poll_seconds":1,"since":%q}}`, server.URL, since),
		fmt.Sprintf(`{"name":"fp","kind":"fingerprint","auth":"bearer","api":{"url":"%s/fp/v4","secret":"of-fingerprint","poll_seconds":1,"since":%q}}`, server.URL, since),
	} {
		if a := o.must(http.StatusCreated, "POST", "/admin/sources", "", s); strings.Contains(a.body, "of-") {
			t.Errorf("got %s, want no secret of a vendor", a.body)
		}
	}
	until(t, "all events", func() bool { return len(h.events()) == 241 })
	counts := map[string]int{}
	for _, e := range h.events() {
		counts[e.Source+" "+e.Format]++
		if e.MappingError != "" || e.SourceID == "" || strings.HasPrefix(e.SourceID, "sha256:") || (e.Source == "ol") != slices.Equal(e.Applications, []string{"shop"}) {
			t.Fatalf("got %+v, want it mapped, with the vendor's id, for its applications", e)
		}
	}
	if counts["ol onelogin"] != 121 || counts["fp fingerprint"] != 120 {
		t.Errorf("got %v, want 121 and 120", counts)
	}
	until(t, "a SET", func() bool {
		ids, _ := h.poll(shop, stream, `{"returnImmediately":true}`)
		return len(ids) == 1
	})
	for _, name := range []string{"ol", "fp"} {
		until(t, "a success of "+name, func() bool {
			s := o.source(name)
			return !s.Polled.LastSuccess.IsZero() && s.Polled.Failures == 0 && !s.Polled.Within
		})
	}
	metrics := o.must(http.StatusOK, "GET", "/metrics", "", "").body
	for _, line := range []string{
		`tocsin_source_records_total{outcome="kept",source="ol"} 121`, `tocsin_source_pages_total{outcome="failed",source="fp"} 1`,
		`tocsin_source_last_success_timestamp_seconds{source="fp"}`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("got no %s in the metrics", line)
		}
	}
	// A record of the list that comes by the webhook too is one event.
	fp := h.vendor(auth.VendorSource{Source: auth.Source{Name: "fp2"}, Kind: auth.KindFingerprint, Auth: auth.VendorBearer})
	event := sourcetest.FingerprintEvent(900, at, `,"suspect":true`).JSON
	for _, kept := range []string{"1", "0"} {
		if a := h.must(http.StatusAccepted, "POST", "/v1/sources/fp2", fp, event); a.member("kept") != kept {
			t.Errorf("Fingerprint's webhook: got %s, want %s kept", a.body, kept)
		}
	}
	checkError(t, "an array of Fingerprint", h.do("POST", "/v1/sources/fp2", fp, "["+event+"]"), http.StatusBadRequest)

	onelogin.Renew("another")
	onelogin.ClientID = "gone"
	until(t, "a failure", func() bool { return o.source("ol").Polled.Failures > 0 })
	if got := o.source("ol").Polled.LastError; !strings.Contains(got, "401") || !strings.Contains(got, "Authentication Failure") {
		t.Errorf("got last error %q, want OneLogin's", got)
	}
	for _, secret := range []string{"of-onelogin", "of-fingerprint"} {
		if strings.Contains(h.logs.String(), secret) || strings.Contains(o.must(http.StatusOK, "GET", "/admin/sources", "", "").body, secret) {
			t.Errorf("got %s in the logs or the list, want it nowhere", secret)
		}
	}
}

// One event by the vendor's id, at each vendor.
func TestVendorFetch(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(h.SocketHandler())
	at := time.Now().Add(-time.Hour)
	idme, onelogin, fingerprint := sourcetest.NewIDme("s"), sourcetest.NewOneLogin("s"), sourcetest.NewFingerprint("s", time.Now)
	idme.Add(sourcetest.Event{ID: 7, JSON: idmeBegin})
	onelogin.Add(sourcetest.OneLoginEvent(7, 8, at))
	fingerprint.Add(sourcetest.FingerprintEvent(7, at, ""))
	vendors := http.NewServeMux()
	vendors.Handle("/private/", idme)
	vendors.Handle("/api/", onelogin)
	vendors.Handle("/v4/", fingerprint)
	server := httptest.NewServer(vendors)
	defer server.Close()
	for kind, path := range map[string]string{"idme": "", "onelogin": "/", "fingerprint": "/v4"} {
		o.must(http.StatusCreated, "POST", "/admin/sources", "", fmt.Sprintf(`{"name":%q,"kind":%q,"auth":"bearer","api":{"url":"%s%s","secret":"s"}}`, kind, kind, server.URL, path))
		id := map[string]string{"fingerprint": fmt.Sprint(at.UnixMilli(), ".7")}[kind]
		if id == "" {
			id = "7"
		}
		for _, want := range []string{"1", "0"} {
			if a := o.must(http.StatusAccepted, "POST", "/admin/sources/"+kind+"/fetch", "", `{"id":"`+id+`"}`); a.member("kept") != want {
				t.Errorf("%s: got %s, want %s kept", kind, a.body, want)
			}
		}
		checkError(t, kind, o.do("POST", "/admin/sources/"+kind+"/fetch", "", `{"id":"1.8"}`), map[string]int{"onelogin": http.StatusBadGateway, "idme": 404, "fingerprint": 404}[kind])
		checkError(t, kind, o.do("POST", "/admin/sources/"+kind+"/fetch", "", `{}`), http.StatusBadRequest)
	}
	if n := len(h.events()); n != 3 {
		t.Errorf("got %d events, want 3", n)
	}
	checkError(t, "unknown source", o.do("POST", "/admin/sources/nobody/fetch", "", `{"id":"7"}`), http.StatusNotFound)
	h.vendor(auth.VendorSource{Source: auth.Source{Name: "plain"}, Kind: auth.KindOneLogin, Auth: auth.VendorBearer})
	if a := o.do("GET", "/admin/sources/plain/types", "", ""); a.status != http.StatusNotFound || a.member("member") != "name" {
		t.Errorf("a source without an API: got %d %s, want the name told", a.status, a.body)
	}
	idme.Fail(sourcetest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "9", Body: `{"code":1,"message":"slow down"}`})
	if a := o.do("POST", "/admin/sources/idme/fetch", "", `{"id":"7"}`); a.status != http.StatusBadGateway || a.header.Get("Retry-After") != "9" || !strings.Contains(a.body, "slow down") {
		t.Errorf("too many: got %d %s, want what the vendor said", a.status, a.body)
	}
	server.Close()
	checkError(t, "no vendor", o.do("POST", "/admin/sources/idme/fetch", "", `{"id":"7"}`), http.StatusBadGateway)
}

// SEC-01: what is called is judged when it is configured and when it is called.
func TestVendorGuarded(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("got a call of loopback, want none") }))
	defer server.Close()
	h := open(t, func(s *setup) { s.Issuer, s.InsecureLoopback = "https://ssf.example", false })
	o := h.operator(h.SocketHandler())
	named := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	ask := func(name, url string) string {
		return fmt.Sprintf(`{"name":%q,"kind":"onelogin","auth":"off","api":{"url":%q,"secret":"s","poll_seconds":1}}`, name, url)
	}
	for _, url := range []string{"http://vendor.example", server.URL, "https://169.254.169.254", "https://user@vendor.example", ""} {
		a := o.do("POST", "/admin/sources", "", ask("x", url))
		checkError(t, url, a, http.StatusBadRequest)
		if a.member("member") != "api.url" {
			t.Errorf("%s: got %s, want api.url", url, a.body)
		}
	}
	o.must(http.StatusCreated, "POST", "/admin/sources", "", ask("hr", named))
	until(t, "a refusal", func() bool { return strings.Contains(o.source("hr").Polled.LastError, "address not allowed") })
}
