package sqlitelog_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// What was erased is in no file any more, small and large bodies alike, while
// its neighbours are.
func TestErasedIsGoneFromTheFiles(t *testing.T) {
	r := newRig(t, 0)
	person := func(name string, size int) eventlog.Event {
		return eventlog.Event{
			Source: "hr", SourceID: name, Type: "t", Subjects: []subject.Identifier{subject.Email(name + "@example.com")},
			Data: json.RawMessage(`{"pad":"` + strings.Repeat(name, size) + `"}`),
		}
	}
	events := []eventlog.Event{person("alice", 1), person("brenda", 1), person("alice-large", 5000), person("carol", 1)}
	if _, err := r.log.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Note(t.Context(), eventlog.Entry{Kind: eventlog.KindAnnotation, Body: json.RawMessage(`{"tag":"alice"}`), Refs: []string{"alice"}}); err != nil {
		t.Fatal(err)
	}
	if !inFiles(t, r.path, "alice") {
		t.Fatal("before: got no trace in the files, want one")
	}
	if n, err := r.log.Erase(t.Context(), 1, 3, 5); err != nil || n != 3 {
		t.Fatalf("Erase: got %d (%v), want 3", n, err)
	}
	for name, want := range map[string]bool{"alice": false, "brenda": true, "carol": true} {
		if got := inFiles(t, r.path, name); got != want {
			t.Errorf("%s: got in the files %v, want %v", name, got, want)
		}
	}
}

func inFiles(t *testing.T, path, text string) bool {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}
