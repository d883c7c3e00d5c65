package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// docs/reference/errors.md has every error that the transmitter's API answers, by status
// and code as they stand in its source, and every word that stands with attempts and
// dead letters; and none that there is not.
func TestErrorsPage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "docs/reference/errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	s := readSource(t, "transmitter", "set/delivery", "streams")
	for _, tt := range []struct {
		heading string
		want    []string
	}{
		{"The transmitter's API", s.answers()},
		{"Events that are refused one by one", s.constants("transmitter/internal/ingest", "Code")},
		{"The token endpoint", slices.Concat(s.constants("transmitter/auth/endpoint.go", "code"), []string{"invalid_request"})},
		{"SETs that a receiver refuses", s.constants("set/delivery/failure.go", "Code")},
		{"Attempts and dead letters", s.findings()},
		{"Exit codes", main.ExitCodes()},
	} {
		got := firstCells(section(t, string(raw), tt.heading))
		want := slices.Compact(slices.Sorted(slices.Values(tt.want)))
		slices.Sort(got)
		if len(want) < 3 || !slices.Equal(got, want) {
			t.Errorf("%s: got rows about\n%s\nwant\n%s", tt.heading, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// section returns the part of a page below a heading.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("got no section %q, want it", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

var codeCells = regexp.MustCompile("^\\| (?:([0-9]{3}) \\| )?`([^`]+)`")

// firstCells returns what the rows of a table are about: "400 code" or "code".
func firstCells(text string) (rows []string) {
	for line := range strings.Lines(text) {
		if m := codeCells.FindStringSubmatch(line); m != nil {
			rows = append(rows, strings.TrimSpace(m[1]+" "+m[2]))
		}
	}
	return rows
}

// source is Go code, looked at for errors.
type source struct {
	t      *testing.T
	files  map[string]*ast.File
	values map[string]string // of constants, by "package.Name"
}

func readSource(t *testing.T, folders ...string) *source {
	t.Helper()
	s := &source{t: t, files: map[string]*ast.File{}, values: map[string]string{}}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			name, relErr := filepath.Rel(root, path)
			s.files[name] = file
			if err == nil {
				err = relErr
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, file := range s.files {
		for key, value := range constantsOf(file) {
			s.values[filepath.Base(filepath.Dir(name))+"."+key] = value
		}
	}
	return s
}

// constantsOf are the texts among the constants of a file.
func constantsOf(file *ast.File) map[string]string {
	out := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if i < len(spec.Values) {
				if text, ok := literal(spec.Values[i]); ok {
					out[name.Name] = text
				}
			}
		}
		return true
	})
	return out
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// constants are the values of those below a path whose names begin so.
func (s *source) constants(path, prefix string) (values []string) {
	for name, file := range s.files {
		if !strings.HasPrefix(name, path) {
			continue
		}
		for key, value := range constantsOf(file) {
			if rest, ok := strings.CutPrefix(key, prefix); ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' {
				values = append(values, value)
			}
		}
	}
	return values
}

// text returns the text that an expression in a package is: a literal, or a constant.
func (s *source) text(pkg string, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := literal(e)
		return text
	case *ast.Ident:
		return s.values[pkg+"."+e.Name]
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return s.values[x.Name+"."+e.Sel.Name]
		}
	}
	return ""
}

// status returns the number of http.StatusX; 0: it is none.
func (s *source) status(e ast.Expr) int {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return 0
	}
	if x, ok := sel.X.(*ast.Ident); !ok || x.Name != "http" || !strings.HasPrefix(sel.Sel.Name, "Status") {
		return 0
	}
	words := strings.ToLower(strings.TrimPrefix(sel.Sel.Name, "Status"))
	for code := range 600 {
		if text := http.StatusText(code); text != "" && strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(text)) == words {
			return code
		}
	}
	s.t.Errorf("got %s, which is no status that is known here", sel.Sel.Name)
	return 0
}

// members are the fields of a composite literal.
func members(lit *ast.CompositeLit) map[string]ast.Expr {
	out := map[string]ast.Expr{}
	for _, e := range lit.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.Ident); ok {
				out[key.Name] = pair.Value
			}
		}
	}
	return out
}

// answers are the errors of HTTP, "400 code": where a status stands beside a code in a
// literal, an assignment or a case.
func (s *source) answers() []string {
	found := map[string]bool{}
	note := func(status int, code string) {
		if status != 0 && code != "" {
			found[fmt.Sprintf("%d %s", status, code)] = true
		}
	}
	for name, file := range s.files {
		pkg := filepath.Base(filepath.Dir(name))
		if name == "transmitter/auth/endpoint.go" || !strings.HasPrefix(name, "transmitter/") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				m := members(n)
				for _, member := range []string{"Code", "Err"} {
					if m["Status"] != nil && m[member] != nil {
						note(s.status(m["Status"]), s.text(pkg, m[member]))
					}
				}
			case *ast.AssignStmt: // a.Status, a.Err = …
				if len(n.Rhs) >= 2 {
					note(s.status(n.Rhs[0]), s.text(pkg, n.Rhs[1]))
				}
			case *ast.CaseClause:
				if len(n.List) == 1 && len(n.Body) == 1 {
					if ret, ok := n.Body[0].(*ast.ReturnStmt); ok && len(ret.Results) == 1 {
						note(s.status(n.List[0]), s.text(pkg, ret.Results[0]))
					}
				}
			}
			return true
		})
	}
	return slices.Collect(maps.Keys(found))
}

// findings are the words that stand with attempts and dead letters.
func (s *source) findings() (words []string) {
	for name, file := range s.files {
		pkg := filepath.Base(filepath.Dir(name))
		if !strings.HasPrefix(name, "transmitter/internal/") && !strings.HasPrefix(name, "streams/sqlitestore/") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				m := members(n)
				if m["Code"] != nil && m["Status"] == nil && (m["Judgement"] != nil || m["Verdict"] != nil || isNamed(n, "Outcome")) {
					words = append(words, s.text(pkg, m["Code"]))
				}
			case *ast.CallExpr:
				if fun, ok := n.Fun.(*ast.Ident); ok && fun.Name == "bury" {
					for _, arg := range n.Args {
						if text, ok := literal(arg); ok && text != "" {
							words = append(words, text)
						}
					}
				}
			}
			return true
		})
	}
	// These three are words between the parts of delivery, and "" is what a receiver says.
	inside := []string{s.values["push.released"], s.values["push.changed"], s.values["push.unsigned"], ""}
	words = slices.DeleteFunc(words, func(w string) bool { return slices.Contains(inside, w) })
	return append(words, "http_STATUS")
}

func isNamed(lit *ast.CompositeLit, name string) bool {
	id, ok := lit.Type.(*ast.Ident)
	return ok && id.Name == name
}
