package streams_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

const pushA = `"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example/a","authorization_header":"Bearer a"}`

// SSF-8.1.1.3-02, SSF-8.1.1.3-04, SSF-8.1.1.4-02, SSF-8.1.1.4-03: what PATCH
// and PUT make of the receiver's members.
func TestUpdateAndReplace(t *testing.T) {
	type members struct {
		Requested, Delivered []string
		Description          string
		Delivery             streams.Delivery
	}
	push := streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example/a", AuthorizationHeader: "Bearer a"}
	poll := streams.Delivery{Method: delivery.MethodPoll, EndpointURL: "POLL"}
	start := members{[]string{typeA}, []string{typeA}, "old", push}
	alter := func(f func(*members)) members { m := start; f(&m); return m }
	cases := []struct {
		name, body string
		replace    bool
		want       members
	}{
		{name: "PATCH nothing", body: `{}`, want: start},
		{name: "PATCH unknown members", body: `{"x":null,"format":{"y":[]}}`, want: start},
		{name: "PATCH description", body: `{"description":"new"}`, want: alter(func(m *members) { m.Description = "new" })},
		{name: "U10 PATCH description null", body: `{"description":null}`, want: alter(func(m *members) { m.Description = "" })},
		{name: "§4.1 PATCH description too long is cut", body: `{"description":"` + strings.Repeat("é", 600) + `"}`, want: alter(func(m *members) { m.Description = strings.Repeat("é", 512) })},
		{name: "PATCH events", body: `{"events_requested":["` + typeB + `","` + typeX + `"]}`, want: alter(func(m *members) {
			m.Requested, m.Delivered = []string{typeB, typeX}, []string{typeB}
		})},
		{name: "SSF-8.1.1.3-06 PATCH no events", body: `{"events_requested":[]}`, want: alter(func(m *members) { m.Requested, m.Delivered = []string{}, []string{} })},
		{name: "U12 PATCH same URL keeps the header", body: `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example/a"}}`, want: start},
		{name: "U12 PATCH other URL drops the header", body: `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example/b"}}`, want: alter(func(m *members) {
			m.Delivery = streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example/b"}
		})},
		{name: "U12 PATCH empty header removes it", body: `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example/a","authorization_header":""}}`, want: alter(func(m *members) { m.Delivery.AuthorizationHeader = "" })},
		{name: "U12 PATCH header null removes it", body: `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example/a","authorization_header":null}}`, want: alter(func(m *members) { m.Delivery.AuthorizationHeader = "" })},
		{name: "PATCH to poll", body: `{"delivery":{"method":"urn:ietf:rfc:8936"}}`, want: alter(func(m *members) { m.Delivery = poll })},
		{name: "PUT nothing", body: `{}`, replace: true, want: members{nil, []string{}, "", poll}},
		{name: "PUT all", replace: true, body: `{"events_requested":["` + typeB + `"],"description":"new",` + pushA + `}`, want: members{[]string{typeB}, []string{typeB}, "new", push}},
		{name: "U12 PUT same URL keeps the header", replace: true, body: `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example/a"}}`, want: members{nil, []string{}, "", push}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			s := b.create(t, alice, `{"events_requested":["`+typeA+`"],"description":"old",`+pushA+`}`)
			if _, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: s.ID, Status: streams.Paused, Reason: "r"}); err != nil {
				t.Fatal(err)
			}
			before := b.stored(t, s.ID)
			apply := b.Update
			if c.replace {
				apply = b.Replace
			}
			got, err := apply(t.Context(), alice, parse(t, with(t, s.ID, c.body)))
			if err != nil {
				t.Fatal(err)
			}
			want := before // SSF-8.1.1.4-03: all else stays, status included
			want.EventsRequested, want.EventsDelivered = c.want.Requested, c.want.Delivered
			want.Description, want.Delivery = c.want.Description, c.want.Delivery
			want.Delivery.EndpointURL = strings.ReplaceAll(want.Delivery.EndpointURL, "POLL", "https://tr.example/ssf/poll/"+s.ID)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want - got +\n%s", diff)
			}
			if diff := cmp.Diff(got, b.stored(t, s.ID)); diff != "" {
				t.Errorf("stored - returned +\n%s", diff)
			}
		})
	}
}

