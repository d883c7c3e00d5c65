package set_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
)

// everything tolerates all that can be tolerated.
func everything() set.Tolerances {
	var all set.Tolerances
	for v, i := reflect.ValueOf(&all).Elem(), 0; i < v.NumField(); i++ {
		v.Field(i).SetBool(true)
	}
	return all
}

// Every field is a switch with a name of its own, that of the table of tolerances.
func TestToleranceNames(t *testing.T) {
	names := set.ToleranceNames()
	if fields := reflect.TypeFor[set.Tolerances]().NumField(); len(names) != fields {
		t.Errorf("got %d names, want one for each of %d fields", len(names), fields)
	}
	for _, name := range []string{
		"subject_in_event", "subject_duplicated", "subject_type_alias", "complex_without_format", "typ_jwt",
		"exp_present", "null_members", "legacy_verification_uri", "legacy_delivery_uri", "no_kid", "issuer_slash",
		"aud_is_url_of_push", "events_as_string", "txn_number", "empty_event_body", "legacy_error_codes",
	} {
		if !slices.Contains(names, name) {
			t.Errorf("got no %s, want it among the names", name)
		}
	}
	seen := set.Tolerances{}
	for _, name := range names {
		one, err := set.ParseTolerance(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := one.Names(); !slices.Equal(got, []string{name}) {
			t.Errorf("%s: got %v on, want it alone", name, got)
		}
		field := strings.ReplaceAll(name, "_", "")
		if v := reflect.ValueOf(one); !v.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, field) }).Bool() {
			t.Errorf("%s: got another field on (%+v), want that of its name", name, one)
		}
		seen = seen.With(one)
	}
	if seen != everything() {
		t.Errorf("got %v of all names together, want every field", seen)
	}
}

func TestParseTolerances(t *testing.T) {
	got, err := set.ParseTolerances([]string{"no_kid", "typ_jwt", "no_kid"})
	if want := (set.Tolerances{NoKid: true, TypJWT: true}); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := set.ParseTolerances(nil); err != nil || got != (set.Tolerances{}) {
		t.Errorf("got %v, %v, want the zero value", got, err)
	}
	got, err = set.ParseTolerances([]string{"no_kid", "nokid", "", "TYP_JWT"})
	if !errors.Is(err, set.ErrTolerance) || got != (set.Tolerances{}) {
		t.Fatalf("got %v, %v, want %v alone", got, err, set.ErrTolerance)
	}
	for _, want := range []string{`"nokid"`, `""`, `"TYP_JWT"`, "typ_jwt"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	for text, of := range map[string]set.Tolerances{"strict": {}, "typ_jwt,no_kid": {NoKid: true, TypJWT: true}} {
		if got := of.String(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
}
