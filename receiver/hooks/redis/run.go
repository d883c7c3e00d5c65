package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// finder ends the sessions that the name of a key or a set leads to.
type finder func(r *run, ctx context.Context, name string) error

// way is one configured template.
type way struct {
	template values.Template
	pattern  bool // the text itself has a wildcard
	find     finder
}

func newWay(text string, find finder) (way, error) {
	t, err := values.ParseTemplate(text)
	if err == nil && len(t.Names()) == 0 {
		err = errors.New(strconv.Quote(text) + ": it names no value of the event")
	}
	if err != nil {
		return way{}, err
	}
	w := way{template: t, find: find}
	row := values.Row{}
	for _, name := range t.Names() {
		row[name] = valueMark
	}
	marked := t.Expand(row, nil)
	w.pattern = strings.ContainsAny(marked, "*?[")
	return w, safe(text, marked)
}

// Characters of a template whose values are marked.
const (
	valueMark = "\x00"
	wildcards = "*?[]"
)

// safe reports whether the keys that a template leads to are those of the event's user
// alone, whatever the event says: no key of any name, and no part of longer values.
func safe(text, marked string) error {
	if strings.HasPrefix(marked, valueMark) {
		return fmt.Errorf("%q: it begins with a value of the event, which could then name any key; a prefix is needed", text)
	}
	for _, c := range wildcards {
		if strings.Contains(marked, valueMark+string(c)) || strings.Contains(marked, string(c)+valueMark) {
			return fmt.Errorf("%q: a wildcard beside a value would find what longer values are of, too; something has to stand between them", text)
		}
	}
	return nil
}

// escape writes a value such that SCAN takes it for itself.
func escape(value string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(value)
}

// run is one action under way.
type run struct {
	*Hook
	until  time.Time
	dry    bool
	ended  atomic.Int64
	detail string
}

// deny marks first, so that no session begins behind the back of what is ended.
func (r *run) deny(ctx context.Context, a hooks.Action) error {
	marked := hooks.ErrNotApplicable
	if r.denied != nil {
		marked = r.mark(ctx, a)
		if marked != nil && !errors.Is(marked, hooks.ErrNotApplicable) {
			return marked
		}
	}
	err := r.end(ctx, a)
	switch {
	case marked != nil:
		r.detail = "log-in is not denied here"
	case errors.Is(err, hooks.ErrNotApplicable):
		return nil
	}
	return err
}

// Scripts on the key of a denial, whose value is its time. What is older changes nothing;
// a value of another form has no time.
//
//	KEYS: the key
//	ARGV: the event's time in Unix seconds
const (
	denyScript = `
local value = redis.pcall('GET', KEYS[1])
local since = type(value) == 'string' and tonumber(value)
if not since or since < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 0`
	allowScript = `
local value = redis.pcall('GET', KEYS[1])
local since = type(value) == 'string' and tonumber(value)
if not since or since <= tonumber(ARGV[1]) then redis.call('UNLINK', KEYS[1]) end
return 0`
)

// mark sets or removes the key that denies log-in.
func (r *run) mark(ctx context.Context, a hooks.Action) error {
	if values.OneSession(a) {
		return hooks.ErrNotApplicable
	}
	rows, err := values.Rows(a, r.denied.Names(), r.cfg.Ignore)
	if err != nil || r.dry {
		return err
	}
	for _, row := range rows {
		script := allowScript
		if a.Effect == hooks.Deny {
			script = denyScript
		}
		if err := r.client.Eval(ctx, script, []string{r.denied.Expand(row, nil)}, a.Until.Unix()).Err(); err != nil {
			return err
		}
	}
	return nil
}

