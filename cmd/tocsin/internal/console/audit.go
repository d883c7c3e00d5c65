package console

import (
	"encoding/json"
	"net/url"
	"sort"
	"strings"
	"time"
)

// Where acts are, here and in the admin API.
const (
	auditPage = "/console/audit"
	auditAPI  = "/admin/acts"
)

func (c *Console) mountAudit() { c.page("GET "+auditPage, audit) }

// act is one as the admin API lists it.
type act struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	Act  string    `json:"act"`
	By   struct {
		Node        string `json:"node"`
		Client      string `json:"client"`
		Application string `json:"application"`
		Person      string `json:"person"`
		Sub         string `json:"sub"`
		UID         *int   `json:"uid"`
		Via         string `json:"via"`
	} `json:"by"`
	From    string                     `json:"from"`
	Request string                     `json:"request"`
	Objects map[string]string          `json:"objects"`
	Set     map[string]json.RawMessage `json:"set"`
	Hidden  []string                   `json:"hidden"`
	Outcome string                     `json:"outcome"`
	Status  int                        `json:"status"`
	Code    string                     `json:"code"`
}

// Given are the members that were given, in order, as they may be told.
func (a act) Given() []labelled {
	all := make([]labelled, 0, len(a.Set)+len(a.Hidden))
	for name, raw := range a.Set {
		all = append(all, labelled{name, string(raw)})
	}
	for _, name := range a.Hidden {
		all = append(all, labelled{name, "(given, not told)"})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Label < all[j].Label })
	return all
}

type auditView struct {
	Frame
	Act, By, Object, Since, Until string
	Acts                          []act  `json:"acts"`
	Next                          string `json:"next"`
	Older                         string // where the next page is
}

func audit(v *view) error {
	page := auditView{
		Frame: v.frame("Audit"), Act: v.r.FormValue("act"), By: v.r.FormValue("by"), Object: v.r.FormValue("object"),
		Since: v.r.FormValue("since"), Until: v.r.FormValue("until"),
	}
	query := url.Values{}
	for name, text := range map[string]string{
		"act": page.Act, "by": page.By, "object": page.Object, "since": asTime(page.Since), "until": asTime(page.Until), "before": v.r.FormValue("before"),
	} {
		if text = strings.TrimSpace(text); text != "" {
			query.Set(name, text)
		}
	}
	if err := v.get(auditAPI, &page, query); err != nil {
		return err
	}
	if page.Next != "" {
		query.Set("before", page.Next)
		page.Older = auditPage + "?" + query.Encode()
	}
	return v.show("audit", page)
}

// asTime reads what a browser sends for a time, which is in UTC here; anything else is
// left for the API to judge.
func asTime(text string) string {
	if t, err := time.Parse("2006-01-02T15:04", text); err == nil {
		return t.Format(time.RFC3339)
	}
	return text
}
