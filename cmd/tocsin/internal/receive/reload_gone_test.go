package receive_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

// inForce returns the issuers that are in force.
func inForce(d *receive.Daemon) (names []string) {
	for _, is := range d.Health(context.Background()).Issuers {
		names = append(names, is.Name)
	}
	return names
}

// Whoever asks for a reload and goes away leaves the daemon with the one configuration
// or the other as a whole: what is in force runs.
func TestReloadGivenUp(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.json")
	jwks := `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	if err := os.WriteFile(keys, []byte(jwks), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(names ...string) receive.Config {
		cfg := receive.Config{Data: filepath.Join(dir, "data")}
		for _, name := range names {
			cfg.Issuers = append(cfg.Issuers, receive.Issuer{Name: name, Issuer: "https://" + name + ".example", Audience: []string{"a"}, KeyFile: keys})
		}
		cfg, err := cfg.Complete(receive.Flags)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	d, err := receive.Open(t.Context(), config("one"), receive.Options{Address: "https://rp.example", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = d.Close()
	})
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 20 {
		want := []string{"one"}
		if err := d.Reload(gone, config("one", "two")); err == nil {
			want = []string{"one", "two"}
		}
		if got := inForce(d); !slices.Equal(got, want) {
			t.Fatalf("got %v in force, want %v", got, want)
		}
		if err := d.Reload(t.Context(), config("one")); err != nil {
			t.Fatal(err)
		}
	}
	// The end of the daemon is the end of a reload.
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	done <- nil
	if err := d.Reload(t.Context(), config("one", "two")); err == nil {
		t.Error("got a reload of a daemon that has ended, want an error")
	}
}
