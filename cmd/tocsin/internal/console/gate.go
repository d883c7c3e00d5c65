package console

import (
	"net/http"
	"net/url"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
)

// gatePage shows what the gate of a receiver decided last.
const gatePage = "/console/gate"

func (c *Console) mountGate() { c.page("GET "+gatePage, showGate) }

func showGate(v *view) error {
	page := struct {
		Frame
		receive.Decisions
		Outcome string
	}{Frame: v.frame("Gate"), Outcome: v.r.URL.Query().Get("outcome")}
	ask := url.Values{}
	if page.Outcome != "" {
		ask.Set("outcome", page.Outcome)
	}
	if err := v.get("/admin/gate/decisions", &page.Decisions, ask); err != nil {
		return err
	}
	return v.show("gate", page)
}

// decided is a decision of the gate as people read it: a word, its class, and why.
func decided(d receive.Decision) [3]string {
	said := map[check.Why]string{
		"good":                "no event ended the session, and it has not expired",
		"revoked":             "the session was ended, or has expired: a new login helps",
		"denied":              "no session is good for whom it is of",
		"unknown":             "the state of sessions is not known, and the gate fails closed",
		check.WhyAsker:        "who asked may not ask",
		check.WhyInvalid:      "the token or cookie is none",
		check.WhyUnverifiable: "the keys of the token's issuer cannot be had",
		check.WhyNobody:       "the request shows nothing of whose it is",
		check.WhyAnonymous:    "the request shows nothing of whose it is, which is let through",
	}
	why, ok := said[d.Why]
	if !ok {
		why = string(d.Why)
	}
	switch d.Status {
	case http.StatusOK:
		return [3]string{"● let through", "good", why}
	case http.StatusServiceUnavailable:
		return [3]string{"! not decided", "warn", why}
	}
	return [3]string{"✕ turned away", "bad", why}
}
