package transmitter_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// documented is docs/openapi.yaml.
type documented struct {
	doc        *openapi3.T
	operations []*operationDoc
	mu         sync.Mutex
	looked     map[string]int // exchanges that were checked, by operation and status
	lenient    bool           // what is taken may be more than the document says, and is checked without end
}

// operationDoc is one operation of the document.
type operationDoc struct {
	method, path string
	match        *regexp.Regexp
	params       []string
	item         *openapi3.PathItem
	*openapi3.Operation
}

// lookEach is how many exchanges of an operation with a status are checked in a run:
// tests that ask ten thousand times would only take time.
const lookEach = 60

// contract is the document, read once.
var contract = sync.OnceValue(func() *documented {
	raw, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
		panic(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		panic(err)
	}
	for _, media := range []string{"application/x-ndjson", "application/ndjson", "application/jsonl", "application/octet-stream", "text/plain"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.FileBodyDecoder)
	}
	d := &documented{doc: doc, looked: map[string]int{}}
	variable := regexp.MustCompile(`\\\{[a-z_]+\\\}`)
	for path, item := range doc.Paths.Map() {
		pattern := variable.ReplaceAllStringFunc(regexp.QuoteMeta(path), func(name string) string {
			switch name {
			case `\{tile\}`, `\{resource\}`: // with their slashes
				return "(.+)"
			}
			return "([^/]+)"
		})
		for method, op := range item.Operations() {
			o := &operationDoc{method: method, path: path, match: regexp.MustCompile("^" + pattern + "$"), item: item, Operation: op}
			for _, name := range variable.FindAllString(regexp.QuoteMeta(path), -1) {
				o.params = append(o.params, strings.Trim(name, `\{}`))
			}
			d.operations = append(d.operations, o)
		}
	}
	return d
})

// find returns the operation of a request: one whose path has no variable first.
func (d *documented) find(method, path string) (*operationDoc, map[string]string) {
	var best *operationDoc
	for _, o := range d.operations {
		if o.method == method && o.match.MatchString(path) && (best == nil || len(o.params) < len(best.params)) {
			best = o
		}
	}
	if best == nil {
		return nil, nil
	}
	params := map[string]string{}
	for i, value := range best.match.FindStringSubmatch(path)[1:] {
		params[best.params[i]], _ = url.PathUnescape(value)
	}
	return best, params
}

// exchange is a request with its answer.
type exchange struct {
	method, path string // below the issuer's own path
	url          *url.URL
	header       http.Header
	body         []byte // nil: too long to be looked at
	status       int
	answer       http.Header
	said         []byte
}

// check returns what of an exchange the document does not say.
func (d *documented) check(x *exchange) error {
	op, params := d.find(x.method, x.path)
	if op == nil {
		return nil // a path or a method that there is not; TestMethodsAndPaths looks at these
	}
	d.mu.Lock()
	defer d.mu.Unlock() // the library keeps what it has compiled
	key := x.method + op.path + strconv.Itoa(x.status)
	if d.looked[key]++; d.looked[key] > lookEach && !d.lenient {
		return nil
	}
	r := &http.Request{Method: x.method, URL: x.url, Header: x.header.Clone(), Body: io.NopCloser(bytes.NewReader(x.body)), ContentLength: int64(len(x.body))}
	if len(x.body) > 0 && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json") // U15: what a body is taken for
	}
	anything := op.RequestBody != nil && op.RequestBody.Value.Content["*/*"] != nil
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, QueryParams: x.url.Query(),
		Route: &routers.Route{Spec: d.doc, Path: op.path, PathItem: op.item, Method: x.method, Operation: op.Operation},
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, IncludeResponseStatus: true,
			ExcludeRequestBody: x.body == nil || anything,
		},
	}
	if x.status < 300 && !d.lenient {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			return fmt.Errorf("answered %d, but the document refuses the request: %w", x.status, err)
		}
	}
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: x.status, Header: x.answer, Body: io.NopCloser(bytes.NewReader(x.said)), Options: in.Options,
	})
	if err != nil {
		return fmt.Errorf("the document does not know this answer: %w", err)
	}
	return nil
}

// maxRecorded bounds what is looked at of a body.
const maxRecorded = 256 << 10

// contractual is h, with every exchange held against the document.
func contractual(t testing.TB, base string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, said := &tape{}, &tape{}
		x := &exchange{method: r.Method, url: r.URL, header: r.Header.Clone()}
		r = r.WithContext(r.Context()) // the server looks at the body of its own
		if r.Body != nil {
			r.Body = &heard{r.Body, sent}
		}
		out := &spoken{ResponseWriter: w, tape: said}
		h.ServeHTTP(out, r)
		if out.status == 0 || said.long || r.Context().Err() != nil {
			return
		}
		x.path = strings.TrimPrefix(r.URL.EscapedPath(), base)
		x.status, x.answer, x.said = out.status, w.Header().Clone(), said.Bytes()
		if !sent.long {
			x.body = append([]byte{}, sent.Bytes()...)
		}
		if err := contract().check(x); err != nil {
			t.Errorf("openapi.yaml: %s %s, answered %d %.300s: %v", x.method, r.URL, x.status, x.said, err)
		}
	})
}

// tape keeps what runs past it, up to a bound.
type tape struct {
	bytes.Buffer
	long bool
}

func (p *tape) add(b []byte) {
	if p.Len()+len(b) > maxRecorded {
		p.long = true
		return
	}
	p.Write(b)
}

type heard struct {
	io.ReadCloser
	tape *tape
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.tape.add(p[:n])
	return n, err
}

type spoken struct {
	http.ResponseWriter
	status int
	tape   *tape
}

func (s *spoken) WriteHeader(status int) {
	if s.status == 0 && status >= 200 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *spoken) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	s.tape.add(p)
	return s.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (s *spoken) Unwrap() http.ResponseWriter { return s.ResponseWriter }
