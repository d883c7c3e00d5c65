package conformance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tocsin-ssf/tocsin"

// folder is a row of the import map: what the non-test code of a folder, and of the
// folders below it that have no row of their own, may import of ours and of the fixed
// packages. A path stands for that folder alone, a path with /... for it and all below.
// Imports within a row are free, as are packages that are not fixed.
type folder struct {
	path  string
	ours  []string
	fixed []string
}

// fixedPackages are bound to the folders that name them; other libraries are free.
var fixedPackages = map[string][]string{
	"jwx":       {"github.com/lestrrat-go/jwx"},
	"echo":      {"github.com/labstack/echo"},
	"go-redis":  {"github.com/redis/go-redis"},
	"sqlite":    {"modernc.org/sqlite"},
	"kong":      {"github.com/alecthomas/kong"},
	"koanf":     {"github.com/knadh/koanf"},
	"telemetry": {"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters"},
}

// importMap is policy: it is docs/architecture.md §2 as a table. Do not edit it to
// make a build pass; a new edge comes with its reason and the document's change in the
// same commit.
var importMap = []folder{
	{path: "set/subject"},
	{path: "set/delivery"},
	{path: "set/delivery/guard"},
	{path: "set/delivery/edge"}, // what every server does first; both halves have servers
	{path: "set/delivery/edge/edgetest"},
	{path: "set/delivery/tracing"}, // an event's trace, derived from its txn; both halves make its spans
	{path: "set/jose", fixed: []string{"jwx"}},
	{path: "set/yamlfile"}, // what people write: rules of both halves, settings
	{path: "set/celrules"}, // what expressions in rules of both halves share
	{path: "set/internal"}, // pieces that the event packages share
	{path: "set", ours: []string{"set/subject", "set/delivery", "set/jose", "set/internal/..."}},
	{path: "set/caep", ours: []string{"set", "set/subject", "set/internal/..."}},
	{path: "set/risc", ours: []string{"set", "set/subject", "set/internal/..."}},
	{path: "set/ssf", ours: []string{"set", "set/subject", "set/internal/..."}},

	{path: "streams", ours: []string{"set/subject", "set/delivery"}},
	{path: "streams/storetest", ours: []string{"streams", "set/subject", "set/delivery"}}, // its cases use both methods
	{path: "streams/store/sqlitedb", fixed: []string{"sqlite"}},
	{path: "streams/store/redisdb", fixed: []string{"go-redis"}},
	{path: "streams/internal/form", ours: []string{"streams", "set/subject"}},                                                                                        // what is kept is the same in every store
	{path: "streams/sqlitestore", ours: []string{"streams", "streams/internal/form", "set/subject", "set/delivery", "streams/store/..."}, fixed: []string{"sqlite"}}, // it wakes takers by method
	{path: "streams/redisstore", ours: []string{"streams", "streams/internal/form", "set/subject", "set/delivery", "streams/store/..."}, fixed: []string{"go-redis"}},

	{path: "wellknown", ours: []string{"set", "set/jose", "set/delivery", "set/delivery/guard"}, fixed: []string{"jwx"}},

	{path: "transmitter/eventlog", ours: []string{"set/subject"}},
	{path: "transmitter/eventlog/logtest", ours: []string{"transmitter/eventlog", "set/subject"}},
	{path: "transmitter/eventlog/sqlitelog", ours: []string{"transmitter/eventlog", "set/subject", "streams/store/..."}, fixed: []string{"sqlite"}},
	{path: "transmitter/eventlog/indextest", ours: []string{"transmitter/eventlog", "set/subject"}},
	{path: "transmitter/eventlog/sqliteindex", ours: []string{"transmitter/eventlog", "set/subject", "streams/store/..."}},
	{path: "transmitter/eventlog/redislog", ours: []string{"transmitter/eventlog", "set/subject", "streams/store/..."}, fixed: []string{"go-redis"}},
	// What seals private material where it is stored, below all that store some.
	{path: "transmitter/vault", ours: []string{"streams/store/..."}},
	{path: "transmitter/vault/vaulttest", ours: []string{"transmitter/vault"}},
	{path: "transmitter/vault/redisvault", ours: []string{"transmitter/vault", "streams/store/..."}, fixed: []string{"go-redis"}},
	{path: "transmitter/checkpoint", ours: []string{"transmitter/eventlog", "transmitter/vault", "streams/store/..."}}, // its table is in admin.db, not in the log's file
	{path: "transmitter/checkpoint/checkpointtest", ours: []string{"transmitter/checkpoint", "transmitter/eventlog"}},
	{path: "transmitter/checkpoint/redischeckpoint", ours: []string{"transmitter/checkpoint", "transmitter/eventlog", "streams/store/..."}, fixed: []string{"go-redis"}},
	{path: "transmitter/audit", ours: []string{"transmitter/eventlog", "transmitter/checkpoint"}},
	{path: "transmitter/auth", ours: []string{"set/jose", "wellknown", "transmitter/vault", "streams/store/..."}},
	{path: "transmitter/auth/authtest", ours: []string{"transmitter/auth", "set/jose", "set/delivery/edge/edgetest"}},                                   // clients come with certificates
	{path: "transmitter/auth/redisauth", ours: []string{"transmitter/auth", "transmitter/vault/...", "streams/store/..."}, fixed: []string{"go-redis"}}, // what it keeps in clear it does not where a vault is beside it, in one script
	{path: "transmitter/keys", ours: []string{"set/jose", "transmitter/vault", "streams/store/..."}},
	{path: "transmitter/keys/keystest", ours: []string{"transmitter/keys", "set/jose"}},
	{path: "transmitter/keys/rediskeys", ours: []string{"transmitter/keys", "transmitter/vault/...", "set/jose", "streams/store/..."}, fixed: []string{"go-redis"}},
	// Keys in another process; transmitter/keys knows it by an interface of its own. Who
	// asks is told by the kernel, as on every other socket.
	{path: "transmitter/signer", ours: []string{"set/jose", "set/delivery/edge"}},
	{path: "transmitter/mapping", ours: []string{"set", "set/subject", "set/yamlfile", "set/celrules", "set/caep", "set/risc"}},
	{path: "transmitter/consent", ours: []string{"transmitter/eventlog", "set/subject", "set/risc"}}, // RISC §2.8: who takes part,
	// What to poll, and how far it came, stands with the credentials; what OneLogin's
	// types call tells are types of the mapping's catalogue.
	{path: "transmitter/source", ours: []string{"transmitter/auth", "transmitter/mapping", "set/delivery/guard"}},
	{path: "transmitter/profile", ours: []string{"set/..."}},
	{path: "transmitter/internal", ours: []string{
		"set/...", "streams", "wellknown",
		"transmitter/eventlog", "transmitter/checkpoint", "transmitter/audit", "transmitter/auth", "transmitter/keys", "transmitter/vault", "transmitter/mapping",
		"transmitter/consent", "transmitter/source", "transmitter/profile",
	}, fixed: []string{"echo"}},
	{path: "transmitter", ours: []string{"set/...", "streams/...", "wellknown", "transmitter/..."}, fixed: []string{"echo"}},

	{path: "receiver/client", ours: []string{"streams", "set/subject", "set/delivery", "set/delivery/guard", "wellknown"}}, // its endpoints are named by metadata
	{path: "receiver/inbox", ours: []string{"streams/store/..."}, fixed: []string{"sqlite", "go-redis"}},
	{path: "receiver", ours: []string{"set/...", "streams", "wellknown", "receiver/client", "receiver/inbox"}},
	{path: "receiver/examples", ours: []string{"receiver/...", "set/...", "streams"}},            // programs of users of the package: what these import
	{path: "set/examples", ours: []string{"set/..."}},                                            // the same
	{path: "transmitter/examples", ours: []string{"set/delivery/guard"}},                         // the same: they speak HTTP
	{path: "receiver/credential", ours: []string{"set/delivery/guard", "set/jose", "wellknown"}}, // the authorization server is found by its metadata; a client's key signs
	{path: "receiver/keeper", ours: []string{"receiver", "receiver/client", "set/...", "streams", "wellknown"}},
	{path: "receiver/keeper/rediskeeper", ours: []string{"receiver/keeper", "streams/store/..."}, fixed: []string{"go-redis"}},             // turns and state that processes share
	{path: "receiver/sessions", ours: []string{"receiver", "set/subject", "streams/store/..."}, fixed: []string{"sqlite", "go-redis"}},     // its SQLite backend is opened as the others are
	{path: "receiver/sessions/check", ours: []string{"receiver/sessions", "set/jose", "set/subject", "wellknown"}},                         // it verifies the tokens it is shown
	{path: "receiver/hooks", ours: []string{"receiver", "receiver/sessions", "set/...", "streams/store/..."}, fixed: []string{"go-redis"}}, // payloads are of set/caep and set/risc
	{path: "receiver/journal", ours: []string{"streams/store/..."}, fixed: []string{"sqlite", "go-redis"}},                                 // what hooks did; it knows no hook
	{path: "receiver/policy", ours: []string{"receiver", "receiver/hooks", "receiver/journal", "set/..."}},                                 // it runs the hooks it chooses
	{path: "receiver/siwa", ours: []string{"receiver", "set/...", "wellknown"}},                                                            // Apple's keys are at a URL of its own
	{path: "receiver/profile", ours: []string{"receiver", "set/..."}},

	{path: "conformance", ours: []string{"set/...", "streams", "wellknown"}},
	{path: "conformance/receivers", ours: []string{"conformance", "conformance/peer", "set/...", "streams", "wellknown"}}, // the counterpart of a receiver is a transmitter
	{path: "conformance/peer", ours: []string{"set/...", "streams", "wellknown"}},

	{path: "cmd/tocsin", ours: []string{"..."}, fixed: []string{"jwx", "echo", "go-redis", "sqlite", "kong", "koanf", "telemetry"}},
}

