package transmitter_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// idmeRecord is a record of ID.me about jo.
func idmeRecord(n int, handle, application string) string {
	return fmt.Sprintf(`{"event":%q,"identifier":"u1","email":"jo@example.com","application":%q,"tracked_at":"2026-11-20T14:32:%02d+00:00"}`, handle, application, n)
}

// A source whose consents are set has ID.me's records of consent to an
// application noted as decisions for ours: what was held is released together in
// its order, the record itself among it; after a revocation, which is still
// told, what comes later is held. Repetitions decide nothing again, and what
// other sources and other applications are told of is only recorded.
func TestConsentRecords(t *testing.T) {
	h := open(t)
	alice, bob := h.client("alice", everyScope), h.client("bob", everyScope)
	all := `{"events_requested":["` + strings.Join(risc.Types(), `","`) + `"],"delivery":{"method":"urn:ietf:rfc:8936"}}`
	stream := h.must(201, "POST", "/ssf/streams", alice, all).member("stream_id")
	free := h.must(201, "POST", "/ssf/streams", bob, all).member("stream_id")
	h.must(200, "PUT", "/v1/consents/gate", alice, `{"enabled":true}`)
	secret := h.vendor(auth.VendorSource{
		Source: auth.Source{Name: "idme", Consents: map[string]string{"Portal": "alice"}}, Kind: auth.KindIDme, Auth: auth.VendorBearer,
	})
	plain := h.vendor(auth.VendorSource{Source: auth.Source{Name: "plain"}, Kind: auth.KindIDme, Auth: auth.VendorBearer})
	send := func(source, secret, record string) (id string) {
		t.Helper()
		h.must(http.StatusAccepted, "POST", "/v1/sources/"+source, secret, record)
		for _, e := range h.events() {
			if string(e.Original) == record && e.Source == source {
				id = e.ID
			}
		}
		return id
	}
	seen := func(id string) bool { return h.do("GET", "/v1/events/"+id, alice, "").status == 200 }
	state := func() string {
		return h.must(200, "GET", "/v1/consents?subject="+url.QueryEscape(jo), alice, "").member("state")
	}
	// drain takes what a stream has and returns of which events it has come.
	drain := func(token, stream string) (events []string) {
		t.Helper()
		ids, sets := h.poll(token, stream, `{"maxEvents":10,"returnImmediately":true}`)
		if len(ids) > 0 { // what comes next waits for them
			h.poll(token, stream, `{"maxEvents":0,"returnImmediately":true,"ack":["`+strings.Join(ids, `","`)+`"]}`)
		}
		for _, one := range sets {
			events = append(events, parse(t, one).TransactionID)
		}
		return events
	}
	// settle waits until the fan-out has come to an event.
	settle := func(id string) {
		t.Helper()
		until(t, "the fan-out", func() bool { return slices.Contains(drain(bob, free), id) })
	}
	allow := idmeRecord(3, "consent.allow", "Portal")
	want := []string{
		send("idme", secret, idmeRecord(1, "status.suspension.applied", "Portal")),
		send("idme", secret, idmeRecord(2, "consent.allow", "Elsewhere")),
		send("plain", plain, allow),
	}
	settle(want[2])
	if got := state(); got != "none" || seen(want[0]) {
		t.Errorf("before consent: got state %s, want none, and all held", got)
	}
	want = append(want, send("idme", secret, allow))
	var got []string
	until(t, "what was held", func() bool {
		got = append(got, drain(alice, stream)...)
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) || state() != "granted" {
		t.Errorf("on consent: got %v and state %s, want %v and granted", got, state(), want)
	}
	revoked := send("idme", secret, idmeRecord(4, "consent.revoke", "Portal"))
	until(t, "the revocation", func() bool { return state() == "revoked" })
	if !seen(revoked) {
		t.Error("the record of the revocation is held, want it told")
	}
	send("idme", secret, allow) // once more
	late := send("idme", secret, idmeRecord(5, "status.suspension.removed", "Portal"))
	settle(late)
	if got := state(); got != "revoked" || seen(late) {
		t.Errorf("after it: got state %s, want revoked, and what is later held", got)
	}
	decisions := h.must(200, "GET", "/v1/consents", alice, "").body
	if n := strings.Count(decisions, `"by":"source idme"`); n != 2 {
		t.Errorf("got %d decisions, want 2: %s", n, decisions)
	}
}

// A refusal counts though its record can be mapped to nothing, of a clock that is
// ahead for example; a grant does not.
func TestConsentRecordsThatAreNotMapped(t *testing.T) {
	h := open(t)
	alice := h.client("alice", everyScope)
	h.must(200, "PUT", "/v1/consents/gate", alice, `{"enabled":true}`)
	secret := h.vendor(auth.VendorSource{
		Source: auth.Source{Name: "idme", Consents: map[string]string{"Portal": "alice"}}, Kind: auth.KindIDme, Auth: auth.VendorBearer,
	})
	ahead := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, handle := range []string{"consent.deny", "consent.allow", "consent.revoke"} {
		for _, at := range []string{ahead, "no time"} {
			h.must(http.StatusAccepted, "POST", "/v1/sources/idme", secret, fmt.Sprintf(
				`{"event":%q,"identifier":"u1","email":"jo@example.com","application":"Portal","tracked_at":%q}`, handle, at))
		}
	}
	list := func() string { return h.must(200, "GET", "/v1/consents?subject="+url.QueryEscape(jo), alice, "").body }
	until(t, "the refusals", func() bool { return strings.Count(list(), `"by":"source idme"`) >= 4 })
	if got := list(); strings.Count(got, `"decision":"deny"`) != 2 || strings.Count(got, `"decision":"revoke"`) != 2 || strings.Contains(got, `"grant"`) {
		t.Errorf("got %s, want the refusals alone", got)
	}
}
