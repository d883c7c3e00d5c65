package console_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Applications, clients, webhooks and gates stand on pages, each entry on one of them, and
// are found by a search; an application is typed where there are too many to choose from.
func TestListsHavePages(t *testing.T) {
	t.Parallel()
	h := open(t)
	const many = 120
	for i := range many {
		id := fmt.Sprintf("app%03d", i)
		h.operate(http.MethodPost, "/admin/applications", map[string]any{"id": id, "name": "Shop " + id, "audience": []string{"https://" + id + ".example", "https://other-" + id + ".example"}}, nil)
		h.operate(http.MethodPost, "/admin/clients", map[string]any{"id": id + "-client", "application": id, "scope": "ssf.read"}, nil)
		h.operate(http.MethodPost, "/admin/webhooks", map[string]any{"application": id, "url": "https://hooks-" + id + ".example/in", "types": []string{"*"}}, nil)
	}
	v := h.signedIn()
	row, next := regexp.MustCompile(`(?s)<th scope="row">.*?(app\d{3})`), regexp.MustCompile(`href="([^"]*)" rel="next"`)
	for _, list := range []string{"applications", "clients", "webhooks", "consents"} {
		seen, pages := map[string]int{}, 0
		for at := "/console/" + list; at != ""; pages++ {
			p := v.get(at)
			p.wants(t, 200, "on this page")
			rows := row.FindAllStringSubmatch(p.body, -1)
			if len(rows) > 50 {
				t.Fatalf("%s: got %d rows, want at most 50", at, len(rows))
			}
			for _, r := range rows {
				seen[r[1]]++
			}
			if strings.Contains(p.body, "<option value=\"app000\"") {
				t.Errorf("%s: all applications stand in a list to choose from", at)
			}
			at = ""
			if m := next.FindStringSubmatch(p.body); m != nil {
				at = strings.ReplaceAll(m[1], "&amp;", "&")
			}
		}
		if len(seen) != many || pages != 3 {
			t.Errorf("%s: got %d entries on %d pages, want %d on 3", list, len(seen), pages, many)
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s: got %s on %d pages", list, id, n)
			}
		}
		p := v.get("/console/" + list + "?q=APP077")
		p.wants(t, 200, "app077")
		p.lacks(t, "app078", "on this page")
		v.get("/console/"+list+"?q=none").wants(t, 200, "like that.")
		v.get("/console/"+list+"?after=x").wants(t, 400, "after")
	}
	v.get("/console/applications?q=https://other-app033.example").wants(t, 200, "Shop app033", "https://app033.example")
	p := v.get("/console/clients?application=app044")
	p.wants(t, 200, "app044-client", "1 client,")
	p.lacks(t, "app045")
	v.post("/console/clients", "application", "app119", "scope", "ssf.read").wants(t, 200, "was added")
	v.post("/console/clients", "application", "nobody", "scope", "ssf.read").wants(t, 200, "Not done: ")
	var all []struct{}
	h.operate(http.MethodGet, "/admin/applications", nil, &all)
	if len(all) != many {
		t.Errorf("the whole list: got %d, want %d", len(all), many)
	}
}
