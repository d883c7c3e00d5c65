package redisauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// A record is kept as words and a JSON object: the version of its last change; of a
// client its application, of a vendor's source its registration, which scripts read;
// then what follows here. Digests are base64.

type application struct {
	Name       string   `json:"name,omitempty"`
	Audience   []string `json:"aud"`
	Format     string   `json:"format,omitempty"`
	Profile    string   `json:"profile,omitempty"`
	Encryption string   `json:"encryption,omitempty"`
	Created    int64    `json:"ms"`
}

type client struct {
	Number      string            `json:"reg"`
	Scopes      string            `json:"scope"`
	Secret      []byte            `json:"secret,omitempty"`
	Static      bool              `json:"static,omitempty"`
	StaticToken []byte            `json:"token,omitempty"`
	Environment string            `json:"env,omitempty"`
	Source      *auth.Source      `json:"source,omitempty"`
	JWKS        string            `json:"jwks,omitempty"`
	JWKSURI     string            `json:"jwks_uri,omitempty"`
	Certificate *auth.Certificate `json:"cert,omitempty"`
	BoundTokens bool              `json:"bound,omitempty"`
	OldSecret   []byte            `json:"old,omitempty"`
	OldStatic   []byte            `json:"old_token,omitempty"`
	OldUntil    int64             `json:"old_ms,omitempty"`
	Rotated     int64             `json:"rotated_ms,omitempty"`
	Created     int64             `json:"ms"`
}

type vendor struct {
	Source      auth.Source     `json:"source"`
	Environment string          `json:"env,omitempty"`
	Kind        string          `json:"kind"`
	Auth        string          `json:"auth"`
	User        string          `json:"user,omitempty"`
	Header      string          `json:"header,omitempty"`
	Secret      []byte          `json:"secret,omitempty"`
	OldSecret   []byte          `json:"old,omitempty"`
	OldUntil    int64           `json:"old_ms,omitempty"`
	Signature   string          `json:"sign,omitempty"`
	API         *auth.VendorAPI `json:"api,omitempty"`
	APISecret   string          `json:"api_secret,omitempty"`
	Created     int64           `json:"ms"`
}

type webhook struct {
	Application string `json:"app"`
	Revision    string `json:"rev"`
	Settings    string `json:"settings"`
	Created     int64  `json:"ms"`
}

// decode reads a record that has n words before its JSON. An error shows nothing of it:
// it may have secrets.
func decode[T any](what, key, text string, n int) (words []string, record T, err error) {
	words = strings.SplitN(text, " ", n+1)
	if len(words) != n+1 || json.Unmarshal([]byte(words[n]), &record) != nil {
		return nil, record, fmt.Errorf("redisauth: %s %s cannot be read", what, key)
	}
	return words, record, nil
}

func encode(words string, record any) (string, error) {
	text, err := json.Marshal(record)
	if err != nil {
		return "", fmt.Errorf("redisauth: %w", err)
	}
	return words + string(text), nil
}

func encodeApplication(a auth.Application) (string, error) {
	return encode("", application{a.Name, a.Audience, a.SubjectFormat, a.Profile, a.Encryption, a.Created.UnixMilli()})
}

func decodeApplication(id, text string) (auth.Application, error) {
	_, r, err := decode[application]("application", id, text, 1)
	return auth.Application{
		ID: id, Name: r.Name, Audience: r.Audience, SubjectFormat: r.Format, Profile: r.Profile, Encryption: r.Encryption, Created: fromMilli(r.Created),
	}, err
}

func encodeClient(r auth.Registration) (string, error) {
	return encode(r.Application+" ", client{
		Number: r.Number, Scopes: auth.JoinScopes(r.Scopes), Secret: r.Secret, Static: r.Static, StaticToken: r.StaticToken,
		Environment: r.Environment, Source: r.Source, JWKS: string(r.JWKS), JWKSURI: r.JWKSURI,
		Certificate: r.Certificate, BoundTokens: r.BoundTokens, Created: r.Created.UnixMilli(),
		OldSecret: r.OldSecret, OldStatic: r.OldStaticToken, OldUntil: toMilli(r.OldUntil), Rotated: toMilli(r.Rotated),
	})
}