// The imports of every package follow the map.
func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		row, ok := rowOf(p.folder)
		if !ok {
			t.Errorf("%s: got no row in the map, want one", p.folder)
			continue
		}
		for _, edge := range p.imports {
			if !row.allows(edge) {
				t.Errorf("%s: got an import of %s, want one that its row (%s) allows", p.folder, edge, row.path)
			}
		}
	}
}

// The test can fail: what the map rules out is told from what it allows.
func TestImportMap(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"set", module + "/set/jose", true},
		{"set", module + "/set/caep", false},
		{"set/caep", module + "/set/internal/payload", true},
		{"set/caep", "encoding/json", true},
		{"set/caep", "github.com/google/uuid", true},
		{"set/jose", "github.com/lestrrat-go/jwx/v2/jwk", true},
		{"set", "github.com/lestrrat-go/jwx/v2/jwk", false},
		{"streams", module + "/transmitter", false},
		{"receiver", module + "/transmitter/eventlog", false},
		{"transmitter", module + "/receiver", false},
		{"transmitter/internal/push", module + "/transmitter/internal/outbox", true},
		{"transmitter/internal/push", module + "/transmitter", false},
		{"transmitter/eventlog", module + "/streams/store/sqlitedb", false},
		{"transmitter/eventlog/sqlitelog", module + "/streams/store/sqlitedb", true},
		{"transmitter/keys", "modernc.org/sqlite", false},
		{"receiver/inbox/sqliteinbox", module + "/receiver/inbox", true},
		{"receiver", "github.com/labstack/echo/v4", false},
		{"cmd/tocsin/internal/demo", module + "/receiver/hooks", true},
		{"cmd/tocsin", "github.com/alecthomas/kong", true},
		{"transmitter", "github.com/alecthomas/kong", false},
		{"transmitter", "go.opentelemetry.io/otel", true},
		{"transmitter", "go.opentelemetry.io/otel/sdk/trace", false},
	} {
		row, ok := rowOf(tt.from)
		if got := ok && row.allows(tt.to); got != tt.want {
			t.Errorf("%s → %s: got allowed %v, want %v", tt.from, tt.to, got, tt.want)
		}
	}
	for _, unknown := range []string{"util", "internal/x", "setx"} {
		if row, ok := rowOf(unknown); ok {
			t.Errorf("%s: got row %s, want none", unknown, row.path)
		}
	}
	for i, row := range importMap {
		if slices.ContainsFunc(importMap[:i], func(f folder) bool { return f.path == row.path }) {
			t.Errorf("%s: got two rows, want one", row.path)
		}
		for _, name := range row.fixed {
			if fixedPackages[name] == nil {
				t.Errorf("%s: got fixed package %q, want a known one", row.path, name)
			}
		}
	}
}

