package main_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// pinned is the name of an image with the tag of one version.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9]+\.[0-9]+(-alpine)?$`)

// strictly reads all documents of a file into values that make gives; a key that they do
// not have is an error.
func strictly[T any](t *testing.T, raw []byte) (all []T) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	for {
		var one T
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// deployFile reads a file of docs/deploy.
func deployFile(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docs/deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// deployed is what a container of ours is given: its command line, the text of its
// configuration, and where secrets are mounted.
type deployed struct {
	args    []string
	config  string
	secrets []string // paths, or folders
	ports   []string // that lead to it
	mounts  []string
}

var secretPath = regexp.MustCompile(`/run/secrets/[A-Za-z0-9_./-]+`)

// check fails unless the command line parses, its configuration is taken, and all files,
// folders and ports that it names are there.
func (d deployed) check(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	text := secretPath.ReplaceAllStringFunc(d.config, func(path string) string {
		if !slices.ContainsFunc(d.secrets, func(mount string) bool { return path == mount || strings.HasPrefix(path, mount+"/") }) {
			t.Errorf("got %s in a configuration, want it mounted: %q", path, d.secrets)
		}
		name := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(path, "/run/secrets/"), "/", "-"))
		if err := os.WriteFile(name, []byte(strings.Repeat("x", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	})
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := slices.Clone(d.args)
	i := slices.Index(args, "--config")
	if i < 0 || i+1 >= len(args) || !slices.ContainsFunc(d.mounts, func(m string) bool { return args[i+1] == m || filepath.Dir(args[i+1]) == m }) {
		t.Fatalf("got %q, want --config of a file that is mounted: %q", args, d.mounts)
	}
	args[i+1] = file
	if command, _ := main.Parse(args); command == nil {
		t.Errorf("got a command line or a configuration that is wrong: %q\n%s", args, text)
	}
	if args[0] == "receive" {
		var out, errOut bytes.Buffer
		if code := main.Run(t.Context(), []string{"receive", "check", "--config", file}, nil, strings.NewReader(""), &out, &errOut); code != 0 {
			t.Errorf("got exit code %d and %s, want a configuration that is taken", code, &errOut)
		}
	}
	var settings map[string]any
	if err := yaml.Unmarshal([]byte(d.config), &settings); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"listen", "admin-listen", "admin_listen"} {
		if address, ok := settings[key].(string); ok {
			host, port, err := net.SplitHostPort(address)
			if err != nil || host != "0.0.0.0" || !slices.Contains(d.ports, port) {
				t.Errorf("%s: got %s (%v), want one of the ports that lead to it, %q", key, address, err, d.ports)
			}
		}
	}
	data, _ := settings["data"].(string)
	if !slices.ContainsFunc(d.mounts, func(m string) bool { return data == m || strings.HasPrefix(data, m+"/") }) {
		t.Errorf("got the data folder %s, want it mounted: %q", data, d.mounts)
	}
}

// health fails unless a probe is a command of ours.
func health(t *testing.T, command []string) {
	t.Helper()
	parsed, _ := main.Parse(command[1:])
	if command[0] != "/usr/bin/tocsin" || parsed == nil || parsed.Selected().Path() != "health" {
		t.Errorf("got the probe %q, want tocsin health", command)
	}
}

// Commands in the pages about deploying are ones that the parser takes.
func TestDeployCommands(t *testing.T) {
	for _, page := range []string{"compose.md", "kubernetes.md"} {
		found := 0
		for line := range strings.Lines(string(deployFile(t, page))) {
			if _, rest, ok := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "`", " ")), "/usr/bin/tocsin "); ok {
				rest, _, _ = strings.Cut(rest, ", and")
				rest, _, _ = strings.Cut(rest, " ;")
				rest = strings.ReplaceAll(rest, "--config /etc/tocsin/serve.yaml", "")
				if command, _ := main.Parse(split(t, strings.TrimSpace(rest))); command == nil {
					t.Errorf("%s: got a line that is wrong usage: tocsin %s", page, rest)
				}
				found++
			}
		}
		if found < 3 {
			t.Errorf("%s: got %d commands, want them", page, found)
		}
	}
}

// byFile fails if a variable of an environment has a secret in it, and not the name of a
// file that is mounted.
func byFile(t *testing.T, of, name, value string, mounted []string) {
	t.Helper()
	if !regexp.MustCompile(`PASSWORD|SECRET|TOKEN|KEY`).MatchString(name) {
		return
	}
	if !slices.ContainsFunc(mounted, func(m string) bool { return value == m || strings.HasPrefix(value, m+"/") }) {
		t.Errorf("%s: got %s=%s, want a file with it, of those that are mounted: %q", of, name, value, mounted)
	}
}
