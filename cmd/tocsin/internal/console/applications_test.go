package console_test

import (
	"net/http"
	"testing"
)

// Applications are added and removed; what the admin API refuses is said as it says it.
func TestApplications(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	v.get("/console/applications").wants(t, 200, "There is no application yet")
	v.post("/console/applications", "audience", "https://shop.example", "id", "shop", "name", `<b>"Shop"</b>`).wants(t, 200, "Application shop was added", "&lt;b&gt;", "https://shop.example")
	v.post("/console/applications", "audience", "https://shop.example", "id", "shop").wants(t, 200, "Not done: the id, the name or an audience is taken already")
	v.post("/console/applications", "id", "void").wants(t, 200, "Not done: audience")
	v.post("/console/applications/shop/remove", "sure", "shipp").wants(t, 200, "Not done: type shop to go on", "https://shop.example")
	v.post("/console/applications/shop/remove", "sure", "shop").wants(t, 200, "Application shop was removed", "There is no application yet")
	v.post("/console/applications/shop/remove", "sure", "shop").wants(t, 200, "Not done: there is no such thing here")
}

func TestApplicationsInBrowser(t *testing.T) {
	h := open(t)
	b := h.browse(t)
	b.look("overview")
	b.press(`nav a[href="/console/applications"]`)
	b.look("applications-empty")
	b.fill("#audience", "https://shop.example")
	b.fill("#id", "shop")
	b.press(".fields button.main")
	b.says("Application shop was added")
	b.look("applications")
	var list []struct{ ID string }
	h.operate(http.MethodGet, "/admin/applications", nil, &list)
	if len(list) != 1 || list[0].ID != "shop" {
		t.Errorf("got %+v, want shop", list)
	}
	b.click("tbody summary")
	b.fill("#sure-shop", "shop")
	b.press("tbody button.danger")
	b.says("Application shop was removed", "There is no application yet")
}
