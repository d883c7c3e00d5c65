package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// view is one request of somebody who is signed in, to a page or an act.
type view struct {
	console *Console
	w       http.ResponseWriter
	r       *http.Request
	session *session
}

// may reports whether the session's role is enough for an operation of the admin API.
func (v *view) may(method, path string) bool { return v.session.role >= needed(method, path) }

// get asks the admin API for path, with a query where there is one, and reads the answer
// into out.
func (v *view) get(path string, out any, query ...url.Values) error {
	ask := path
	for _, q := range query {
		if len(q) > 0 {
			ask += "?" + q.Encode()
		}
	}
	return v.console.api.Do(v.r.Context(), http.MethodGet, ask, nil, out)
}

// do asks the admin API to change something. Error: a *failure if the role is too small.
func (v *view) do(method, path string, body, out any) error {
	operation, _, _ := strings.Cut(path, "?")
	if err := v.mayNot(method, operation); err != nil {
		return err
	}
	return v.console.api.Do(v.r.Context(), method, path, body, out)
}

// mayNot returns the *failure of who may not ask for an operation; nil: they may.
func (v *view) mayNot(method, path string) error {
	if v.may(method, path) {
		return nil
	}
	return &failure{
		status: http.StatusForbidden, title: "Not yours to do",
		text: fmt.Sprintf("You are signed in as %s; this takes the role %s.", v.session.role, needed(method, path)),
	}
}

// show answers with a page.
func (v *view) show(name string, page any) error {
	v.console.render(v.w, v.r, http.StatusOK, name, page)
	return nil
}

// done ends an act: the browser goes on to path, where text is said.
func (v *view) done(path, text string, secrets ...labelled) error {
	v.session.note(notice{Good: true, Text: text, Secret: secrets})
	http.Redirect(v.w, v.r, path, http.StatusSeeOther)
	return nil
}

// tried ends an act that the API was asked for: what it refused is said on path, as the
// API says it; anything else is err.
func (v *view) tried(err error, path, text string, secrets ...labelled) error {
	var refused *adminapi.Error
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
		v.session.note(notice{Text: "Not done: " + refused.Error() + "."})
		http.Redirect(v.w, v.r, path, http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	return v.done(path, text, secrets...)
}

// badField is what a form's field is refused with before the API is asked.
func badField(field, why string) error {
	return &adminapi.Error{Status: http.StatusBadRequest, Code: "invalid_request", Member: field, Description: why}
}

// frame returns what every page has, under a title.
func (v *view) frame(title string) Frame {
	f := v.console.frame(title)
	f.Name, f.Role, f.Notices, f.Here = v.session.name, v.session.role, v.session.noted(), v.r.URL.Path
	if f.Here == Prefix {
		f.Deaf, _ = v.console.deaf(v.r.Context())
	}
	return f
}

// failure is a page that says why there is no other.
type failure struct {
	status      int
	title, text string
}

func (f *failure) Error() string { return f.title + ": " + f.text }

var errNoPage = &failure{status: http.StatusNotFound, title: "Not here", text: "There is no such page."}

// refuse answers with a page about err. What is not known to be for people's eyes is in
// the log alone.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var (
		said    *failure
		refused *adminapi.Error
		page    = &failure{status: http.StatusInternalServerError, title: "That went wrong", text: "The log of the process tells why."}
	)
	switch {
	case errors.As(err, &said):
		page = said
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
		page = &failure{status: refused.Status, title: "Not here", text: "There is no such thing, or no longer."}
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError, errors.As(err, &refused) && refused.Status == http.StatusNotImplemented:
		page = &failure{status: refused.Status, title: "Not done", text: refused.Error() + "."}
	case errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable:
		page = &failure{status: refused.Status, title: "Not now", text: refused.Error() + ". Try again in a moment."}
	default:
		c.cfg.Logger.ErrorContext(r.Context(), "a page of the console failed", "path", r.Pattern, "err", err)
	}
	f := c.frame(page.title)
	if s, ok := r.Context().Value(operatorKey{}).(*session); ok {
		f.Name, f.Role, f.Here = s.name, s.role, r.URL.Path
	}
	c.render(w, r, page.status, "failure", struct {
		Frame
		Text string
	}{f, page.text})
}
