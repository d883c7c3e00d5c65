package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Where webhooks are, here and in the admin API.
const (
	webhooksPage = "/console/webhooks"
	webhooksAPI  = "/admin/webhooks"
)

func (c *Console) mountWebhooks() {
	c.page("GET "+webhooksPage, webhooks)
	c.act(webhooksPage, addWebhook)
	c.act(webhooksPage+"/{id}/test", testWebhook)
	c.act(webhooksPage+"/{id}/status", setWebhookStatus)
	c.act(webhooksPage+"/{id}/rotate", rotateWebhook)
	c.act(webhooksPage+"/{id}/remove", removeWebhook)
}

// webhook is one as the admin API lists it.
type webhook struct {
	ID          string   `json:"id"`
	Application string   `json:"application"`
	URL         string   `json:"url"`
	Description string   `json:"description"`
	Types       []string `json:"types"`
	Environment string   `json:"environment"`
	Format      string   `json:"format"`
	Secret      string   `json:"secret"`
	Auth        struct {
		Type string `json:"type"`
	} `json:"auth"`
	Signing struct {
		Type string `json:"type"`
	} `json:"signing"`
	Status      string    `json:"status"`
	Reason      string    `json:"reason"`
	Queued      int       `json:"queued"`
	DeadLetters int       `json:"dead_letters"`
	Oldest      time.Time `json:"oldest"`
	Failures    int       `json:"failures"`
	LastError   string    `json:"last_error"`
}

// Endpoint is where its requests go.
func (w webhook) Endpoint() string { return address(w.URL) }

func webhooks(v *view) error {
	page := struct {
		Frame
		paged
		Webhooks     []webhook
		Applications choice
	}{Frame: v.frame("Webhooks")}
	var list struct {
		Webhooks []webhook `json:"webhooks"`
		Next     string    `json:"next"`
	}
	var ask url.Values
	page.paged, ask = v.paged()
	if err := v.get(webhooksAPI, &list, ask); err != nil {
		return err
	}
	var err error
	if page.Applications, err = v.choose(page.Of); err != nil {
		return err
	}
	page.Webhooks = list.Webhooks
	page.on(webhooksPage, list.Next)
	return v.show("webhooks", page)
}

func (v *view) webhook(more string) string {
	return webhooksAPI + "/" + url.PathEscape(v.r.PathValue("id")) + more
}

func addWebhook(v *view) error {
	ask := map[string]any{
		"application": v.r.PostFormValue("application"), "url": v.r.PostFormValue("url"),
		"types": strings.Fields(v.r.PostFormValue("types")),
	}
	if text := v.r.PostFormValue("description"); text != "" {
		ask["description"] = text
	}
	var made webhook
	err := v.do(http.MethodPost, webhooksAPI, ask, &made)
	return v.tried(err, webhooksPage, "Webhook "+made.ID+" was added.", labelled{"Signing secret", made.Secret})
}

func testWebhook(v *view) error {
	var said struct {
		Delivered   bool   `json:"delivered"`
		Status      int    `json:"status"`
		Code        string `json:"err"`
		Description string `json:"description"`
		Took        int64  `json:"took_ms"`
	}
	if err := v.do(http.MethodPost, v.webhook("/test"), nil, &said); err != nil {
		return v.tried(err, webhooksPage, "")
	}
	text := "The test event was not delivered: " + said.Code + ": " + said.Description
	if said.Delivered {
		text = fmt.Sprintf("The test event was delivered: answer %d in %d ms.", said.Status, said.Took)
	}
	v.session.note(notice{Good: said.Delivered, Text: text})
	http.Redirect(v.w, v.r, webhooksPage, http.StatusSeeOther)
	return nil
}

func setWebhookStatus(v *view) error {
	ask := map[string]string{"status": v.r.PostFormValue("status")}
	if reason := v.r.PostFormValue("reason"); reason != "" {
		ask["reason"] = reason
	}
	err := v.do(http.MethodPatch, v.webhook(""), ask, nil)
	return v.tried(err, webhooksPage, "The webhook is "+ask["status"]+" now.")
}

func rotateWebhook(v *view) error {
	var made webhook
	err := v.do(http.MethodPost, v.webhook("/rotate"), map[string]int{"grace_seconds": 24 * 3600}, &made)
	return v.tried(err, webhooksPage, "The webhook signs with a new secret, and for a day with the old one, too.", labelled{"Signing secret", made.Secret})
}

func removeWebhook(v *view) error {
	id := v.r.PathValue("id")
	if !v.sure(id, webhooksPage) {
		return nil
	}
	return v.tried(v.do(http.MethodDelete, v.webhook(""), nil, nil), webhooksPage, "Webhook "+id+" was removed.")
}
