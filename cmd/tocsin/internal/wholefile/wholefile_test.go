package wholefile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/wholefile"
)

// names are those in a folder.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Symlink(elsewhere, filepath.Join(dir, ".file.new")); err != nil { // as somebody else may leave it there
		t.Fatal(err)
	}
	for _, text := range []string{"one", "another"} {
		if err := wholefile.Replace(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("got %q (%v), want %q", got, err, text)
		}
		if is, err := os.Stat(path); err != nil || is.Mode() != 0o640 {
			t.Errorf("got mode %v (%v), want 0640", is.Mode(), err)
		}
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("got a file where a link led, want none")
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("got %q, want the file alone", got)
	}
}

// What cannot be written leaves the file as it was, and nothing beside it.
func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil { // no file takes the place of such a folder
		t.Fatal(err)
	}
	if err := wholefile.Replace(path, []byte("text"), 0o600); err == nil {
		t.Error("got no error in place of a folder")
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("got %q, want the folder alone", got)
	}
}
