package streams_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// The members of §4.1 of the requirements, as JSON.
func TestConfiguration(t *testing.T) {
	full := streams.Stream{
		ID: "f67e", Owner: "alice", Issuer: "https://tr.example", Audience: []string{"a", "b"},
		EventsSupported: []string{"urn:1", "urn:2"}, EventsRequested: []string{"urn:2", "urn:3"}, EventsDelivered: []string{"urn:2"},
		Delivery:                streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example", AuthorizationHeader: "Bearer SECRET"},
		MinVerificationInterval: time.Minute, InactivityTimeout: time.Hour, Description: "d",
		Status: streams.Paused, Reason: "SECRET", Epoch: 3,
	}
	cases := []struct {
		name string
		in   streams.Stream
		want string
	}{
		{"U12, SEC-04 full, without the secret", full, `{"stream_id":"f67e","iss":"https://tr.example","aud":["a","b"],` +
			`"events_supported":["urn:1","urn:2"],"events_requested":["urn:2","urn:3"],"events_delivered":["urn:2"],` +
			`"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example"},` +
			`"min_verification_interval":60,"inactivity_timeout":3600,"description":"d"}`},
		{
			"§4.1 events_delivered is never absent, U10 aud of one",
			streams.Stream{ID: "x", Issuer: "i", Audience: []string{"a"}, Delivery: streams.Delivery{Method: "m"}},
			`{"stream_id":"x","iss":"i","aud":"a","events_delivered":[],"delivery":{"method":"m"}}`,
		},
		{
			"SSF-8.1.1.3-06 an empty wish is echoed",
			streams.Stream{ID: "x", Issuer: "i", Audience: []string{"a"}, EventsRequested: []string{}, Delivery: streams.Delivery{Method: "m"}},
			`{"stream_id":"x","iss":"i","aud":"a","events_requested":[],"events_delivered":[],"delivery":{"method":"m"}}`,
		},
	}
	for _, c := range cases {
		got, err := json.Marshal(c.in.Configuration())
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
		var back streams.Configuration
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.in.Configuration(), back); diff != "" {
			t.Errorf("%s: want - got +\n%s", c.name, diff)
		}
	}
	full.Configuration().EventsDelivered[0] = "changed"
	if full.EventsDelivered[0] != "urn:2" {
		t.Error("the configuration shares memory with the stream")
	}
}

func TestConfigurationUnmarshal(t *testing.T) {
	cases := []struct{ name, body, wrong string }{
		{"aud string, unknown members, seconds by value", `{"stream_id":"a","aud":"b","min_verification_interval":6e1,"format":{"x":1}}`, ""},
		{
			"null is absent", `{"stream_id":"a","aud":"b","min_verification_interval":60,"description":null,"events_requested":null,
			"inactivity_timeout":null,"iss":null,"delivery":{"method":null,"endpoint_url":null}}`, "",
		},
		{"iss a number", `{"iss":1}`, "iss"},
		{"aud a number", `{"aud":1}`, "aud"},
		{"events with null", `{"events_delivered":[null]}`, "events_delivered"},
		{"seconds as text", `{"inactivity_timeout":"60"}`, "inactivity_timeout"},
		{"seconds broken", `{"inactivity_timeout":0.5}`, "inactivity_timeout"},
		{"seconds negative", `{"inactivity_timeout":-1}`, "inactivity_timeout"},
		{"seconds beyond bounds", `{"inactivity_timeout":1e12}`, "inactivity_timeout"},
		{"delivery an array", `{"delivery":[]}`, "delivery"},
		{"delivery.method a number", `{"delivery":{"method":1}}`, "delivery.method"},
	}
	for _, c := range cases {
		var got streams.Configuration
		err := json.Unmarshal([]byte(c.body), &got)
		if c.wrong == "" {
			want := streams.Configuration{StreamID: "a", Audience: streams.Audience{"b"}, MinVerificationInterval: 60}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v, want - got +\n%s", c.name, err, diff)
			}
			continue
		}
		if rule := refusal(t, err); rule.Member != c.wrong {
			t.Errorf("%s: got %v, want %s", c.name, rule, c.wrong)
		}
		if !cmp.Equal(got, streams.Configuration{}) {
			t.Errorf("%s: a failed reading left %+v", c.name, got)
		}
	}
}

func TestAudience(t *testing.T) {
	var a streams.Audience
	for _, wrong := range []string{`1`, `null`, `[1]`, `{}`} {
		if err := a.UnmarshalJSON([]byte(wrong)); err == nil || a != nil {
			t.Errorf("%s: got %v, %v, want an error", wrong, a, err)
		}
	}
	for _, text := range []string{`"a"`, `["a","b"]`, `[]`} {
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		if out, _ := json.Marshal(a); string(out) != text {
			t.Errorf("got %s, want %s", out, text)
		}
	}
}

func TestRuleErrorText(t *testing.T) {
	err := &streams.RuleError{Member: "aud", Description: "differs"}
	if got := err.Error(); !strings.Contains(got, "aud: differs") {
		t.Errorf("got %q, want member and description", got)
	}
}
