package authtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

func storeKeepsOverReopen(t *testing.T, open Open) {
	ctx := t.Context()
	dir := t.TempDir()
	s := open(t, dir)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	app := auth.Application{
		ID: "rp", Name: "Relying party", Audience: []string{"https://b.example", "https://a.example"},
		SubjectFormat: "email", Created: at,
	}
	writer := auth.Client{
		ID: "writer", Application: "rp", Scopes: []auth.Scope{"events.write", "ssf.read"}, Static: true,
		Source: &auth.Source{Name: "idp", EventTypes: []string{"https://x.example/e"}, Applications: []string{}}, Created: at,
	}
	reader := auth.Client{ID: "reader", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Created: at.Add(time.Second)}
	if _, err := s.AddApplication(ctx, app); err != nil {
		t.Fatal(err)
	}
	for _, c := range []auth.Client{writer, reader} {
		if _, err := s.AddClient(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir)
	if got, err := s.Application(ctx, "rp"); err != nil || cmp.Diff(app, got) != "" {
		t.Errorf("Application: got %+v, %v, want %+v", got, err, app)
	}
	if got, err := s.ApplicationFor(ctx, "https://a.example"); err != nil || got.ID != "rp" {
		t.Errorf("ApplicationFor: got %+v, %v, want rp", got, err)
	}
	apps, err := s.Applications(ctx)
	if diff := cmp.Diff([]auth.Application{app}, apps); err != nil || diff != "" {
		t.Errorf("Applications: %v, diff %s", err, diff)
	}
	clients, err := s.Clients(ctx, "rp")
	if diff := cmp.Diff([]auth.Client{writer, reader}, clients); err != nil || diff != "" {
		t.Errorf("Clients: %v, diff %s", err, diff)
	}
	if got, err := s.Clients(ctx, "other"); err != nil || len(got) != 0 {
		t.Errorf("Clients of another: got %v, %v, want none", got, err)
	}
	if got, err := s.Client(ctx, "writer"); err != nil || cmp.Diff(writer, got) != "" {
		t.Errorf("Client: got %+v, %v, want %+v", got, err, writer)
	}
}

func storeRefuses(t *testing.T, open Open) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	good := auth.Application{ID: "rp", Audience: []string{"https://rp.example"}}
	if _, err := s.AddApplication(ctx, good); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddClient(ctx, auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}}); err != nil {
		t.Fatal(err)
	}
	member := func(name string) func(error) bool {
		return func(err error) bool {
			var invalid *auth.InvalidError
			return errors.As(err, &invalid) && invalid.Member == name
		}
	}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	scopes := []auth.Scope{"ssf.read"}
	tests := []struct {
		name string
		add  any
		want func(error) bool
	}{
		{"same id", auth.Application{ID: "rp", Audience: []string{"https://x.example"}}, is(auth.ErrExists)},
		{"audience of another", auth.Application{ID: "x", Audience: []string{"https://x.example", "https://rp.example"}}, is(auth.ErrExists)},
		{"no audience", auth.Application{ID: "x"}, member("audience")},
		{"empty audience value", auth.Application{ID: "x", Audience: []string{""}}, member("audience")},
		{"audience twice", auth.Application{ID: "x", Audience: []string{"a", "a"}}, member("audience")},
		{"audience with control byte", auth.Application{ID: "x", Audience: []string{"a\nb"}}, member("audience")},
		{"id with a slash", auth.Application{ID: "x/y", Audience: []string{"a"}}, member("id")},
		{"id of dots", auth.Application{ID: "..", Audience: []string{"a"}}, member("id")},
		{"long id", auth.Application{ID: strings.Repeat("x", auth.MaxIDBytes+1), Audience: []string{"a"}}, member("id")},
		{"long name", auth.Application{ID: "x", Name: strings.Repeat("x", auth.MaxNameBytes+1), Audience: []string{"a"}}, member("name")},
		{"client id taken", auth.Client{ID: "c", Application: "rp", Scopes: scopes}, is(auth.ErrExists)},
		{"client of nobody", auth.Client{ID: "d", Application: "none", Scopes: scopes}, is(auth.ErrNotFound)},
		{"client id with colon", auth.Client{ID: "d:e", Application: "rp", Scopes: scopes}, member("client_id")},
		{"no scope", auth.Client{ID: "d", Application: "rp"}, member("scope")},
		{"mistyped scope", auth.Client{ID: "d", Application: "rp", Scopes: []auth.Scope{"event.write"}}, member("scope")},
		{"scope of two words", auth.Client{ID: "d", Application: "rp", Scopes: []auth.Scope{"ssf.read ssf.manage"}}, member("scope")},
		{"source without name", auth.Client{ID: "d", Application: "rp", Scopes: scopes, Source: &auth.Source{}}, member("source.name")},
		{"source with a type twice", auth.Client{
			ID: "d", Application: "rp", Scopes: scopes,
			Source: &auth.Source{Name: "s", EventTypes: []string{"a", "a"}},
		}, member("source.event_types")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			switch add := tt.add.(type) {
			case auth.Application:
				_, err = s.AddApplication(ctx, add)
			case auth.Client:
				_, err = s.AddClient(ctx, add)
			}
			if !tt.want(err) {
				t.Errorf("got %v, want another error", err)
			}
		})
	}
	if apps, err := s.Applications(ctx); err != nil || len(apps) != 1 {
		t.Errorf("after refusals: got %d applications, %v, want 1", len(apps), err)
	}
	for name, err := range map[string]error{
		"RemoveApplication": s.RemoveApplication(ctx, "none"),
		"RemoveClient":      s.RemoveClient(ctx, "none"),
	} {
		if !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("%s of none: got %v, want ErrNotFound", name, err)
		}
	}
}

