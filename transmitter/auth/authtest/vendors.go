package authtest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

func vendor(name, way string) auth.VendorSource {
	return auth.VendorSource{Source: auth.Source{Name: name}, Kind: auth.KindIDme, Auth: way}
}

// api is one that is polled.
func api() *auth.VendorAPI {
	return &auth.VendorAPI{URL: "https://acme.onelogin.com", Secret: "of-the-vendor", Every: time.Minute}
}

func vendorSourceRefused(t *testing.T, open Open) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	if _, err := s.AddApplication(ctx, auth.Application{ID: "rp", Audience: []string{"https://rp.example"}}); err != nil {
		t.Fatal(err)
	}
	writes := []auth.Scope{"events.write"}
	for _, c := range []auth.Client{
		{ID: "plain", Application: "rp", Scopes: writes},
		{ID: "named", Application: "rp", Scopes: writes, Source: &auth.Source{Name: "other"}},
	} {
		if _, err := s.AddClient(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.AddVendorSource(ctx, vendor("taken", auth.VendorBearer)); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*auth.VendorSource)) auth.VendorSource {
		v := vendor("new", auth.VendorBearer)
		change(&v)
		return v
	}
	for _, c := range []struct {
		name   string
		source auth.VendorSource
		member string // "": ErrExists
	}{
		{"name twice", vendor("taken", auth.VendorBearer), ""},
		{"a client's id", vendor("plain", auth.VendorBearer), ""},
		{"a client's source", vendor("other", auth.VendorBearer), ""},
		{"no name", vendor("", auth.VendorBearer), "name"},
		{"name with a slash", vendor("a/b", auth.VendorBearer), "name"},
		{"unknown kind", with(func(v *auth.VendorSource) { v.Kind = "okta" }), "kind"},
		{"no way to authenticate", with(func(v *auth.VendorSource) { v.Auth = "" }), "auth"},
		{"unknown way", with(func(v *auth.VendorSource) { v.Auth = "digest" }), "auth"},
		{"basic without user", vendor("new", auth.VendorBasic), "user"},
		{"user with a colon", with(func(v *auth.VendorSource) { v.Auth, v.User = auth.VendorBasic, "a:b" }), "user"},
		{"bearer with user", with(func(v *auth.VendorSource) { v.User = "a" }), "user"},
		{"header without name", vendor("new", auth.VendorHeader), "header"},
		{"header with a space", with(func(v *auth.VendorSource) { v.Auth, v.Header = auth.VendorHeader, "X Y" }), "header"},
		{"header that proxies change", with(func(v *auth.VendorSource) { v.Auth, v.Header = auth.VendorHeader, "connection" }), "header"},
		{"bearer with header", with(func(v *auth.VendorSource) { v.Header = "X-A" }), "header"},
		{"environment with a slash", with(func(v *auth.VendorSource) { v.Environment = "a/b" }), "environment"},
		{"off, with nothing to poll", vendor("new", auth.VendorOff), "auth"},
		{"off, and only looked up", with(func(v *auth.VendorSource) { v.Auth, v.API = auth.VendorOff, api(); v.API.Every = 0 }), "auth"},
		{"API without URL", with(func(v *auth.VendorSource) { v.API = api(); v.API.URL = "" }), "api.url"},
		{"API without secret", with(func(v *auth.VendorSource) { v.Kind, v.API = auth.KindOneLogin, api(); v.API.Secret = "" }), "api.secret"},
		{"API secret of two lines", with(func(v *auth.VendorSource) { v.Kind, v.API = auth.KindOneLogin, api(); v.API.Secret = "a\nb" }), "api.secret"},
		{"ID.me cannot be polled", with(func(v *auth.VendorSource) { v.API = api() }), "api.poll_seconds"},
		{"client of another than OneLogin", with(func(v *auth.VendorSource) { v.Kind, v.API = auth.KindFingerprint, api(); v.API.ClientID = "c" }), "api.client_id"},
		{"polled too often", with(func(v *auth.VendorSource) { v.Kind, v.API = auth.KindOneLogin, api(); v.API.Every = time.Millisecond }), "api.poll_seconds"},
		{"overlap of two days", with(func(v *auth.VendorSource) { v.Kind, v.API = auth.KindOneLogin, api(); v.API.Overlap = 48 * time.Hour }), "api.overlap_seconds"},
		{"unknown application", with(func(v *auth.VendorSource) { v.Applications = []string{"rp", "nobody"} }), "applications"},
		{"type twice", with(func(v *auth.VendorSource) { v.EventTypes = []string{"a", "a"} }), "event_types"},
	} {
		_, err := s.AddVendorSource(ctx, c.source)
		var invalid *auth.InvalidError
		if c.member == "" && !errors.Is(err, auth.ErrExists) || c.member != "" && (!errors.As(err, &invalid) || invalid.Member != c.member) {
			t.Errorf("%s: got %v, want it refused at %q", c.name, err, c.member)
		}
	}
	// The other way round: no client becomes a source of that name.
	for _, c := range []auth.Client{
		{ID: "taken", Application: "rp", Scopes: writes},
		{ID: "free", Application: "rp", Scopes: writes, Source: &auth.Source{Name: "taken"}},
	} {
		if _, err := s.AddClient(ctx, c); !errors.Is(err, auth.ErrExists) {
			t.Errorf("client %s: got %v, want ErrExists", c.ID, err)
		}
	}
	for i := range auth.MaxVendorSources - 1 {
		if _, err := s.AddVendorSource(ctx, vendor(fmt.Sprint("n", i), auth.VendorNone)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.AddVendorSource(ctx, vendor("more", auth.VendorNone)); err == nil {
		t.Error("one source too many: got no error")
	}
}

// A vendor is let in by its own credential alone, and all else looks alike.
func admitVendor(t *testing.T, open Open) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	secrets := map[string]string{}
	for _, way := range []string{auth.VendorNone, auth.VendorBasic, auth.VendorBearer, auth.VendorHeader, auth.VendorOff} {
		v := vendor(way, way)
		if way == auth.VendorBasic {
			v.User = "idme"
		}
		if way == auth.VendorHeader {
			v.Header = "X-Secret"
		}
		if way == auth.VendorOff {
			v.Kind, v.API = auth.KindOneLogin, api()
		}
		given, err := s.AddVendorSource(ctx, v)
		if err != nil {
			t.Fatal(err)
		}
		secrets[way] = given.Secret
	}
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	const authorization = "Authorization"
	for _, c := range []struct {
		name, source string
		header       []string
		want         bool
	}{
		{"none", "none", nil, true},
		{"none, whatever is sent", "none", []string{authorization, "Bearer x"}, true},
		{"bearer", "bearer", []string{authorization, "Bearer " + secrets["bearer"]}, true},
		{"bearer, scheme in small letters", "bearer", []string{authorization, "bearer " + secrets["bearer"]}, true},
		{"bearer, nothing sent", "bearer", nil, false},
		{"bearer, wrong", "bearer", []string{authorization, "Bearer " + secrets["bearer"] + "x"}, false},
		{"bearer, empty", "bearer", []string{authorization, "Bearer "}, false},
		{"bearer, another source's", "bearer", []string{authorization, "Bearer " + secrets["header"]}, false},
		{"bearer, twice", "bearer", []string{authorization, "Bearer " + secrets["bearer"], authorization, "Bearer " + secrets["bearer"]}, false},
		{"basic", "basic", []string{authorization, basic("idme", secrets["basic"])}, true},
		{"basic, wrong user", "basic", []string{authorization, basic("other", secrets["basic"])}, false},
		{"basic, wrong password", "basic", []string{authorization, basic("idme", "")}, false},
		{"basic, as bearer", "basic", []string{authorization, "Bearer " + secrets["basic"]}, false},
		{"basic, no base64", "basic", []string{authorization, "Basic !"}, false},
		{"basic, twice", "basic", []string{authorization, basic("idme", secrets["basic"]), authorization, "x"}, false},
		{"header", "header", []string{"x-secret", secrets["header"]}, true},
		{"header, wrong", "header", []string{"X-Secret", "x"}, false},
		{"header, empty", "header", []string{"X-Secret", ""}, false},
		{"header, missing", "header", nil, false},
		{"header, elsewhere", "header", []string{authorization, secrets["header"]}, false},
		{"header, twice", "header", []string{"X-Secret", secrets["header"], "X-Secret", "x"}, false},
		{"off", "off", nil, false},
		{"off, empty secret", "off", []string{authorization, "Bearer "}, false},
		{"unknown", "unknown", []string{authorization, "Bearer " + secrets["bearer"]}, false},
	} {
		h := http.Header{}
		for i := 0; i < len(c.header); i += 2 {
			h.Add(c.header[i], c.header[i+1])
		}
		v, err := s.AdmitVendor(ctx, c.source, h)
		if c.want && (err != nil || v.Name != c.source) {
			t.Errorf("%s: got %+v %v, want the source", c.name, v, err)
		}
		if !c.want && (!errors.Is(err, auth.ErrNotFound) || v.Name != "") {
			t.Errorf("%s: got %+v %v, want ErrNotFound", c.name, v, err)
		}
	}
}

