package sqlitestore

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
)

var _ streams.Exporter = (*Store)(nil)

const (
	sqlKept = `SELECT s.num, s.active, s.config, q.high_seq, q.high_n, q.high_ref_seq, q.high_ref_n, h.state
		FROM streams s JOIN states q ON q.stream = s.num LEFT JOIN health h ON h.stream = s.num WHERE s.num > ? ORDER BY s.num LIMIT ?`
	sqlInterests = `SELECT hash, kind, canonical FROM subjects WHERE stream = ? AND (hash, kind) > (?, ?) ORDER BY hash, kind LIMIT ?`
	sqlUsedIDs   = `SELECT id FROM ids WHERE id > ? AND NOT EXISTS (SELECT 1 FROM streams WHERE streams.id = ids.id) ORDER BY id LIMIT ?`
)

// StreamCount implements [streams.Exporter].
func (s *Store) StreamCount(context.Context) (int, error) { return len(s.index.snapshot()), nil }

// KeptStreams implements [streams.Exporter].
func (s *Store) KeptStreams(ctx context.Context, from string, max int) (page []streams.Kept, next string, err error) {
	after, err := placeNumber(from)
	if err != nil {
		return nil, "", err
	}
	if err := s.saveActivity(ctx); err != nil {
		return nil, "", err
	}
	var last int64
	err = s.db.Read(ctx, func(v *view) error {
		rows, err := v.Query(sqlKept, after, max)
		if err != nil {
			return err
		}
		for rows.Next() {
			var k streams.Kept
			var active int64
			var config, health []byte
			if err := rows.Scan(&last, &active, &config, &k.High.Seq, &k.High.N, &k.HighRef.Seq, &k.HighRef.N, &health); err != nil {
				return err
			}
			if k.Stream, err = form.DecodeStream(config); err != nil {
				return err
			}
			k.Stream.Active = form.Instant(active)
			if health != nil {
				if err := json.Unmarshal(health, &k.Health); err != nil {
					return fmt.Errorf("health of stream %s: %w", k.Stream.ID, err)
				}
			}
			page = append(page, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", failure("export streams", err)
	}
	if len(page) == max {
		next = strconv.FormatInt(last, 10)
	}
	return page, next, nil
}

// placeNumber reads a place that is a number; "" is the start.
func placeNumber(from string) (int64, error) {
	if from == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return 0, streams.ErrPlace
	}
	return n, nil
}

// Interests implements [streams.Exporter].
func (s *Store) Interests(ctx context.Context, id, from string, max int) (page []streams.Interest, next string, err error) {
	st, err := s.index.find(id)
	if err != nil {
		return nil, "", err
	}
	hash, kind, err := interestPlace(from)
	if err != nil {
		return nil, "", err
	}
	err = s.db.Read(ctx, func(v *view) error {
		rows, err := v.Query(sqlInterests, st.num, hash, kind, max)
		if err != nil {
			return err
		}
		for rows.Next() {
			var canonical []byte
			if err := rows.Scan(&hash, &kind, &canonical); err != nil {
				return err
			}
			one := streams.Interest{Excluded: kind == kindExclusion}
			if one.Subject, err = subject.Parse(bytes.Clone(canonical)); err != nil {
				return err
			}
			page = append(page, one)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", failure("export subjects", err)
	}
	if len(page) == max {
		next = fmt.Sprintf("%x.%d", hash, kind)
	}
	return page, next, nil
}

// interestPlace reads where a page of Interests ended.
func interestPlace(from string) (hash []byte, kind int64, err error) {
	if from == "" {
		return []byte{}, 0, nil
	}
	text, number, _ := strings.Cut(from, ".")
	if hash, err = hex.DecodeString(text); err == nil {
		kind, err = strconv.ParseInt(number, 10, 64)
	}
	if err != nil {
		return nil, 0, streams.ErrPlace
	}
	return hash, kind, nil
}

// Items implements [streams.Exporter].
func (s *Store) Items(ctx context.Context, id, from string, max int) (page []streams.Item, next string, err error) {
	st, err := s.index.find(id)
	if err != nil {
		return nil, "", err
	}
	lane, after := 0, place{}
	if from != "" {
		if n, err := fmt.Sscanf(from, "%d.%d.%d", &lane, &after.Seq, &after.N); err != nil || n != 3 || lane < 0 || after.Seq > maxSeq {
			return nil, "", streams.ErrPlace
		}
	}
	st.mu.Lock()
	queue := st.queue
	st.mu.Unlock()
	err = s.db.Read(ctx, func(v *view) error {
		for ; lane < lanes && len(page) < max; lane, after = lane+1, (place{}) {
			entries, err := readItems(v, queue, lane, after, max-len(page), id)
			if err != nil {
				return err
			}
			for _, e := range entries {
				page = append(page, e.item)
			}
			if len(page) == max {
				last := entries[len(entries)-1].at
				next = fmt.Sprintf("%d.%d.%d", lane, last.Seq, last.N)
			}
		}
		return nil
	})
	if err != nil {
		return nil, "", failure("export items", err)
	}
	return page, next, nil
}

// UsedIDs implements [streams.Exporter].
func (s *Store) UsedIDs(ctx context.Context, from string, max int) (page []string, next string, err error) {
	err = s.db.Read(ctx, func(v *view) error {
		rows, err := v.Query(sqlUsedIDs, from, max)
		if err != nil {
			return err
		}
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			page = append(page, id)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", failure("export ids", err)
	}
	if len(page) == max {
		next = page[max-1]
	}
	return page, next, nil
}

// AllCursors implements [streams.Exporter].
func (s *Store) AllCursors(ctx context.Context) (map[string]uint64, error) {
	all := make(map[string]uint64)
	err := s.db.Read(ctx, func(v *view) error {
		rows, err := v.Query(`SELECT follower, seq FROM cursors`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var follower string
			var seq uint64
			if err := rows.Scan(&follower, &seq); err != nil {
				return err
			}
			all[follower] = seq
		}
		return rows.Err()
	})
	if err != nil {
		return nil, failure("export cursors", err)
	}
	return all, nil
}
