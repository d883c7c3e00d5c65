package console_test

import (
	"net/http"
	"strings"
	"testing"
)

// Decisions are noted and found by subject, who stands in no address and no log; gates are set, and
// what they hold is counted.
func TestConsents(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	v.get("/console/consents").wants(t, 200, "There is no application yet")
	h.operate(http.MethodPost, "/admin/applications", map[string]any{"id": "shop", "audience": []string{"https://shop.example"}}, nil)
	v.get("/console/consents").wants(t, 200, "/console/consents/shop", "○ off")
	const at = "/console/consents/shop"
	v.get(at).wants(t, 200, "Nothing was decided yet")
	v.post(at+"/gate", "enabled", "true", "hold_seconds", "soon", "refused", "hold", "drop_after_seconds", "0").wants(t, 200, "Not done: hold_seconds is not")
	v.post(at+"/gate", "enabled", "true", "hold_seconds", "-1", "refused", "hold", "drop_after_seconds", "0").wants(t, 200, "Not done: hold_seconds is not a number from 0")
	v.post(at+"/gate", "enabled", "true", "hold_seconds", "3600", "refused", "drop", "drop_after_seconds", "60").wants(t, 200, "The gate was set", `value="3600"`)
	v.get("/console/consents").wants(t, 200, "● on", "3,600 s", "drops what is held after 60 s")
	h.written("session.revoked", "jo@example.com", nil)
	v.get(at).wants(t, 200, `<span class="figure">1</span> events held`)
	v.post(at+"/decide", "subject", " ", "decision", "grant").wants(t, 200, "Not done: a subject is")
	v.post(at+"/decide", "subject", "jo@example.com", "decision", "maybe").wants(t, 200, "Not done: decision is not grant, deny or revoke")
	p := v.post(at+"/decide", "subject", "jo@example.com", "decision", "grant", "reason", "asked at the desk", "time", "2026-01-02T03:04")
	p.wants(t, 200, "The decision was noted", "asked at the desk", `<span class="figure">0</span> events held`)
	if strings.Contains(p.body, "jo@example.com") {
		t.Error("a list that nobody asked subjects of: got one")
	}
	p = v.post(at, "subject", "jo@example.com")
	p.wants(t, 200, "granted</span>", "jo@example.com (email)")
	if strings.Contains(p.query, "example") {
		t.Errorf("the address of a search: got %q, want a key alone", p.query)
	}
	v.post(at, "subject", "kim@example.com").wants(t, 200, "no decision</span>", "Nothing was decided about this subject")
	v.post(at, "subject", "{").wants(t, 200, "Not searched: a subject is")
	v.get("/console/consents/none").wants(t, 400, "application is the id of no application")
	if strings.Contains(h.logs.String(), "example.com\"") {
		t.Errorf("got a subject in the logs:\n%s", h.logs)
	}
}

func TestConsentsInBrowser(t *testing.T) {
	h := open(t)
	h.operate(http.MethodPost, "/admin/applications", map[string]any{"id": "shop", "audience": []string{"https://shop.example"}}, nil)
	b := h.browse(t)
	b.press(`nav a[href="/console/consents"]`)
	b.look("gates")
	b.press(`tbody a[href="/console/consents/shop"]`)
	b.click("input[name=enabled]")
	b.press("form[action$=gate] button.main")
	b.says("The gate was set")
	b.fill("#decided", "jo@example.com")
	b.press("form[action$=decide] button.main")
	b.says("The decision was noted")
	b.fill("#who", "jo@example.com")
	b.press("form.filters button.main")
	b.says("granted", "jo@example.com (email)")
	b.look("consents")
}
