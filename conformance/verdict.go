package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict is what a run says about a requirement.
type Verdict string

// The verdicts, from best to worst; Skipped says nothing either way.
const (
	Passed  Verdict = "passed"
	Warned  Verdict = "warned" // not kept, and only a SHOULD
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped" // not decided, with a reason
)

// Violation returns the verdict on r if it is not kept: Warned where the
// specification says SHOULD, else Failed. A MAY is not kept if what is permitted is
// done otherwise than described.
func (r Requirement) Violation() Verdict {
	if strings.HasPrefix(r.Level, "SHOULD") {
		return Warned
	}
	return Failed
}

// Binding reports whether r binds role, [Transmitter] or [Receiver].
func (r Requirement) Binding(role Role) bool {
	return r.Binds() && (r.Who == "B" || r.Who == role.who())
}

// Role is what the peer under test is.
type Role string

// The roles.
const (
	Transmitter Role = "transmitter"
	Receiver    Role = "receiver"
)

// who returns the role's letter in the checklist.
func (r Role) who() string {
	if r == Receiver {
		return "R"
	}
	return "T"
}

// Profile is a part of the checklist.
type Profile struct {
	Name  string
	Title string
	// Prefixes are those of the ids that are in it.
	Prefixes []string
}

// Profiles returns the profiles that can be chosen: the framework alone, the CAEP
// interoperability profile, RISC, and all of them.
func Profiles() []Profile {
	core := []string{"SET", "JWT", "SUBJ", "SSF", "PUSH", "POLL", "SEC", "EVT"}
	caep := []string{"CAEP", "INTEROP", "PRM"}
	return []Profile{
		{"ssf", "Shared Signals Framework 1.0", core},
		{"caep-interop", "CAEP Interoperability Profile 1.0", slices.Concat(core, caep)},
		{"risc", "Shared Signals Framework 1.0 with RISC 1.0", slices.Concat(core, []string{"RISC"})},
		{"all", "every requirement of the checklist", slices.Concat(core, caep, []string{"RISC", "SCIM"})},
	}
}

// ProfileNamed returns a profile by its name.
func ProfileNamed(name string) (Profile, error) {
	var names []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("no profile is called %q, only %s", name, strings.Join(names, ", "))
}

// Contains reports whether a requirement's id is in the profile.
func (p Profile) Contains(id string) bool {
	prefix, _, _ := strings.Cut(id, "-")
	return slices.Contains(p.Prefixes, prefix)
}
