package main_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
)

// tocsin doctor looks at what the settings name, makes and changes no file, and says by its
// exit code what came of it.
func TestDoctor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(args ...string) (int, doctor.Report, string) {
		var out, errOut bytes.Buffer
		code := main.Run(t.Context(), append([]string{"doctor"}, args...), nil, strings.NewReader(""), &out, &errOut)
		var r doctor.Report
		_ = json.Unmarshal(out.Bytes(), &r)
		return code, r, out.String() + errOut.String()
	}
	write := func(name, text string, mode fs.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	passphrase := write("passphrase", "s3cr3t s3cr3t\n", 0o600)
	write("client.jwk", `{"kty":"EC","d":"s3cr3t"}`, 0o644)
	idp, err := net.Listen("tcp", "127.0.0.1:0") // somebody who says nothing
	if err != nil {
		t.Fatal(err)
	}
	_ = idp.Close()
	config := write("receive.yaml", "data: none\nissuers:\n- {name: idp, issuer: \"https://"+idp.Addr().String()+"\", allow: [127.0.0.0/8], audience: https://app.example, delivery: {method: poll}, "+
		"credentials: {client: {id: app, key_file: client.jwk}}}\n", 0o600)
	before := files(t, dir)
	for name, tt := range map[string]struct {
		args  []string
		code  int
		check string // empty: no report
		want  doctor.Verdict
	}{
		"well":              {[]string{"serve", "--data", dir + "/none", "--key-passphrase-file", passphrase}, 0, "keys.secret", doctor.OK},
		"a warning":         {[]string{"serve", "--data", dir + "/none"}, 0, "keys.sealed", doctor.Warn},
		"a warning, strict": {[]string{"serve", "--data", dir + "/none", "--strict"}, 1, "keys.sealed", doctor.Warn},
		"no signer":         {[]string{"serve", "--data", dir + "/none", "--signer", "unix:" + dir + "/s.sock"}, 1, "signer.socket", doctor.Fail},
		"signer's path":     {[]string{"serve", "--data", dir + "/none", "--signer", dir + "/s.sock"}, 1, "settings", doctor.Fail},
		"issuer":            {[]string{"serve", "--data", dir + "/none", "--issuer", "ftp://x"}, 1, "settings", doctor.Fail},
		"schedule":          {[]string{"serve", "--data", dir + "/none", "--push-schedule", "0s"}, 1, "settings", doctor.Fail},
		"witness":           {[]string{"serve", "--data", dir + "/none", "--witness", "x"}, 1, "settings", doctor.Fail},
		"rotation":          {[]string{"serve", "--data", dir + "/none", "--rotate-every", "1m"}, 1, "settings", doctor.Fail},
		"console":           {[]string{"serve", "--data", dir + "/none", "--console-client", "x"}, 1, "settings", doctor.Fail},
		"console's signals": {[]string{"serve", "--data", dir + "/none", "--console-provider", "https://op.example", "--console-client", "c", "--console-secret", "s", "--console-role", "a=admin", "--console-signals", "op.example"}, 1, "settings", doctor.Fail},
		"collector":         {[]string{"serve", "--data", dir + "/none", "--otlp-endpoint", "http://otel.example"}, 1, "settings", doctor.Fail},
		"collector's CA":    {[]string{"receive", "--config", config, "--otlp-endpoint", "https://otel.example", "--otlp-ca", dir + "/passphrase"}, 1, "settings", doctor.Fail},
		"a client's key":    {[]string{"receive", "--config", config}, 1, "issuer.secret", doctor.Fail},
		"no such flag":      {[]string{"serve", "--no-such-flag"}, 2, "", ""},
		"nobody runs":       {[]string{"--data", dir + "/none"}, 1, "", ""},
	} {
		code, r, said := run(append(tt.args, "--json")...)
		found := doctor.Verdict("")
		for _, f := range r.Findings {
			if f.Check == tt.check {
				found = f.Verdict
			}
		}
		if code != tt.code || found != tt.want {
			t.Errorf("%s: got exit code %d and %q, want %d and %q, in %s", name, code, found, tt.code, tt.want, said)
		}
		if strings.Contains(said, "s3cr3t") {
			t.Errorf("%s: got a secret in %s", name, said)
		}
	}
	if after := files(t, dir); after != before {
		t.Errorf("got the files\n%s\nwant what was there before:\n%s", after, before)
	}
}

// files tells of all files below dir: names, modes, sizes and times.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all.WriteString(fs.FormatFileInfo(info) + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
