package audit_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/audit"
)

// The program in docs/audit.md, which knows nothing of this module, verifies a
// proof, and refuses one that was altered.
func TestPublicTool(t *testing.T) {
	text, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "```go\n")
	program, _, end := strings.Cut(after, "```\n")
	if !ok || !end || strings.Contains(program, "tocsin-ssf") {
		t.Fatal("got no program of its own in docs/audit.md, want one")
	}
	h := newHouse(t)
	h.grow(300)
	p, err := audit.Prove(t.Context(), h.log, h.sign(), h.record(7), false)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	source, key, tool := write("main.go", []byte(program)), write("log.key", []byte(h.key+"\n")), filepath.Join(dir, "tool")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tool, source).CombinedOutput(); err != nil {
		t.Fatalf("go build: got %v\n%s", err, out)
	}
	whole, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	p.Canonical[len(p.Canonical)-3] ^= 1
	altered, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool, key, write("proof.json", whole)).CombinedOutput()
	if want := "record 7 of 300 of " + origin + ": {"; err != nil || !strings.HasPrefix(string(out), want) || !strings.Contains(string(out), "u7@example.com") {
		t.Errorf("got %s (%v), want %s and the event", out, err, want)
	}
	if out, err := exec.CommandContext(t.Context(), tool, key, write("altered.json", altered)).CombinedOutput(); err == nil {
		t.Errorf("an altered proof: got %s, want it refused", out)
	}
}
