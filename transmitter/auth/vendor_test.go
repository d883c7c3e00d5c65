package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

func TestVendorSourcesKept(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "admin.db")
	s, err := auth.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddApplication(ctx, auth.Application{ID: "rp", Audience: []string{"https://rp.example"}}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	want := []auth.VendorSource{
		{
			Source: auth.Source{Name: "hr", EventTypes: []string{"https://x.example/e"}, SubjectIssuers: []string{}, Applications: []string{"rp"}, Environment: "test"},
			Kind:   auth.KindOneLogin, Auth: auth.VendorHeader, Header: "X-Secret", Created: at,
		},
		{Source: auth.Source{Name: "id"}, Kind: auth.KindIDme, Auth: auth.VendorBasic, User: "idme", Created: at.Add(time.Second)},
	}
	var secrets []string
	for i, v := range want {
		if i == 0 {
			v.Header = "x-secret" // kept in canonical form
		}
		given, err := s.AddVendorSource(ctx, v)
		if err != nil || given.Header != want[i].Header || given.User != v.User {
			t.Fatalf("%s: got %+v %v, want the header and user", v.Name, given, err)
		}
		if text := fmt.Sprintf("%v %s", given, given.LogValue()); strings.Contains(text, given.Secret) {
			t.Errorf("got the secret in %q, want it hidden", text)
		}
		secrets = append(secrets, given.Secret)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if len(secret) < 40 || bytes.Contains(raw, []byte(secret)) {
			t.Errorf("got secret %q in the file or too short, want its digest alone", secret)
		}
	}
	s = openStore(t, path)
	got, err := s.VendorSources(ctx)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, diff %s", err, diff)
	}
	if err := s.RemoveVendorSource(ctx, "hr"); err != nil {
		t.Errorf("remove: got %v", err)
	}
	if err := s.RemoveVendorSource(ctx, "hr"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("remove again: got %v, want ErrNotFound", err)
	}
}
