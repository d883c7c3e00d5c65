package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// pages are all pages of the project, by their paths.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	read := func(path string) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Clean(path)] = string(raw)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"} {
		read(filepath.Join(root, name))
	}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			read(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var (
	pageLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	inline   = regexp.MustCompile("`[^`\n]*`")
)

// linksOf are where a page leads, code apart.
func linksOf(text string) (links []string) {
	text = inline.ReplaceAllString(fenced.ReplaceAllString(text, ""), "x")
	for _, m := range pageLink.FindAllStringSubmatch(text, -1) {
		links = append(links, m[1])
	}
	return links
}

// anchors are the headings of a page, as GitHub makes links of them.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(fenced.ReplaceAllString(text, "")) {
		if title := strings.TrimLeft(line, "#"); title != line && strings.HasPrefix(title, " ") {
			all[strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
					return unicode.ToLower(r)
				}
				return -1
			}, strings.TrimSpace(title))] = true
		}
	}
	return all
}

// docs/README.md leads to every page of docs, decisions apart, and no link between pages is
// dead, to a heading neither.
func TestReadmeOfDocs(t *testing.T) {
	all := pages(t)
	index := filepath.Join(root, "docs/README.md")
	listed := map[string]bool{}
	for name, text := range all {
		for _, link := range linksOf(text) {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(link, "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: got a dead link: %s", name, link)
				continue
			}
			if page, ok := all[target]; ok && anchor != "" && !anchors(page)[anchor] {
				t.Errorf("%s: got a link to a heading that there is not: %s", name, link)
			}
			if name == index {
				listed[target] = true
			}
		}
	}
	for name := range all {
		docs := filepath.Join(root, "docs") + string(filepath.Separator)
		if strings.HasPrefix(name, docs) && name != index && !listed[name] && !strings.HasPrefix(name, docs+"decisions") {
			t.Errorf("docs/README.md: got no link to %s, want one to every page", name)
		}
	}
}

// The code in docs/guides/embed.md is that of the example, in its order.
func TestEmbedPage(t *testing.T) {
	all := pages(t)
	example, err := os.ReadFile(filepath.Join(root, "receiver/examples/webapp/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(all[filepath.Join(root, "docs/guides/embed.md")], "```go\n")
	if len(parts) < 5 {
		t.Fatalf("got %d blocks of Go, want those of the guide", len(parts)-1)
	}
	at := string(example)
	for _, part := range parts[1:] {
		code, _, _ := strings.Cut(part, "```")
		i := strings.Index(at, code)
		if i < 0 {
			t.Fatalf("got code that is not in the example, or not in this order:\n%s", code)
		}
		at = at[i+len(code):]
	}
}

// The settings in docs/guides/production.md are ones that serve takes.
func TestProductionPage(t *testing.T) {
	text := pages(t)[filepath.Join(root, "docs/guides/production.md")]
	_, rest, ok := strings.Cut(text, "```yaml\n")
	if !ok {
		t.Fatal("got no settings, want some")
	}
	settings, _, _ := strings.Cut(rest, "```")
	file := filepath.Join(t.TempDir(), "serve.yaml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	if command, code := main.Parse([]string{"serve", "--config", file}); command == nil {
		t.Errorf("got exit code %d, want settings that are taken:\n%s", code, settings)
	}
}