// rowOf returns the row of path: its own, or that of the nearest folder above.
func rowOf(path string) (folder, bool) {
	best, found := folder{}, false
	for _, row := range importMap {
		if below(path, row.path) && (!found || len(row.path) > len(best.path)) {
			best, found = row, true
		}
	}
	return best, found
}

func (f folder) allows(importPath string) bool {
	if ours, ok := strings.CutPrefix(importPath, module+"/"); ok {
		if row, ok := rowOf(ours); ok && row.path == f.path {
			return true
		}
		return slices.ContainsFunc(f.ours, func(pattern string) bool { return matches(ours, pattern) })
	}
	for name, prefixes := range fixedPackages {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return below(importPath, prefix) }) {
			return slices.Contains(f.fixed, name)
		}
	}
	return true
}

// matches reports whether path is what pattern names. Folders below it that have no row
// of their own belong to it.
func matches(path, pattern string) bool {
	if pattern == "..." {
		return true
	}
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return below(path, tree)
	}
	row, ok := rowOf(path)
	return ok && row.path == pattern
}

// below reports whether path is folder or in it.
func below(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// sourcePackage is a package of ours with the imports of its non-test code.
type sourcePackage struct {
	folder  string
	imports []string
}

func packages(t *testing.T) []sourcePackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	list, err := decodePackages(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("got no package, want all of the module")
	}
	return list
}

func decodePackages(r io.Reader) ([]sourcePackage, error) {
	var list []sourcePackage
	for decoder := json.NewDecoder(r); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := decoder.Decode(&p)
		switch {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("go list: %w", err)
		}
		list = append(list, sourcePackage{strings.TrimPrefix(p.ImportPath, module+"/"), p.Imports})
	}
}
