package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// pastFunc finds earlier events.
type pastFunc func(source, identifier, fingerprint string, max int) ([]*eventlog.Record, error)

func (f pastFunc) Latest(_ context.Context, source, identifier, fingerprint string, max int) ([]*eventlog.Record, error) {
	return f(source, identifier, fingerprint, max)
}

// remember has a server ask the events that it kept.
func remember(s *server, asked *int) {
	s.ingest.Ask(pastFunc(func(source, identifier, fingerprint string, max int) ([]*eventlog.Record, error) {
		*asked++
		var found []*eventlog.Record
		for _, e := range slices.Backward(s.kept) {
			if a := e.Attributes; len(found) < max && e.Source == source && (a.Identifier == identifier || identifier == "") && (a.Fingerprint == fingerprint || fingerprint == "") {
				found = append(found, &eventlog.Record{Event: e})
			}
		}
		return found, nil
	}))
}

func deviceRecord(members string) string {
	return `{"format":"fingerprint","record":{"identification":{"visitor_id":"V1"},"timestamp":1700000000000` + members + `}}`
}

// payloads returns what became of the kept events, oldest first.
func payloads(s *server) []string {
	var out []string
	for _, e := range s.kept {
		text := "-"
		for _, m := range e.Mapped {
			text += " " + strings.TrimPrefix(m.Type, caep.BaseURI) + string(m.Payload)
		}
		out = append(out, text)
	}
	return out
}

// A device that was seen and turns jailbroken ceases to comply once, and what was
// said of its risk is not said again, from request to request and within one.
func TestPast(t *testing.T) {
	const changed = `device-compliance-change{"previous_status":%q,"current_status":%q,"event_timestamp":1700000000}`
	want := []string{
		"-", "- " + fmt.Sprintf(changed, "compliant", "not-compliant"), "-", "- " + fmt.Sprintf(changed, "not-compliant", "compliant"),
		`- risk-level-change{"principal":"DEVICE","current_level":"HIGH","event_timestamp":1700000000}`, "-",
		`- risk-level-change{"principal":"DEVICE","current_level":"LOW","previous_level":"HIGH","event_timestamp":1700000000}`,
	}
	records := []string{
		deviceRecord(`,"jailbroken":false`), deviceRecord(`,"jailbroken":true`), deviceRecord(`,"jailbroken":true`), deviceRecord(`,"jailbroken":false`),
		deviceRecord(`,"suspect":true`), deviceRecord(`,"suspect":true`), deviceRecord(`,"suspect":false`),
	}
	asked := 0
	one, batch := newServer(t), newServer(t)
	remember(one, &asked)
	remember(batch, &asked)
	for _, r := range records {
		if status, body := one.post(mediaJSON, r); status != http.StatusAccepted {
			t.Fatalf("got %d %s, want 202", status, body)
		}
	}
	if status, body := batch.post(mediaJSON, "["+strings.Join(records, ",")+"]"); status != http.StatusAccepted && status != http.StatusOK {
		t.Fatalf("got %d %s, want it taken", status, body)
	}
	for name, s := range map[string]*server{"one by one": one, "in one request": batch} {
		if got := payloads(s); !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if asked == 0 || asked > 2*len(records) {
		t.Errorf("asked the past %d times, want at most once for each record", asked)
	}
}

// Another device, source or format says nothing of this one, nor does an event
// about a user; and a past that fails is one that is not known.
func TestPastOfOthers(t *testing.T) {
	for name, c := range map[string]struct {
		alter func(*eventlog.Event)
		want  bool
	}{
		"the same":        {func(*eventlog.Event) {}, true},
		"another device":  {func(e *eventlog.Event) { e.Attributes.Fingerprint = "V2" }, false},
		"another format":  {func(e *eventlog.Event) { e.Format = "acme" }, false},
		"another source":  {func(e *eventlog.Event) { e.Source = "other" }, false},
		"another signal":  {func(e *eventlog.Event) { e.Attributes.Signals = map[string]bool{"vpn": false} }, false},
		"nothing of that": {func(e *eventlog.Event) { e.Attributes.Signals = nil }, false},
	} {
		s := newServer(t)
		asked := 0
		remember(s, &asked)
		s.post(mediaJSON, deviceRecord(`,"jailbroken":false`))
		c.alter(&s.kept[0])
		s.post(mediaJSON, deviceRecord(`,"jailbroken":true`))
		if got := len(s.kept[1].Mapped) == 1; got != c.want {
			t.Errorf("%s: got %v, want an event %v", name, payloads(s), c.want)
		}
	}

	// What was said of the device's user was not said of the device.
	s := newServer(t)
	asked := 0
	remember(s, &asked)
	s.post(mediaJSON, deviceRecord(`,"suspect":true`))
	s.kept[0].Mapped[0].Subjects, s.kept[0].Attributes.Suspect = nil, nil
	s.post(mediaJSON, deviceRecord(`,"suspect":true`))
	if got := s.kept[1].Mapped; len(got) != 1 || strings.Contains(string(got[0].Payload), "previous") {
		t.Errorf("said of the user: got %v, want HIGH without a previous level", payloads(s))
	}

	s = newServer(t)
	s.ingest.Ask(pastFunc(func(string, string, string, int) ([]*eventlog.Record, error) { return nil, errors.New("down") }))
	if status, body := s.post(mediaJSON, deviceRecord(`,"suspect":true`)); status != http.StatusAccepted {
		t.Errorf("got %d %s, want the event taken", status, body)
	}
	if got := payloads(s)[0]; !strings.Contains(got, `"current_level":"HIGH"`) || strings.Contains(got, "previous") {
		t.Errorf("got %s, want HIGH without a previous level", got)
	}
}
