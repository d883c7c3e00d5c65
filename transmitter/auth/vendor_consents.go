package auth

import (
	"fmt"
	"maps"
	"slices"
)

// Bounds of the consents of a source.
const (
	maxConsents     = 100
	maxConsentBytes = 256 // an application's name at the source
)

// validateConsents holds the consents to what the source may speak for. A grant
// releases what is held of a user: whoever can send one has to be known.
func (v *VendorSource) validateConsents() error {
	if v.Consents == nil {
		return nil
	}
	if v.Auth == VendorNone && v.SignatureSecret == "" {
		return &InvalidError{"consents", "must not stand with auth none: whoever knows the path could grant consent"}
	}
	if v.Environment != "" { // contracts.md §1
		return &InvalidError{"consents", "must not stand with an environment: a decision is about the events of all"}
	}
	if len(v.Consents) > maxConsents {
		return &InvalidError{"consents", fmt.Sprintf("must not name more than %d applications", maxConsents)}
	}
	for name, application := range v.Consents {
		if name == "" {
			return &InvalidError{"consents", "must not have an empty name"}
		}
		if err := checkText("consents", name, maxConsentBytes); err != nil {
			return err
		}
		if v.Applications != nil && !slices.Contains(v.Applications, application) {
			return &InvalidError{"consents", "names an application that the source's events are not for"}
		}
	}
	return nil
}

// applicationsThere reports whether what the source names exists.
func applicationsThere(tx *Tx, v *VendorSource) error {
	check := func(member, application string) error {
		known, err := there(tx.Applications, application)
		if err == nil && !known {
			err = &InvalidError{member, "names an application that does not exist"}
		}
		return err
	}
	for _, application := range v.Applications {
		if err := check("applications", application); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.Consents)) {
		if err := check("consents", v.Consents[name]); err != nil {
			return err
		}
	}
	return nil
}
