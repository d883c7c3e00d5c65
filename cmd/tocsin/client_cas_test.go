package main_test

import (
	"bytes"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
)

// The authorities of clients follow their file; one that is in ruins, or gone, leaves those
// before in force and is told once.
func TestClientCAs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	first, second := edgetest.NewAuthority(t, "clients"), edgetest.NewAuthority(t, "clients")
	written := func(a *edgetest.Authority) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
	}
	write := func(raw []byte) {
		t.Helper()
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(written(first))
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		get, err := main.ClientCAs(file, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		later := func(what string, want *edgetest.Authority, told int) {
			t.Helper()
			for range 3 {
				<-time.After(11 * time.Second)
				if !get().Equal(want.Pool()) {
					t.Errorf("%s: got other authorities", what)
				}
			}
			if got := strings.Count(log.String(), "CANNOT BE USED"); got != told {
				t.Errorf("%s: got told %d times, want %d: %s", what, got, told, &log)
			}
		}
		later("as it was", first, 0)
		write([]byte("ruins"))
		later("in ruins", first, 1)
		write(append(written(second), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})...))
		later("with a private key", first, 2)
		write(written(second))
		later("replaced", second, 2)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		later("gone", second, 3)
		write(written(first))
		later("back", first, 3)
	})
}
