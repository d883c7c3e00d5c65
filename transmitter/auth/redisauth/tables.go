package redisauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// tx is one run of a function: what it reads is asked at once, what it changes is
// gathered.
type tx struct {
	ctx     context.Context //nolint:containedctx // it lives for one call
	b       *Backend
	reading bool
	changes []any // kind, place of the key, field, value of each
	clear   bool  // a secret among them is in clear
}

func (t *tx) tables() *auth.Tx {
	return &auth.Tx{
		Applications: applications{t}, Clients: clients{t}, Vendors: vendors{t}, Webhooks: webhooks{t},
		Removed: func(id string) (bool, error) {
			removed, err := t.b.db.Client().HExists(t.ctx, t.b.keys.removed, id).Result()
			return removed, wrap(err)
		},
	}
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redisauth: %w", err)
}

// change notes a change; kinds are those of the script.
func (t *tx) change(kind string, key int, field string, value any) {
	t.changes = append(t.changes, kind, key, field, value)
}

// may reports an error where nothing may be changed.
func (t *tx) may() error {
	if t.reading {
		return errors.New("redisauth: nothing can be changed in Read")
	}
	return nil
}

// get returns a field of a hash. Error: auth.ErrNotFound.
func (t *tx) get(key, field string) (string, error) {
	text, err := t.b.db.Client().HGet(t.ctx, key, field).Result()
	if errors.Is(err, redis.Nil) {
		return "", auth.ErrNotFound
	}
	return text, wrap(err)
}

// some returns the fields of a hash that are there, page by page.
func (t *tx) some(key string, fields []string, each func(field, text string) error) error {
	for part := range slices.Chunk(fields, page) {
		texts, err := t.b.db.Client().HMGet(t.ctx, key, part...).Result()
		if err != nil {
			return wrap(err)
		}
		for i, text := range texts {
			text, there := text.(string)
			if !there {
				continue // deleted since the index was read
			}
			if err := each(part[i], text); err != nil {
				return err
			}
		}
	}
	return nil
}

