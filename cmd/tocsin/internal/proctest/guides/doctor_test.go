// Package guides_test does what the guides say, and looks at what they set up, with the
// real binary.
package guides_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// findings runs tocsin doctor and returns what it found; what is told of the disk of this
// machine is left out.
func findings(t *testing.T, s *proctest.Server, args ...string) *doctor.Report {
	t.Helper()
	out, err := s.Command(t.Context(), append([]string{"doctor"}, append(args, "--json")...)...)
	var r doctor.Report
	if jsonErr := json.Unmarshal(out, &r); jsonErr != nil || len(r.Findings) == 0 {
		t.Fatalf("doctor %q: got %s (%v), want findings", args, out, err)
	}
	if (err != nil) != (r.Count(doctor.Fail) > 0) {
		t.Errorf("doctor %q: got %v with %d failures, want exit code 1 for these alone", args, err, r.Count(doctor.Fail))
	}
	kept := r.Findings[:0]
	for _, f := range r.Findings {
		if !strings.HasPrefix(f.Check, "disk.") {
			kept = append(kept, f)
		}
	}
	r.Findings = kept
	return &r
}

// found reports what came of a check: the worst of it.
func found(r *doctor.Report, check string) doctor.Verdict {
	worst := doctor.Verdict("")
	for _, f := range r.Findings {
		if f.Check == check && (worst == "" || worst == doctor.OK || f.Verdict == doctor.Fail) {
			worst = f.Verdict
		}
	}
	return worst
}

func want(t *testing.T, r *doctor.Report, check string, verdict doctor.Verdict) {
	t.Helper()
	if got := found(r, check); got != verdict {
		t.Errorf("%s: got %q, want %q in\n%s", check, got, verdict, text(r))
	}
}

