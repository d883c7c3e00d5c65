package console_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
)

// Every operation of the admin API that changes something is for admins, but for the work
// of a day, which this lists; and what roles.go lists is in the API.
func TestRoles(t *testing.T) {
	raw, err := os.ReadFile("../../../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var operators []string
	for path, methods := range doc.Paths {
		if !strings.HasPrefix(path, "/admin/") {
			continue
		}
		for method := range methods {
			method = strings.ToUpper(method)
			switch method {
			case http.MethodGet:
				if role := console.Needed(method, path); role != console.Viewer {
					t.Errorf("%s %s: got %v, want viewer", method, path, role)
				}
			case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
				if console.Needed(method, path) == console.Operator {
					operators = append(operators, method+" "+path)
				}
			}
		}
	}
	for _, op := range console.OperatorsWork() {
		if strings.HasPrefix(op.Path, "/admin/dead-letters/") || op.Path == "/admin/explain" { // the receiver's
			continue
		}
		if !slices.ContainsFunc(operators, func(o string) bool {
			method, path, _ := strings.Cut(o, " ")
			return op.Method == method && op.Matches(path)
		}) {
			t.Errorf("%s %s is for operators, and not in the API", op.Method, op.Path)
		}
	}
	if role := console.Needed(http.MethodPost, "/admin/keys/rotate"); role != console.Admin {
		t.Errorf("rotating keys: got %v, want admin", role)
	}
}
