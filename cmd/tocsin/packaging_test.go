package main_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// maxExposure is the most that systemd-analyze may find of what a unit leaves open, of 100.
const maxExposure = "20"

// The units are well-formed, and leave little open.
func TestSystemdUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("TOCSIN_CI") != "" || os.Getenv("CI") != "" {
			t.Fatal("systemd-analyze is missing (.ci/needs)")
		}
		t.Skip("SKIPPED: systemd-analyze is missing (package systemd); nothing checks the units")
	}
	units, err := filepath.Glob("../../docs/deploy/systemd/*.service")
	if err != nil || len(units) != 3 {
		t.Fatalf("got units %q (%v), want three", units, err)
	}
	self, err := os.Executable() // stands for the binary, which is not installed here
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), filepath.Base(unit))
		if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte("/usr/local/bin/tocsin"), []byte(self)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"verify", "--man=no", path}, {"security", "--no-pager", "--offline=true", "--threshold=" + maxExposure, path}} {
			if out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput(); err != nil {
				t.Errorf("%s %s: got %v\n%s", filepath.Base(unit), args[0], err, out)
			}
		}
	}
}

// The image holds a static binary, runs as nobody, and its health check is a command that
// there is.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, final, _ := strings.Cut(string(text), "\nFROM scratch\n")
	for _, want := range []string{
		`(?m)^COPY --from=build /out/tocsin.cdx.json /usr/share/doc/tocsin/tocsin.cdx.json$`,
		`(?m)^USER [1-9][0-9]*:[1-9][0-9]*$`, `(?m)^COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt$`,
		`(?m)^HEALTHCHECK .* CMD \["/usr/bin/tocsin", "health", "--data", "/data"\]$`, `(?m)^CMD \["serve", "--data", "/data"\]$`,
	} {
		if !regexp.MustCompile(want).MatchString(final) {
			t.Errorf("Dockerfile: got no line like %s behind FROM scratch", want)
		}
	}
	if !strings.Contains(string(text), "\nRUN .ci/sbom /out/tocsin \"${VERSION}\" > /out/tocsin.cdx.json\n") {
		t.Error("Dockerfile: got no list of what is in the binary")
	}
	if !strings.Contains(string(text), "CGO_ENABLED=0 go build -trimpath") {
		t.Error("Dockerfile: got a binary that may need libraries, want a static one")
	}
}

// tocsin health tells by its exit code whether the server of a folder takes work.
func TestHealth(t *testing.T) {
	s := proctest.New(t, "--log-level", "error")
	if out, err := s.Command(t.Context(), "health", "--data", s.Dir); err == nil {
		t.Errorf("without a server: got %s, want a failure", out)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Command(t.Context(), "health", "--json", "--data", s.Dir); err != nil || !strings.Contains(string(out), `"ready":true`) {
		t.Errorf("with a server: got %s (%v), want ready", out, err)
	}
	out, err := s.Command(t.Context(), "version", "--json")
	var got struct{ Version, Go, Platform string }
	if err != nil || json.Unmarshal(out, &got) != nil || got.Version == "" || got.Go != runtime.Version() || got.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("version: got %s (%v)", out, err)
	}
}

// make build gives the same bytes wherever it is called, and they need no library; so does
// make sbom.
func TestReproducibleBuild(t *testing.T) {
	if os.Getenv("TOCSIN_TEST_LONG") != "1" {
		t.Skip("SKIPPED: two builds from nothing; TOCSIN_TEST_LONG=1 runs it")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	list, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files").Output()
	if err != nil {
		t.Fatal(err)
	}
	var made, listed [2][]byte
	for i := range made {
		dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 3*i), "src")
		for _, name := range strings.Fields(string(list)) {
			text, err := os.ReadFile(filepath.Join(root, name))
			if err == nil {
				err = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), text, 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		build := exec.CommandContext(t.Context(), "make", "build", "sbom", "VERSION=v0.0.0-test")
		build.Dir, build.Env = dir, append(os.Environ(), "GOCACHE="+t.TempDir())
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("make build sbom: got %v\n%s", err, out)
		}
		if listed[i], err = os.ReadFile(filepath.Join(dir, "bin", "tocsin.cdx.json")); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "bin", "tocsin")
		if made[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if f, err := elf.Open(path); err == nil { // elsewhere than on Linux: no ELF
			if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
				t.Errorf("got a binary that needs %q (%v), want a static one", libraries, err)
			}
			_ = f.Close()
		}
		if out, err := exec.CommandContext(t.Context(), path, "--version").Output(); err != nil || !strings.Contains(string(out), "v0.0.0-test") {
			t.Errorf("version: got %s (%v)", out, err)
		}
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Errorf("got two binaries of %d and %d bytes that differ, want the same bytes", len(made[0]), len(made[1]))
	}
	if !bytes.Equal(listed[0], listed[1]) {
		t.Error("got two lists of what is in it that differ, want the same bytes")
	}
}
