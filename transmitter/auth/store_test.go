package auth_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

func TestStoreKeepsOverReopen(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "admin.db")
	s, err := auth.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
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
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openStore(t, path)
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

func TestStoreRefuses(t *testing.T) {
	ctx := t.Context()
	s := openStore(t, filepath.Join(t.TempDir(), "admin.db"))
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

func TestRemoveApplicationRemovesItsClients(t *testing.T) {
	d := newDesk(t, nil)
	d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	if err := d.store.RemoveApplication(t.Context(), "rp"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Client(t.Context(), "c"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := d.store.ApplicationFor(t.Context(), "https://rp.example"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("its audience: got %v, want ErrNotFound", err)
	}
}

// SEC-04: neither the file nor its modes give a secret away.
func TestSecretsAreNotStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d := &desk{store: openStore(t, path)}
	given := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	backup := filepath.Join(t.TempDir(), "copy.db")
	if err := d.store.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", backup} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 && name != path+"-wal" {
			t.Errorf("mode of %s: got %o, want 600", filepath.Base(name), got)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for what, secret := range map[string]string{"secret": given.Secret, "token": given.AccessToken} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s has the %s in clear", filepath.Base(name), what)
			}
		}
	}
}

func TestBackupIsAStore(t *testing.T) {
	d := newDesk(t, nil)
	d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := d.store.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := d.store.RemoveClient(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	restored := openStore(t, path)
	if c, err := restored.Client(context.Background(), "c"); err != nil || c.Application != "rp" {
		t.Errorf("got %+v, %v, want the client", c, err)
	}
	if err := d.store.Backup(t.Context(), path); err == nil {
		t.Error("Backup over an existing file: got nil, want an error")
	}
}

func TestIDsAreMadeUp(t *testing.T) {
	ctx := t.Context()
	s := openStore(t, filepath.Join(t.TempDir(), "admin.db"))
	app, err := s.AddApplication(ctx, auth.Application{Audience: []string{"https://rp.example"}})
	if err != nil || len(app.ID) < 20 || app.Created.IsZero() {
		t.Fatalf("got %+v, %v, want a random id and a time", app, err)
	}
	given, err := s.AddClient(ctx, auth.Client{Application: app.ID, Scopes: []auth.Scope{"ssf.read"}})
	if err != nil || len(given.ClientID) < 20 || given.AccessToken != "" {
		t.Errorf("got id %q, %v, want a random id and no access token", given.ClientID, err)
	}
}