// What to poll and how far it came is kept; a source of the same name is another.
func calledSources(t *testing.T, open Open) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	v := auth.VendorSource{Source: auth.Source{Name: "hr", Environment: "live"}, Kind: auth.KindOneLogin, Auth: auth.VendorOff, API: api(), Created: at}
	changed := s.VendorsChanged()
	if _, err := s.AddVendorSource(ctx, v); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("added: got no word of a change")
	}
	if _, err := s.AddVendorSource(ctx, vendor("pushed", auth.VendorBearer)); err != nil {
		t.Fatal(err)
	}
	list, err := s.CalledSources(ctx)
	if err != nil || len(list) != 1 {
		t.Fatalf("got %v %v, want the one that is polled", list, err)
	}
	first := list[0]
	want := v
	want.API = api()
	want.API.Since, want.API.Overlap = at.Add(-auth.DefaultOverlap), auth.DefaultOverlap
	if diff := cmp.Diff(want, first.VendorSource); diff != "" || !first.Place.Since.Equal(want.API.Since) {
		t.Errorf("got place %+v, diff %s", first.Place, diff)
	}
	if text := fmt.Sprintf("%v %+v %s", first, first, first.LogValue()); strings.Contains(text, "of-the-vendor") {
		t.Errorf("got the secret in %q, want it hidden", text)
	}
	shown, err := s.VendorSources(ctx)
	if err != nil || shown[0].API.Secret != "" {
		t.Errorf("list: got %+v %v, want no secret", shown[0].API, err)
	}
	place := auth.VendorPlace{Since: at, Cursor: "c", Newest: at, Last: at, Restarts: 1, Success: at, Failed: at, Failures: 2, Error: "e"}
	if err := s.SavePlace(ctx, "hr", first.Registration, place); err != nil {
		t.Fatal(err)
	}
	if got, err := s.CalledSource(ctx, "hr"); err != nil || cmp.Diff(place, got.Place) != "" {
		t.Errorf("got place %+v %v, want %+v", got.Place, err, place)
	}
	for _, name := range []string{"pushed", "nobody"} {
		if _, err := s.CalledSource(ctx, name); !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", name, err)
		}
	}
	// Removed and added again: the old poller's place is not the new one's.
	if err := s.RemoveVendorSource(ctx, "hr"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddVendorSource(ctx, v); err != nil {
		t.Fatal(err)
	}
	if err := s.SavePlace(ctx, "hr", first.Registration, place); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("place of the removed: got %v, want ErrNotFound", err)
	}
	if got, err := s.CalledSource(ctx, "hr"); err != nil || got.Place.Cursor != "" {
		t.Errorf("added again: got place %+v %v, want a new one", got.Place, err)
	}
}

