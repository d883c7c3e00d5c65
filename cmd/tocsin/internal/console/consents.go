package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
)

// Where consents are, here and in the admin API.
const (
	consentsPage = "/console/consents"
	consentsAPI  = "/admin/consents"
)

// decisionsOfPage is how many decisions a page has.
const decisionsOfPage = "25"

func (c *Console) mountConsents() {
	c.page("GET "+consentsPage, gates)
	c.page("GET "+consentsPage+"/{application}", consents)
	c.act(consentsPage+"/{application}", askForConsents)
	c.act(consentsPage+"/{application}/decide", decide)
	c.act(consentsPage+"/{application}/gate", setGate)
}

// gate is that of an application, as the admin API has it.
type gate struct {
	Application string `json:"application"`
	consent.Settings
}

// gates lists applications with their gates.
func gates(v *view) error {
	page := struct {
		Frame
		paged
		Gates []gate
	}{Frame: v.frame("Consents")}
	var list struct {
		Gates []gate `json:"gates"`
		Next  string `json:"next"`
	}
	var ask url.Values
	page.paged, ask = v.paged()
	if err := v.get(consentsAPI+"/gates", &list, ask); err != nil {
		return err
	}
	page.Gates = list.Gates
	page.on(consentsPage, list.Next)
	return v.show("gates", page)
}

// decision is one as the admin API has it.
type decision struct {
	ID       string            `json:"id"`
	Subjects []json.RawMessage `json:"subject"`
	Decision string            `json:"decision"`
	Time     time.Time         `json:"time,omitzero"`
	Recorded time.Time         `json:"recorded_at"`
	Reason   string            `json:"reason"`
	SourceID string            `json:"source_id"`
	By       string            `json:"by"`
}

type consentsPageData struct {
	Frame
	Application string
	Gate        gate
	Held        consent.Count
	Subject     string // who was asked for; "": all
	Show        bool   // subjects
	Wrong       string
	Found       struct {
		State     string     `json:"state"`
		Since     *time.Time `json:"since"`
		Decisions []decision `json:"decisions"`
		Next      string     `json:"next"`
	}
	Next string
	Past bool
}

// consents shows an application's gate and its decisions: all, or those of the subject that the
// session looked for.
func consents(v *view) error {
	id := v.r.PathValue("application")
	of := url.Values{"application": {id}}
	page := consentsPageData{Frame: v.frame("Consents"), Application: id, Show: v.r.URL.Query().Has("show"), Past: v.r.URL.Query().Has("after")}
	query := url.Values{"application": {id}, "limit": {decisionsOfPage}}
	if after := v.r.URL.Query().Get("after"); after != "" {
		query.Set("after", after)
	}
	if key := v.r.URL.Query().Get("search"); key != "" {
		asked, ok := v.session.searches.of(key)
		if !ok {
			return &failure{status: http.StatusNotFound, title: "Search again", text: "This search is no longer remembered. Enter it again on the page Consents."}
		}
		page.Subject, page.Show = asked.Get("subject"), true
	}
	if err := v.get(consentsAPI+"/gate", &page.Gate, of); err != nil {
		return err
	}
	if err := v.get(consentsAPI+"/held", &page.Held, of); err != nil {
		return err
	}
	var err error
	if page.Subject != "" {
		var who json.RawMessage
		if who, err = subjectOf(page.Subject); err == nil {
			query.Set("subject", string(who))
		}
	}
	if err == nil {
		err = v.get(consentsAPI, &page.Found, query)
	}
	var refused *adminapi.Error
	switch {
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError, errors.Is(err, errSubject):
		page.Wrong = err.Error() + "."
	case err != nil:
		return err
	}
	if page.Found.Next != "" {
		here := v.r.URL.Query()
		here.Set("after", page.Found.Next)
		page.Next = v.r.URL.Path + "?" + here.Encode()
	}
	return v.show("consents", page)
}

// consentsAt is the page of the application of the request.
func (v *view) consentsAt() string {
	return consentsPage + "/" + url.PathEscape(v.r.PathValue("application"))
}

// askForConsents takes the form of a search and goes on to its page. It changes nothing.
func askForConsents(v *view) error {
	to := v.consentsAt()
	if who := strings.TrimSpace(v.r.PostFormValue("subject")); who != "" {
		to += "?search=" + v.session.searches.keep(url.Values{"subject": {who}})
	} else if v.r.PostFormValue("show") != "" {
		to += "?show=subjects"
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// decide notes a decision.
func decide(v *view) error {
	ask := map[string]any{"application": v.r.PathValue("application"), "decision": v.r.PostFormValue("decision")}
	who, err := subjectOf(v.r.PostFormValue("subject"))
	if err != nil {
		v.session.note(notice{Text: "Not done: " + err.Error() + "."})
		http.Redirect(v.w, v.r, v.consentsAt(), http.StatusSeeOther)
		return nil
	}
	ask["subject"] = who
	for _, name := range []string{"reason", "source_id"} {
		if value := strings.TrimSpace(v.r.PostFormValue(name)); value != "" {
			ask[name] = value
		}
	}
	if at := v.r.PostFormValue("time"); at != "" {
		ask["time"] = utc(at)
	}
	return v.tried(v.do(http.MethodPost, consentsAPI, ask, nil), v.consentsAt(), "The decision was noted.")
}

// setGate changes the settings of a gate, as a whole.
func setGate(v *view) error {
	ask := map[string]any{
		"application": v.r.PathValue("application"), "enabled": v.r.PostFormValue("enabled") != "", "refused": v.r.PostFormValue("refused"),
	}
	for _, name := range []string{"hold_seconds", "drop_after_seconds"} {
		n, err := strconv.ParseInt(strings.TrimSpace(v.r.PostFormValue(name)), 10, 64)
		if err != nil {
			v.session.note(notice{Text: "Not done: " + name + " is not a whole number of seconds."})
			http.Redirect(v.w, v.r, v.consentsAt(), http.StatusSeeOther)
			return nil
		}
		ask[name] = n
	}
	return v.tried(v.do(http.MethodPut, consentsAPI+"/gate", ask, nil), v.consentsAt(), "The gate was set. It governs what comes from now on.")
}