// SSF-8.1.1.3-03, U10: the transmitter's members may be repeated as they are.
func TestSuppliedMembers(t *testing.T) {
	cases := []struct {
		name, members string
		wrong         string // the member refused
	}{
		{"iss", `"iss":"https://tr.example"`, ""},
		{"iss other", `"iss":"https://tr.example/"`, "iss"},
		{"iss wrong type", `"iss":["https://tr.example"]`, "iss"},
		{"iss null", `"iss":null`, "iss"},
		{"aud string for an array of one", `"aud":"https://alice.example/"`, ""},
		{"aud array", `"aud":["https://alice.example/"]`, ""},
		{"aud other", `"aud":"https://bob.example/"`, "aud"},
		{"aud more", `"aud":["https://alice.example/","x"]`, "aud"},
		{"events_supported in another order", `"events_supported":["` + typeB + `","` + typeA + `"]`, ""},
		{"events_supported fewer", `"events_supported":["` + typeA + `"]`, "events_supported"},
		{"events_delivered as before the update", `"events_requested":["` + typeB + `"],"events_delivered":["` + typeA + `"]`, ""},
		{"events_delivered as after the update", `"events_requested":["` + typeB + `"],"events_delivered":["` + typeB + `"]`, "events_delivered"},
		{"events_delivered null", `"events_delivered":null`, "events_delivered"},
		{"number by value", `"min_verification_interval":6e1`, ""},
		{"number other", `"min_verification_interval":61`, "min_verification_interval"},
		{"number as text", `"min_verification_interval":"60"`, "min_verification_interval"},
		{"inactivity_timeout", `"inactivity_timeout":3600.0`, ""},
		{"inactivity_timeout other", `"inactivity_timeout":0`, "inactivity_timeout"},
		{"poll endpoint_url", `"delivery":{"method":"urn:ietf:rfc:8936","endpoint_url":"https://tr.example/ssf/poll/ID"}`, ""},
		{"poll endpoint_url other", `"delivery":{"method":"urn:ietf:rfc:8936","endpoint_url":"https://tr.example/ssf/poll/x"}`, "delivery.endpoint_url"},
		{"unknown", `"format":"x"`, ""},
	}
	for _, c := range cases {
		for _, verb := range []string{"PATCH", "PUT"} {
			t.Run(verb+" "+c.name, func(t *testing.T) {
				b := newBench(t, func(cfg *streams.CatalogConfig) {
					cfg.MinVerificationInterval, cfg.InactivityTimeout = time.Minute, time.Hour
				})
				s := b.create(t, alice, `{"events_requested":["`+typeA+`"]}`)
				before := b.stored(t, s.ID)
				apply := b.Update
				if verb == "PUT" {
					apply = b.Replace
				}
				body := strings.ReplaceAll(`{"description":"new",`+c.members+`}`, "/ID", "/"+s.ID)
				got, err := apply(t.Context(), alice, parse(t, with(t, s.ID, body)))
				if c.wrong == "" {
					if err != nil || got.Description != "new" {
						t.Errorf("got %+v, %v, want it applied", got, err)
					}
					return
				}
				if rule := refusal(t, err); rule.Kind != streams.Invalid || rule.Member != c.wrong {
					t.Errorf("got %v, want Invalid %s", rule, c.wrong)
				}
				if diff := cmp.Diff(before, b.stored(t, s.ID)); diff != "" { // SSF-8.1.1.3-04: all or nothing
					t.Errorf("a refused request changed the stream: %s", diff)
				}
			})
		}
	}
}

// U15: in POST they are ignored, whatever they are.
func TestSuppliedMembersOnCreate(t *testing.T) {
	b := newBench(t)
	s := b.create(t, alice, `{"stream_id":5,"iss":"x","aud":{},"events_supported":null,"events_delivered":["`+typeA+`"],
		"min_verification_interval":"x","inactivity_timeout":1}`)
	if s.ID == "5" || s.Issuer != "https://tr.example" || !cmp.Equal(s.Audience, alice.Audience) || len(s.EventsDelivered) != 0 || s.InactivityTimeout != 0 {
		t.Errorf("got %+v, want the transmitter's own members", s)
	}
}

// SSF-8.1.1.3-01: without stream_id there is nothing to change.
func TestUpdateNeedsStreamID(t *testing.T) {
	b := newBench(t)
	b.create(t, alice, `{}`)
	for _, body := range []string{`{}`, `{"stream_id":""}`, `{"stream_id":null}`, `{"stream_id":7}`} {
		_, update := b.Update(t.Context(), alice, parse(t, body))
		_, replace := b.Replace(t.Context(), alice, parse(t, body))
		for _, err := range []error{update, replace} {
			if rule := refusal(t, err); rule.Kind != streams.Invalid || rule.Member != "stream_id" {
				t.Errorf("%s: got %v, want Invalid stream_id", body, rule)
			}
		}
	}
}

// A stream learns at its next update which event types there are by now.
func TestUpdateRenewsEventsSupported(t *testing.T) {
	b := newBench(t)
	s := b.create(t, alice, `{"events_requested":["`+typeA+`","`+typeX+`"]}`)
	later := newBench(t, func(c *streams.CatalogConfig) {
		c.Store, c.EventsSupported = b.store, []string{typeX}
	})
	got, err := later.Update(t.Context(), alice, parse(t, with(t, s.ID, fmt.Sprintf(`{"events_supported":[%q,%q]}`, typeA, typeB))))
	if err != nil || !cmp.Equal(got.EventsDelivered, []string{typeX}) || !cmp.Equal(got.EventsSupported, []string{typeX}) {
		t.Errorf("got %v, %v, want delivered and supported [%s]", got.EventsDelivered, err, typeX)
	}
}
