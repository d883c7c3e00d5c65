package auth_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/auth/authtest"
)

func TestContract(t *testing.T) {
	authtest.Run(t, func(t *testing.T, dir string) *auth.Store { return openStore(t, filepath.Join(dir, "admin.db")) })
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
