package console

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// Where events are, here and in the admin API.
const (
	eventsPage = "/console/events"
	eventsAPI  = "/admin/events"
	typesAPI   = "/admin/event-types"
)

// eventsOfPage is how many events a page has unless it is asked for another number.
const eventsOfPage = "25"

func (c *Console) mountEvents() {
	c.page("GET "+eventsPage, findEvents)
	c.act(eventsPage, askForEvents)
	c.page("GET "+eventsPage+"/{id}", showEvent)
	c.page("GET "+eventsPage+"/{id}/proof", eventProof)
	c.act(eventsPage+"/{id}/annotate", annotateEvent)
	c.page("GET "+eventsPage+"/emit", showEmit)
	c.act(eventsPage+"/emit", emitEvent)
	c.page("GET "+eventsPage+"/try", showTry)
	c.act(eventsPage+"/try", tryEvent)
}

// filter is one of a search's.
type filter struct {
	Name, Label string
	// Hint says what to type; "": a value a line.
	Hint string
	// Plain filters name nobody and may stand in an address.
	Plain bool
}

// filled is a filter with the page that it is shown on.
type filled struct {
	Filter filter
	Page   eventsPageData
}

func both(f filter, page eventsPageData) filled { return filled{f, page} }

// filters are those that take several values, one a line; docs/search.md tells what they match.
func filters() []filter {
	return []filter{
		{"type", "Type", "session.revoked, idme:session.signin, …", true},
		{"source", "Source", "Who wrote it.", true},
		{"subject", "Subject", "E-mail address, +phone, id, or an identifier as JSON.", false},
		{"session", "Session", "The source's id of it.", false},
		{"ip_address", "Address or network", "203.0.113.0/24", false},
		{"identifier", "User id at the source", "", false},
		{"email", "E-mail address", "", false},
		{"actor", "Actor", "Id of the user who acted.", false},
		{"linked_id", "Linked id", "", false},
		{"fingerprint", "Fingerprint", "", false},
		{"category", "Category", "authentication, security, …", true},
		{"environment", "Environment", "", true},
		{"application", "Application at the source", "", true},
		{"signals", "Signals", "vpn=true, one a line; all must hold.", false},
		{"tags", "Tags", "case=4711, one a line; all must hold.", false},
	}
}

// single are the filters of one value.
func single() []string {
	return []string{"start", "end", "suspect", "min_risk_score", "reverse", "limit"}
}

// eventsPageData is what its template shows.
type eventsPageData struct {
	Frame
	Asked  url.Values
	Always []filter // those that are seen at once
	More   []filter
	Opened bool // one of More is asked for
	Types  []mapping.Type
	Wrong  string
	Events []event
	Total  int
	Next   string // the address of the next page
	Show   bool   // subjects too
	Past   bool   // it is not the first page
}

// Lines are the values of a filter as they are typed.
func (p eventsPageData) Lines(name string) string { return strings.Join(p.Asked[name], "\n") }

// findEvents shows a page of a search: one that the session remembers (?search=), or one
// whose filters name nobody and stand in the address.
func findEvents(v *view) error {
	asked, err := v.asked()
	if err != nil {
		return err
	}
	all := filters()
	page := eventsPageData{Frame: v.frame("Events"), Asked: asked, Always: all[:4], More: all[4:], Show: asked.Get("show") != "", Past: v.r.URL.Query().Has("cursor")}
	page.Opened = slices.ContainsFunc(page.More, func(f filter) bool { return asked.Has(f.Name) }) || asked.Get("suspect")+asked.Get("min_risk_score") != ""
	if page.Types, err = v.types(); err != nil {
		return err
	}
	query, err := queryOf(asked)
	if err == nil {
		if cursor := v.r.URL.Query().Get("cursor"); cursor != "" {
			query.Set("cursor", cursor)
			query.Del("total_hits")
		}
		var found struct {
			Events []event
			Cursor string
			Total  int `json:"total_hits"`
		}
		err = v.get(eventsAPI, &found, query)
		page.Events, page.Total = found.Events, found.Total
		if found.Cursor != "" {
			here := v.r.URL.Query()
			here.Set("cursor", found.Cursor)
			page.Next = eventsPage + "?" + here.Encode()
		}
	}
	var refused *adminapi.Error
	switch {
	case errors.As(err, &refused) && refused.Status != http.StatusInternalServerError:
		page.Wrong = refused.Error() + "."
	case errors.Is(err, errSubject), errors.Is(err, errPair):
		page.Wrong = "Not searched: " + err.Error() + "."
	case err != nil:
		return err
	}
	return v.show("events", page)
}

