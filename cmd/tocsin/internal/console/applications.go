package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Where applications are, here and in the admin API.
const (
	applicationsPage = "/console/applications"
	applicationsAPI  = "/admin/applications"
)

func (c *Console) mountApplications() {
	c.page("GET "+applicationsPage, applications)
	c.act(applicationsPage, addApplication)
	c.act(applicationsPage+"/{id}/remove", removeApplication)
}

// application is one as the admin API has it.
type application struct {
	ID            string    `json:"id,omitempty"`
	Name          string    `json:"name,omitempty"`
	Audience      []string  `json:"audience"`
	SubjectFormat string    `json:"subject_format,omitempty"`
	Profile       string    `json:"profile,omitempty"`
	Created       time.Time `json:"created,omitzero"`
}

func applications(v *view) error {
	page := struct {
		Frame
		paged
		Applications []application
	}{Frame: v.frame("Applications")}
	var list struct {
		Applications []application `json:"applications"`
		Next         string        `json:"next"`
	}
	var ask url.Values
	page.paged, ask = v.paged()
	if err := v.get(applicationsAPI, &list, ask); err != nil {
		return err
	}
	page.Applications = list.Applications
	page.on(applicationsPage, list.Next)
	return v.show("applications", page)
}

func addApplication(v *view) error {
	ask := application{
		ID: v.r.PostFormValue("id"), Name: v.r.PostFormValue("name"),
		Audience: strings.Fields(v.r.PostFormValue("audience")), SubjectFormat: v.r.PostFormValue("subject_format"),
	}
	var made application
	err := v.do(http.MethodPost, applicationsAPI, ask, &made)
	return v.tried(err, applicationsPage, "Application "+made.ID+" was added. It needs a client next.")
}

func removeApplication(v *view) error {
	id := v.r.PathValue("id")
	if !v.sure(id, applicationsPage) {
		return nil
	}
	err := v.do(http.MethodDelete, applicationsAPI+"/"+url.PathEscape(id), nil, nil)
	return v.tried(err, applicationsPage, "Application "+id+" was removed, with its streams and clients.")
}
