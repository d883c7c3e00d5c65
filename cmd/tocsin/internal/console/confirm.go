package console

import (
	"html/template"
	"net/http"
)

// confirmation is the form of an act that cannot be taken back: it asks for the id of
// what it is about. Its template is "confirm".
type confirmation struct {
	Act    string // "Remove"
	Path   string // where the form goes
	ID     string
	Warns  string
	Anchor string // an id on the page that no other form has
}

// confirm is for templates.
func confirm(act, path, id, warns string) confirmation {
	return confirmation{Act: act, Path: path, ID: id, Warns: warns, Anchor: "sure-" + template.HTMLEscapeString(id)}
}

// sure reports whether the form was confirmed by the id; if not, path is shown, and says
// so.
func (v *view) sure(id, path string) bool {
	if v.r.PostFormValue("sure") == id {
		return true
	}
	v.session.note(notice{Text: "Not done: type " + id + " to go on."})
	http.Redirect(v.w, v.r, path, http.StatusSeeOther)
	return false
}
