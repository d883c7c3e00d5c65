package redisauth

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

type vendors struct{ *tx }

// Get asks for source and place at once.
func (t vendors) Get(name string) (auth.Vendor, error) {
	pipe := t.b.db.Client().Pipeline()
	text := pipe.HGet(t.ctx, t.b.keys.vendors, name)
	place := pipe.HGet(t.ctx, t.b.keys.places, name)
	if _, err := pipe.Exec(t.ctx); err != nil && !errors.Is(err, redis.Nil) {
		return auth.Vendor{}, wrap(err)
	}
	if errors.Is(text.Err(), redis.Nil) {
		return auth.Vendor{}, auth.ErrNotFound
	}
	v, err := decodeVendor(name, text.Val())
	if err == nil && place.Err() == nil {
		v.Place = []byte(place.Val())
	}
	return v, errors.Join(err, ignoreNil(text.Err()), ignoreNil(place.Err()))
}

func ignoreNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return wrap(err)
}

// List reads all: there are at most auth.MaxVendorSources.
func (t vendors) List(auth.Index, string) (list []auth.Vendor, err error) {
	err = t.all(t.b.keys.vendors, func(name, text string) error {
		v, err := decodeVendor(name, text)
		list = append(list, v)
		return err
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	places, err := t.b.db.Client().HGetAll(t.ctx, t.b.keys.places).Result()
	if err != nil {
		return nil, wrap(err)
	}
	for i := range list {
		if place, there := places[list[i].Name]; there {
			list[i].Place = []byte(place)
		}
	}
	slices.SortFunc(list, func(a, b auth.Vendor) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

func (t vendors) Put(v auth.Vendor) error {
	text, err := encodeVendor(v)
	if err = errors.Join(t.may(), err); err != nil {
		return err
	}
	t.clear = t.clear || auth.VendorInClear(v)
	t.change("put", keyVendors, v.Name, text)
	t.change("now", keyState, "vendors", "")
	return nil
}

func (t vendors) Delete(name string) error {
	if err := t.may(); err != nil {
		return err
	}
	if _, err := t.Get(name); err != nil {
		return err
	}
	t.change("del", keyVendors, name, "")
	t.change("del", keyPlaces, name, "")
	t.change("now", keyState, "vendors", "")
	return nil
}

type webhooks struct{ *tx }

func (t webhooks) Get(id string) (auth.Webhook, error) {
	text, err := t.get(t.b.keys.webhooks, id)
	if err != nil {
		return auth.Webhook{}, err
	}
	return decodeWebhook(id, text)
}

func (t webhooks) List(by auth.Index, value string) (list []auth.Webhook, err error) {
	add := func(id, text string) error {
		w, err := decodeWebhook(id, text)
		list = append(list, w)
		return err
	}
	if by == auth.ByApplication {
		var ids []string
		if ids, err = t.indexed(t.b.keys.ownedWebhooks, value); err == nil {
			err = t.some(t.b.keys.webhooks, ids, add)
		}
	} else {
		err = t.all(t.b.keys.webhooks, add)
	}
	slices.SortFunc(list, func(a, b auth.Webhook) int {
		return cmp.Or(strings.Compare(a.Application, b.Application), a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return list, err
}

func (t webhooks) Put(w auth.Webhook) error {
	text, err := encodeWebhook(w)
	if err = errors.Join(t.may(), err); err != nil {
		return err
	}
	before, err := t.Get(w.ID)
	if err == nil {
		t.delete(before.Application, w.ID)
	} else if !errors.Is(err, auth.ErrNotFound) {
		return err
	}
	t.clear = t.clear || auth.WebhookInClear(w)
	t.change("add", keyOwnedWebhooks, w.Application+between+w.ID, "")
	t.change("put", keyWebhooks, w.ID, text)
	return nil
}

func (t webhooks) Delete(id string) error {
	if err := t.may(); err != nil {
		return err
	}
	w, err := t.Get(id)
	if err == nil {
		t.delete(w.Application, id)
	}
	return err
}

func (t webhooks) delete(application, id string) {
	t.change("rem", keyOwnedWebhooks, application+between+id, "")
	t.change("del", keyWebhooks, id, "")
}
