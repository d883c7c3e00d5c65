package peer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/tocsin-ssf/tocsin/wellknown"
)

// authorize gets an access token if none was given (CAEP interoperability profile §2.7).
func (r *Receiver) authorize(ctx context.Context, meta receiverMetadata) error {
	if r.cfg.Token != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, receiverTimeout)
	defer cancel()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {strings.Join(r.scopes(ctx, meta), " ")}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.cfg.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(r.cfg.ClientID), url.QueryEscape(r.cfg.ClientSecret))
	resp, err := r.cfg.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var made struct {
		Token string `json:"access_token"`
	}
	raw, err := readAll(resp.Body, maxDocument)
	if err != nil || json.Unmarshal(raw, &made) != nil || made.Token == "" {
		return errors.Join(err, errors.New("no token"))
	}
	r.cfg.Token = made.Token
	return nil
}

// scopes are those of the metadata of the resource, if it has some and is that resource's
// own (RFC 9728 §3.3), else those of the profile.
func (r *Receiver) scopes(ctx context.Context, meta receiverMetadata) []string {
	usual := []string{"ssf.read", "ssf.manage"}
	at, err := wellknown.ProtectedResourceURL(meta.Configuration)
	if err != nil {
		return usual
	}
	var doc struct {
		Resource string
		Scopes   []string `json:"scopes_supported"`
	}
	status, err := r.call(ctx, http.MethodGet, at, nil, &doc, false)
	own := doc.Resource == meta.Configuration || r.breaks("PRM-3.3-01")
	if err != nil || status != http.StatusOK || !own || len(doc.Scopes) == 0 || r.breaks("INTEROP-2.7.2-01") {
		return usual
	}
	return doc.Scopes
}
