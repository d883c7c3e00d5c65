package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Step is one thing that happened, as it was seen.
type Step struct {
	Name string `json:"step"`
	Text string `json:"text"`
	// Status is the HTTP status that shows it.
	Status int `json:"status"`
	// SinceEvent is the time since the event was sent, in milliseconds; -1
	// for a step that is of no event.
	SinceEvent float64 `json:"ms_since_event"`
}

// teller prints steps.
type teller struct {
	out   io.Writer
	json  bool
	event time.Time // when the event that is told of was sent
}

func (t *teller) step(name string, status int, format string, args ...any) error {
	s := Step{Name: name, Text: fmt.Sprintf(format, args...), Status: status, SinceEvent: -1}
	when := "        "
	if !t.event.IsZero() {
		since := time.Since(t.event)
		s.SinceEvent = float64(since.Microseconds()) / 1e3
		when = fmt.Sprintf("%+5d ms", since.Milliseconds())
	}
	if t.json {
		return json.NewEncoder(t.out).Encode(s)
	}
	_, err := fmt.Fprintf(t.out, "%s  %s  (%d)\n", when, s.Text, status)
	return err
}
