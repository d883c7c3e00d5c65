package ssf_test

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/ssf"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func text(s string) *string { return &s }

// The examples of SSF §8.1.4 and §8.1.5 (SSF-8.1.4.1-01, SSF-8.1.5-03): type,
// payload and the stream as their subject.
func TestExamples(t *testing.T) {
	cases := []struct {
		file, eventType string
		got, want       any
	}{
		{
			"8.1.4-verification", ssf.VerificationType, new(ssf.Verification),
			&ssf.Verification{State: text("VGhpcyBpcyBhbiBleGFtcGxlIHN0YXRlIHZhbHVlLgo=")},
		},
		{
			"8.1.5-stream-updated", ssf.StreamUpdatedType, new(ssf.StreamUpdated),
			&ssf.StreamUpdated{Status: ssf.StatusPaused, Reason: "Internal error"},
		},
	}
	for _, c := range cases {
		raw, err := os.ReadFile("testdata/" + c.file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var claims struct {
			Sub    subject.Identifier         `json:"sub_id"`
			Events map[string]json.RawMessage `json:"events"`
		}
		if err := json.Unmarshal(raw, &claims); err != nil {
			t.Fatal(err)
		}
		data, ok := claims.Events[c.eventType]
		if !ok {
			t.Fatalf("%s: got %v, want an event of type %s", c.file, claims.Events, c.eventType)
		}
		if err := json.Unmarshal(data, c.got); err != nil || !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v", c.file, c.got, err, c.want)
		}
		if known, err := ssf.Validate(c.eventType, data); !known || err != nil {
			t.Errorf("%s: got %v, %v, want true and no error", c.file, known, err)
		}
		if id, _ := claims.Sub.Value("id"); !claims.Sub.Equal(ssf.Subject(id)) {
			t.Errorf("%s: got subject %s, want the opaque identifier of a stream", c.file, claims.Sub.Canonical())
		}
	}
}

// SSF-8.1.4.2-02, SSF-8.1.4.2-03: the state comes back as it was, an empty one
// too; without one the payload is {}.
func TestVerificationState(t *testing.T) {
	for _, c := range []struct {
		e    ssf.Verification
		want string
	}{
		{ssf.Verification{}, `{}`},
		{ssf.Verification{State: text("")}, `{"state":""}`},
		{ssf.Verification{State: text("a\u0000\"ü\u2028")}, `{"state":"a\u0000\"ü\u2028"}`},
	} {
		got, err := json.Marshal(c.e)
		if err != nil || string(got) != c.want {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
		var back ssf.Verification
		if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, c.e) {
			t.Errorf("read again: got %+v, %v, want %+v", back, err, c.e)
		}
		if err := c.e.Validate(); err != nil {
			t.Errorf("got %v, want nil", err)
		}
	}
}

// SSF-8.1.2.1-02: the three values of status, in lower case, and no other.
func TestStreamUpdatedStatus(t *testing.T) {
	for status, want := range map[string]error{
		ssf.StatusEnabled: nil, ssf.StatusPaused: nil, ssf.StatusDisabled: nil,
		"Enabled": ssf.ErrNotListed, "stopped": ssf.ErrNotListed, "": ssf.ErrMissing,
	} {
		if err := (ssf.StreamUpdated{Status: status}).Validate(); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%q: got %v, want %v", status, err, want)
		}
	}
	var e ssf.StreamUpdated
	if err := json.Unmarshal([]byte(`{"status":1}`), &e); !errors.Is(err, ssf.ErrType) {
		t.Errorf("number: got %v, want %v", err, ssf.ErrType)
	}
}
