package conformance_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// firstKey is where the keys of a call of a logger begin, by its method.
var firstKey = map[string]int{
	"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "With": 0,
	"DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "Log": 3, "LogAttrs": 3,
}

// attrs are the functions of log/slog that make an attribute of a key.
var attrs = []string{"String", "Int", "Int64", "Uint64", "Float64", "Bool", "Time", "Duration", "Any", "Group"}

// loggers are what a logger is called here.
var loggers = regexp.MustCompile(`(?i)(^|\.)(slog|log|logger|log\(\))$`)

// logKeys adds the keys of all log lines of a file to keys, each with a place of it.
func logKeys(set *token.FileSet, file *ast.File, keys map[string]string) {
	note := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if key, err := strconv.Unquote(lit.Value); err == nil {
				keys[key] = set.Position(lit.Pos()).String()
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fun, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		on := text(fun.X)
		if on == "slog" && slices.Contains(attrs, fun.Sel.Name) {
			note(call.Args[0])
			return true
		}
		first, ok := firstKey[fun.Sel.Name]
		if !ok || !loggers.MatchString(on) {
			return true
		}
		for i := first; i < len(call.Args); i++ {
			if _, made := call.Args[i].(*ast.CallExpr); made {
				continue // an attribute
			}
			note(call.Args[i])
			i++
		}
		return true
	})
}

// text is an expression of names and calls without arguments as it is written.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		return text(e.Fun) + "()"
	}
	return "?"
}

// quiet are folders whose programs talk to people and keep no log.
var quiet = []string{"conformance", "cmd/tocsin/internal/bench", "cmd/tocsin/internal/simulate", "cmd/tocsin/internal/proctest", "cmd/tocsin/internal/demo"}

// Every field of a log line stands on its page, and every field of the page is in some
// line.
func TestLogFields(t *testing.T) {
	keys := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case d.IsDir() && (slices.Contains(quiet, name) || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != "." || isTestPackage(d.Name())):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err == nil {
			logKeys(set, file, keys)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(root, "docs", "logs.md"))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(string(raw), -1) {
		for _, key := range regexp.MustCompile("`([a-z0-9_.]+)`").FindAllStringSubmatch(row[1], -1) {
			said[key[1]] = true
		}
	}
	if len(keys) < 20 {
		t.Fatalf("got %d keys in the source, want those of all log lines", len(keys))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !said[key] {
			t.Errorf("docs/logs.md: the field %s is missing (%s)", key, keys[key])
		}
	}
	for key := range said {
		// slog's own are there with every line; trace_id is no constant where it is noted.
		if _, ok := keys[key]; !ok && !slices.Contains([]string{"time", "level", "msg", "trace_id"}, key) {
			t.Errorf("docs/logs.md: no line has the field %s", key)
		}
	}
}
