package profile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/profile"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

func TestLookup(t *testing.T) {
	names := profile.Names()
	for _, name := range []string{
		"okta", "google-risc", "google-workspace", "apple-business", "keycloak", "authentik", "login.gov", "idme", "caep.dev",
	} {
		if !slices.Contains(names, name) {
			t.Errorf("got no %s, want it among the names", name)
		}
	}
	for i, name := range names {
		p, err := profile.Lookup(name)
		if err != nil || p.Name != name || p.Title == "" || slices.Contains(names[:i], name) {
			t.Errorf("%s: got %+v, %v, want one with a title", name, p, err)
		}
	}
	for _, name := range []string{"", "Okta", "okta "} {
		if p, err := profile.Lookup(name); !errors.Is(err, profile.ErrUnknown) || !strings.Contains(err.Error(), "okta") || p.Name != "" {
			t.Errorf("%q: got %+v, %v, want %v and the names", name, p, err, profile.ErrUnknown)
		}
	}
}

// A profile fills what is empty and adds its tolerances; it changes nothing of the caller's.
func TestApply(t *testing.T) {
	p := profile.Profile{
		Issuer: "https://theirs.example", Algorithms: []jose.Algorithm{jose.ES256}, PollPause: time.Minute,
		Tolerances: set.Tolerances{NoKid: true},
	}
	poll := &receiver.Poll{}
	got := p.Apply(receiver.Config{Poll: poll, Tolerances: set.Tolerances{TypJWT: true}})
	if got.Issuer != p.Issuer || !slices.Equal(got.Algorithms, p.Algorithms) || got.Poll.Interval != time.Minute ||
		got.Tolerances != (set.Tolerances{NoKid: true, TypJWT: true}) || poll.Interval != 0 {
		t.Errorf("got %+v (%+v), want all of the profile", got, got.Poll)
	}
	ours := receiver.Config{Issuer: "https://ours.example", Algorithms: []jose.Algorithm{jose.RS256}, Poll: &receiver.Poll{Interval: time.Second}}
	got = p.Apply(ours)
	if got.Issuer != ours.Issuer || !slices.Equal(got.Algorithms, ours.Algorithms) || got.Poll.Interval != time.Second {
		t.Errorf("got %+v, want what was configured", got)
	}
	if got := p.Apply(receiver.Config{}); got.Poll != nil {
		t.Errorf("got %+v, want no poll", got.Poll)
	}
}

// Where a profile knows the metadata to be, beside the issuer's own path.
func TestMetadataURL(t *testing.T) {
	p, err := profile.Lookup("sailpoint")
	if err != nil {
		t.Fatal(err)
	}
	for issuer, want := range map[string]string{
		"https://acme.example":      "https://acme.example/.well-known/v1/ssf-configuration",
		"https://acme.example/one/": "https://acme.example/.well-known/v1/ssf-configuration/one",
		"acme":                      "",
	} {
		if got := p.MetadataURL(issuer); got != want {
			t.Errorf("%s: got %s, want %s", issuer, got, want)
		}
	}
	if got := (profile.Profile{}).MetadataURL("https://acme.example"); got != "" {
		t.Errorf("no path: got %s, want none", got)
	}
}
