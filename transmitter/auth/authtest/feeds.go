package authtest

import (
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// sourceStore is a store with the applications rp and other.
func sourceStore(t *testing.T, open Open) *auth.Store {
	t.Helper()
	return sourceStoreIn(t, open, t.TempDir())
}

func sourceStoreIn(t *testing.T, open Open, dir string) *auth.Store {
	t.Helper()
	s := open(t, dir)
	for _, id := range []string{"rp", "other"} {
		if _, err := s.AddApplication(t.Context(), auth.Application{ID: id, Audience: []string{"https://" + id + ".example"}}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// writes is a client that writes events as a source.
func writes(id string, source *auth.Source) auth.Client {
	return auth.Client{ID: id, Application: "rp", Scopes: []auth.Scope{"events.write"}, Source: source}
}

// Repetitions are told by (source, source id): two credentials of one source
// whose events are for others would take each other's events for repetitions,
// and nobody would hear of the second (contracts.md §1, §2).
func credentialsOfOneSourceAgree(t *testing.T, open Open) {
	to := func(name string, apps ...string) *auth.Source { return &auth.Source{Name: name, Applications: apps} }
	none := &auth.Source{Name: "hr", Applications: []string{}}
	in := func(c auth.Client, environment string) auth.Client { c.Environment = environment; return c }
	reads := func(c auth.Client) auth.Client { c.Scopes = []auth.Scope{"ssf.manage"}; return c }
	for _, tt := range []struct {
		name          string
		first, second auth.Client
		member        string // that is wrong; empty: they agree
	}{
		{"rotation", writes("a", to("hr", "rp", "other")), writes("b", to("hr", "rp", "other")), ""},
		{"in another order", writes("a", to("hr", "rp", "other")), writes("b", to("hr", "other", "rp")), ""},
		{"for all", writes("a", to("hr")), writes("b", to("hr")), ""},
		{"other types and issuers", writes("a", to("hr")), writes("b", &auth.Source{Name: "hr", EventTypes: []string{"x"}, SubjectIssuers: []string{"y"}}), ""},
		{"other names", writes("a", to("hr", "rp")), writes("b", to("it", "other")), ""},
		{"for another", writes("a", to("hr", "rp")), writes("b", to("hr", "other")), "source.applications"},
		{"for one more", writes("a", to("hr", "rp")), writes("b", to("hr", "rp", "other")), "source.applications"},
		{"for all, then one", writes("a", to("hr")), writes("b", to("hr", "rp")), "source.applications"},
		{"for all, then none", writes("a", to("hr")), writes("b", none), "source.applications"},
		{"of another environment", in(writes("a", to("hr")), "live"), in(writes("b", to("hr")), "test"), "environment"},
		{"of the same environment", in(writes("a", to("hr")), "live"), in(writes("b", to("hr")), "live"), ""},
		{"by its id, then by a name", writes("hr", nil), writes("b", to("hr", "rp")), "source.applications"},
		{"by a name, then by its id", writes("a", to("hr", "rp")), writes("hr", nil), "source.applications"},
		{"by its id, for all", writes("a", to("hr")), writes("hr", nil), ""},
		{"by its id, but it only reads", writes("a", to("hr", "rp")), reads(writes("hr", nil)), ""},
		{"it only reads, then by a name", reads(writes("hr", nil)), writes("b", to("hr", "rp")), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := sourceStore(t, open)
			if _, err := s.AddClient(t.Context(), tt.first); err != nil {
				t.Fatal(err)
			}
			_, err := s.AddClient(t.Context(), tt.second)
			var invalid *auth.InvalidError
			switch {
			case tt.member == "" && err != nil:
				t.Errorf("got %v, want it added", err)
			case tt.member != "" && (!errors.As(err, &invalid) || invalid.Member != tt.member):
				t.Errorf("got %v, want %s refused", err, tt.member)
			case tt.member != "" && !strings.Contains(invalid.Description, "client "+tt.first.ID):
				t.Errorf("got %q, want the client named that it disagrees with", invalid.Description)
			}
			if tt.member == "" {
				return
			}
			// Once the first is gone the name is free for another feed.
			if err := s.RemoveClient(t.Context(), tt.first.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := s.AddClient(t.Context(), tt.second); err != nil {
				t.Errorf("after the first was removed: got %v, want it added", err)
			}
		})
	}
}
