package main_test

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// bom is what is read here of a CycloneDX document.
type bom struct {
	Format   string `json:"bomFormat"`
	Serial   string `json:"serialNumber"`
	Metadata struct {
		Timestamp  string
		Component  component
		Properties []struct{ Name, Value string }
	}
	Components []component
}

type component struct {
	Name, Version string
	PURL          string
	Hashes        []struct{ Alg, Content string }
	Evidence      struct {
		Licenses []struct{ License struct{ ID, Name string } }
	}
}

// The list of what is in the binary names what the tool-chain has noted in it and nothing
// else, each module with version, hash and licence, and the binary by its hash. Licences are
// looked for in the files of every module, which takes longer than the rest of it.
func TestSBOM(t *testing.T) {
	t.Parallel()
	binary := proctest.Binary(t)
	const version = "v1.2.3-test"
	licensed := os.Getenv("TOCSIN_TEST_LONG") == "1"
	out, err := exec.CommandContext(t.Context(), "../../.ci/sbom", binary, version, fmt.Sprintf("-licenses=%t", licensed)).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("sbom: got %v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	var got bom
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Format != "CycloneDX" || got.Serial != "" || got.Metadata.Timestamp != "" {
		t.Errorf("got format %q, serial %q, time %q, want CycloneDX and what does not change alone", got.Format, got.Serial, got.Metadata.Timestamp)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if main := got.Metadata.Component; main.Name != info.Main.Path || main.Version != version || !strings.HasPrefix(main.PURL, "pkg:golang/"+info.Main.Path+"@"+version+"?") {
		t.Errorf("main component: got %+v, want %s %s", main, info.Main.Path, version)
	}
	if sum := sumOf(t, binary); !hasProperty(got, "cdx:gomod:binary:hash:SHA-256", sum) {
		t.Errorf("got no hash of the binary (%s) in %v", sum, got.Metadata.Properties)
	}
	modules := map[string]component{}
	for _, one := range got.Components {
		if _, twice := modules[one.Name]; twice {
			t.Errorf("%s: got it twice", one.Name)
		}
		modules[one.Name] = one
	}
	if std := modules["std"]; std.Version != info.GoVersion {
		t.Errorf("std: got %q, want %q", std.Version, info.GoVersion)
	}
	delete(modules, "std")
	if len(info.Deps) == 0 {
		t.Fatal("got a binary without modules")
	}
	for _, dep := range info.Deps {
		checkModule(t, modules[dep.Path], *dep, licensed)
		delete(modules, dep.Path)
	}
	for name := range modules {
		t.Errorf("%s: got a module that is not in the binary", name)
	}
}

// checkModule compares what the list says of a module with what the binary says.
func checkModule(t *testing.T, got component, want debug.Module, licensed bool) {
	t.Helper()
	if want.Replace != nil {
		t.Errorf("%s: got a replaced module, want none", want.Path)
	}
	if got.Version != want.Version || !strings.HasPrefix(got.PURL, "pkg:golang/"+want.Path+"@"+want.Version+"?") {
		t.Errorf("%s: got version %q, purl %q, want %s", want.Path, got.Version, got.PURL, want.Version)
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(want.Sum, "h1:"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Hashes) != 1 || got.Hashes[0].Alg != "SHA-256" || got.Hashes[0].Content != hex.EncodeToString(sum) {
		t.Errorf("%s: got hashes %v, want that of go.sum, %x", want.Path, got.Hashes, sum)
	}
	if licenses := got.Evidence.Licenses; licensed && (len(licenses) == 0 || licenses[0].License.ID == "" && licenses[0].License.Name == "") {
		t.Errorf("%s: got no licence", want.Path)
	}
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // it is only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hasProperty(of bom, name, value string) bool {
	for _, one := range of.Metadata.Properties {
		if one.Name == name && one.Value == value {
			return true
		}
	}
	return false
}
