package acts_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/acts"
)

// Whatever a request and its answer are, what is told of an act is bounded, goes into the
// log, and shows nothing of what is not shown: no secret, no path of a URL.
func FuzzTell(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"id":"x","secret":"s3cr3t","scope":"a b","delivery":{"endpoint_url":"https://u:s3cr3t@r.example/s3cr3t?a=s3cr3t","auth":"s3cr3t"}}`, `{"id":"made"}`},
		{`{"scope":["s3cr3t"],"delivery":7}`, `[]`},
		{`{"delivery":{"endpoint_url":"s3cr3t"}}`, ``},
		{`{"delivery":{"endpoint_url":"//s3cr3t@h/"}}`, `{"id":null}`},
		{`{"scope":"` + strings.Repeat("x", 2000) + `"}`, `{"id":"` + strings.Repeat("y", 300) + `"}`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	spec := acts.Spec{
		Name: "x.do", Objects: map[string]string{"id": "thing"},
		Shown: []string{"scope"}, Hidden: []string{"secret", "delivery.auth"}, URLs: []string{"delivery.endpoint_url"},
	}
	f.Fuzz(func(t *testing.T, body, answer []byte) {
		act := eventlog.Act{Act: spec.Name, By: eventlog.Actor{Client: "c"}}
		spec.Tell(&act, body, answer)
		if len(act.Set) > 2 || len(act.Hidden) > 4 || len(act.Objects) > 1 || len(act.Objects["thing"]) > 256 {
			t.Fatalf("got %+v", act)
		}
		var site string
		if raw := act.Set["delivery.endpoint_url"]; raw != nil && (json.Unmarshal(raw, &site) != nil || strings.Count(site, "/") != 2 || strings.Contains(site, "@") || strings.Contains(site, "?")) {
			t.Fatalf("%q: got site %s, want scheme and host", body, raw)
		}
		for name, raw := range act.Set {
			if len(raw) > 4<<10 {
				t.Fatalf("%s: got %d bytes", name, len(raw))
			}
		}
		e, err := act.Entry()
		if err != nil || len(e.Body) > 16<<10 {
			t.Fatalf("got %d bytes, %v", len(e.Body), err)
		}
		if _, err := eventlog.ActOf(&eventlog.Record{Entry: e.Body}); err != nil {
			t.Fatalf("got %v", err)
		}
		var asked struct {
			Secret   string
			Delivery struct{ Auth string }
		}
		if json.Unmarshal(body, &asked) == nil && len(asked.Secret) > 8 && !strings.Contains(string(answer)+strings.Replace(string(body), asked.Secret, "", 1), asked.Secret) && strings.Contains(string(e.Body), asked.Secret) {
			t.Fatalf("%q: got %s", body, e.Body)
		}
	})
}
