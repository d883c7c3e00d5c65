package transmitter_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// What became of a device before is found in the log, at once: its level of risk
// is told with the one before it, and only when it changes.
func TestPastIsAsked(t *testing.T) {
	for name, idle := range map[string]bool{"indexed": false, "not indexed": true} {
		t.Run(name, func(t *testing.T) {
			h := open(t, func(s *setup) { s.idle = idle })
			token := h.client("hr", everyScope)
			for i, tt := range []struct{ suspect, want string }{
				{"true", `"current_level":"HIGH"`},
				{"true", ""},
				{"false", `"previous_level":"HIGH"`},
			} {
				body := `{"format":"fingerprint","record":{"identification":{"visitor_id":"V1"},"timestamp":1700000000000,"suspect":` + tt.suspect + `}}`
				id := h.must(http.StatusAccepted, "POST", "/v1/events", token, body).member("id")
				sets := h.must(http.StatusOK, "GET", "/v1/events/"+id, token, "").member("sets")
				if (sets == "") != (tt.want == "") || !strings.Contains(sets, tt.want) {
					t.Errorf("record %d: got %s, want %q", i, sets, tt.want)
				}
				if !idle {
					waitFor(t, h)
				}
			}
		})
	}
}

// Records come in while the index is built, and without one.
func TestPastIsNotKnown(t *testing.T) {
	for name, x := range map[string]eventlog.Index{"being built": building{}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			h := open(t, func(s *setup) { s.wrapIndex = func(eventlog.Index) eventlog.Index { return x } })
			body := `{"format":"fingerprint","record":{"identification":{"visitor_id":"V1"},"timestamp":1700000000000,"suspect":true}}`
			h.must(http.StatusAccepted, "POST", "/v1/events", h.client("hr", everyScope), body)
			if strings.Contains(h.logs.String(), "what was known before") {
				t.Errorf("got %s, want no warning for each record", h.logs)
			}
		})
	}
}
