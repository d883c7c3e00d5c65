package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// Frame is what every page has around its own; a page's type embeds it.
type Frame struct {
	Title        string
	Half         string
	Installation string
	Sections     []section
	Here         string // the path that is shown
	Version      string // of the static files
	Name         string // who is signed in; "": nobody
	Role         Role
	Notices      []notice
	Deaf         string // why signals that end sessions here are not heard; "": they are
	Now          time.Time
}

// May reports whether the role is enough for an operation of the admin API: a form that
// leads nowhere is not shown.
func (f Frame) May(method, path string) bool { return f.Role >= needed(method, path) }

// In reports whether the page is in a section of the navigation.
func (f Frame) In(s section) bool {
	return f.Here == s.Path || s.Path != Prefix && strings.HasPrefix(f.Here, s.Path+"/")
}

func (c *Console) frame(title string) Frame {
	return Frame{
		Title: title, Half: c.cfg.Pages.Half, Installation: c.cfg.Name, Sections: c.cfg.Pages.sections,
		Version: staticVersion, Now: c.cfg.Now(),
	}
}

// parsePages reads a page of each file of templates: its name is the file's, its body
// stands in the layout. Files that begin with _ are parts that every page may use.
func parsePages(files fs.FS) (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(functions()).ParseFS(files, "templates/_*.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "templates/[^_]*.html")
	if err != nil {
		return nil, err
	}
	pages := make(map[string]*template.Template, len(names))
	for _, name := range names {
		t, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if _, err := t.ParseFS(files, name); err != nil {
			return nil, err
		}
		pages[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return pages, nil
}

// render answers with a page. One that cannot be made is an error in the log, and never
// half a page.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name string, page any) {
	var b bytes.Buffer
	t := c.pages[name]
	if t == nil {
		panic("console: no template " + name)
	}
	if err := t.ExecuteTemplate(&b, "layout", page); err != nil {
		c.cfg.Logger.ErrorContext(r.Context(), "a page of the console could not be made", "page", name, "err", err)
		http.Error(w, "That went wrong. The log of the process tells why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser may have gone
}

// staticVersion changes with the static files, which browsers keep for a year.
var staticVersion = func() string {
	h := sha256.New()
	names, _ := fs.Glob(files, "static/*") // the pattern is good
	for _, name := range names {
		b, _ := files.ReadFile(name) // it is in the binary
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}()

func static(files fs.FS) http.Handler {
	serve := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") { // no list of files
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		serve.ServeHTTP(w, r)
	})
}

// functions are those of the templates.
func functions() template.FuncMap {
	return template.FuncMap{
		"when": when, "number": number, "short": short, "typeName": typeName, "pretty": pretty, "join": strings.Join,
		"ago": ago, "plural": plural, "confirm": confirm, "people": people, "list": func(v ...any) []any { return v },
		"both": both, "fate": fate, "decided": decided, "inc": func(n int) int { return n + 1 },
	}
}

// when is a time as people read it, and machines: <time>.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.Format(time.RFC3339Nano), t.Format("2006-01-02 15:04:05"))) //nolint:gosec // digits alone
}

// ago tells how long before now t was: "3 min ago".
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " days"
}

// number groups the digits of an integer.
func number(v any) string {
	s := fmt.Sprint(v)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	var out []byte
	for i := range len(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, s[i])
	}
	return sign + string(out)
}

// plural is "1 stream", "2 streams", "2 entries".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	if stem, ok := strings.CutSuffix(word, "y"); ok && !strings.HasSuffix(stem, "e") { // but keys
		return number(n) + " " + stem + "ies"
	}
	return number(n) + " " + word + "s"
}

// shortLength is what is left of an id in a table.
const shortLength = 10

func short(id string) string {
	if len(id) <= shortLength+2 {
		return id
	}
	return id[:shortLength] + "…"
}

// typeName is the last part of an event type's URI.
func typeName(uri string) string { return uri[strings.LastIndexByte(uri, '/')+1:] }

// pretty is JSON with indentation; what is none stays as it is.
func pretty(v any) string {
	var b bytes.Buffer
	raw, err := json.Marshal(v)
	if err != nil || json.Indent(&b, raw, "", "  ") != nil {
		return fmt.Sprint(v)
	}
	return b.String()
}
