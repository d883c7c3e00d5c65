// Package conformance holds what a transmitter and a receiver owe each other as a
// numbered list, and the tests that keep this project to it: every requirement that
// binds is cited by a test, and every import follows the map.
//
// It also runs suites that see over HTTP what of the list a peer keeps, ours or not:
// a [Suite] is made of [Check]s, each of which decides some requirements by what it
// does; [Run] runs them, and its [Report] says of each requirement whether it is kept,
// with the exchange that shows it. The suites themselves are in the folders below.
package conformance

import (
	_ "embed" // the list is part of the program
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
)

//go:embed requirements.json
var requirements string

// Checklist is the numbered list of requirements, drawn from SSF 1.0, CAEP, RISC, the
// CAEP interoperability profile and the RFCs that they rest on.
type Checklist struct {
	Sections     []Section     `json:"sections"`
	Requirements []Requirement `json:"requirements"`
	Notes        []Note        `json:"notes"`
	Drafts       []Draft       `json:"drafts"`
}

// Section is a chapter of the checklist.
type Section struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
}

// Requirement is one sentence that a test can check. Its wording is ours; that of the
// cited section is what binds.
type Requirement struct {
	// ID is the document's prefix, the section in it and a number in that section, such
	// as SSF and 8.1.4.1 and 01 with hyphens between; the middle part may be absent.
	ID string `json:"id"`
	// Level is MUST, SHOULD, MAY or one of the first two with NOT. A trailing * marks
	// what is not literally written there but follows, or is needed for safe operation;
	// it binds alike. Empty for what official tests check.
	Level string `json:"level"`
	// Who is T for transmitters, R for receivers, B for both, AS for authorization
	// servers.
	Who string `json:"who"`
	// Section is the number of the chapter, see [Checklist.Sections].
	Section int `json:"section"`
	// Text says what is tested. [U1] and the like point at notes.
	Text string `json:"text"`
}

// Binds reports whether r is more than a permission and speaks to a transmitter or a
// receiver.
func (r Requirement) Binds() bool {
	return (strings.HasPrefix(r.Level, "MUST") || strings.HasPrefix(r.Level, "SHOULD")) &&
		(r.Who == "T" || r.Who == "R" || r.Who == "B")
}

// Note is a reading that this project chose where a specification is silent or
// unclear.
type Note struct {
	ID   string `json:"id"` // U and a number
	Text string `json:"text"`
}

// Draft is a variation that peers built to older drafts still show; each is tolerated
// only where it is asked for.
type Draft struct {
	ID        string `json:"id"`   // L and a number
	Seen      string `json:"seen"` // where
	Variation string `json:"variation"`
	Handling  string `json:"handling"`
}

// ReadChecklist returns the checklist, in the order of its chapters. The caller owns
// it.
func ReadChecklist() (Checklist, error) {
	var c Checklist
	if err := json.Unmarshal([]byte(requirements), &c, json.RejectUnknownMembers(true)); err != nil {
		return Checklist{}, fmt.Errorf("checklist: %w", err)
	}
	return c, nil
}