// all returns every field of a hash, page by page.
func (t *tx) all(key string, each func(field, text string) error) error {
	seen := make(map[string]bool) // a scan may return one twice
	for cursor := uint64(0); ; {
		pairs, next, err := t.b.db.Client().HScan(t.ctx, key, cursor, "", page).Result()
		if err != nil {
			return wrap(err)
		}
		for pair := range slices.Chunk(pairs, 2) {
			if seen[pair[0]] {
				continue
			}
			seen[pair[0]] = true
			if err := each(pair[0], pair[1]); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// An index is a sorted set of value, a zero byte, and key: neither has that byte.
const between = "\x00"

// indexed returns the keys that an index has under a value.
func (t *tx) indexed(index, value string) ([]string, error) {
	members, err := t.b.db.Client().ZRangeByLex(t.ctx, index, &redis.ZRangeBy{
		Min: "[" + value + between, Max: "(" + value + "\x01",
	}).Result()
	for i := range members {
		members[i] = strings.TrimPrefix(members[i], value+between)
	}
	return members, wrap(err)
}

type applications struct{ *tx }

func (t applications) Get(id string) (auth.Application, error) {
	text, err := t.get(t.b.keys.applications, id)
	if err != nil {
		return auth.Application{}, err
	}
	return decodeApplication(id, text)
}

func (t applications) List(by auth.Index, value string) (list []auth.Application, err error) {
	add := func(id, text string) error {
		a, err := decodeApplication(id, text)
		list = append(list, a)
		return err
	}
	if by != auth.ByAudience {
		err = t.all(t.b.keys.applications, add)
		slices.SortFunc(list, func(a, b auth.Application) int {
			return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
		})
		return list, err
	}
	id, err := t.get(t.b.keys.audiences, value)
	if errors.Is(err, auth.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		err = t.some(t.b.keys.applications, []string{id}, add)
	}
	return list, err
}

func (t applications) Put(a auth.Application) error {
	text, err := encodeApplication(a)
	if err = errors.Join(t.may(), err); err != nil {
		return err
	}
	before, err := t.Get(a.ID)
	if err != nil && !errors.Is(err, auth.ErrNotFound) {
		return err
	}
	for _, value := range before.Audience {
		t.change("del", keyAudiences, value, "")
	}
	for _, value := range a.Audience {
		t.change("set", keyAudiences, value, a.ID)
	}
	t.change("put", keyApplications, a.ID, text)
	return nil
}

func (t applications) Delete(id string) error {
	if err := t.may(); err != nil {
		return err
	}
	a, err := t.Get(id)
	if err != nil {
		return err
	}
	owned, err := clients(t).List(auth.ByApplication, id)
	if err != nil {
		return err
	}
	hooks, err := t.indexed(t.b.keys.ownedWebhooks, id)
	if err != nil {
		return err
	}
	for i := range owned {
		clients(t).delete(&owned[i])
	}
	for _, hook := range hooks {
		webhooks(t).delete(id, hook)
	}
	for _, value := range a.Audience {
		t.change("del", keyAudiences, value, "")
	}
	t.change("del", keyApplications, id, "")
	t.change("set", keyRemoved, id, time.Now().UnixMilli())
	return nil
}

type clients struct{ *tx }

func (t clients) Get(id string) (auth.Registration, error) {
	text, err := t.get(t.b.keys.clients, id)
	if err != nil {
		return auth.Registration{}, err
	}
	return decodeClient(id, text)
}

func (t clients) List(by auth.Index, value string) (list []auth.Registration, err error) {
	add := func(id, text string) error {
		r, err := decodeClient(id, text)
		// One without a source is listed under its id, and not indexed by that.
		if err == nil && (by != auth.ByFeed || r.Source == nil || r.Source.Name == value) {
			list = append(list, r)
		}
		return err
	}
	switch by {
	case auth.ByApplication, auth.ByFeed:
		var ids []string
		if by == auth.ByApplication {
			ids, err = t.indexed(t.b.keys.owned, value)
		} else if ids, err = t.indexed(t.b.keys.feeds, value); !slices.Contains(ids, value) {
			ids = append(ids, value)
		}
		if err == nil {
			err = t.some(t.b.keys.clients, ids, add)
		}
	default:
		err = t.all(t.b.keys.clients, add)
	}
	slices.SortFunc(list, func(a, b auth.Registration) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return list, err
}

func (t clients) Put(r auth.Registration) error {
	text, err := encodeClient(r)
	if err = errors.Join(t.may(), err); err != nil {
		return err
	}
	before, err := t.Get(r.ID)
	if err == nil {
		t.delete(&before)
	} else if !errors.Is(err, auth.ErrNotFound) {
		return err
	}
	t.change("add", keyOwned, r.Application+between+r.ID, "")
	if r.Source != nil {
		t.change("add", keyFeeds, r.Source.Name+between+r.ID, "")
	}
	for _, digest := range statics(&r) {
		t.change("set", keyStatics, digest, r.ID)
	}
	t.change("put", keyClients, r.ID, text)
	return nil
}

func (t clients) Delete(id string) error {
	if err := t.may(); err != nil {
		return err
	}
	r, err := t.Get(id)
	if err == nil {
		t.delete(&r)
	}
	return err
}

func (t clients) delete(r *auth.Registration) {
	t.change("rem", keyOwned, r.Application+between+r.ID, "")
	if r.Source != nil {
		t.change("rem", keyFeeds, r.Source.Name+between+r.ID, "")
	}
	for _, digest := range statics(r) {
		t.change("del", keyStatics, digest, "")
	}
	t.change("del", keyClients, r.ID, "")
}

// statics are the digests of the static tokens that a client is found by.
func statics(r *auth.Registration) (digests []string) {
	for _, digest := range [][]byte{r.StaticToken, r.OldStaticToken} {
		if digest != nil {
			digests = append(digests, string(digest))
		}
	}
	return digests
}