func iDsAreMadeUp(t *testing.T, open Open) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	app, err := s.AddApplication(ctx, auth.Application{Audience: []string{"https://rp.example"}})
	if err != nil || len(app.ID) < 20 || app.Created.IsZero() {
		t.Fatalf("got %+v, %v, want a random id and a time", app, err)
	}
	given, err := s.AddClient(ctx, auth.Client{Application: app.ID, Scopes: []auth.Scope{"ssf.read"}})
	if err != nil || len(given.ClientID) < 20 || given.AccessToken != "" {
		t.Errorf("got id %q, %v, want a random id and no access token", given.ClientID, err)
	}
}

// With an application goes what is its own, and its id never comes back.
func applicationRemoved(t *testing.T, open Open) {
	ctx, dir := t.Context(), t.TempDir()
	s := sourceStoreIn(t, open, dir)
	if _, err := s.AddClient(ctx, writes("mine", &auth.Source{Name: "hr"})); err != nil {
		t.Fatal(err)
	}
	others := writes("others", &auth.Source{Name: "it"})
	others.Application = "other"
	if _, err := s.AddClient(ctx, others); err != nil {
		t.Fatal(err)
	}
	for _, w := range []auth.Webhook{{ID: "w1", Application: "rp", Revision: "1", Settings: []byte("{}")}, {ID: "w2", Application: "other", Revision: "1", Settings: []byte("{}")}} {
		if err := s.AddWebhook(ctx, w); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := s.Removed(ctx, "rp"); err != nil || removed {
		t.Errorf("before: got removed %v (%v), want false", removed, err)
	}
	if err := s.RemoveApplication(ctx, "rp"); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	for what, err := range map[string]error{
		"application": second(s.Application(ctx, "rp")), "client": second(s.Client(ctx, "mine")), "webhook": second(s.Webhook(ctx, "w1")),
		"audience": second(s.ApplicationFor(ctx, "https://rp.example")), "again": s.RemoveApplication(ctx, "rp"),
	} {
		if !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", what, err)
		}
	}
	for what, err := range map[string]error{
		"application": second(s.Application(ctx, "other")), "client": second(s.Client(ctx, "others")), "webhook": second(s.Webhook(ctx, "w2")),
	} {
		if err != nil {
			t.Errorf("%s of the other: got %v, want it there", what, err)
		}
	}
	if removed, err := s.Removed(ctx, "rp"); err != nil || !removed {
		t.Errorf("after: got removed %v (%v), want true", removed, err)
	}
	_, err := s.AddApplication(ctx, auth.Application{ID: "rp", Audience: []string{"https://new.example"}})
	if !errors.Is(err, auth.ErrRemoved) || !errors.Is(err, auth.ErrExists) {
		t.Errorf("its id again: got %v, want ErrRemoved", err)
	}
	// Its audience, its client's id and its source's name are free.
	if _, err := s.AddApplication(ctx, auth.Application{ID: "next", Audience: []string{"https://rp.example"}}); err != nil {
		t.Errorf("its audience again: got %v, want it free", err)
	}
	if _, err := s.AddVendorSource(ctx, vendor("hr", auth.VendorBearer)); err != nil {
		t.Errorf("its source's name again: got %v, want it free", err)
	}
	again := writes("mine", nil)
	again.Application = "next"
	if _, err := s.AddClient(ctx, again); err != nil {
		t.Errorf("its client's id again: got %v, want it free", err)
	}
}

