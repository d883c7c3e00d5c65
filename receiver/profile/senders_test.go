package profile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/profile"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// What each kind of transmitter really sends, from push to hook: its profile accepts it,
// with the right subject, scope, time and payload; a strict receiver refuses what
// departs from the specifications.
func TestSenders(t *testing.T) {
	folders, err := os.ReadDir("testdata/senders")
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, folder := range folders {
		seen = append(seen, folder.Name())
		files, err := filepath.Glob(filepath.Join("testdata", "senders", folder.Name(), "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: got no bodies, %v", folder.Name(), err)
		}
		p, err := profile.Lookup(folder.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			t.Run(p.Name+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				v := load(t, file)
				if _, err := v.judge(t, openInbox(t), set.Tolerances{}); (err == nil) != (v.Refused == "") || err != nil && !strings.Contains(err.Error(), v.Refused) {
					t.Errorf("strict: got %v, want %q", err, v.Refused)
				}
				// With no more than what its configuration needs, the body is refused.
				configured := set.Tolerances{IssuerSlash: true, AudIsURLOfPush: true}
				if _, err := v.judge(t, openInbox(t), configured); (err == nil) != (v.Refused == "") {
					t.Errorf("configured, else strict: got %v, want %q", err, v.Refused)
				}
				v.check(t, deliver(t, p, v))
			})
		}
	}
	for _, name := range profile.Names() {
		if p, _ := profile.Lookup(name); p.Adapter == "" && !slices.Contains(seen, name) {
			t.Errorf("%s: got no bodies under testdata/senders, want some", name)
		}
	}
}

// A profile loosens no more than its bodies need, save what is for the management API
// and for what we send.
func TestProfilesAreNarrow(t *testing.T) {
	in := openInbox(t)
	for _, name := range profile.Names() {
		p, err := profile.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join("testdata", "senders", name, "*.json"))
		if err != nil || p.Adapter != "" {
			continue
		}
		for _, switched := range p.Tolerances.Names() {
			if switched == "legacy_delivery_uri" || switched == "legacy_error_codes" {
				continue
			}
			less := without(t, p.Tolerances, switched)
			if !slices.ContainsFunc(files, func(file string) bool {
				_, err := load(t, file).judge(t, in, less)
				return err != nil
			}) {
				t.Errorf("%s: got all bodies accepted without %s, want one that needs it", name, switched)
			}
		}
	}
}

func without(t *testing.T, tolerances set.Tolerances, name string) set.Tolerances {
	t.Helper()
	names := slices.DeleteFunc(tolerances.Names(), func(n string) bool { return n == name })
	less, err := set.ParseTolerances(names)
	if err != nil {
		t.Fatal(err)
	}
	return less
}

// deliver pushes v to a receiver with the profile and returns what its hook was told.
func deliver(t *testing.T, p profile.Profile, v vector) receiver.Delivery {
	t.Helper()
	in := openInbox(t)
	cfg := v.config(t, in)
	if p.Issuer != "" {
		cfg.Issuer = "" // the profile knows it
	}
	cfg = p.Apply(cfg)
	got := make(chan receiver.Delivery, 1)
	cfg.Mux.Default(func(_ context.Context, d receiver.Delivery) error {
		got <- d
		return nil
	})
	r, err := receiver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "https://rp.example.com/push", strings.NewReader(v.compact(t)))
	req.Header.Set("Content-Type", delivery.MediaType)
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusAccepted {
		t.Fatalf("got %d %s, want 202", w.Code, w.Body)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	select {
	case d := <-got:
		return d
	case <-time.After(10 * time.Second):
		t.Fatal("got no run of the hook, want one")
		return receiver.Delivery{}
	}
}

func (v vector) check(t *testing.T, d receiver.Delivery) {
	t.Helper()
	var want subject.Identifier
	if err := json.Unmarshal(v.Want.Subject, &want); err != nil {
		t.Fatal(err)
	}
	if d.Type != v.Want.Type || !d.Subject.Equal(want) {
		t.Errorf("got %s about %s, want %s about %s", d.Type, d.Subject.Raw(), v.Want.Type, want.Raw())
	}
	var scope []string
	for _, member := range receiver.ScopeOf(d.Subject) {
		scope = append(scope, member.Name)
	}
	if !slices.Equal(scope, v.Want.Scope) {
		t.Errorf("got scope %q, want %q", scope, v.Want.Scope)
	}
	if at := time.Unix(v.Want.EventTime, 0); !d.EventTime.Equal(at) {
		t.Errorf("got event time %v, want %v", d.EventTime, at)
	}
	if v.Want.Payload == nil {
		return
	}
	event, _ := d.Token.Event(d.Type)
	var payload bytes.Buffer
	if err := json.Compact(&payload, v.Want.Payload); err != nil {
		t.Fatal(err)
	}
	if got := compacted(t, event.Payload); got != payload.String() {
		t.Errorf("got payload %s, want %s", got, &payload)
	}
}

func compacted(t *testing.T, raw []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Google's tokens name themselves: a hook finds the one that was revoked.
func TestRevokedToken(t *testing.T) {
	p, err := profile.Lookup("google-risc")
	if err != nil {
		t.Fatal(err)
	}
	for file, alg := range map[string]string{"token-revoked": "hash_base64_sha512_sha512", "token-revoked-prefix": "prefix"} {
		d := deliver(t, p, load(t, filepath.Join("testdata", "senders", "google-risc", file+".json")))
		if d.Type != profile.OAuthTokenRevokedType {
			t.Errorf("got %s, want %s", d.Type, profile.OAuthTokenRevokedType)
		}
		for name, want := range map[string]string{"token_type": "refresh_token", "token_identifier_alg": alg} {
			if got, _ := d.Subject.Value(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if got, _ := d.Subject.Value("token"); got == "" {
			t.Error("got no token, want it")
		}
	}
}

// The RISC event that is deprecated and alive at Google leads where session-revoked does.
func TestSessionsRevoked(t *testing.T) {
	p, err := profile.Lookup("google-risc")
	if err != nil {
		t.Fatal(err)
	}
	v := load(t, filepath.Join("testdata", "senders", "google-risc", "sessions-revoked.json"))
	d := deliver(t, p, v)
	mux, ran := receiver.NewMux(), false
	mux.Handle(receiver.OnType("https://schemas.openid.net/secevent/caep/event-type/session-revoked", func(context.Context, receiver.Delivery) error {
		ran = true
		return nil
	}))
	if err := mux.Dispatch(t.Context(), d); err != nil || !ran {
		t.Errorf("got %v, ran %v, want the hook of session-revoked", err, ran)
	}
}
