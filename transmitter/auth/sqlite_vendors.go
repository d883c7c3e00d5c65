package auth

import (
	"encoding/json"
	"errors"
	"fmt"
)

type sqliteVendors struct{ *sqliteConn }

const vendorColumns = `SELECT kind, source, environment, auth, user, header, secret_hash, created_ms, poll, poll_secret,
	old_hash, old_until_ms, sign_secret, registration, place FROM vendor_sources`

func (t sqliteVendors) Get(name string) (Vendor, error) {
	return scanOne(t, scanVendor, vendorColumns+" WHERE name = ?", name)
}

func (t sqliteVendors) List(Index, string) ([]Vendor, error) {
	return scanAll(t, scanVendor, vendorColumns+" ORDER BY created_ms, name")
}

func (t sqliteVendors) Put(v Vendor) error {
	source, err := json.Marshal(v.Source)
	if err != nil {
		return fmt.Errorf("auth: source: %w", err)
	}
	var api, apiSecret, signature any
	if v.API != nil {
		text, err := json.Marshal(v.API)
		if err != nil {
			return fmt.Errorf("auth: source: %w", err)
		}
		api, apiSecret = string(text), v.API.Secret
	}
	if v.SignatureSecret != "" {
		signature = v.SignatureSecret
	}
	_, err = t.put(`UPDATE vendor_sources SET registration = ?, kind = ?, source = ?, environment = ?, auth = ?, user = ?, header = ?,
		secret_hash = ?, created_ms = ?, poll = ?, poll_secret = ?, sign_secret = ?, old_hash = ?, old_until_ms = ? WHERE name = ?`,
		`INSERT INTO vendor_sources (registration, kind, source, environment, auth, user, header,
		secret_hash, created_ms, poll, poll_secret, sign_secret, old_hash, old_until_ms, name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.Registration, v.Kind, string(source), v.Environment, v.Auth, v.User, v.Header,
		orNull(v.Secret), v.Created.UnixMilli(), api, apiSecret, signature, orNull(v.OldSecret), milliOrZero(v.OldUntil), v.Name)
	return err
}

func (t sqliteVendors) Delete(name string) error {
	return t.delete("DELETE FROM vendor_sources WHERE name = ?", name)
}

func scanVendor(row row) (v Vendor, err error) {
	var source, api, apiSecret, signature []byte
	var environment string
	var ms, oldUntil int64
	if err := row.Scan(&v.Kind, &source, &environment, &v.Auth, &v.User, &v.Header, &v.Secret, &ms, &api, &apiSecret,
		&v.OldSecret, &oldUntil, &signature, &v.Registration, &v.Place); err != nil {
		return v, err
	}
	v.Created = fromMilli(ms)
	if oldUntil != 0 {
		v.OldUntil = fromMilli(oldUntil)
	}
	if json.Unmarshal(source, &v.Source) != nil {
		return v, errors.New("auth: a source cannot be read")
	}
	v.Environment = environment
	if signature != nil {
		v.SignatureSecret, v.Signed = string(signature), true
	}
	if api == nil {
		return v, nil
	}
	v.API = new(VendorAPI)
	if json.Unmarshal(api, v.API) != nil {
		return v, errors.New("auth: a source's API cannot be read")
	}
	v.API.Secret = string(apiSecret)
	return v, nil
}
