package auth

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

var _ Exporter = (*SQLite)(nil)

// Removals implements [Exporter].
func (b *SQLite) Removals(ctx context.Context, from string, max int) (page []Removal, next string, err error) {
	err = b.page(ctx, "SELECT id, removed_ms FROM removed_applications WHERE id > ? ORDER BY id LIMIT ?", from, max, func(id string, ms int64) {
		page, next = append(page, Removal{id, fromMilli(ms)}), id
	})
	if len(page) < max {
		next = ""
	}
	return page, next, err
}

// Revocations implements [Exporter].
func (b *SQLite) Revocations(ctx context.Context, from string, max int) (page []Revocation, next string, err error) {
	err = b.page(ctx, "SELECT jti, expires_ms FROM revoked_tokens WHERE jti > ? ORDER BY jti LIMIT ?", from, max, func(jti string, ms int64) {
		page, next = append(page, Revocation{jti, fromMilli(ms)}), jti
	})
	if len(page) < max {
		next = ""
	}
	return page, next, err
}

// Assertions implements [Exporter]. A place is a client and a digest.
func (b *SQLite) Assertions(ctx context.Context, from string, max int) (page []Assertion, next string, err error) {
	client, after, _ := strings.Cut(from, " ")
	digest, err := hex.DecodeString(after)
	if err != nil {
		return nil, "", err
	}
	err = b.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query(`SELECT client, assertion, expires_ms FROM used_assertions
			WHERE (client, assertion) > (?, ?) ORDER BY client, assertion LIMIT ?`, client, digest, max)
		if err != nil {
			return err
		}
		for rows.Next() {
			var a Assertion
			var ms int64
			if err := rows.Scan(&a.Client, &a.Digest, &ms); err != nil {
				return err
			}
			a.Expires = fromMilli(ms)
			page, next = append(page, a), a.Client+" "+hex.EncodeToString(a.Digest)
		}
		return rows.Err()
	})
	if len(page) < max {
		next = ""
	}
	return page, next, err
}

// page reads rows of a text and a time.
func (b *SQLite) page(ctx context.Context, query, from string, max int, each func(text string, ms int64)) error {
	return b.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query(query, from, max)
		if err != nil {
			return err
		}
		for rows.Next() {
			var text string
			var ms int64
			if err := rows.Scan(&text, &ms); err != nil {
				return err
			}
			each(text, ms)
		}
		return rows.Err()
	})
}
