package delivery_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

func TestParsePollResponse(t *testing.T) {
	cases := []struct {
		name, body string
		want       delivery.PollResponse
	}{
		{"POLL-2.5-01 none", `{"sets":{}}`, delivery.PollResponse{}},
		{
			"POLL-2.3-02", `{"moreAvailable":true,"sets":{"a":"x"}}`,
			delivery.PollResponse{Sets: []delivery.PollSet{{ID: "a", SET: "x"}}, MoreAvailable: true},
		},
		{"RFC 8936 §2.5 example keeps its order", string(read(t, "rfc8936-2.5-response.json")), delivery.PollResponse{Sets: []delivery.PollSet{
			{ID: "4d3559ec67504aaba65d40b0363faad8", SET: "eyJhbGciOiJub25lIn0.eyJqdGkiOiI0ZDM1NTllYzY3NTA0YWFiYTY1ZDQwYjAzNjNmYWFkOCJ9."},
			{ID: "3d0c3cf797584bd193bd0fb1bd4e7d30", SET: "eyJhbGciOiJub25lIn0.eyJqdGkiOiIzZDBjM2NmNzk3NTg0YmQxOTNiZDBmYjFiZDRlN2QzMCJ9."},
		}}},
		{
			"a bad SET hides no other", `{"sets":{"a":"","b":"x"},"extra":null}`,
			delivery.PollResponse{Sets: []delivery.PollSet{{ID: "a"}, {ID: "b", SET: "x"}}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := delivery.ParsePollResponse([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("want - got +\n%s", diff)
			}
		})
	}
}

func TestParsePollResponseRefuses(t *testing.T) {
	cases := []struct {
		name, body string
		want       error
	}{
		{"empty", ``, delivery.ErrMalformed},
		{"no sets", `{"moreAvailable":false}`, delivery.ErrMalformed},
		{"sets null", `{"sets":null}`, delivery.ErrMalformed},
		{"sets an array", `{"sets":[]}`, delivery.ErrMalformed},
		{"SET an object", `{"sets":{"a":{}}}`, delivery.ErrMalformed},
		{"SET null", `{"sets":{"a":null}}`, delivery.ErrMalformed},
		{"moreAvailable a string", `{"sets":{},"moreAvailable":"yes"}`, delivery.ErrMalformed},
		{"jti twice", `{"sets":{"a":"x","a":"y"}}`, delivery.ErrMalformed},
		{"jti twice by escape", `{"sets":{"a":"x","\u0061":"y"}}`, delivery.ErrMalformed},
		{"sets twice", `{"sets":{},"sets":{}}`, delivery.ErrMalformed},
		{"trailing", `{"sets":{}},`, delivery.ErrMalformed},
		{"too large", `{"sets":{}}` + strings.Repeat(" ", delivery.MaxPollResponseBytes), delivery.ErrTooLarge},
		{"jti too long", `{"sets":{"` + strings.Repeat("a", delivery.MaxIDBytes+1) + `":""}}`, delivery.ErrTooLarge},
		{"too many", `{"sets":{` + many(delivery.MaxSets+1) + `}}`, delivery.ErrTooLarge},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := delivery.ParsePollResponse([]byte(c.body))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %+v, %v, want %v", got, err, c.want)
			}
			if got.Sets != nil || got.MoreAvailable {
				t.Errorf("a failed parse returned %+v, want zero", got)
			}
		})
	}
}

func many(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"%d":""`, i)
	}
	return strings.Join(members, ",")
}

func TestPollResponseJSON(t *testing.T) {
	cases := []struct {
		name string
		in   delivery.PollResponse
		want string
	}{
		{"POLL-2.3-01 sets is always present", delivery.PollResponse{}, `{"sets":{}}`},
		{
			"contracts §4: queue order",
			delivery.PollResponse{Sets: []delivery.PollSet{{"b", "1.2.3"}, {"a", "4.5.6"}}, MoreAvailable: true},
			`{"sets":{"b":"1.2.3","a":"4.5.6"},"moreAvailable":true}`,
		},
		{"escapes", delivery.PollResponse{Sets: []delivery.PollSet{{"\"é\n", "\\"}}}, `{"sets":{"\"é\n":"\\"}}`},
	}
	for _, c := range cases {
		got, err := json.Marshal(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
		var back delivery.PollResponse
		if err := json.Unmarshal(got, &back); err != nil || !cmp.Equal(back, c.in) {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, back, err, c.in)
		}
	}
	twice := delivery.PollResponse{Sets: []delivery.PollSet{{"a", "x"}, {"a", "y"}}}
	if got, err := json.Marshal(twice); err == nil {
		t.Errorf("jti twice: got %s, want an error", got)
	}
}

func FuzzParsePollResponse(f *testing.F) {
	f.Add([]byte(`{"sets":{"b":"1.2.3","a":"4.5.6"},"moreAvailable":true}`))
	f.Add([]byte(`{"sets":{"\u0000\u007f":"\ud83d\ude00"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := delivery.ParsePollResponse(body)
		if err != nil {
			if got.Sets != nil || got.MoreAvailable {
				t.Fatalf("failed parse: got %+v, want zero", got)
			}
			return
		}
		out, err := got.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if len(out) > delivery.MaxPollResponseBytes {
			return
		}
		again, err := delivery.ParsePollResponse(out)
		if err != nil || again.MoreAvailable != got.MoreAvailable || !slices.Equal(again.Sets, got.Sets) {
			t.Fatalf("got %+v, %v, want %+v", again, err, got)
		}
	})
}
