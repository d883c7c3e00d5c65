package profile

import (
	"maps"
	"slices"

	"github.com/tocsin-ssf/tocsin/set"
)

// named are the receivers whose form is known.
func named() map[string]Profile {
	return map[string]Profile{
		// Okta's receiver: the user stands inside the event, without a format of
		// its own, and is found by its e-mail address.
		"okta": {Form: set.Form{Subject: set.PlaceEvent, Nameless: true}, SubjectFormat: "email"},
		// Apple Business and School Manager: stream creation in the words of the
		// drafts, an e-mail address as sub_id, aud as a list, events without
		// members. What other transmitters put elsewhere is a setting away:
		// apple,subject=event,events=whole.
		"apple": {
			Form: set.Form{AudienceList: true}, EmptyEvents: true, FormerDelivery: true, SubjectFormat: "email",
		},
		// Google Workspace: the same e-mail address in both places.
		"google-workspace": {Form: set.Form{Subject: set.PlaceBoth}, SubjectFormat: "email"},
		// login.gov and other receivers of the RISC drafts: subject_type inside
		// the event; the former codes of errors.
		"login.gov": {Form: set.Form{Subject: set.PlaceEvent, FormerNames: true}, FormerErrors: true},
		"risc-draft": {
			Form: set.Form{Subject: set.PlaceEvent, FormerNames: true}, FormerDelivery: true,
		},
	}
}

func lookup(name string) (Profile, bool) {
	p, ok := named()[name]
	return p, ok
}

// Names returns the names of all profiles, sorted.
func Names() []string { return slices.Sorted(maps.Keys(named())) }
