package receive_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
)

// The rules of what ends sessions of the console do what their tests say, and each type
// that they are about is asked for.
func TestConsoleRules(t *testing.T) {
	cfg, err := receive.ForConsole(receive.Config{Data: t.TempDir()}, receive.Issuer{
		Issuer: "https://login.example.com", Audience: []string{"tocsin"}, Credentials: receive.Credentials{Token: "x"},
	}, receive.Flags)
	if err != nil {
		t.Fatal(err)
	}
	c, err := receive.Check(cfg)
	if err != nil || len(c.Rules) != 4 || len(c.Tests) < 8 {
		t.Fatalf("got %d rules, %d tests, %v", len(c.Rules), len(c.Tests), err)
	}
	for _, test := range c.Tests {
		if len(test.Failures) > 0 {
			t.Errorf("%s:%d: %s: %q", test.File, test.Line, test.Name, test.Failures)
		}
	}
	raw, err := os.ReadFile("console.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Rules []struct {
			When struct{ Type any }
		}
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	names, asked := policy.Names(), slices.Clone(cfg.Issuers[0].Events)
	for _, rule := range file.Rules {
		words, ok := rule.When.Type.([]any)
		if !ok {
			words = []any{rule.When.Type}
		}
		for _, word := range words {
			at := slices.Index(asked, names[word.(string)])
			if at < 0 {
				t.Errorf("a rule is about %s, which is not asked for", word)
				continue
			}
			asked = slices.Delete(asked, at, at+1)
		}
	}
	if len(asked) > 0 {
		t.Errorf("no rule is about %q, which are asked for", asked)
	}
}

// What is said of who signs in to a receiver's console is checked as a whole, and its
// secret does not stand in the file.
func TestConsoleSettings(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"secret": "hunter2\n", "ca.pem": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(text string) (receive.Config, error) {
		path := filepath.Join(dir, "receive.yaml")
		if err := os.WriteFile(path, []byte(text+"\n"+issuers("a")), 0o600); err != nil {
			t.Fatal(err)
		}
		return receive.Read(path, []string{"SECRET=hunter2"}, nil)
	}
	const whole = "console_provider: https://op.example\nconsole_client: c\nconsole_secret_file: secret\nconsole_role: {ops: operator}\n"
	for text, want := range map[string]string{
		whole: "",
		whole + "console_signals: a\nconsole_allow: [10.0.0.0/8]\nconsole_url: https://ops.example": "",
		whole + "console_signals: b": "console_signals: no issuer has this name",
		"console_signals: a":         "console_signals: it is about who signs in with console_provider",
		"console_role: {a: admin}":   "console_provider: it is missing",
		"console_provider: https://op.example\nconsole_client: c\nconsole_secret: hunter2\nconsole_role: {a: admin}":   "console_secret: a secret does not stand in this file",
		"console_provider: https://op.example\nconsole_client: c\nconsole_secret: ${SECRET}\nconsole_role: {a: admin}": "",
		"console_provider: https://op.example\nconsole_client: c\nconsole_secret: ${SECRET}":                           "console_role: it is missing",
		"console_provider: https://op.example\nconsole_secret: ${SECRET}\nconsole_role: {a: admin}":                    "console_client: it is missing",
		"console_provider: https://op.example\nconsole_client: c\nconsole_role: {a: admin}":                            "console_secret: it is missing",
		"console_provider: https://op.example\nconsole_client: c\nconsole_secret: ${SECRET}\nconsole_role: {a: boss}":  "console_role: a=boss: a role is",
		"console_provider: http://op.example\nconsole_client: c\nconsole_secret: ${SECRET}\nconsole_role: {a: admin}":  "console_provider: want https",
		"console_url: ops": "console_url: want a URL",
	} {
		cfg, err := read(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got the secret in %v", text, err)
		}
		if err == nil && cfg.ConsoleSecret != "hunter2" {
			t.Errorf("%s: got another secret", text)
		}
	}
}

// Consoles share a part of their own of a Redis; what is wrong with the transmitter is
// told.
func TestForConsole(t *testing.T) {
	is := receive.Issuer{Issuer: "https://login.example.com", Audience: []string{"tocsin"}}
	for prefix, want := range map[string]string{"": "tocsin:console", "ssf": "ssf:console"} {
		redis := config.RedisSettings{Redis: "redis://r.example", RedisDemands: config.RedisDemands{RedisPrefix: prefix}}
		cfg, err := receive.ForConsole(receive.Config{RedisSettings: redis}, is, receive.Flags)
		if err != nil || cfg.RedisPrefix != want {
			t.Errorf("got %q %v, want %q", cfg.RedisPrefix, err, want)
		}
	}
	for _, wrong := range []receive.Issuer{
		{Issuer: "http://login.example.com", Audience: is.Audience},
		{Issuer: is.Issuer},
		{Issuer: is.Issuer, Audience: is.Audience, CA: "nowhere.pem"},
		{Issuer: is.Issuer, Audience: is.Audience, Credentials: receive.Credentials{Client: receive.Client{ID: "x"}}},
	} {
		if _, err := receive.ForConsole(receive.Config{}, wrong, receive.Flags); err == nil {
			t.Errorf("%+v: got no error, want one", wrong.Issuer)
		}
	}
}
