package sqlitelog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

var _ eventlog.Exporter = (*Log)(nil)

// errPlace: a place that no page ended with.
var errPlace = errors.New("sqlitelog: not a place of a page")

// Identity implements eventlog.Exporter.
func (l *Log) Identity(ctx context.Context) (id eventlog.Identity, err error) {
	err = l.db.Read(ctx, func(v *sqlitedb.View) error {
		for name, to := range map[string][]byte{"id_key": id.IDKey[:], "key_secret": id.Secret[:]} {
			var value []byte
			if err := v.QueryRow("SELECT value FROM meta WHERE name = ?", name).Scan(&value); err != nil {
				return err
			}
			if len(value) != len(to) {
				return fmt.Errorf("%s has %d bytes, want %d", name, len(value), len(to))
			}
			copy(to, value)
		}
		return nil
	})
	if err != nil {
		return eventlog.Identity{}, fmt.Errorf("sqlitelog: identity: %w", err)
	}
	return id, nil
}

// SourceKeys implements eventlog.Exporter. Each record has its key; where it was
// forgotten is known, so that a page costs the records that it is of.
func (l *Log) SourceKeys(ctx context.Context, from string, max int) (page []eventlog.SourceKey, next string, err error) {
	after := uint64(0)
	if from != "" {
		if after, err = strconv.ParseUint(from, 10, 63); err != nil {
			return nil, "", errPlace
		}
	}
	err = l.db.Read(ctx, func(v *sqlitedb.View) error {
		var pruned uint64
		if err := v.QueryRow("SELECT seq FROM place WHERE name = 'keys_pruned'").Scan(&pruned); err != nil {
			return err
		}
		if pruned > after {
			after = pruned
		}
		rows, err := v.Query("SELECT seq, recorded, key, digest FROM record WHERE seq > ? AND key IS NOT NULL ORDER BY seq LIMIT ?", int64(after), max)
		if err != nil {
			return err
		}
		for rows.Next() {
			var k eventlog.SourceKey
			var key, digest []byte
			if err := rows.Scan(&k.Seq, &k.Millis, &key, &digest); err != nil {
				return err
			}
			if len(key) != len(k.Key) || len(digest) != len(k.Digest) {
				return errors.New("a key has the wrong length")
			}
			k.Key, k.Digest = eventlog.Key(key), eventlog.Digest(digest)
			page = append(page, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", fmt.Errorf("sqlitelog: source ids after %d: %w", after, err)
	}
	if len(page) == max {
		next = strconv.FormatUint(page[len(page)-1].Seq, 10)
	}
	return page, next, nil
}

// EntryRefs implements eventlog.Exporter.
func (l *Log) EntryRefs(ctx context.Context, from string, max int) (page []eventlog.EntryRef, next string, err error) {
	var after eventlog.EntryRef
	if from != "" {
		if after, err = placeOf(from); err != nil {
			return nil, "", err
		}
	}
	err = l.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT kind, ref, seq FROM entry_ref WHERE (kind, ref, seq) > (?, ?, ?) ORDER BY kind, ref, seq LIMIT ?",
			int64(after.Kind), after.Key[:], int64(after.Seq), max)
		if err != nil {
			return err
		}
		for rows.Next() {
			var r eventlog.EntryRef
			var kind int
			var key []byte
			if err := rows.Scan(&kind, &key, &r.Seq); err != nil {
				return err
			}
			if len(key) != len(r.Key) {
				return errors.New("a key has the wrong length")
			}
			r.Kind, r.Key = eventlog.Kind(kind), eventlog.Key(key)
			page = append(page, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", fmt.Errorf("sqlitelog: keys of entries: %w", err)
	}
	if len(page) == max {
		last := &page[len(page)-1]
		next = fmt.Sprintf("%d.%x.%d", last.Kind, last.Key[:], last.Seq)
	}
	return page, next, nil
}

// placeOf reads what EntryRefs ended a page with.
func placeOf(place string) (r eventlog.EntryRef, err error) {
	parts := strings.Split(place, ".")
	if len(parts) != 3 {
		return r, errPlace
	}
	kind, errKind := strconv.ParseUint(parts[0], 10, 8)
	key, errKey := hex.DecodeString(parts[1])
	seq, errSeq := strconv.ParseUint(parts[2], 10, 63)
	if errKind != nil || errKey != nil || errSeq != nil || len(key) != len(r.Key) {
		return r, errPlace
	}
	return eventlog.EntryRef{Kind: eventlog.Kind(kind), Key: eventlog.Key(key), Seq: seq}, nil
}
