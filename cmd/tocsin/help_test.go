package main_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// Every command's help shows an example, every line of it is one that the parser
// takes, and what prints data can print JSON (architecture.md §4).
func TestHelpExamples(t *testing.T) {
	leaves, err := main.Leaves()
	if err != nil {
		t.Fatal(err)
	}
	if len(leaves) < 30 {
		t.Errorf("got %d commands, want them all: %q", len(leaves), leaves)
	}
	for _, leaf := range leaves {
		t.Run(leaf, func(t *testing.T) {
			words := strings.Fields(leaf)
			var out, errOut bytes.Buffer
			if code := main.Run(t.Context(), append(words, "--help"), nil, strings.NewReader(""), &out, &errOut); code != 0 {
				t.Fatalf("got exit code %d, want 0; %s", code, &errOut)
			}
			silent := leaf == "serve" || leaf == "receive run" || leaf == "receive reload" || leaf == "key retire" || strings.HasSuffix(leaf, " remove")
			if !silent && !strings.Contains(out.String(), "--json") {
				t.Errorf("got no --json, want it on every command that prints data")
			}
			_, after, ok := strings.Cut(out.String(), "Example")
			if !ok {
				t.Fatalf("got no example in the help:\n%s", &out)
			}
			text, _, _ := strings.Cut(after, "\nFlags:")
			examples := commandLines(strings.ReplaceAll(text, "\\\n", " "))
			if len(examples) == 0 {
				t.Fatalf("got no line that begins with tocsin, want one:\n%s", text)
			}
			for _, example := range examples {
				command, _ := main.Parse(split(t, example))
				if command == nil {
					t.Errorf("got an example that is wrong usage: tocsin %s", example)
					continue
				}
				if got := command.Selected().Path(); got != leaf {
					t.Errorf("got an example of another command, %q, want one of tocsin %s", example, leaf)
				}
			}
		})
	}
}

// Every command line in the pages of docs/ that are for operators is one that the
// parser takes.
func TestDocsCommands(t *testing.T) {
	for _, page := range []string{"sources.md", "webhooks.md", "tokens.md", "receivers/idme.md", "receivers/google.md", "operations/incidents.md", "guides/production.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		lines := commandLines(strings.ReplaceAll(string(text), "\\\n", " "))
		if len(lines) == 0 {
			t.Errorf("%s: got no line that begins with tocsin, want one", page)
		}
		for _, line := range lines {
			line, _, _ = strings.Cut(line, " > ")                                         // where the shell puts it
			line = strings.ReplaceAll(line, " --config /etc/tocsin/serve.yaml", "")       // which is not here
			if command, code := main.Parse(split(t, line)); command == nil && code != 0 { // --help is answered, and is none
				t.Errorf("%s: got a line that is wrong usage: tocsin %s", page, line)
			}
		}
	}
}

// commandLines returns the command lines in a text, without "tocsin" and the
// variables before it.
func commandLines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "TOCSIN_") {
			_, line, _ = strings.Cut(line, " ")
		}
		if rest, ok := strings.CutPrefix(line, "tocsin "); ok {
			out = append(out, rest)
		}
	}
	return out
}

// split splits a command line as a shell does: quotes hold words together.
func split(t *testing.T, line string) []string {
	t.Helper()
	var words []string
	var word strings.Builder
	var quote rune
	inside := false
	for _, r := range line {
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inside = r, true
		case r == quote:
			quote = 0
		case quote == 0 && r == ' ':
			if inside {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if quote != 0 {
		t.Fatalf("a quote is not closed: %s", line)
	}
	if inside {
		words = append(words, word.String())
	}
	return words
}

// The Makefile sets main.version at the linker.
func TestVersion(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil || !strings.Contains(string(makefile), "-X main.version=") {
		t.Errorf("got a Makefile (%v) that does not set main.version", err)
	}
	main.SetVersion("v1.2.3")
	defer main.SetVersion("")
	var out, errOut bytes.Buffer
	code := main.Run(t.Context(), []string{"--version"}, nil, strings.NewReader(""), &out, &errOut)
	if want := "tocsin v1.2.3\n"; code != 0 || out.String() != want {
		t.Errorf("got %q and exit code %d, want %q and 0", &out, code, want)
	}
}

// A command that is ended by its context is a failure, not a success.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut bytes.Buffer
	code := main.Run(ctx, []string{"demo", "--once"}, nil, strings.NewReader(""), &out, &errOut)
	if code != 1 || !strings.Contains(errOut.String(), "context canceled") {
		t.Errorf("demo --once: got exit code %d and %q, want 1 and context canceled", code, &errOut)
	}
}