// asked returns what is looked for.
func (v *view) asked() (url.Values, error) {
	query := v.r.URL.Query()
	if key := query.Get("search"); key != "" {
		if asked, ok := v.session.searches.of(key); ok {
			return asked, nil
		}
		return nil, &failure{status: http.StatusNotFound, title: "Search again", text: "This search is no longer remembered. Enter it again on the page Events."}
	}
	query.Del("cursor")
	if !plain(query) {
		return nil, &failure{status: http.StatusBadRequest, title: "Not in an address", text: "What may name a user is sent by the form of the page Events, so that it stays out of logs and histories."}
	}
	return query, nil
}

// plain reports whether a search names nobody.
func plain(asked url.Values) bool {
	for name := range asked {
		if name != "show" && !slices.Contains(single(), name) &&
			!slices.ContainsFunc(filters(), func(f filter) bool { return f.Plain && f.Name == name }) {
			return false
		}
	}
	return true
}

// askForEvents takes the form of a search and goes on to its page. It changes nothing.
func askForEvents(v *view) error {
	if err := v.r.ParseForm(); err != nil {
		return errForm
	}
	asked := url.Values{}
	for _, f := range filters() {
		for line := range strings.Lines(v.r.PostForm.Get(f.Name)) {
			if line = strings.TrimSpace(line); line != "" {
				asked.Add(f.Name, line)
			}
		}
	}
	for _, name := range append(single(), "show") {
		if value := strings.TrimSpace(v.r.PostForm.Get(name)); value != "" {
			asked.Set(name, value)
		}
	}
	to := eventsPage
	if !plain(asked) {
		asked = url.Values{"search": {v.session.searches.keep(asked)}}
	}
	if len(asked) > 0 {
		to += "?" + asked.Encode()
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

var (
	errForm = &failure{status: http.StatusBadRequest, title: "Not understood", text: "The form could not be read."}
	errPair = errors.New("a signal or tag is a name, = and a value")
)

// queryOf returns the parameters of the API for what was typed. Errors: errSubject, errPair.
func queryOf(asked url.Values) (url.Values, error) {
	query := maps.Clone(asked)
	for _, own := range []string{"show", "signals", "tags", "subject"} {
		query.Del(own)
	}
	for _, prefix := range []string{"signals", "tags"} {
		for _, pair := range asked[prefix] {
			name, value, ok := strings.Cut(pair, "=")
			if !ok || name == "" {
				return nil, errPair
			}
			query.Add(prefix+"."+name, value)
		}
	}
	for _, text := range asked["subject"] {
		id, err := subjectOf(text)
		if err != nil {
			return nil, err
		}
		query.Add("subject", string(id))
	}
	for _, name := range []string{"start", "end"} {
		if given := query.Get(name); given != "" {
			query.Set(name, utc(given))
		}
	}
	if !query.Has("limit") {
		query.Set("limit", eventsOfPage)
	}
	query.Set("total_hits", "1000")
	return query, nil
}

// utc is what a browser's field for times sends, in RFC 3339; anything else stays.
func utc(given string) string {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02T15:04:05.000"} {
		if at, err := time.Parse(layout, given); err == nil {
			return at.Format(time.RFC3339Nano)
		}
	}
	return given
}

// types is the catalogue of types.
func (v *view) types() ([]mapping.Type, error) {
	var out struct{ Types []mapping.Type }
	err := v.get(typesAPI, &out)
	return out.Types, err
}

// event is one as the admin API has it, but for its attributes.
type event struct {
	ID           string            `json:"id"`
	Source       string            `json:"source"`
	SourceID     string            `json:"source_id"`
	Type         string            `json:"type"`
	Time         time.Time         `json:"time,omitzero"`
	Recorded     time.Time         `json:"recorded_at"`
	Subjects     []json.RawMessage `json:"subjects"`
	Data         json.RawMessage   `json:"data"`
	Format       string            `json:"format"`
	Record       json.RawMessage   `json:"record"`
	Sets         []securityEvent   `json:"sets"`
	MappingError string            `json:"mapping_error"`
	Environment  string            `json:"environment"`
	Suspect      *bool             `json:"suspect"`
}

// IsSuspect reports whether somebody said so.
func (e *event) IsSuspect() bool { return e.Suspect != nil && *e.Suspect }

// securityEvent is what an event becomes.
type securityEvent struct {
	Type     string            `json:"type"`
	Payload  json.RawMessage   `json:"payload"`
	Subjects []json.RawMessage `json:"subjects"`
}