// end ends what every way that fits leads to, then what the index finds.
func (r *run) end(ctx context.Context, a hooks.Action) error {
	names := make([][]string, len(r.ways))
	for i, w := range r.ways {
		names[i] = w.template.Names()
	}
	matches, err := values.Pick(a, names, r.cfg.Ignore)
	if err != nil && (!errors.Is(err, hooks.ErrNotApplicable) || r.cfg.Index == nil || len(a.Scope) == 0) {
		return err
	}
	for _, m := range matches {
		w := r.ways[m.Way]
		for _, row := range m.Rows {
			if w.pattern {
				err = r.scan(ctx, w.template.Expand(row, escape))
			} else {
				err = w.find(r, ctx, w.template.Expand(row, nil))
			}
			if err != nil {
				return err
			}
		}
	}
	return r.indexed(ctx, a)
}

func (r *run) indexed(ctx context.Context, a hooks.Action) error {
	if r.cfg.Index == nil {
		return nil
	}
	for found, err := range sessions.Pages(ctx, r.cfg.Index, a.Scope, a.Until, page) {
		if err != nil {
			return err
		}
		ids := make([]string, len(found))
		for i, s := range found {
			ids[i] = s.ID
		}
		if err := r.remove(ctx, r.keysOf(ids)); err != nil {
			return err
		}
	}
	return nil
}

// keysOf returns the keys of sessions with these ids.
func (r *run) keysOf(ids []string) []string {
	if r.cfg.IDKey == "" {
		return ids
	}
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = strings.Replace(r.cfg.IDKey, idMark, id, 1)
	}
	return keys
}

// key ends the session of one key.
func (r *run) key(ctx context.Context, key string) error {
	_, err := r.removeOld(ctx, []string{key})
	return err
}

// scan ends the sessions of a pattern, on each node that has keys.
func (r *run) scan(ctx context.Context, pattern string) error {
	node := func(ctx context.Context, c redis.Cmdable) error {
		for cursor := uint64(0); ; {
			keys, next, err := c.Scan(ctx, cursor, pattern, page).Result()
			if err != nil {
				return err
			}
			if _, err := r.removeOld(ctx, keys); err != nil {
				return err
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	switch c := r.client.(type) {
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error { return node(ctx, m) })
	case *redis.Ring:
		return c.ForEachShard(ctx, func(ctx context.Context, s *redis.Client) error { return node(ctx, s) })
	}
	return node(ctx, r.client)
}

// set ends the sessions whose keys, or ids, are members of a set.
func (r *run) set(ctx context.Context, name string) error {
	for cursor := uint64(0); ; {
		members, next, err := r.client.SScan(ctx, name, cursor, "", page).Result()
		if err != nil {
			return err
		}
		old, err := r.removeOld(ctx, r.keysOf(members))
		if err != nil {
			return err
		}
		var gone []any
		for i, member := range members {
			if old[i] {
				gone = append(gone, member)
			}
		}
		if len(gone) > 0 && !r.dry {
			if err := r.client.SRem(ctx, name, gone...).Err(); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// sortedSet ends the sessions that are members with a begin at or before the event, in
// seconds or in milliseconds.
func (r *run) sortedSet(ctx context.Context, name string) error {
	seconds := strconv.FormatFloat(float64(r.until.UnixMicro())/1e6, 'f', 6, 64)
	if err := r.ranged(ctx, name, "-inf", seconds); err != nil {
		return err
	}
	return r.ranged(ctx, name, strconv.Itoa(milliseconds), strconv.FormatInt(r.until.UnixMilli(), 10))
}

// ranged ends the sessions that are members of a sorted set with a score from low to high.
func (r *run) ranged(ctx context.Context, name, low, high string) error {
	for offset := int64(0); ; {
		members, err := r.client.ZRangeByScore(ctx, name, &redis.ZRangeBy{Min: low, Max: high, Offset: offset, Count: page}).Result()
		if err != nil || len(members) == 0 {
			return err
		}
		if err := r.remove(ctx, r.keysOf(members)); err != nil {
			return err
		}
		if r.dry {
			offset += int64(len(members))
			continue
		}
		gone := make([]any, len(members))
		for i, m := range members {
			gone[i] = m
		}
		if err := r.client.ZRem(ctx, name, gone...).Err(); err != nil {
			return err
		}
	}
}
