package doctor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
)

// written are ids that the source puts together.
var written = map[string][]string{
	`kind`:                 {"stream", "webhook"},
	`kind+".status"`:       {"stream.status", "webhook.status"},
	`kind+".dead"`:         {"stream.dead", "webhook.dead"},
	`kind+".backlog"`:      {"stream.backlog", "webhook.backlog"},
	`"insecure."+one.flag`: {"insecure.insecure-loopback", "insecure.token-any-type", "insecure.redis-volatile"},
	`"insecure."+setting`:  {"insecure.push-allow", "insecure.token-allow", "insecure.allow"},
}

// verdicts are the names of the methods of a report.
var verdicts = map[string]doctor.Verdict{"OK": doctor.OK, "Warn": doctor.Warn, "Fail": doctor.Fail}

// possible reads from the source which checks can come to which verdicts: "tls.expiry warn".
// A function that is given a check is one that notes it, with the verdicts in its body.
func possible(t *testing.T) map[string]bool {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	type call struct {
		verdicts []doctor.Verdict // of a report's own methods
		callee   string
		id       ast.Expr
		within   *ast.FuncDecl
	}
	var calls []call
	fset := token.NewFileSet()
	at := map[string]int{"failed": 0} // place of the check among the parameters of a function
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := 0
			for _, field := range fn.Type.Params.List {
				for _, param := range field.Names {
					if param.Name == "check" {
						at[fn.Name.Name] = n
					}
					n++
				}
			}
			ast.Inspect(fn, func(node ast.Node) bool {
				c, ok := node.(*ast.CallExpr)
				if !ok {
					return true
				}
				switch f := c.Fun.(type) {
				case *ast.SelectorExpr:
					if v, ok := verdicts[f.Sel.Name]; ok && len(c.Args) >= 3 {
						calls = append(calls, call{[]doctor.Verdict{v}, "", c.Args[0], fn})
					} else if len(c.Args) > 0 {
						calls = append(calls, call{nil, f.Sel.Name, nil, fn})
						calls[len(calls)-1].id = c.Args[0]
					}
				case *ast.Ident:
					calls = append(calls, call{nil, f.Name, nil, fn})
					if len(c.Args) > 1 {
						calls[len(calls)-1].id = c.Args[1]
					}
				}
				return true
			})
		}
	}
	through := map[string]map[doctor.Verdict]bool{} // what functions with a check come to
	for range 4 {                                   // one calls another
		for _, c := range calls {
			id, ok := c.id.(*ast.Ident)
			if !ok || id.Name != "check" {
				continue
			}
			if through[c.within.Name.Name] == nil {
				through[c.within.Name.Name] = map[doctor.Verdict]bool{}
			}
			for _, v := range c.verdicts {
				through[c.within.Name.Name][v] = true
			}
			maps.Copy(through[c.within.Name.Name], through[c.callee])
		}
	}
	all := map[string]bool{}
	for _, c := range calls {
		found := c.verdicts
		if found == nil {
			if _, ok := at[c.callee]; !ok {
				continue
			}
			found = slices.Collect(maps.Keys(through[c.callee]))
		}
		for _, id := range idsOf(t, c.id) {
			for _, v := range found {
				all[id+" "+string(v)] = true
			}
		}
	}
	return all
}

// idsOf are the checks that an expression names; none for a parameter.
func idsOf(t *testing.T, expr ast.Expr) []string {
	t.Helper()
	switch e := expr.(type) {
	case *ast.BasicLit:
		if id, err := strconv.Unquote(e.Value); err == nil {
			return []string{id}
		}
	case *ast.Ident:
		if e.Name == "check" {
			return nil
		}
		if ids := written[e.Name]; ids != nil {
			return ids
		}
	case *ast.BinaryExpr:
		text := ""
		ast.Inspect(e, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				text += "+" + n.Value
			case *ast.SelectorExpr:
				text += "+" + n.X.(*ast.Ident).Name + "." + n.Sel.Name
				return false
			case *ast.Ident:
				text += "+" + n.Name
			}
			return true
		})
		if ids := written[strings.TrimPrefix(text, "+")]; ids != nil {
			return ids
		}
		t.Errorf("%s: got an id that is put together, want it among those that are written out", text)
	}
	return nil
}

// seen gathers what the tests of this package provoke.
type seen map[string]bool

func (s seen) take(t *testing.T, r *doctor.Report) {
	t.Helper()
	for _, f := range r.Findings {
		s[f.Check+" "+string(f.Verdict)] = true
		if f.Says == "" || f.Verdict != doctor.OK && f.Do == "" {
			t.Errorf("got %+v, want what it means and what to do", f)
		}
		if text := said(r); strings.Contains(text, "s3cr3t") || strings.Contains(text, "\x1b") {
			t.Errorf("got %q, want no secret and no control character", text)
		}
	}
}

// Everything that can be found is provoked here, comes with what to do, tells no secret,
// and stands in docs/operations/doctor.md, which tells of nothing else.
func TestEveryFinding(t *testing.T) {
	t.Parallel()
	got := seen{}
	for name, provoke := range provoked() {
		r := new(doctor.Report)
		provoke(t, r)
		if len(r.Findings) == 0 {
			t.Errorf("%s: got no finding", name)
		}
		got.take(t, r)
	}
	raw, err := os.ReadFile("../../../../docs/operations/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.-]+)` \\| ([a-z, ]+) \\|[^|]*\\|[^|]*\\|$").FindAllStringSubmatch(string(raw), -1) {
		for _, v := range strings.Split(row[2], ", ") {
			told[row[1]+" "+v] = true
		}
	}
	can := possible(t)
	if len(can) < 80 {
		t.Errorf("got %d findings in the source, want all of them", len(can))
	}
	for _, one := range slices.Sorted(maps.Keys(can)) {
		if !got[one] {
			t.Errorf("%s: got it never, want it provoked", one)
		}
		if !told[one] {
			t.Errorf("%s: got no row in docs/operations/doctor.md, want one", one)
		}
	}
	for _, all := range []map[string]bool{got, told} {
		for _, one := range slices.Sorted(maps.Keys(all)) {
			if !can[one] {
				t.Errorf("%s: got it in a test or in docs/operations/doctor.md, and the source does not say it", one)
			}
		}
	}
}
