// Package profile knows how transmitters that people meet depart from the
// specifications: for each a named set of tolerances, and what else a receiver of
// theirs needs to know.
//
// A profile is data and never more than a default: what an operator configures stands.
// It trusts nobody; issuer, keys and audience are checked as always.
//
//	p, err := profile.Lookup("okta")
//	…
//	cfg = p.Apply(cfg) // a receiver.Config
//
// docs/tolerances.md has them as a table.
package profile

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// ErrUnknown reports a name that is no profile.
var ErrUnknown = errors.New("profile: unknown profile")

// AdapterSignInWithApple is the adapter of package receiver/siwa.
const AdapterSignInWithApple = "siwa"

// Profile is what is known of one kind of transmitter. The zero value of a field says
// that nothing is known or that it is as the specifications have it.
type Profile struct {
	// Name is that of the table, "login.gov" for example.
	Name string
	// Title says in a few words who that is.
	Title string
	// Tolerances are the departures that its events need.
	Tolerances set.Tolerances
	// Issuer is the iss where all of its receivers have the same.
	Issuer string
	// Algorithms are the signatures it makes; nil: RS256.
	Algorithms []jose.Algorithm
	// MetadataPath is where its metadata is, below the issuer's host and before the
	// path of the issuer, if it has one; empty: /.well-known/ssf-configuration.
	MetadataPath string
	// KeysURL is where its keys are, if that is no matter of metadata.
	KeysURL string
	// Static: it has no management API of SSF 1.0, so that issuer, keys and audience
	// are configured and the stream is set up by its own means.
	Static bool
	// PushOnly: it does not offer poll.
	PushOnly bool
	// PollPause is the least pause between polls of one that knows no long poll.
	PollPause time.Duration
	// PushDelay is how long after a stream's creation pushes may begin.
	PushDelay time.Duration
	// OneStream: it allows one stream per client and answers 409 to another, which is
	// then adopted.
	OneStream bool
	// EventTypes are those it is known to send, by URI; nil: not known. It is no filter.
	EventTypes []string
	// Adapter is the package that reads what it sends where that is no SET; empty: it
	// sends SETs.
	Adapter string
	// Notes are what an operator should know, a sentence each.
	Notes []string
}

// Lookup returns the profile of that name, an exact match. The error wraps [ErrUnknown]
// and lists the names that there are.
func Lookup(name string) (Profile, error) {
	for _, p := range all() {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("%w: %.100q; there are %s", ErrUnknown, name, strings.Join(Names(), ", "))
}

// Names returns the names of all profiles, in the order of docs/tolerances.md.
func Names() []string {
	var names []string
	for _, p := range all() {
		names = append(names, p.Name)
	}
	return names
}

// MetadataURL returns where the metadata of an issuer is, by MetadataPath; "" if that
// is empty or issuer no URL.
func (p Profile) MetadataURL(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || p.MetadataPath == "" {
		return ""
	}
	u.Path, u.RawPath = p.MetadataPath+strings.TrimSuffix(u.Path, "/"), ""
	return u.String()
}

// Apply returns cfg with what the profile knows where cfg says nothing: its tolerances
// are added to those of cfg; Issuer, Algorithms and the pause of Poll stand where they
// are set.
func (p Profile) Apply(cfg receiver.Config) receiver.Config {
	cfg.Tolerances = cfg.Tolerances.With(p.Tolerances)
	if cfg.Issuer == "" {
		cfg.Issuer = p.Issuer
	}
	if cfg.Algorithms == nil {
		cfg.Algorithms = p.Algorithms
	}
	if cfg.Poll != nil && cfg.Poll.Interval == 0 && p.PollPause > 0 {
		poll := *cfg.Poll // the caller's
		poll.Interval = p.PollPause
		cfg.Poll = &poll
	}
	return cfg
}
