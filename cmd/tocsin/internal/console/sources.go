package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// Where vendors' sources are, here and in the admin API.
const (
	sourcesPage = "/console/sources"
	sourcesAPI  = "/admin/sources"
)

func (c *Console) mountSources() {
	c.page("GET "+sourcesPage, sources)
	c.act(sourcesPage, addSource)
	c.act(sourcesPage+"/{name}/rotate", rotateSource)
	c.act(sourcesPage+"/{name}/fetch", fetchSource)
	c.act(sourcesPage+"/{name}/remove", removeSource)
}

// vendorSource is one as the admin API lists it.
type vendorSource struct {
	Name         string    `json:"name"`
	Kind         string    `json:"kind"`
	Auth         string    `json:"auth"`
	Environment  string    `json:"environment"`
	Applications []string  `json:"applications"`
	Path         string    `json:"path"`
	Created      time.Time `json:"created"`
	Signed       bool      `json:"signed"`
	API          *struct {
		URL         string `json:"url"`
		PollSeconds int    `json:"poll_seconds"`
	} `json:"api"`
	Polled *struct {
		LastSuccess time.Time `json:"last_success"`
		Failures    int       `json:"failures"`
		LastFailure time.Time `json:"last_failure"`
		LastError   string    `json:"last_error"`
	} `json:"polled"`
}

func sources(v *view) error {
	page := struct {
		Frame
		Sources []vendorSource
		Kinds   []string
		Ways    []string
	}{
		Frame: v.frame("Sources"), Kinds: []string{auth.KindIDme, auth.KindOneLogin, auth.KindFingerprint},
		Ways: []string{auth.VendorBearer, auth.VendorBasic, auth.VendorHeader},
	}
	if err := v.get(sourcesAPI, &page.Sources); err != nil {
		return err
	}
	return v.show("sources", page)
}

func addSource(v *view) error {
	ask := map[string]any{"name": v.r.PostFormValue("name"), "kind": v.r.PostFormValue("kind"), "auth": v.r.PostFormValue("auth")}
	for _, member := range []string{"user", "header", "environment", "signature_secret"} {
		if text := v.r.PostFormValue(member); text != "" {
			ask[member] = text
		}
	}
	if list := strings.Fields(v.r.PostFormValue("applications")); len(list) > 0 { // an empty list is none, no list all
		ask["applications"] = list
	}
	var made struct {
		Name, Path, User, Header, Secret string
		Warning                          string
	}
	err := v.do(http.MethodPost, sourcesAPI, ask, &made)
	var given []labelled
	for _, l := range []labelled{{"Path", made.Path}, {"User", made.User}, {"Header", made.Header}, {"Secret", made.Secret}} {
		if l.Value != "" {
			given = append(given, l)
		}
	}
	return v.tried(err, sourcesPage, strings.TrimSpace("Source "+made.Name+" was added. "+made.Warning), given...)
}

func rotateSource(v *view) error {
	name := v.r.PathValue("name")
	hours, err := strconv.Atoi(v.r.PostFormValue("keep_hours"))
	if err != nil {
		return v.tried(badField("keep the old one", "is no number of hours"), sourcesPage, "")
	}
	var made struct{ Secret string }
	err = v.do(http.MethodPost, sourcesAPI+"/"+url.PathEscape(name)+"/rotate", map[string]int{"keep_seconds": hours * 3600}, &made)
	return v.tried(err, sourcesPage, "Source "+name+" has a new secret.", labelled{"Secret", made.Secret})
}

func fetchSource(v *view) error {
	var counts struct{ Kept, Seen, Denied, Refused int }
	path := sourcesAPI + "/" + url.PathEscape(v.r.PathValue("name")) + "/fetch"
	err := v.do(http.MethodPost, path, map[string]string{"id": v.r.PostFormValue("id")}, &counts)
	return v.tried(err, sourcesPage, fmt.Sprintf("Fetched: %d kept, %d known before, %d not for this source, %d refused.", counts.Kept, counts.Seen, counts.Denied, counts.Refused))
}

func removeSource(v *view) error {
	name := v.r.PathValue("name")
	if !v.sure(name, sourcesPage) {
		return nil
	}
	err := v.do(http.MethodDelete, sourcesAPI+"/"+url.PathEscape(name), nil, nil)
	return v.tried(err, sourcesPage, "Source "+name+" was removed; its events stay in the log.")
}
