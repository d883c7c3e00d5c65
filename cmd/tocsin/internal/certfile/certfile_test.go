package certfile_test

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/certfile"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
)

// A client's key that others may read is refused, at the start and later, when the pair
// before stays in force; the files are not looked at all the time.
func TestPrivate(t *testing.T) {
	ca, dir, now := edgetest.NewAuthority(t, "clients"), t.TempDir(), time.Now()
	first, second := ca.Issue(t, nil), ca.Issue(t, nil)
	cert, key := edgetest.Write(t, dir, "client", first)
	var said bytes.Buffer
	cfg := certfile.Config{
		Cert: cert, Key: key, Private: true, Now: func() time.Time { return now },
		Logger: slog.New(slog.NewTextHandler(&said, nil)),
	}
	mode := func(m os.FileMode) {
		t.Helper()
		if err := os.Chmod(key, m); err != nil {
			t.Fatal(err)
		}
	}
	mode(0o644)
	if _, err := certfile.Open(cfg); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key for all: got %v, want it refused with what to do", err)
	}
	mode(0o600)
	pair, err := certfile.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := func(what string, leaf *x509.Certificate) {
		t.Helper()
		if got, err := pair.Get(); err != nil || !got.Leaf.Equal(leaf) {
			t.Errorf("%s: got another certificate (%v)", what, err)
		}
	}
	edgetest.Write(t, dir, "client", second)
	mode(0o644)
	now = now.Add(certfile.Look)
	want("a new key for all", first.Leaf)
	if !strings.Contains(said.String(), "CANNOT BE USED") || !strings.Contains(said.String(), "chmod 600") {
		t.Errorf("got %s, want it told with what to do", said.String())
	}
	mode(0o600)
	now = now.Add(certfile.Look - time.Second)
	want("not yet looked at", first.Leaf)
	now = now.Add(time.Second)
	want("put right", second.Leaf)
}
