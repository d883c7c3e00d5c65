package receive_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// documented returns the settings of docs/hooks.md by type, with files that are there
// in place of those that it names.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := key.MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, jwk, 0o600); err != nil {
		t.Fatal(err)
	}
	files, program := regexp.MustCompile(`(_file): \S+`), regexp.MustCompile(`command: \[[^,\]]+`)
	byType := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)```yaml\ntype: ([a-z]+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		body := files.ReplaceAllString(block[2], "$1: "+file)
		byType[block[1]] = "type: " + block[1] + "\n" + program.ReplaceAllString(body, "command: [/bin/true")
	}
	return byType
}

// Every type has its settings in docs/hooks.md, and they are settings.
func TestDocumentedHooks(t *testing.T) {
	docs := documented(t)
	for _, name := range receive.HookTypes() {
		text, ok := docs[name]
		if !ok {
			t.Errorf("%s: got no settings in docs/hooks.md, want some", name)
			continue
		}
		_, err := build(t, name, text)
		if gate := name == "gate" || name == "denylist"; gate && err != nil && strings.Contains(err.Error(), "there is no gate") {
			err = nil // its settings are right; what it closes is of other sections
		}
		if err != nil {
			t.Errorf("%s: got %v, want the documented settings taken\n%s", name, err, text)
		}
		delete(docs, name)
	}
	for name := range docs {
		t.Errorf("%s: got settings in docs/hooks.md, want a type", name)
	}
}

// What hooks that call a server share is documented and taken, too.
func TestDocumentedCalls(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(http:\n.*?)```").FindStringSubmatch(string(text))
	if block == nil {
		t.Fatal("got no settings of http in docs/hooks.md, want some")
	}
	shared := regexp.MustCompile(`ca_file: \S+`).ReplaceAllString(block[1], "ca: ''")
	docs := documented(t)
	for _, name := range []string{"webhook", "backchannel", "gtr", "keycloak", "hydra", "kratos"} {
		own := regexp.MustCompile(`(?m)^http: .*$`).ReplaceAllString(docs[name], "")
		if _, err := build(t, name, own+shared); err != nil {
			t.Errorf("%s: got %v, want the documented settings taken", name, err)
		}
	}
}

// What is no setting is named with its line; secrets are not repeated.
func TestHookFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"type: radis", `"radis"`},
		{"type: gate\nurl: x", "url"},
		{"type: redis\nurl: redis://127.0.0.1\nkey: [a]", "key"},
		{"type: redis\nurl: redis://:hunter2@127.0.0.1\nkeys: ['sess:{user.sub']", "keys"},
		{"type: gtr\nurl: https://x.example\nsigner: {}", "signer"},
		{"type: sql\ndriver: pgx\ndsn: 'postgres://u:hunter2@h/d'\nstatements: [{sql: 'DELETE', args: [who]}]", "args"},
	} {
		_, err := build(t, "h", tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want an error that names %s", tt.text, err, tt.want)
		}
	}
}

func build(t *testing.T, name, text string) (types []string, err error) {
	t.Helper()
	node, err := settings.Parse("receive.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := receive.NewHooks(map[string]settings.Node{name: node}, slog.New(slog.DiscardHandler))
	for name, hook := range made {
		types = append(types, name)
		if closer, ok := hook.(io.Closer); ok {
			if err := closer.Close(); err != nil {
				t.Errorf("%s: close: got %v, want none", name, err)
			}
		}
	}
	slices.Sort(types)
	return types, err
}