func second[T any](_ T, err error) error { return err }

func applicationChanged(t *testing.T, open Open) {
	ctx, dir := t.Context(), t.TempDir()
	s := open(t, dir)
	want := auth.Application{
		ID: "rp", Name: "Old", Audience: []string{"https://b.example", "https://a.example"}, SubjectFormat: "email", Profile: "okta", Encryption: `{"enc":"A256GCM"}`,
		Created: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	}
	if _, err := s.AddApplication(ctx, want); err != nil {
		t.Fatal(err)
	}
	name, none := "Néw", ""
	other := `{"enc":"A128GCM"}`
	want.Name, want.Profile, want.Encryption = name, none, other
	got, err := s.ChangeApplication(ctx, "rp", auth.ApplicationChange{Name: &name, Profile: &none, Encryption: &other})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, diff %s", err, diff)
	}
	if got, err := open(t, dir).Application(ctx, "rp"); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("kept: got %+v (%v), want %+v", got, err, want)
	}
	long := strings.Repeat("x", auth.MaxNameBytes+1)
	var invalid *auth.InvalidError
	if _, err := s.ChangeApplication(ctx, "rp", auth.ApplicationChange{Name: &long}); !errors.As(err, &invalid) || invalid.Member != "name" {
		t.Errorf("a long name: got %v, want name refused", err)
	}
	if _, err := s.ChangeApplication(ctx, "none", auth.ApplicationChange{Name: &name}); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("unknown: got %v, want ErrNotFound", err)
	}
	if got, err := s.Application(ctx, "rp"); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("after refusals: got %+v (%v), want %+v", got, err, want)
	}
}

// Lists are in order of creation, however many there are.
func manyInOrder(t *testing.T, open Open) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	const n = 600 // more than a backend reads at once
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for i := range n {
		// Ids are in another order than times; two have one time each.
		id := fmt.Sprintf("a%04d", (i*7)%n)
		if _, err := s.AddApplication(ctx, auth.Application{ID: id, Audience: []string{"https://" + id}, Created: at.Add(time.Duration(i/2) * time.Second)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddClient(ctx, auth.Client{ID: id, Application: "a0000", Scopes: []auth.Scope{"ssf.read"}, Created: at.Add(time.Duration(i/2) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	apps, err := s.Applications(ctx)
	if err != nil || len(apps) != n {
		t.Fatalf("got %d applications (%v), want %d", len(apps), err, n)
	}
	owned, err := s.Clients(ctx, "a0000")
	if err != nil || len(owned) != n {
		t.Fatalf("got %d clients (%v), want %d", len(owned), err, n)
	}
	all, err := s.Clients(ctx, "")
	if diff := cmp.Diff(owned, all); err != nil || diff != "" {
		t.Errorf("all clients: got %v, diff %s", err, diff)
	}
	for i := 1; i < n; i++ {
		if c := apps[i-1].Created.Compare(apps[i].Created); c > 0 || c == 0 && apps[i-1].ID > apps[i].ID {
			t.Fatalf("got application %s before %s, want them by time and id", apps[i-1].ID, apps[i].ID)
		}
		if c := owned[i-1].Created.Compare(owned[i].Created); c > 0 || c == 0 && owned[i-1].ID > owned[i].ID {
			t.Fatalf("got client %s before %s, want them by time and id", owned[i-1].ID, owned[i].ID)
		}
	}
}
