package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// Where clients are, here and in the admin API.
const (
	clientsPage = "/console/clients"
	clientsAPI  = "/admin/clients"
)

func (c *Console) mountClients() {
	c.page("GET "+clientsPage, clients)
	c.act(clientsPage, addClient)
	c.act(clientsPage+"/{id}/rotate", rotateClient)
	c.act(clientsPage+"/{id}/remove", removeClient)
}

// client is one as the admin API lists it.
type client struct {
	ID          string            `json:"id"`
	Application string            `json:"application"`
	Environment string            `json:"environment"`
	Scope       string            `json:"scope"`
	Static      bool              `json:"static"`
	External    bool              `json:"external"`
	JWKSURI     string            `json:"jwks_uri"`
	JWKS        any               `json:"jwks"`
	Certificate *auth.Certificate `json:"certificate"`
	Source      *auth.Source      `json:"source"`
	Created     time.Time         `json:"created"`
	Rotated     time.Time         `json:"rotated"`
	OldUntil    time.Time         `json:"old_until"`
}

// By is how the client shows who it is.
func (c client) By() string {
	switch {
	case c.External:
		return "tokens of another issuer"
	case c.Certificate != nil:
		return "certificate (" + c.Certificate.Method() + ")"
	case c.JWKSURI != "" || c.JWKS != nil:
		return "private_key_jwt"
	case c.Static:
		return "client secret, or a static access token"
	}
	return "client secret"
}

func clients(v *view) error {
	page := struct {
		Frame
		paged
		Clients      []client
		Applications choice
		Scopes       []auth.Scope
	}{Frame: v.frame("Clients"), Scopes: auth.DefaultRules().Scopes()}
	var list struct {
		Clients []client `json:"clients"`
		Next    string   `json:"next"`
	}
	var ask url.Values
	page.paged, ask = v.paged()
	if err := v.get(clientsAPI, &list, ask); err != nil {
		return err
	}
	var err error
	if page.Applications, err = v.choose(page.Of); err != nil {
		return err
	}
	page.Clients = list.Clients
	page.on(clientsPage, list.Next)
	return v.show("clients", page)
}

func addClient(v *view) error {
	scopes := v.r.PostForm["scope"]
	ask := map[string]any{
		"id": v.r.PostFormValue("id"), "application": v.r.PostFormValue("application"), "scope": strings.Join(scopes, " "),
		"static": v.r.PostFormValue("static") != "",
	}
	if env := v.r.PostFormValue("environment"); env != "" {
		ask["environment"] = env
	}
	if uri := v.r.PostFormValue("jwks_uri"); uri != "" {
		ask["jwks_uri"] = uri
	}
	if name := v.r.PostFormValue("source"); name != "" && slices.Contains(scopes, string(auth.ScopeEventsWrite)) {
		ask["source"] = map[string]any{"name": name}
	}
	var made auth.Credentials
	err := v.do(http.MethodPost, clientsAPI, ask, &made)
	return v.tried(err, clientsPage, "Client "+made.ClientID+" was added.", credentials(made)...)
}

// credentials are what of new ones there is to copy.
func credentials(made auth.Credentials) []labelled {
	all := []labelled{{"client_id", made.ClientID}}
	if made.Secret != "" {
		all = append(all, labelled{"client_secret", made.Secret})
	}
	if made.AccessToken != "" {
		all = append(all, labelled{"access_token", made.AccessToken})
	}
	return all
}

func rotateClient(v *view) error {
	id := v.r.PathValue("id")
	hours, err := strconv.Atoi(v.r.PostFormValue("keep_hours"))
	if err != nil {
		return v.tried(badField("keep the old ones", "is no number of hours"), clientsPage, "")
	}
	ask := map[string]any{"keep_seconds": hours * 3600, "end_tokens": v.r.PostFormValue("end_tokens") != ""}
	var made auth.Credentials
	err = v.do(http.MethodPost, clientsAPI+"/"+url.PathEscape(id)+"/rotate", ask, &made)
	return v.tried(err, clientsPage, "Client "+id+" has new credentials.", credentials(made)...)
}

func removeClient(v *view) error {
	id := v.r.PathValue("id")
	if !v.sure(id, clientsPage) {
		return nil
	}
	err := v.do(http.MethodDelete, clientsAPI+"/"+url.PathEscape(id), nil, nil)
	return v.tried(err, clientsPage, "Client "+id+" was removed; its tokens ended with it.")
}
