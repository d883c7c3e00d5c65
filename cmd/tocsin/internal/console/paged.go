package console

import "net/url"

// Limits of lists.
const (
	listed     = "50" // entries of a page
	selectable = "50" // applications that stand in a list to choose from
)

// paged is a page of a list, by a search.
type paged struct {
	Q     string // what was searched for; "": all
	Of    string // the application whose entries are listed; "": all
	Past  bool   // it is not the first
	First string // where the first page of the search is
	Next  string // where the next one is; "": this is the last
}

// Any reports whether something was searched for.
func (p paged) Any() bool { return p.Q+p.Of != "" }

// paged reads what of a list is asked for, and returns it with the query for the API.
func (v *view) paged() (p paged, ask url.Values) {
	q := v.r.URL.Query()
	p = paged{Q: q.Get("q"), Of: q.Get("application"), Past: q.Has("after")}
	ask = url.Values{"limit": {listed}}
	for name, value := range map[string]string{"q": p.Q, "application": p.Of, "after": q.Get("after")} {
		if value != "" {
			ask.Set(name, value)
		}
	}
	p.First = pageOf(v.r.URL.Path, p.query(""))
	return p, ask
}

func (p paged) query(after string) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"q": p.Q, "application": p.Of, "after": after} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// on notes what the API says of the next page of a path.
func (p *paged) on(path, next string) {
	if next != "" {
		p.Next = pageOf(path, p.query(next))
	}
}

// choice are applications to choose from.
type choice struct {
	List   []application
	Many   bool   // there are more: the id is typed
	Chosen string // its id
}

// choose returns the applications that a form lets choose from.
func (v *view) choose(chosen string) (c choice, err error) {
	var page struct {
		Applications []application `json:"applications"`
		Next         string        `json:"next"`
	}
	err = v.get(applicationsAPI, &page, url.Values{"limit": {selectable}})
	return choice{List: page.Applications, Many: page.Next != "", Chosen: chosen}, err
}
