package redisauth_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/auth/redisauth"
)

// Everything comes along from a file, with what is never shown, also when it is begun again.
func TestCopy(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		ctx := t.Context()
		from, err := auth.OpenSQLite(ctx, filepath.Join(t.TempDir(), "admin.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = from.Close() })
		populate(t, auth.NewStore(from))
		cfg.Prefix = "copy"
		to := redisauth.New(openDB(t, cfg))
		for range 2 {
			count := 0
			if err := auth.Copy(ctx, from, to, time.Now(), func(n int) { count += n }); err != nil {
				t.Fatalf("copy: got %v, want no error", err)
			}
			if diff := cmp.Diff(everything(t, from), everything(t, to)); diff != "" {
				t.Errorf("got another content (-want +got):\n%s", diff)
			}
			if want := 150 + 154 + 2 + 1 + 2 + 70 + 72; count != want {
				t.Errorf("got %d records, want %d", count, want)
			}
		}
		store := auth.NewStore(to)
		for id, want := range map[string]bool{"gone": true, "gone-too": true, "a0": false} {
			if got, err := store.Removed(ctx, id); err != nil || got != want {
				t.Errorf("removed %s: got %v (%v), want %v", id, got, err, want)
			}
		}
		if _, err := store.AddApplication(ctx, auth.Application{ID: "gone", Audience: []string{"https://new.example"}}); err == nil {
			t.Error("an id that was removed: got none, want an error")
		}
		for jti, want := range map[string]bool{"revoked-3": true, "other": false} {
			h, err := to.Holder(ctx, auth.Credential{Client: "c0", TokenID: jti}, 0)
			if err != nil || h.Revoked != want {
				t.Errorf("token %s: got revoked %v (%v), want %v", jti, h.Revoked, err, want)
			}
		}
		for _, used := range []struct{ client, assertion string }{{"c1", "assertion-0"}, {"c1", "assertion-69"}, {"c2", "assertion-1"}} {
			err := store.UseAssertion(ctx, used.client, []byte(used.assertion), time.Now().Add(time.Hour), time.Now())
			if !errors.Is(err, auth.ErrUsed) {
				t.Errorf("%s of %s, used before the move: got %v, want ErrUsed", used.assertion, used.client, err)
			}
		}
		if err := store.UseAssertion(ctx, "c2", []byte("assertion-2"), time.Now().Add(time.Hour), time.Now()); err != nil {
			t.Errorf("another client's: got %v, want no error", err)
		}
	})
}

// populate makes some of all.
func populate(t *testing.T, s *auth.Store) {
	t.Helper()
	ctx := t.Context()
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	for i := range 150 {
		_, err := s.AddApplication(ctx, auth.Application{
			ID: fmt.Sprint("a", i), Name: fmt.Sprint("Näme ", i), Audience: []string{fmt.Sprint("https://rp.example/", i), fmt.Sprint("urn:", i)}, SubjectFormat: "email",
			Profile: "okta", Encryption: fmt.Sprintf(`{"enc":"A256GCM","key":{"n":%d}}`, i),
		})
		note(err)
		_, err = s.AddClient(ctx, auth.Client{ID: fmt.Sprint("c", i), Application: fmt.Sprint("a", i), Scopes: []auth.Scope{"ssf.read"}, Static: i%2 == 0})
		note(err)
	}
	for id, c := range map[string]auth.Client{
		"named":  {Certificate: &auth.Certificate{SubjectDN: `CN=shop,O=Müller\, Söhne`}},
		"signed": {Certificate: &auth.Certificate{SelfSigned: true}, JWKSURI: "https://rp.example/jwks"},
		"bound":  {BoundTokens: true},
	} {
		c.ID, c.Application, c.Scopes = id, "a0", []auth.Scope{"ssf.read"}
		_, err := s.AddClient(ctx, c)
		note(err)
	}
	_, err := s.AddClient(ctx, auth.Client{ID: "writer", Application: "a0", Scopes: []auth.Scope{"events.write"}, Source: &auth.Source{Name: "hr"}, Environment: "test"})
	note(err)
	_, err = s.RotateClient(ctx, "c0", auth.Rotation{OldUntil: time.Now().Add(time.Hour)})
	note(err)
	_, err = s.RotateClient(ctx, "c1", auth.Rotation{OldUntil: time.Now().Add(time.Hour), JWKSURI: "https://rp.example/jwks"})
	note(err)
	for _, name := range []string{"plain", "called"} {
		v := auth.VendorSource{Source: auth.Source{Name: name}, Kind: auth.KindIDme, Auth: auth.VendorBearer}
		if name == "called" {
			v.Kind, v.Auth = auth.KindOneLogin, auth.VendorBearer
			v.API = &auth.VendorAPI{URL: "https://acme.onelogin.com", ClientID: "id", Secret: "of-the-vendor", Every: time.Minute}
		}
		_, err := s.AddVendorSource(ctx, v)
		note(err)
	}
	_, err = s.RotateVendorSource(ctx, "plain", time.Now().Add(time.Hour))
	note(err)
	called, err := s.CalledSource(ctx, "called")
	note(err)
	note(s.SavePlace(ctx, "called", called.Registration, auth.VendorPlace{Since: time.Unix(1_800_000_000, 0).UTC(), Cursor: "x"}))
	note(s.AddWebhook(ctx, auth.Webhook{ID: "w", Application: "a1", Revision: "r1", Settings: []byte(`{"secret":"<&> ü"}`), Created: time.Unix(1_800_000_000, 0).UTC()}))
	for _, id := range []string{"gone", "gone-too"} {
		_, err := s.AddApplication(ctx, auth.Application{ID: id, Audience: []string{"https://" + id + ".example"}})
		note(err)
		note(s.RemoveApplication(ctx, id))
	}
	for i := range 70 {
		note(s.Revoke(ctx, fmt.Sprint("revoked-", i), time.Now().Add(time.Hour), time.Now()))
	}
	for i := range 70 {
		note(s.UseAssertion(ctx, "c1", fmt.Append(nil, "assertion-", i), time.Now().Add(time.Hour), time.Now()))
	}
	note(s.UseAssertion(ctx, "c2", []byte("assertion-1"), time.Now().Add(time.Hour), time.Now()))
	note(s.UseAssertion(ctx, "c2", []byte("past"), time.Now(), time.Now()))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// everything is what the tables have.
func everything(t *testing.T, b auth.Backend) map[string]any {
	t.Helper()
	all := make(map[string]any)
	err := b.Read(context.Background(), func(tx *auth.Tx) error {
		applications, err1 := tx.Applications.List(auth.All, "")
		clients, err2 := tx.Clients.List(auth.All, "")
		vendors, err3 := tx.Vendors.List(auth.All, "")
		webhooks, err4 := tx.Webhooks.List(auth.All, "")
		all["applications"], all["clients"], all["vendors"], all["webhooks"] = applications, clients, vendors, webhooks
		return errors.Join(err1, err2, err3, err4)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