// A new secret is good at once, the one before for as long as was said.
func rotateVendorSource(t *testing.T, open Open) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	given, err := s.AddVendorSource(ctx, vendor("idme", auth.VendorBearer))
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{given.Secret}
	check := func(name string, want ...bool) {
		t.Helper()
		for i, secret := range secrets {
			_, err := s.AdmitVendor(ctx, "idme", http.Header{"Authorization": {"Bearer " + secret}})
			if (err == nil) != want[i] {
				t.Errorf("%s, secret %d: got %v, want admitted %v", name, i, err, want[i])
			}
		}
	}
	for _, c := range []struct {
		name  string
		until time.Duration
		want  []bool
	}{
		{"kept for an hour", time.Hour, []bool{true, true}},
		{"again", time.Hour, []bool{false, true, true}},
		{"ended at once", 0, []bool{false, false, false, true}},
	} {
		given, err := s.RotateVendorSource(ctx, "idme", time.Now().Add(c.until))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, given.Secret)
		check(c.name, c.want...)
	}
	if _, err := s.AdmitVendor(ctx, "idme", http.Header{}); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("nothing sent: got %v, want ErrNotFound", err)
	}
	if _, err := s.RotateVendorSource(ctx, "nobody", time.Now()); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("nobody: got %v, want ErrNotFound", err)
	}
	if _, err := s.AddVendorSource(ctx, vendor("open", auth.VendorNone)); err != nil {
		t.Fatal(err)
	}
	var invalid *auth.InvalidError
	if _, err := s.RotateVendorSource(ctx, "open", time.Now()); !errors.As(err, &invalid) {
		t.Errorf("none: got %v, want it refused", err)
	}
	if _, err := s.AdmitVendor(ctx, "open", http.Header{}); err != nil {
		t.Errorf("none: got %v afterwards, want it open", err)
	}
}

