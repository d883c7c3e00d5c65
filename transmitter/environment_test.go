package transmitter_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// bound adds a client of an application that is bound to an environment.
func (h *house) bound(app, environment, scope string) string {
	h.t.Helper()
	h.client(app, "ssf.read") // makes the application
	scopes, err := auth.ParseScopes(scope)
	if err != nil {
		h.t.Fatal(err)
	}
	made, err := h.apps.AddClient(h.t.Context(), auth.Client{Application: app, Environment: environment, Scopes: scopes, Static: true})
	if err != nil {
		h.t.Fatal(err)
	}
	return made.AccessToken
}

// A credential of an environment hears and reads of that environment alone; one
// of the whole application of all. Neither sees the other's streams.
func TestEnvironments(t *testing.T) {
	h := open(t)
	whole, staging, live := h.client("shop", everyScope), h.bound("shop", "staging", everyScope), h.bound("shop", "live", everyScope)
	source := h.client("idp", "events.write", &auth.Source{Name: "idp", Applications: []string{"shop"}})
	all, ofStaging, ofLive := h.stream(whole, ""), h.stream(staging, ""), h.stream(live, "")

	inStaging, inLive, inNone := h.emit(staging, "jo"), h.emit(live, "jo"), h.emit(source, "jo")
	for _, tt := range []struct {
		name, token, stream string
		want                []string
	}{
		{"the whole application", whole, all, []string{inStaging, inLive, inNone}},
		{"staging", staging, ofStaging, []string{inStaging}},
		{"live", live, ofLive, []string{inLive}},
	} {
		var got []string
		var ids, sets []string
		until(t, tt.name, func() bool { // what comes later waits for what is out: the same subject
			ack := `[]`
			if len(ids) > 0 {
				ack = `["` + strings.Join(ids, `","`) + `"]`
			}
			ids, sets = h.poll(tt.token, tt.stream, `{"maxEvents":10,"returnImmediately":true,"ack":`+ack+`}`)
			for _, one := range sets {
				got = append(got, parse(t, one).TransactionID)
			}
			return len(got) >= len(tt.want)
		})
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s hears of %v, want %v", tt.name, got, tt.want)
		}
		for _, id := range []string{inStaging, inLive, inNone} {
			want := http.StatusNotFound
			if slices.Contains(tt.want, id) {
				want = http.StatusOK
			}
			h.must(want, "GET", "/v1/events/"+id, tt.token, "")
		}
		for _, other := range []string{all, ofStaging, ofLive} {
			if other == tt.stream {
				continue
			}
			h.must(404, "GET", "/ssf/streams?stream_id="+other, tt.token, "")
			h.must(404, "POST", "/ssf/poll/"+other, tt.token, `{}`)
			h.must(404, "GET", "/v1/streams/"+other+"/dead-letters", tt.token, "")
		}
	}

	operator := h.operator(h.SocketHandler())
	list := operator.must(200, "GET", "/admin/streams?application=shop", "", "").body
	for _, id := range []string{all, ofStaging, ofLive} {
		if !strings.Contains(list, id) {
			t.Errorf("the operator's list lacks stream %s: %s", id, list)
		}
	}
	if !strings.Contains(list, `"application":"shop","environment":"live"`) {
		t.Errorf("got %s, want application and environment apart", list)
	}
	operator.must(204, "DELETE", "/admin/applications/shop", "", "")
	if owners, err := h.store.Owners(t.Context()); err != nil || len(owners) != 0 {
		t.Errorf("after the application's removal: got streams of %v (%v), want none", owners, err)
	}
}
