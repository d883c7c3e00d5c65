package auth

import (
	"context"
	"fmt"

	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// sealed is a backend whose secrets are sealed where they are kept: those that are needed
// as they are. Digests of secrets stay as they are, they open nothing.
type sealed struct {
	Backend
	vault *vault.Vault
}

// Sealed returns a backend that keeps the secrets of vendors and the settings of webhooks
// sealed by v, and opens them. With a locked vault what has none of them can be read and
// changed.
func Sealed(b Backend, v *vault.Vault) Backend { return sealed{b, v} }

// Read runs fn on what is opened.
func (s sealed) Read(ctx context.Context, fn func(*Tx) error) error {
	return s.Backend.Read(ctx, func(tx *Tx) error { return fn(s.tx(tx)) })
}

// Write runs fn on what is opened, and seals what it puts.
func (s sealed) Write(ctx context.Context, fn func(*Tx) error) error {
	return s.Backend.Write(ctx, func(tx *Tx) error { return fn(s.tx(tx)) })
}

func (s sealed) tx(tx *Tx) *Tx {
	with := *tx
	with.Vendors = sealedTable[Vendor]{tx.Vendors, s.vault.Seal, s.vault.Open, eachOfVendor}
	with.Webhooks = sealedTable[Webhook]{tx.Webhooks, s.vault.Seal, s.vault.Open, eachOfWebhook}
	return &with
}

// change turns a secret of a name into what is kept of it, or back.
type change func(name string, secret []byte) ([]byte, error)

// sealedTable seals and opens what each finds in a record.
type sealedTable[T any] struct {
	Table[T]
	seal, open change
	each       func(one T, as change) (T, error)
}

func (t sealedTable[T]) Get(key string) (T, error) {
	one, err := t.Table.Get(key)
	if err != nil {
		return one, err
	}
	return t.each(one, t.open)
}

func (t sealedTable[T]) List(by Index, value string) ([]T, error) {
	all, err := t.Table.List(by, value)
	for i := range all {
		if err == nil {
			all[i], err = t.each(all[i], t.open)
		}
	}
	return all, err
}

func (t sealedTable[T]) Put(one T) error {
	one, err := t.each(one, t.seal)
	if err != nil {
		return err
	}
	return t.Table.Put(one)
}

func eachOfVendor(v Vendor, as change) (Vendor, error) {
	var err error
	if v.SignatureSecret, err = text(as, "signature secret of source "+v.Name, v.SignatureSecret); err != nil {
		return v, err
	}
	if v.API == nil {
		return v, nil
	}
	api := *v.API
	api.Secret, err = text(as, "API secret of source "+v.Name, api.Secret)
	v.API = &api
	return v, err
}

func eachOfWebhook(w Webhook, as change) (Webhook, error) {
	settings, err := as("webhook "+w.ID, w.Settings)
	w.Settings = settings
	return w, err
}

func text(as change, name, secret string) (string, error) {
	if secret == "" {
		return "", nil
	}
	to, err := as(name, []byte(secret))
	return string(to), err
}

// VendorInClear reports whether a secret of a vendor's source, as a backend is to keep it, is
// in clear.
func VendorInClear(v Vendor) bool { return inClear(v, eachOfVendor) }

// WebhookInClear reports the same of a webhook.
func WebhookInClear(w Webhook) bool { return inClear(w, eachOfWebhook) }

func inClear[T any](one T, each func(T, change) (T, error)) (found bool) {
	_, _ = each(one, func(_ string, secret []byte) ([]byte, error) { // it has no error
		found = found || !vault.Sealed(secret)
		return secret, nil
	})
	return found
}

// Seal seals what b, which is not [Sealed], keeps in clear, and returns how many records
// it has sealed.
func Seal(ctx context.Context, b Backend, v *vault.Vault) (n int, err error) {
	err = b.Write(ctx, func(tx *Tx) error {
		sealing := sealed{b, v}.tx(tx)
		vendors, err := sealTable(tx.Vendors, sealing.Vendors, eachOfVendor, v)
		if err != nil {
			return err
		}
		webhooks, err := sealTable(tx.Webhooks, sealing.Webhooks, eachOfWebhook, v)
		n = vendors + webhooks
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("auth: encrypting secrets: %w", err)
	}
	return n, nil
}

// sealTable puts again what has a secret in clear.
func sealTable[T any](from, to Table[T], each func(T, change) (T, error), v *vault.Vault) (n int, err error) {
	all, err := from.List(All, "")
	if err != nil {
		return 0, err
	}
	for _, one := range all {
		opened, err := each(one, v.Open)
		if err != nil {
			return 0, err
		}
		if !inClear(one, each) {
			continue
		}
		if err := to.Put(opened); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
