package console

import (
	"net/http"
	"net/url"
	"time"
)

// Where signing keys are, here and in the admin API.
const (
	keysPage = "/console/keys"
	keysAPI  = "/admin/keys"
)

func (c *Console) mountKeys() {
	c.page("GET "+keysPage, keys)
	c.act(keysPage+"/rotate", rotateKey)
	c.act(keysPage+"/{kid}/retire", retireKey)
}

// signingKey is one as the admin API lists it; its id is its thumbprint (RFC 7638).
type signingKey struct {
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	Created   time.Time `json:"created"`
	LastUsed  time.Time `json:"last_used"`
	Current   bool      `json:"current"`
	Next      bool      `json:"next"`
}

func keys(v *view) error {
	page := struct {
		Frame
		Keys []signingKey
	}{Frame: v.frame("Keys")}
	if err := v.get(keysAPI, &page.Keys); err != nil {
		return err
	}
	return v.show("keys", page)
}

func rotateKey(v *view) error {
	var made struct {
		ID string `json:"kid"`
	}
	err := v.do(http.MethodPost, keysAPI+"/rotate", nil, &made)
	return v.tried(err, keysPage, "Key "+made.ID+" signs from now on. Retire the one before when receivers have fetched the new set of keys.")
}

func retireKey(v *view) error {
	kid := v.r.PathValue("kid")
	if !v.sure(kid, keysPage) {
		return nil
	}
	ask := map[string]bool{"force": v.r.PostFormValue("force") != ""}
	err := v.do(http.MethodPost, keysAPI+"/"+url.PathEscape(kid)+"/retire", ask, nil)
	return v.tried(err, keysPage, "Key "+kid+" is no longer published.")
}
