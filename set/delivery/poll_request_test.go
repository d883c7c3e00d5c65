package delivery_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

func ptr(n int) *int { return &n }

func TestParsePollRequest(t *testing.T) {
	cases := []struct {
		name, body string
		want       delivery.PollRequest
	}{
		{"POLL-2-01 defaults", `{}`, delivery.PollRequest{}},
		{"POLL-2.2-01 zero is not absent", `{"maxEvents":0}`, delivery.PollRequest{MaxEvents: ptr(0)}},
		{
			"POLL-2.4.2-01 ack only", `{"ack":["a","b"],"maxEvents":0,"returnImmediately":true}`,
			delivery.PollRequest{MaxEvents: ptr(0), ReturnImmediately: true, Ack: []string{"a", "b"}},
		},
		{"POLL-2.4.3-01 RFC 8936 example", string(read(t, "rfc8936-2.4.4-request.json")), delivery.PollRequest{
			ReturnImmediately: true, Ack: []string{"3d0c3cf797584bd193bd0fb1bd4e7d30"},
			SetErrs: map[string]delivery.Failure{"4d3559ec67504aaba65d40b0363faad8": {
				Err: delivery.CodeAuthenticationFailed, Description: "The SET could not be authenticated",
			}},
		}},
		{"POLL-2.2-03 empty is absent", `{"ack":[],"setErrs":{}}`, delivery.PollRequest{}},
		{"unknown members", `{"x":{"maxEvents":-1},"MaxEvents":-1}`, delivery.PollRequest{}},
		{"the largest count", `{"maxEvents":9223372036854775807}`, delivery.PollRequest{MaxEvents: ptr(1<<63 - 1)}},
		{
			"setErrs without description", `{"setErrs":{"a":{"err":"x","more":1}}}`,
			delivery.PollRequest{SetErrs: map[string]delivery.Failure{"a": {Err: "x"}}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := delivery.ParsePollRequest([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("want - got +\n%s", diff)
			}
		})
	}
}

// POLL-2.5.1-01.
func TestParsePollRequestRefuses(t *testing.T) {
	cases := []struct {
		name, body string
		want       error
	}{
		{"empty", ``, delivery.ErrMalformed},
		{"cut off", `{"ack":["a"`, delivery.ErrMalformed},
		{"array", `[]`, delivery.ErrMalformed},
		{"null", `null`, delivery.ErrMalformed},
		{"trailing value", `{}{}`, delivery.ErrMalformed},
		{"negative", `{"maxEvents":-1}`, delivery.ErrMalformed},
		{"fraction", `{"maxEvents":1.5}`, delivery.ErrMalformed},
		{"exponent", `{"maxEvents":1e2}`, delivery.ErrMalformed},
		{"overflow", `{"maxEvents":9223372036854775808}`, delivery.ErrMalformed},
		{"count as string", `{"maxEvents":"1"}`, delivery.ErrMalformed},
		{"count null", `{"maxEvents":null}`, delivery.ErrMalformed},
		{"boolean as number", `{"returnImmediately":1}`, delivery.ErrMalformed},
		{"boolean as string", `{"returnImmediately":"true"}`, delivery.ErrMalformed},
		{"ack a string", `{"ack":"a"}`, delivery.ErrMalformed},
		{"ack of numbers", `{"ack":[1]}`, delivery.ErrMalformed},
		{"setErrs an array", `{"setErrs":[]}`, delivery.ErrMalformed},
		{"setErrs of strings", `{"setErrs":{"a":"invalid_key"}}`, delivery.ErrMalformed},
		{"setErrs without err", `{"setErrs":{"a":{"description":"x"}}}`, delivery.ErrMalformed},
		{"description a number", `{"setErrs":{"a":{"err":"x","description":1}}}`, delivery.ErrMalformed},
		{"member twice", `{"maxEvents":1,"maxEvents":2}`, delivery.ErrMalformed},
		{"jti twice", `{"setErrs":{"a":{"err":"x"},"a":{"err":"y"}}}`, delivery.ErrMalformed},
		{"twice in what we ignore", `{"x":{"a":1,"a":2}}`, delivery.ErrMalformed},
		{"JWT-3.7-01 no UTF-8", "{\"ack\":[\"\xff\"]}", delivery.ErrMalformed},
		{"lone surrogate", `{"ack":["\ud800"]}`, delivery.ErrMalformed},
		{"body too large", `{}` + strings.Repeat(" ", delivery.MaxPollRequestBytes), delivery.ErrTooLarge},
		{"too many acks", `{"ack":["a"` + strings.Repeat(`,"a"`, delivery.MaxAcks) + `]}`, delivery.ErrTooLarge},
		{"ack too long", `{"ack":["` + strings.Repeat("a", delivery.MaxIDBytes+1) + `"]}`, delivery.ErrTooLarge},
		{"jti too long", `{"setErrs":{"` + strings.Repeat("a", delivery.MaxIDBytes+1) + `":{"err":"x"}}}`, delivery.ErrTooLarge},
		{"code too long", `{"setErrs":{"a":{"err":"` + strings.Repeat("a", delivery.MaxCodeBytes+1) + `"}}}`, delivery.ErrTooLarge},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := delivery.ParsePollRequest([]byte(c.body))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %+v, %v, want %v", got, err, c.want)
			}
			if diff := cmp.Diff(delivery.PollRequest{}, got); diff != "" {
				t.Errorf("a failed parse returned something: %s", diff)
			}
			if len(err.Error()) > 200 {
				t.Errorf("error text: got %d bytes, want at most 200", len(err.Error()))
			}
		})
	}
}

func TestPollRequestJSON(t *testing.T) {
	cases := []struct {
		name string
		in   delivery.PollRequest
		want string
	}{
		{"zero", delivery.PollRequest{}, `{}`},
		{
			"POLL-2.4.2-01",
			delivery.PollRequest{MaxEvents: ptr(0), ReturnImmediately: true, Ack: []string{"a"}},
			`{"maxEvents":0,"returnImmediately":true,"ack":["a"]}`,
		},
		{
			"errors",
			delivery.PollRequest{SetErrs: map[string]delivery.Failure{"b": {Err: "y"}, "a": {Err: "x", Description: "d"}}},
			`{"setErrs":{"a":{"err":"x","description":"d"},"b":{"err":"y"}}}`,
		},
	}
	for _, c := range cases {
		got, err := json.Marshal(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
		var back delivery.PollRequest
		if err := json.Unmarshal(got, &back); err != nil || !cmp.Equal(back, c.in) {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, back, err, c.in)
		}
	}
}

func FuzzParsePollRequest(f *testing.F) {
	f.Add([]byte(`{"maxEvents":0,"returnImmediately":true,"ack":["a"],"setErrs":{"b":{"err":"x","description":"d"}}}`))
	f.Add([]byte(`{"ack":["\u0000<>&\u2028"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := delivery.ParsePollRequest(body)
		if err != nil {
			if !cmp.Equal(got, delivery.PollRequest{}) {
				t.Fatalf("failed parse: got %+v, want zero", got)
			}
			return
		}
		out, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) > delivery.MaxPollRequestBytes {
			return // escapes can make the body longer than what was read
		}
		if again, err := delivery.ParsePollRequest(out); err != nil || !cmp.Equal(again, got) {
			t.Fatalf("got %+v, %v, want %+v", again, err, got)
		}
	})
}
