package conformance_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// outbound are the ways of the standard library and of OAuth's to call somebody, by the
// path of their package. All calls are made by set/delivery/guard, but for those below.
var outbound = map[string][]string{
	"net/http": {
		"Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm",
		"ProxyFromEnvironment", "ProxyURL",
	},
	"net": {
		"Dial", "DialTimeout", "Dialer", "DialTCP", "DialUDP", "DialIP", "DialUnix",
	},
	"crypto/tls":          {"Dial", "DialWithDialer", "Dialer"},
	"net/http/httputil":   {"ReverseProxy", "NewSingleHostReverseProxy", "NewClientConn", "NewProxyClientConn"},
	"net/smtp":            {"Dial", "SendMail"},
	"net/rpc":             {"Dial", "DialHTTP", "DialHTTPPath"},
	"golang.org/x/oauth2": {"NewClient"},
}

// unguarded are the files that call somebody by other means, with what they use and why
// that is nobody that others name. It is policy, as the import map is.
var unguarded = map[string]struct {
	uses []string
	why  string
}{
	"cmd/tocsin/internal/adminapi/adminapi.go": {[]string{"http.Client", "http.Transport"}, "the handler in this process, or the Unix socket of the data folder"},
	"cmd/tocsin/internal/adminapi/socket.go":   {[]string{"net.Dialer"}, "the Unix socket of the data folder"},
	"transmitter/signer/pool.go":               {[]string{"net.Dialer"}, "the Unix socket of the signer that the operator names"},
	"transmitter/signer/listen.go":             {[]string{"net.Dialer"}, "looks whether its own Unix socket is served"},
	"cmd/tocsin/receive.go":                    {[]string{"net.Dialer"}, "looks whether its own Unix socket is served"},
	"cmd/tocsin/internal/bench/peer.go":        {[]string{"http.Client", "http.Transport"}, "a server that bench has started itself"},
	"cmd/tocsin/internal/bench/tlscost.go":     {[]string{"http.Client", "http.Transport"}, "a server that bench has started itself"},
	"cmd/tocsin/internal/bench/redisserver.go": {[]string{"net.Dialer"}, "a Redis that bench has started itself"},
}

// guardFolder may put a client together.
const guardFolder = "set/delivery/guard"

// suites are the folders of what a person runs against a peer that he names: they have to
// see its redirects, certificates and connections as they are.
const suites = "conformance"

// Nobody calls out but through the guard (SEC-01): no client and no connection is made
// elsewhere, so that none can be made without its bounds.
func TestOutbound(t *testing.T) {
	found := map[string][]string{}
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
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != "." || name == guardFolder || name == suites || isTestPackage(d.Name())):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if uses := calls(file); len(uses) > 0 {
			found[name] = uses
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, uses := range found {
		allowed := unguarded[name]
		for _, use := range uses {
			if !slices.Contains(allowed.uses, use) {
				t.Errorf("SEC-01 %s: got %s, want a client of %s", name, use, guardFolder)
			}
		}
	}
	for name, allowed := range unguarded {
		for _, use := range allowed.uses {
			if !slices.Contains(found[name], use) {
				t.Errorf("%s: got no %s (%s), want the entry gone", name, use, allowed.why)
			}
		}
		if allowed.why == "" {
			t.Errorf("%s: got no reason", name)
		}
	}
}

// isTestPackage reports whether a folder holds what tests alone use.
func isTestPackage(name string) bool {
	return strings.HasSuffix(name, "test") // storetest, sourcetest, proctest, …
}

// calls returns what of outbound a file uses: made, called or read. The type of a
// pointer, as in a field *http.Client, makes nothing.
func calls(file *ast.File) (uses []string) {
	names := map[string]string{} // of packages in this file, by path
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || outbound[path] == nil {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = path
	}
	handed := map[ast.Node]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StarExpr:
			handed[n.X] = true
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok || names[pkg.Name] == "" || handed[n] || !slices.Contains(outbound[names[pkg.Name]], n.Sel.Name) {
				return true
			}
			path := names[pkg.Name]
			if use := path[strings.LastIndexByte(path, '/')+1:] + "." + n.Sel.Name; !slices.Contains(uses, use) {
				uses = append(uses, use)
			}
		}
		return true
	})
	for name := range names {
		if name == "." {
			uses = append(uses, "everything of "+names[name])
		}
	}
	return uses
}

// The test can fail: each way to call somebody is told from what is none.
func TestOutboundCalls(t *testing.T) {
	for source, want := range map[string]string{
		`import "net/http"; var x = http.DefaultClient`:                                             "http.DefaultClient",
		`import "net/http"; var x = &http.Client{}`:                                                 "http.Client",
		`import "net/http"; var x = new(http.Client)`:                                               "http.Client",
		`import "net/http"; var x http.Client`:                                                      "http.Client",
		`import "net/http"; func f() { http.Get("x") }`:                                             "http.Get",
		`import h "net/http"; var x = h.Transport{}`:                                                "http.Transport",
		`import . "net/http"; var x = DefaultClient`:                                                "everything of net/http",
		`import "net"; var x = net.Dialer{}`:                                                        "net.Dialer",
		`import "net"; var x = net.Dial`:                                                            "net.Dial",
		`import "crypto/tls"; var x = tls.Dial`:                                                     "tls.Dial",
		`import "golang.org/x/oauth2"; var x = oauth2.NewClient`:                                    "oauth2.NewClient",
		`import "net/http"; type x struct { c *http.Client }; func (x) f(*http.Client) http.Header`: "",
		`import "net"; var x = net.JoinHostPort`:                                                    "",
		`import "x/http"; var x = http.Client{}`:                                                    "",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; "+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(calls(file), ", "); got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}