func decodeClient(id, text string) (auth.Registration, error) {
	words, r, err := decode[client]("client", id, text, 2)
	if err != nil {
		return auth.Registration{}, err
	}
	scopes, err := auth.ParseScopes(r.Scopes)
	made := auth.Registration{
		Client: auth.Client{
			ID: id, Application: words[1], Scopes: scopes, Static: r.Static, Environment: r.Environment,
			Source: r.Source, JWKSURI: r.JWKSURI, Certificate: r.Certificate, BoundTokens: r.BoundTokens, Created: fromMilli(r.Created),
			Rotated: timeOf(r.Rotated), OldUntil: timeOf(r.OldUntil),
		},
		Number: r.Number, Secret: r.Secret, StaticToken: r.StaticToken, OldSecret: r.OldSecret, OldStaticToken: r.OldStatic,
	}
	if r.JWKS != "" {
		made.JWKS = []byte(r.JWKS)
	}
	return made, err
}

func encodeVendor(v auth.Vendor) (string, error) {
	r := vendor{
		Source: v.Source, Environment: v.Environment, Kind: v.Kind, Auth: v.Auth, User: v.User, Header: v.Header,
		Secret: v.Secret, OldSecret: v.OldSecret, Signature: v.SignatureSecret, API: v.API, Created: v.Created.UnixMilli(),
		OldUntil: toMilli(v.OldUntil),
	}
	if v.API != nil {
		r.APISecret = v.API.Secret
	}
	return encode(v.Registration+" ", r)
}

// decodeVendor reads a source without its place.
func decodeVendor(name, text string) (auth.Vendor, error) {
	words, r, err := decode[vendor]("source", name, text, 2)
	if err != nil {
		return auth.Vendor{}, err
	}
	v := auth.Vendor{
		VendorSource: auth.VendorSource{
			Source: r.Source, Kind: r.Kind, Auth: r.Auth, User: r.User, Header: r.Header,
			SignatureSecret: r.Signature, Signed: r.Signature != "", API: r.API, Created: fromMilli(r.Created),
		},
		Registration: words[1], Secret: r.Secret, OldSecret: r.OldSecret,
	}
	v.Environment, v.OldUntil = r.Environment, timeOf(r.OldUntil)
	if v.API != nil {
		v.API.Secret = r.APISecret
	}
	return v, nil
}

func encodeWebhook(w auth.Webhook) (string, error) {
	return encode("", webhook{w.Application, w.Revision, string(w.Settings), w.Created.UnixMilli()})
}

func decodeWebhook(id, text string) (auth.Webhook, error) {
	_, r, err := decode[webhook]("webhook", id, text, 1)
	return auth.Webhook{ID: id, Application: r.Application, Revision: r.Revision, Settings: []byte(r.Settings), Created: fromMilli(r.Created)}, err
}

// decodeHolder reads id, client, application, stamp, and whether the token was revoked.
func decodeHolder(parts []any) (h auth.Holder, err error) {
	if len(parts) != 5 {
		return h, errors.New("redisauth: a holder cannot be read")
	}
	text := make([]string, 4)
	for i := range text {
		text[i], _ = parts[i].(string)
	}
	if h.Registration, err = decodeClient(text[0], text[1]); err != nil {
		return h, err
	}
	a, err := decodeApplication(h.Application, text[2])
	if err != nil {
		return h, err
	}
	h.Audience, h.Profile, h.Encryption, h.Revoked = a.Audience, a.Profile, a.Encryption, parts[4] != int64(0)
	if h.Stamp, err = strconv.ParseUint(text[3], 10, 64); err != nil {
		return h, errors.New("redisauth: a stamp cannot be read")
	}
	return h, nil
}

// toMilli and timeOf keep a time that may be zero.
func toMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return fromMilli(ms)
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
