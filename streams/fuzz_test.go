package streams_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// What receivers send about a stream, status, subjects and verifications, is read back
// as it is written; a refusal is one of the rules, and returns nothing.
func FuzzParseOperations(f *testing.F) {
	for _, body := range brokenBodies {
		f.Add([]byte(body))
	}
	for _, body := range []string{
		`{"stream_id":"a","status":"paused","reason":"r"}`, `{"stream_id":"a","state":""}`, `{"stream_id":"a","state":null}`,
		`{"stream_id":"a","subject":{"format":"email","email":"a@b.example"},"verified":false}`,
		`{"stream_id":"a","subject":{"format":"complex","user":{"format":"opaque","id":"1"}},"verified":0}`,
	} {
		f.Add([]byte(body))
	}
	zero := []any{streams.StatusReport{}, streams.SubjectChange{}, streams.VerificationRequest{}}
	f.Fuzz(func(t *testing.T, body []byte) {
		for i, parse := range []func([]byte) (any, error){status, subjectChange, verification} {
			got, err := parse(body)
			if err != nil {
				_ = refusal(t, err) // fails if it is any other
				if diff := cmp.Diff(zero[i], got, cmp.Comparer(subject.Identifier.Equal)); diff != "" {
					t.Fatalf("%T: got beside an error, want - got +\n%s", got, diff)
				}
				continue
			}
			out, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if len(out) > streams.MaxBodyBytes {
				continue // escapes can make it longer than what was read
			}
			again, err := parse(out)
			if diff := cmp.Diff(got, again, cmp.Comparer(subject.Identifier.Equal)); err != nil || diff != "" {
				t.Fatalf("%T %s: %v, want - got +\n%s", got, out, err, diff)
			}
		}
	})
}

// A configuration, as a transmitter answers it, is read back as it is written, and one
// that cannot be read changes nothing.
func FuzzConfiguration(f *testing.F) {
	for _, body := range brokenBodies {
		f.Add([]byte(body))
	}
	for _, body := range []string{
		`{"stream_id":"s","iss":"https://i.example","aud":["a","b"],"events_supported":["e"],"events_requested":[],"events_delivered":["e"],"delivery":{"method":"m","endpoint_url":"https://r.example"},"min_verification_interval":60,"inactivity_timeout":1e3,"description":"d"}`,
		`{"stream_id":"s","aud":"a","delivery":null,"min_verification_interval":-1}`,
	} {
		f.Add([]byte(body))
	}
	before := streams.Configuration{StreamID: "before"}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := before
		if err := got.UnmarshalJSON(body); err != nil {
			if diff := cmp.Diff(before, got); diff != "" {
				t.Fatalf("changed by what cannot be read (%v):\n%s", err, diff)
			}
			return
		}
		out, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) > streams.MaxBodyBytes {
			return
		}
		var again streams.Configuration
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: got %v", out, err)
		}
		written, err := json.Marshal(again)
		if err != nil || string(written) != string(out) {
			t.Fatalf("got %s (%v), want %s", written, err, out)
		}
		var aud streams.Audience
		if raw, err := json.Marshal(got.Audience); err != nil || json.Unmarshal(raw, &aud) != nil || len(aud) != len(got.Audience) {
			t.Fatalf("aud %q: got %q from %s (%v)", got.Audience, aud, raw, err)
		}
	})
}
