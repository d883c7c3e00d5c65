package streams

// Status is the state of a stream (SSF §8.1.2.1).
type Status string

// The three states of a stream.
const (
	// Enabled: events are transmitted.
	Enabled Status = "enabled"
	// Paused: nothing is transmitted, events are held.
	Paused Status = "paused"
	// Disabled: nothing is transmitted and nothing is held.
	Disabled Status = "disabled"
)

// Valid reports whether s is one of the three states, in lower case.
func (s Status) Valid() bool { return s == Enabled || s == Paused || s == Disabled }
