package redislog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

var _ eventlog.Exporter = (*Log)(nil)

// errPlace: a place that no page ended with.
var errPlace = errors.New("redislog: not a place of a page")

// Identity implements eventlog.Exporter.
func (l *Log) Identity(ctx context.Context) (eventlog.Identity, error) {
	if err := l.begin(); err != nil {
		return eventlog.Identity{}, err
	}
	defer l.work.Done()
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	key, err := l.db.Client().HGet(ctx, l.keys.head, "id_key").Result()
	if err != nil {
		return eventlog.Identity{}, fmt.Errorf("redislog: identity: %w", err)
	}
	if len(key) != eventlog.IDKeySize {
		return eventlog.Identity{}, errAnswer
	}
	return eventlog.Identity{IDKey: [eventlog.IDKeySize]byte([]byte(key)), Secret: l.secret}, nil
}

// SourceKeys implements eventlog.Exporter. A place is one in the order of ids.
func (l *Log) SourceKeys(ctx context.Context, from string, max int) (page []eventlog.SourceKey, next string, err error) {
	at := int64(0)
	if from != "" {
		if at, err = strconv.ParseInt(from, 10, 64); err != nil || at < 0 {
			return nil, "", errPlace
		}
	}
	if err := l.begin(); err != nil {
		return nil, "", err
	}
	defer l.work.Done()
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	items, err := l.db.Client().LRange(ctx, l.keys.order, at, at+int64(max)-1).Result()
	if err != nil {
		return nil, "", fmt.Errorf("redislog: source ids: %w", err)
	}
	if len(items) == 0 {
		return nil, "", nil
	}
	ids := make([]string, len(items))
	for i, item := range items {
		if len(item) != len(eventlog.Key{})+6 {
			return nil, "", errAnswer
		}
		ids[i] = item[:len(eventlog.Key{})]
	}
	values, err := l.db.Client().HMGet(ctx, l.keys.ids, ids...).Result()
	if err != nil {
		return nil, "", fmt.Errorf("redislog: source ids: %w", err)
	}
	for i, value := range values {
		text := redisdb.Text(value)
		if text == "" || text[len(text)-6:] != items[i][len(ids[i]):] {
			continue // forgotten, or used again since
		}
		k, err := sourceKeyOf(ids[i], text)
		if err != nil {
			return nil, "", err
		}
		page = append(page, k)
	}
	if len(items) == max {
		next = strconv.FormatInt(at+int64(len(items)), 10)
	}
	return page, next, nil
}

// sourceKeyOf reads what is kept of a source's id.
func sourceKeyOf(id, value string) (eventlog.SourceKey, error) {
	f, err := firstOf(value)
	if err != nil {
		return eventlog.SourceKey{}, err
	}
	var millis [8]byte
	copy(millis[2:], value[valueSize-6:])
	return eventlog.SourceKey{
		Key: eventlog.Key([]byte(id)), Digest: f.digest, Seq: f.seq, Millis: int64(binary.BigEndian.Uint64(millis[:])),
	}, nil
}

// EntryRefs implements eventlog.Exporter. A place is the last that the page has.
func (l *Log) EntryRefs(ctx context.Context, from string, max int) (page []eventlog.EntryRef, next string, err error) {
	by := &redis.ZRangeBy{Min: "-", Max: "+", Count: int64(max)}
	if from != "" {
		if len(from) != refSize {
			return nil, "", errPlace
		}
		by.Min = "(" + from
	}
	if err := l.begin(); err != nil {
		return nil, "", err
	}
	defer l.work.Done()
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	members, err := l.db.Client().ZRangeByLex(ctx, l.keys.refs, by).Result()
	if err != nil {
		return nil, "", fmt.Errorf("redislog: keys of entries: %w", err)
	}
	for _, m := range members {
		if len(m) != refSize {
			return nil, "", errAnswer
		}
		b := []byte(m)
		page = append(page, eventlog.EntryRef{Kind: eventlog.Kind(b[0]), Key: eventlog.Key(b[1:17]), Seq: binary.BigEndian.Uint64(b[17:])})
	}
	if len(members) == max {
		next = members[len(members)-1]
	}
	return page, next, nil
}