// The vendor's own secret is replaced; place and settings stay.
func setVendorSecret(t *testing.T, open Open) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	v := auth.VendorSource{Source: auth.Source{Name: "hr"}, Kind: auth.KindOneLogin, Auth: auth.VendorOff, API: api()}
	if _, err := s.AddVendorSource(ctx, v); err != nil {
		t.Fatal(err)
	}
	before, err := s.CalledSource(ctx, "hr")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SavePlace(ctx, "hr", before.Registration, auth.VendorPlace{Since: before.Place.Since, Cursor: "c"}); err != nil {
		t.Fatal(err)
	}
	changed := s.VendorsChanged()
	if err := s.SetVendorSecret(ctx, "hr", "another"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("got no word of a change")
	}
	after, err := s.CalledSource(ctx, "hr")
	if err != nil || after.API.Secret != "another" || after.Registration == before.Registration || after.Place.Cursor != "c" {
		t.Errorf("got %+v %v, want another secret and registration, and the place", after.API, err)
	}
	if _, err := s.AddVendorSource(ctx, vendor("pushed", auth.VendorBearer)); err != nil {
		t.Fatal(err)
	}
	var invalid *auth.InvalidError
	if err := s.SetVendorSecret(ctx, "pushed", "x"); !errors.As(err, &invalid) {
		t.Errorf("not called: got %v, want it refused", err)
	}
	if err := s.SetVendorSecret(ctx, "hr", "a b"); !errors.As(err, &invalid) {
		t.Errorf("with a space: got %v, want it refused", err)
	}
	if err := s.SetVendorSecret(ctx, "nobody", "x"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("nobody: got %v, want ErrNotFound", err)
	}
}

func vendorsKept(t *testing.T, open Open) {
	ctx, dir := t.Context(), t.TempDir()
	s := sourceStoreIn(t, open, dir)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	want := []auth.VendorSource{
		{
			Source: auth.Source{Name: "hr", EventTypes: []string{"https://x.example/e"}, SubjectIssuers: []string{}, Applications: []string{"rp"}, Environment: "test"},
			Kind:   auth.KindOneLogin, Auth: auth.VendorHeader, Header: "X-Secret", Created: at,
		},
		{Source: auth.Source{Name: "id"}, Kind: auth.KindIDme, Auth: auth.VendorBasic, User: "idme", Created: at.Add(time.Second)},
	}
	for _, v := range want {
		if _, err := s.AddVendorSource(ctx, v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := open(t, dir).VendorSources(ctx)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, diff %s", err, diff)
	}
	if err := s.RemoveVendorSource(ctx, "hr"); err != nil {
		t.Errorf("remove: got %v", err)
	}
	if err := s.RemoveVendorSource(ctx, "hr"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("remove again: got %v, want ErrNotFound", err)
	}
	if got, err := s.VendorSources(ctx); err != nil || len(got) != 1 || got[0].Name != "id" {
		t.Errorf("got %v (%v), want id alone", got, err)
	}
}