func text(r *doctor.Report) string {
	var out strings.Builder
	if _, err := r.WriteTo(&out); err != nil {
		return err.Error()
	}
	return out.String()
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// private makes a folder of the owner alone.
func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Of a transmitter and a receiver that are well, served by https, with keys encrypted, there
// is nothing to say; by the settings and by the folder alone.
func TestDoctorHealthy(t *testing.T) {
	t.Parallel()
	idp := proctest.New(t)
	idp.Secure, idp.Dir = true, private(t)
	secret := write(t, filepath.Join(t.TempDir(), "passphrase"), "correct horse battery staple\n")
	idp.Args = []string{"--key-passphrase-file", secret, "--log-level", "error"}
	if err := idp.Start(); err != nil {
		t.Fatal(err)
	}
	token, err := idp.Token(t.Context(), "app", "https://app.example", "ssf.manage ssf.read")
	if err != nil {
		t.Fatal(err)
	}
	rp := proctest.NewReceiver(t, "issuers: []\n")
	rp.Dir = private(t)
	rp.File = write(t, filepath.Join(rp.Dir, "receive.yaml"), fmt.Sprintf(
		"listen: %s\ndata: data\nlog_level: error\nissuers:\n- name: idp\n  issuer: %s\n  audience: https://app.example\n  ca: %s\n  allow: [127.0.0.0/8]\n  delivery: {method: poll}\n  credentials: {token_file: %s}\n",
		rp.Listen, idp.Issuer, filepath.Join(idp.Dir, "ca.pem"), write(t, filepath.Join(rp.Dir, "token"), token)))
	rp.Issuer = "https://" + rp.Listen
	if err := rp.Start(); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(rp.Dir, "data")
	proctest.Eventually(t, "a verified stream", func() bool {
		out, err := rp.Command(t.Context(), "receive", "health", "--data", data)
		return err == nil && strings.Contains(string(out), " ok ")
	})
	looks := map[string][]string{
		"serve":        {"serve", "--data", idp.Dir, "--listen", idp.Listen, "--key-passphrase-file", secret},
		"receive":      {"receive", "--config", rp.File},
		"file":         {"--config", rp.File},
		"serve file":   {"--config", write(t, filepath.Join(t.TempDir(), "serve.yaml"), "data: "+idp.Dir+"\nlisten: "+idp.Listen+"\nkey-passphrase-file: "+secret+"\n")},
		"transmitter":  {"--data", idp.Dir},
		"receiver":     {"running", "--data", data},
		"out of order": {"--data", idp.Dir, "--strict"},
	}
	for name, args := range looks {
		r := findings(t, idp, args...)
		if r.Count(doctor.OK) != len(r.Findings) || len(r.Findings) < 4 {
			t.Errorf("%s: got\n%s, want all well", name, text(r))
		}
	}
	for check, of := range map[string]string{"running.ready": "transmitter", "stream": "serve", "public.metadata": "serve", "issuer.api": "file", "issuer.standing": "receiver"} {
		want(t, findings(t, idp, looks[of]...), check, doctor.OK)
	}
}

// unwell is a transmitter with whom much is wrong.
func unwell(t *testing.T) (s *proctest.Server, ids map[string]string) {
	t.Helper()
	s = proctest.New(t, "--conformance", "--log-level", "error", "--push-schedule", "1h", "--push-refusals", "100")
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"err":"invalid_request","description":"not to be had"}`))
		}
	}))
	t.Cleanup(sink.Close)
	ids = map[string]string{}
	for name, url := range map[string]string{"away": "http://127.0.0.1:1/push", "refusing": sink.URL, "private": "https://localhost:1/push", "paused": sink.URL + "/other"} {
		token, err := s.Token(t.Context(), name, "https://"+name+".example", "ssf.manage ssf.read")
		if err != nil {
			t.Fatal(err)
		}
		body := map[string]any{"events_requested": []string{caep.SessionRevokedType}, "delivery": map[string]string{"method": "urn:ietf:rfc:8935", "endpoint_url": url}}
		status, raw, err := s.Call(t.Context(), client, http.MethodPost, "/ssf/streams", token, body)
		var made struct {
			ID string `json:"stream_id"`
		}
		if err != nil || status != http.StatusCreated || json.Unmarshal(raw, &made) != nil {
			t.Fatalf("%s: got %d %s (%v), want a stream", name, status, raw, err)
		}
		ids[name] = made.ID
	}
	api := adminapi.Server(t.Context(), s.Dir)
	defer api.Close()
	if err := api.Do(t.Context(), http.MethodPost, "/admin/streams/"+ids["paused"]+"/status", map[string]string{"status": "paused", "reason": "a trial"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"source", "add", "--data", s.Dir, "--name", "open", "--kind", "idme", "--auth", "none"},
		{"source", "add", "--data", s.Dir, "--name", "ol", "--kind", "onelogin", "--auth", "off", "--api-url", "http://127.0.0.1:1", "--api-client", "id", "--api-secret", "s3cr3t", "--poll-every", "1s"},
		{"key", "rotate", "--data", s.Dir},
		{"event", "emit", "--data", s.Dir, "--type", "session.revoked", "--subject", `{"format":"email","email":"jo@example.com"}`},
	} {
		if out, err := s.Command(t.Context(), args...); err != nil {
			t.Fatalf("%q: got %s (%v)", args, out, err)
		}
	}
	return s, ids
}

// What is wrong with a transmitter that runs is told, each with what to do.
func TestDoctorUnwellTransmitter(t *testing.T) {
	t.Parallel()
	s, ids := unwell(t)
	api := adminapi.Server(t.Context(), s.Dir)
	defer api.Close()
	later := func(d time.Duration, known bool, every time.Duration) *doctor.Report {
		r := new(doctor.Report)
		err := doctor.Transmitter{
			API: api, Data: s.Dir, KnownPush: known, RotateEvery: every, Push: guard.Policy{},
			Now: func() time.Time { return time.Now().Add(d) },
		}.Look(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	proctest.Eventually(t, "attempts and a dead letter", func() bool {
		r := later(time.Hour, true, 0)
		return found(r, "stream.dead") == doctor.Warn && found(r, "source.poll") == doctor.Fail
	})
	r := later(time.Hour, true, 0)
	for check, verdict := range map[string]doctor.Verdict{
		"stream.dead": doctor.Warn, "stream.backlog": doctor.Fail, "stream.status": doctor.Warn, "push.reach": doctor.Fail,
		"source.open": doctor.Warn, "source.poll": doctor.Fail, "keys.age": doctor.OK, "running.ready": doctor.OK, "index": doctor.OK,
	} {
		want(t, r, check, verdict)
	}
	said := text(r)
	for _, part := range []string{"not public", "a trial", "tocsin deadletter list --data " + s.Dir + " --stream " + ids["refusing"]} {
		if !strings.Contains(said, part) {
			t.Errorf("got\n%s, want %q", said, part)
		}
	}
	if strings.Contains(said, "s3cr3t") || strings.Contains(said, "jo@example.com") {
		t.Errorf("got a secret or a subject in\n%s", said)
	}
	r = later(200*24*time.Hour, false, 0)
	want(t, r, "keys.age", doctor.Warn)
	want(t, r, "keys.unused", doctor.Warn)
	want(t, later(40*24*time.Hour, false, 30*24*time.Hour), "keys.age", doctor.Fail)

	r = findings(t, s, "serve", "--data", s.Dir, "--listen", s.Listen, "--insecure-loopback", "--conformance", "--push-allow", "0.0.0.0/0", "--token-any-type",
		"--token-issuer", "https://127.0.0.1:1", "--token-audience", "https://app.example")
	for check, verdict := range map[string]doctor.Verdict{
		"insecure.insecure-loopback": doctor.Warn, "insecure.token-any-type": doctor.Warn, "insecure.conformance": doctor.Fail, "insecure.push-allow": doctor.Fail,
		"folder.mode": doctor.Fail, "keys.sealed": doctor.Warn, "token-issuer": doctor.Fail, "public.metadata": doctor.OK,
	} {
		want(t, r, check, verdict)
	}
	r = findings(t, s, "serve", "--data", s.Dir, "--listen", "0.0.0.0:8443")
	want(t, r, "settings", doctor.Fail)
	r = findings(t, s, "serve", "--data", t.TempDir(), "--issuer", "https://ssf.example.com")
	want(t, r, "tls.own", doctor.Warn)
}

// What is wrong with a receiver that runs is told, each with what to do.
func TestDoctorUnwellReceiver(t *testing.T) {
	t.Parallel()
	idp := proctest.New(t, "--log-level", "error")
	if err := idp.Start(); err != nil {
		t.Fatal(err)
	}
	token, err := idp.Token(t.Context(), "app", "https://app.example", "ssf.manage ssf.read")
	if err != nil {
		t.Fatal(err)
	}
	rp := proctest.NewReceiver(t, "")
	config := func(retry, more string) string {
		return fmt.Sprintf("log_level: error\nretry: [%s]\n%s\nhooks:\n  end: {type: exec, command: [/bin/false]}\nissuers:\n- name: idp\n  issuer: %s\n  audience: https://app.example\n  delivery: {method: poll}\n  credentials: {token_file: %s}\n- name: gone\n  issuer: http://127.0.0.1:1\n  audience: https://app.example\n  tolerances: [subject_in_event]\n",
			retry, more, idp.Issuer, write(t, filepath.Join(rp.Dir, "token"), token))
	}
	rp.Configure(t, config("20ms", ""))
	if err := rp.Start(); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(rp.Dir, "data")
	api := adminapi.Server(t.Context(), data)
	defer api.Close()
	look := func(d time.Duration) *doctor.Report {
		r := new(doctor.Report)
		if err := doctor.Receiver(t.Context(), r, api, data, map[string]bool{"idp": true}, time.Now().Add(d)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	emit := func() {
		if _, err := idp.Command(t.Context(), "event", "emit", "--data", idp.Dir, "--type", "session.revoked", "--subject", `{"format":"email","email":"jo@example.com"}`); err != nil {
			t.Fatal(err)
		}
	}
	proctest.Eventually(t, "a stream", func() bool {
		for _, f := range look(0).Findings {
			if f.Check == "issuer.standing" && f.Of == "idp" && f.Verdict == doctor.OK {
				return true
			}
		}
		return false
	})
	emit()
	proctest.Eventually(t, "a dead letter", func() bool { return found(look(0), "inbox.dead") == doctor.Warn })
	proctest.Eventually(t, "one that fails", func() bool { return found(look(0), "issuer.standing") == doctor.Fail })
	reload(t, rp, config("1h", "dry_run: false"))
	emit()
	proctest.Eventually(t, "a backlog", func() bool { return found(look(2*time.Hour), "inbox.backlog") == doctor.Fail })
	reload(t, rp, config("1h", "dry_run: true"))
	want(t, look(0), "dry_run", doctor.Warn)
	want(t, look(0), "issuer.events", doctor.Warn)

	rp.Configure(t, config("1h", "workers: -1"))
	if out, err := rp.Command(t.Context(), "receive", "reload", "--data", data); err == nil {
		t.Fatalf("a wrong file: got %s, want an error", out)
	}
	want(t, look(0), "running.reload", doctor.Fail)
	want(t, findings(t, rp, "--config", rp.File), "settings", doctor.Fail)
	rp.Configure(t, config("1h", ""))
	r := findings(t, rp, "--config", rp.File)
	for check, verdict := range map[string]doctor.Verdict{
		"issuer.metadata": doctor.Fail, "issuer.api": doctor.OK, "insecure.loopback": doctor.Warn, "insecure.tolerance": doctor.Warn, "running.reload": doctor.Fail,
	} {
		want(t, r, check, verdict)
	}
	if said := text(r); strings.Contains(said, token) || strings.Contains(said, "jo@example.com") {
		t.Errorf("got a secret or a subject in\n%s", said)
	}
	if _, err := rp.Command(context.WithoutCancel(t.Context()), "doctor", "--data", t.TempDir()); err == nil || !strings.Contains(err.Error(), "no server runs") {
		t.Errorf("no server: got %v, want that none runs", err)
	}
}

func reload(t *testing.T, rp *proctest.Server, config string) {
	t.Helper()
	rp.Configure(t, config)
	if out, err := rp.Command(t.Context(), "receive", "reload", "--data", filepath.Join(rp.Dir, "data")); err != nil {
		t.Fatalf("reload: got %s (%v)", out, err)
	}
}
