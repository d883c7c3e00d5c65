package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// Where the journal, dead letters and the examination of a SET are.
const (
	journalPage = "/console/journal"
	lettersPage = "/console/dead-letters"
	explainPage = "/console/explain"
	lettersAPI  = "/admin/dead-letters"
)

func (c *Console) mountJournal() { c.page("GET "+journalPage, showJournal) }

func (c *Console) mountLetters() {
	c.page("GET "+lettersPage, letters)
	c.act(lettersPage+"/retry", letterAct("retry", "The event is handed to its hooks again."))
	c.act(lettersPage+"/drop", letterAct("drop", "The event was dropped."))
}

func (c *Console) mountExplain() {
	c.page("GET "+explainPage, explain)
	c.act(explainPage, explain) // it changes nothing; a SET is too long for an address
}

// showJournal shows what hooks did about events, and which sessions ended by that.
func showJournal(v *view) error {
	page := struct {
		Frame
		receive.EntryPage
		Totals   []journal.Total
		Verdicts []journal.Verdict
		Asked    url.Values
		Older    string
	}{
		Frame: v.frame("Journal"), Asked: url.Values{},
		Verdicts: journal.Verdicts(),
	}
	for _, name := range []string{"issuer", "jti", "txn", "hook", "verdict", "before"} {
		if text := v.r.FormValue(name); text != "" {
			page.Asked.Set(name, text)
		}
	}
	if err := errors.Join(v.get("/admin/journal", &page.EntryPage, page.Asked), v.get("/admin/journal/totals", &page.Totals)); err != nil {
		return err
	}
	if page.Next != 0 {
		page.Asked.Set("before", strconv.FormatUint(page.Next, 10))
		page.Older = journalPage + "?" + page.Asked.Encode()
	}
	return v.show("journal", page)
}

// letters shows the events that were set aside.
func letters(v *view) error {
	page := struct {
		Frame
		receive.LetterPage
		Older string
	}{Frame: v.frame("Dead letters")}
	query := url.Values{}
	for _, name := range []string{"issuer", "after"} {
		if text := v.r.FormValue(name); text != "" {
			query.Set(name, text)
		}
	}
	if err := v.get(lettersAPI, &page.LetterPage, query); err != nil {
		return err
	}
	if page.Next != "" {
		query.Set("after", page.Next)
		page.Older = lettersPage + "?" + query.Encode()
	}
	return v.show("dead-letters", page)
}

func letterAct(verb, done string) func(*view) error {
	return func(v *view) error {
		ask := receive.LetterID{Issuer: v.r.PostFormValue("iss"), ID: v.r.PostFormValue("jti")}
		return v.tried(v.do(http.MethodPost, lettersAPI+"/"+verb, ask, nil), lettersPage, done)
	}
}

// explain shows what would become of a SET: it is verified and meets the rules, and no
// hook is called.
func explain(v *view) error {
	page := struct {
		Frame
		SET, Issuer string
		Issuers     []receive.IssuerHealth
		Explained   any
		Wrong       string
	}{Frame: v.frame("Explain"), SET: v.r.PostFormValue("set"), Issuer: v.r.PostFormValue("issuer")}
	var health receive.Health
	if err := v.get("/admin/health", &health); err != nil {
		return err
	}
	page.Issuers = health.Issuers
	if page.SET != "" {
		path := "/admin/explain"
		if page.Issuer != "" {
			path += "?issuer=" + url.QueryEscape(page.Issuer)
		}
		err := v.do(http.MethodPost, path, []byte(page.SET), &page.Explained)
		var refused *adminapi.Error
		if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
			page.Wrong = refused.Error()
			v.console.render(v.w, v.r, refused.Status, "explain", page)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return v.show("explain", page)
}
