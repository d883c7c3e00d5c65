package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// secretOf returns what is shown under a label once.
func secretOf(t *testing.T, body, label string) string {
	t.Helper()
	m := regexp.MustCompile(`<dt>` + label + `</dt><dd><code>([^<]+)</code>`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("got no %s, want it shown once\n%s", label, body)
	}
	return m[1]
}

// A client's secret is shown once; rotated credentials work, and so do the old ones for
// as long as was said.
func TestClients(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	v.get("/console/clients").wants(t, 200, "There is no client")
	v.post("/console/applications", "audience", "https://shop.example", "id", "shop")
	p := v.post("/console/clients", "application", "shop", "id", "shop-1", "scope", "ssf.manage", "scope", "ssf.read", "static", "on")
	p.wants(t, 200, "Client shop-1 was added", "Shown this once")
	token := secretOf(t, p.body, "access_token")
	if again := v.get("/console/clients"); strings.Contains(again.body, token) || strings.Contains(again.body, "Shown this once") {
		t.Error("the token is shown twice")
	}
	works := func(token string) bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.issuer+"/ssf/streams", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	if !works(token) {
		t.Error("the token that was shown does not work")
	}
	p = v.post("/console/clients/shop-1/rotate", "keep_hours", "0")
	p.wants(t, 200, "has new credentials")
	if next := secretOf(t, p.body, "access_token"); !works(next) || works(token) {
		t.Errorf("after rotation: got %v for the new and %v for the old token, want true and false", works(next), works(token))
	}
	v.post("/console/clients/shop-1/rotate", "keep_hours", "x").wants(t, 200, "Not done")
	v.post("/console/clients", "application", "shop", "id", "shop-2").wants(t, 200, "Not done: scope")
	v.get("/console/clients?application=shop").wants(t, 200, "shop-1")
	v.post("/console/clients/shop-1/remove", "sure", "shop-1").wants(t, 200, "Client shop-1 was removed", "There is no client")
}

// Keys are rotated and retired, the current one never.
func TestKeys(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	var before, after []struct {
		ID      string `json:"kid"`
		Current bool
	}
	h.operate(http.MethodGet, "/admin/keys", nil, &before)
	v.get("/console/keys").wants(t, 200, "1 key", before[0].ID)
	v.post("/console/keys/"+before[0].ID+"/retire").wants(t, 200, "Not done: type")
	v.post("/console/keys/"+before[0].ID+"/retire", "sure", before[0].ID).wants(t, 200, "Not done")
	v.post("/console/keys/rotate").wants(t, 200, "signs from now on")
	v.post("/console/keys/"+before[0].ID+"/retire", "sure", before[0].ID).wants(t, 200, "Not done") // it signed lately
	v.post("/console/keys/"+before[0].ID+"/retire", "sure", before[0].ID, "force", "on").wants(t, 200, "no longer published")
	h.operate(http.MethodGet, "/admin/keys", nil, &after)
	if len(after) != 1 || after[0].ID == before[0].ID || !after[0].Current {
		t.Errorf("got %+v, want the new key alone", after)
	}
}

func TestSources(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	v.get("/console/sources").wants(t, 200, "There is no source yet")
	p := v.post("/console/sources", "name", "onelogin", "kind", "onelogin", "auth", "bearer")
	p.wants(t, 200, "Source onelogin was added", "/v1/sources/onelogin")
	first := secretOf(t, p.body, "Secret")
	p = v.post("/console/sources/onelogin/rotate", "keep_hours", "1")
	if next := secretOf(t, p.body, "Secret"); next == first {
		t.Error("a rotated secret: got the old one")
	}
	var list []struct{ Applications []string }
	h.operate(http.MethodGet, "/admin/sources", nil, &list)
	if len(list) != 1 || list[0].Applications != nil {
		t.Errorf("a source for no application by name: got %+v, want it for all", list)
	}
	v.post("/console/sources/onelogin/fetch", "id", "1").wants(t, 200, "Not done")
	v.post("/console/sources", "name", "onelogin", "kind", "onelogin", "auth", "bearer").wants(t, 200, "Not done")
	v.post("/console/sources/onelogin/remove", "sure", "onelogin").wants(t, 200, "Source onelogin was removed")
}

func TestWebhooks(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	v.post("/console/applications", "audience", "https://shop.example", "id", "shop")
	v.get("/console/webhooks").wants(t, 200, "There is no webhook yet")
	p := v.post("/console/webhooks", "application", "shop", "url", h.issuer+"/hook", "types", "*")
	p.wants(t, 200, "was added")
	first := secretOf(t, p.body, "Signing secret")
	id := regexp.MustCompile(`/console/webhooks/([^/]+)/test`).FindStringSubmatch(p.body)[1]
	if strings.Contains(v.get("/console/webhooks").body, first) {
		t.Error("the secret is shown twice")
	}
	v.post("/console/webhooks/"+id+"/test").wants(t, 200, "was not delivered")
	v.post("/console/webhooks/"+id+"/status", "status", "paused", "reason", "tired").wants(t, 200, "is paused now", "tired")
	if next := secretOf(t, v.post("/console/webhooks/"+id+"/rotate").body, "Signing secret"); next == first {
		t.Error("a rotated secret: got the old one")
	}
	v.post("/console/webhooks", "application", "shop", "url", "nonsense", "types", "*").wants(t, 200, "Not done: url")
	v.post("/console/webhooks/"+id+"/remove", "sure", id).wants(t, 200, "There is no webhook yet")
}

// Acts are found by each filter, page by page.
func TestAudit(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	v.post("/console/applications", "audience", "https://shop.example", "id", "shop")
	for range 60 {
		v.post("/console/keys/x/retire", "sure", "x")
	}
	v.get("/console/audit").wants(t, 200, "key.retire", "50 acts on this page", `rel="next"`)
	older := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(v.get("/console/audit").body)[1]
	v.get(strings.ReplaceAll(older, "&amp;", "&")).wants(t, 200, "application.add", "console.sign_in", "by the console")
	p := v.get("/console/audit?act=application.add&object=shop")
	p.wants(t, 200, "1 act on this page", "https://shop.example")
	v.get("/console/audit?since=2999-01-01T00:00").wants(t, 200, "No act is like that")
	v.get("/console/audit?since=nonsense").wants(t, 400, "since")
}

func TestAdminPagesInBrowser(t *testing.T) {
	h := open(t)
	b := h.browse(t)
	for _, empty := range []string{"clients", "sources", "webhooks"} {
		b.open("/console/" + empty)
		b.look(empty + "-empty")
	}
	h.operate(http.MethodPost, "/admin/applications", map[string]any{"id": "shop", "name": "Shop", "audience": []string{"https://shop.example"}}, nil)
	b.open("/console/clients")
	b.fill("#id", "shop-1")
	b.click(`input[value="ssf.manage"]`)
	b.press("section button.main")
	b.says("Client shop-1 was added", "client_secret", "Shown this once")
	b.look("clients")
	b.open("/console/keys")
	b.press("section button.main")
	b.says("signs from now on")
	b.look("keys")
	b.open("/console/sources")
	b.fill("#name", "onelogin")
	b.press(".fields button.main")
	b.says("Source onelogin was added")
	b.look("sources")
	b.open("/console/webhooks")
	b.fill("#url", "http://127.0.0.1:9/hook")
	b.fill("#types", "*")
	b.press(".fields button.main")
	b.says("was added")
	b.press("td form button")
	b.says("not delivered")
	b.look("webhooks")
	b.open("/console/audit")
	b.says("webhook.create", "key.rotate", "console.sign_in")
	b.look("audit")
}
